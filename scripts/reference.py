"""Writes the parts of the documents that follow from the code: the tables of docs/errors.md and of docs/cli.md.

`python -m scripts.reference` writes them anew; a test compares them with what the code says. What stands outside of the
marks in those files is written by hand.
"""

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from meroid.cli.mero_auth.grammar import parser as mero_auth_parser
from meroid.cli.meroctl.grammar import build_parser
from meroid.cli.merod.grammar import parser as merod_parser
from meroid.errors import MeroidError
from meroid.ledger.verdict import void
from meroid.service.refusals import refusal_of
from meroid.wire.faults import status_of

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "meroid"
MARK: Final = "<!-- {name}: written by `python -m scripts.reference` -->"
END: Final = "<!-- end -->"
_CLIENT_ROOMS: Final = ("meroid.client", "meroid.cli.meroctl")
_MEROD_ROOMS: Final = (
    "meroid.app",
    "meroid.config",
    "meroid.cli.merod",
    "meroid.cli.service",
    "meroid.vault",
    "meroid.http.server",
)
_AN_ERROR: Final = re.compile(r"^class \w+Error\(", re.MULTILINE)
_SPECIAL: Final = str.maketrans({"|": r"\|"})


def main() -> None:
    """Write every part into its file."""
    for path, parts in documents().items():
        text = path.read_text("utf-8")
        for name, content in parts.items():
            text = replaced(text, name, content)
        path.write_text(text, "utf-8")


def documents() -> dict[Path, dict[str, str]]:
    """The written parts, by file and name."""
    return {
        ROOT / "docs" / "errors.md": {
            "node": errors_table(node_errors(), status=True),
            "rules": rules_table(),
            "merod": errors_table(merod_errors(), status=False),
            "client": errors_table(client_errors(), status=False),
        },
        ROOT / "docs" / "cli.md": {
            "meroctl": commands_table(build_parser()),
            "merod": commands_table(merod_parser()),
            "mero-auth": commands_table(mero_auth_parser()),
        },
    }


def replaced(text: str, name: str, content: str) -> str:
    """The text with one part put between its marks."""
    mark = re.escape(MARK.format(name=name))
    found = re.compile(rf"({mark}\n).*?({re.escape(END)})", re.DOTALL)
    if len(found.findall(text)) != 1:
        raise ValueError(f"the marks of {name!r} don't stand once in the file")
    return found.sub(lambda match: f"{match[1]}\n{content}\n{match[2]}", text)


# --- errors


def error_classes() -> list[type[MeroidError]]:
    """Every error class of the code that has a code of its own, sorted by code."""
    for path in sorted(SOURCE.rglob("*.py")):
        if _AN_ERROR.search(path.read_text("utf-8")):  # others may need what isn't installed
            importlib.import_module(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts))
    known: list[type[MeroidError]] = [MeroidError, *_below(MeroidError)]
    own = {each for each in known if "code" in vars(each)}
    return sorted(own, key=lambda each: (each.code, each.__module__))


def node_errors() -> list[type[MeroidError]]:
    """What a node says over HTTP and in its log."""
    return [each for each in error_classes() if not each.__module__.startswith((*_CLIENT_ROOMS, *_MEROD_ROOMS))]


def merod_errors() -> list[type[MeroidError]]:
    """What `merod` and `mero-auth` say when they make or start something."""
    return [each for each in error_classes() if each.__module__.startswith(_MEROD_ROOMS)]


def client_errors() -> list[type[MeroidError]]:
    """What `meroctl` and the Python client say themselves."""
    return [each for each in error_classes() if each.__module__.startswith(_CLIENT_ROOMS)]


def rule_codes() -> list[str]:
    """The codes of all rules of the ledger, read from its source: they are data there, not classes."""
    found: set[str] = set()
    for path in sorted((SOURCE / "ledger").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="void" | "held"), args=[ast.Constant(value=str() as code), *_]):
                    found.add(code)
                case ast.FunctionDef() if path.stem == "rules":
                    found |= set(_returned_texts(node))
    return sorted(found)


def errors_table(classes: list[type[MeroidError]], *, status: bool) -> str:
    """One row for each class; the meaning is the first sentence of its docstring."""
    head = ["code", "status", "meaning", "next step"] if status else ["code", "meaning", "next step"]
    rows = []
    for each in classes:
        cells = [f"`{each.code}`", _first_line(each), each.next_step]
        rows.append([cells[0], str(status_of(each.__new__(each))), *cells[1:]] if status else cells)
    unique = [row for number, row in enumerate(rows) if row not in rows[:number]]
    return _table(head, unique)


def rules_table() -> str:
    """One row for each rule's code."""
    errors = [(code, refusal_of(void(code))) for code in rule_codes()]
    return _table(["code", "meaning", "next step"], [[f"`{code}`", e.reason, e.next_step] for code, e in errors])


def _below(kind: type[MeroidError]) -> Iterator[type[MeroidError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("meroid."):
            yield each
            yield from _below(each)


def _returned_texts(function: ast.FunctionDef) -> Iterator[str]:
    for statement in ast.walk(function):
        if isinstance(statement, ast.Return) and statement.value is not None:
            for node in ast.walk(statement.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def _first_line(kind: type[MeroidError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].rstrip(".")


# --- commands


def commands_table(parser: argparse.ArgumentParser) -> str:
    """One row for each command: how it is called, and what it does."""
    rows = [[f"`{usage}`", text] for usage, text in commands(parser)]
    return _table(["command", "what it does"], rows)


def commands(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, str]]:
    """Every command that does something, with its other names, its arguments and its flags."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    for group in groups:
        helps = {each.dest: each.help or "" for each in group._choices_actions}  # noqa: SLF001
        names: dict[int, list[str]] = {}
        for name, below in group.choices.items():
            names.setdefault(id(below), []).append(name)
        for known in names.values():
            below = group.choices[known[0]]
            called = f"{path} {'|'.join(known)}".strip()
            inner = list(commands(below, called))
            yield from inner or [(f"{called} {_arguments(below)}".strip(), helps.get(known[0], ""))]


def _arguments(parser: argparse.ArgumentParser) -> str:
    words = []
    for action in parser._actions:  # noqa: SLF001
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        value = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else _value(action)
        if not action.option_strings:
            words.append(value if action.nargs != "?" else f"[{value}]")
            continue
        flag = f"{'|'.join(action.option_strings)} {value}".strip()
        words.append(flag if action.required else f"[{flag}]")
    return " ".join(words)


def _value(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "|".join(map(str, action.choices))
    shown = action.metavar or action.dest.upper()
    return shown if isinstance(shown, str) else " ".join(shown)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.translate(_SPECIAL) for cell in row)} |" for row in lines) + "\n"


if __name__ == "__main__":
    main()
