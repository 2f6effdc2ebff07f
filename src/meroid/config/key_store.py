"""Changing `node.key_store` in a configuration without touching anything else of it."""

import contextlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from meroid.config.errors import BadConfigError, ConfigUnwritableError
from meroid.config.node import CONFIG_FILE
from meroid.config.toml_values import quoted, table_in

_KEY_STORE: Final = re.compile(r"""key_store["']?\s*=\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*')""")
_NODE_TABLE: Final = re.compile(r"""^[ \t]*\[[ \t]*["']?node["']?[ \t]*\][^\n]*$""", re.MULTILINE)


def with_key_store(text: str, uri: str) -> str:
    """A configuration in which only `node.key_store` is another one; what else stands there stays, comments included.

    Raises:
        ConfigUnwritableError: it is written in a way that can't be changed without a loss.
        BadConfigError: not TOML.
    """
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadConfigError(f"config.toml is not TOML: {problem}") from None
    node = table_in(wanted, "node")
    if node.get("key_store") == uri:
        return text
    wanted["node"] = {**node, "key_store": uri}
    for candidate in _with_key_store(text, quoted(uri)):
        try:
            if tomllib.loads(candidate) == wanted:
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigUnwritableError("node.key_store can't be changed without touching more of config.toml")


def _with_key_store(text: str, value: str) -> Iterator[str]:
    """Ways to write it, some of them wrong: the caller reads them again."""
    for found in _KEY_STORE.finditer(text):
        yield text[: found.start(1)] + value + text[found.end(1) :]
    for found in _NODE_TABLE.finditer(text):
        yield f"{text[: found.end()]}\nkey_store = {value}{text[found.end() :]}"

    yield f"{text.rstrip()}\n\n[node]\nkey_store = {value}\n"


def check_switchable(home: Path, uri: str) -> str:
    """What `switch_key_store` would write.

    Raises:
        ConfigUnwritableError, BadConfigError: as `with_key_store` says, or the file can't be read.
    """
    try:
        return with_key_store((home / CONFIG_FILE).read_bytes().decode(), uri)
    except (OSError, UnicodeDecodeError):
        raise ConfigUnwritableError("config.toml can't be read") from None


def switch_key_store(home: Path, uri: str) -> None:
    """Make the configuration of the node in `home` name another key store: in one step, on disk when this returns.

    Raises:
        ConfigUnwritableError, BadConfigError: as `with_key_store` says, or the file can't be replaced.
    """
    path = Path(os.path.realpath(home / CONFIG_FILE))  # a link stays one
    part = path.with_name(f".{path.name}.part")
    changed = check_switchable(home, uri).encode()
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(changed)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigUnwritableError(f"config.toml can't be replaced: {error.strerror}") from None
