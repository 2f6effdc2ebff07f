"""Modules and functions stay small enough to be read at once; an exception gives its reason here."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ("src", "packages", "scripts")
MODULE_LINES = 500
FUNCTION_LINES = 50

# "src/meroid/room/module.py" or "src/meroid/room/module.py::Class.function" -> why it may be longer.
ALLOWED: dict[str, str] = {}


def modules() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            if not {"node_modules", "build", "dist"} & set(path.parts):
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def functions(node: ast.AST, names: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Each function's dotted name and its lines, from `def` to its end."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join((*names, child.name)), (child.end_lineno or 0) - child.lineno + 1
        named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(child, (*names, child.name) if named else names)  # type: ignore[attr-defined]


def too_long() -> set[str]:
    found = set()
    for name, source in modules():
        if len(source.splitlines()) > MODULE_LINES:
            found.add(name)
        found |= {f"{name}::{function}" for function, lines in functions(ast.parse(source)) if lines > FUNCTION_LINES}
    return found


def test_no_module_and_no_function_is_too_long() -> None:
    assert too_long() - ALLOWED.keys() == set()


def test_every_exception_is_needed_and_has_a_reason() -> None:
    assert ALLOWED.keys() - too_long() == set()
    assert all(reason.strip() for reason in ALLOWED.values())
