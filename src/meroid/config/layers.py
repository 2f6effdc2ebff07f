"""Values from a file with those of the environment over them, and where each comes from."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

from meroid.config.errors import BadConfigError

Value: TypeAlias = str | int | bool | tuple[str, ...]

ENVIRONMENT_PREFIXES: Final = ("MERO_AUTH__", "AUTH__")  # the first one goes before the wire's own
_NESTING: Final = "__"
_SWITCHES: Final = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False}
_SWITCHES["off"] = False


class Kind(Enum):
    """What a value is."""

    TEXT = "a text"
    NUMBER = "a whole number"
    SWITCH = "true or false"
    TEXTS = "a list of texts"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that means something: its dotted name, what its value is, and the value where nothing is said."""

    name: str
    kind: Kind
    default: Value | None


@dataclass(frozen=True, slots=True)
class Layers:
    """What was said.

    Attributes:
        values: by dotted name; only what was said.
        sources: where each of them comes from.
        ignored: names that mean nothing here, as they were written.
    """

    values: Mapping[str, Value]
    sources: Mapping[str, str]
    ignored: tuple[str, ...]

    def source(self, name: str) -> str:
        """Where a value comes from, for people."""
        return self.sources.get(name, "default")

    @property
    def table(self) -> dict[str, Any]:
        """The values as the nested tables of a file."""
        nested: dict[str, Any] = {}
        for name, value in self.values.items():
            *outer, last = name.split(".")
            inner = nested
            for each in outer:
                inner = inner.setdefault(each, {})
            inner[last] = list(value) if isinstance(value, tuple) else value
        return nested


def read_layers(file: Path | None, environ: Mapping[str, str], keys: Iterable[Key]) -> Layers:
    """Read a file (JSON if its name ends with `.json`, else TOML), and put the environment over it.

    Raises:
        BadConfigError: the file can't be read, or a known key has a value of another kind.
    """
    known = {key.name: key for key in keys}
    values: dict[str, Value] = {}
    sources: dict[str, str] = {}
    ignored: list[str] = []
    for name, raw in _flat(_read(file), "", known) if file is not None else ():
        key = known.get(name)
        if key is None:
            if any(each.startswith(f"{name}.") for each in known):
                raise BadConfigError(f"{name} is not a table")
            ignored.append(name)
            continue
        values[name], sources[name] = _checked(key, raw, name), f"file {file}"
    for prefix in reversed(ENVIRONMENT_PREFIXES):
        for variable in sorted(each for each in environ if each.startswith(prefix)):
            name = variable.removeprefix(prefix).lower().replace(_NESTING, ".")
            key = known.get(name)
            if key is None:
                ignored.append(variable)
                continue
            values[name], sources[name] = _from_text(key, environ[variable], variable), f"environment {variable}"
    return Layers(values, sources, tuple(ignored))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise BadConfigError(
            f"there is no configuration at {file}", next_step="name another, or make it: init"
        ) from None
    except OSError as problem:
        raise BadConfigError(f"{file} can't be read: {problem.strerror}", next_step="check its permissions") from None
    except UnicodeDecodeError:
        raise BadConfigError(f"{file} is no UTF-8 text") from None
    try:
        table = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        form = "JSON" if file.suffix == ".json" else "TOML"
        where = "nested too deep" if isinstance(problem, RecursionError) else str(problem)
        raise BadConfigError(f"{file} is not {form}: {where}", next_step="correct the file") from None
    if not isinstance(table, dict):
        raise BadConfigError(f"{file} is no table of keys", next_step="correct the file")
    return table


def _flat(table: Mapping[str, Any], before: str, known: Mapping[str, Key]) -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and name not in known:
            yield from _flat(value, f"{name}.", known)
        else:
            yield name, value


def _checked(key: Key, raw: object, said: str) -> Value:
    match key.kind:
        case Kind.TEXT if isinstance(raw, str):
            return raw
        case Kind.NUMBER if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        case Kind.SWITCH if isinstance(raw, bool):
            return raw
        case Kind.TEXTS if isinstance(raw, str):
            return tuple(each.strip() for each in raw.split(",") if each.strip())
        case Kind.TEXTS if isinstance(raw, list) and all(isinstance(each, str) for each in raw):
            return tuple(raw)
        case _:
            raise BadConfigError(f"{said} is {key.kind.value}")


def _from_text(key: Key, text: str, variable: str) -> Value:
    """A value as the environment has it; never repeated in an error, because it may be a secret in the wrong place."""
    match key.kind:
        case Kind.NUMBER if text.strip().isascii() and text.strip().isdecimal() and len(text) < 20:
            return int(text)
        case Kind.SWITCH if text.strip().lower() in _SWITCHES:
            return _SWITCHES[text.strip().lower()]
        case Kind.TEXTS if text.lstrip().startswith("["):
            try:
                return _checked(key, json.loads(text), variable)
            except (ValueError, RecursionError):
                raise BadConfigError(f"{variable} is no JSON list of texts") from None
        case Kind.TEXT | Kind.TEXTS:
            return _checked(key, text, variable)
        case _:
            raise BadConfigError(f"{variable} is {key.kind.value}")
