"""The tour is true: its rooms are the rooms, and each symbol that it names is where it says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "meroid"
TOUR = (ROOT / "docs" / "tour.md").read_text("utf-8")
BEFORE, LIST = TOUR.split("## Where each symbol is")
SYMBOLS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", LIST, re.M)


def rooms() -> dict[str, str]:
    """The first line of each room's docstring; a room is a folder or, below the folders, one module."""
    found = {path.parent.name: path for path in SOURCE.glob("*/__init__.py")}
    found |= {path.stem: path for path in SOURCE.glob("[!_]*.py")}
    docstrings = {name: ast.get_docstring(ast.parse(path.read_text("utf-8"))) for name, path in found.items()}
    return {name: (docstring or "").splitlines()[0] for name, docstring in docstrings.items()}


def defined_in(path: Path) -> set[str]:
    """The classes, functions and methods of a module."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def test_each_room_stands_in_the_tour_with_the_line_of_its_docstring() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", BEFORE, re.M))

    assert told == rooms()


@pytest.mark.parametrize(("symbol", "file"), SYMBOLS, ids=[symbol for symbol, _ in SYMBOLS])
def test_a_symbol_of_the_tour_is_in_the_file_that_the_list_names(symbol: str, file: str) -> None:
    assert symbol in defined_in(ROOT / file)


def test_every_class_and_method_that_the_tour_names_is_in_the_list() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+(?:\.\w+)?)`", BEFORE.split("## A call, on the node")[1]))

    assert named - {symbol for symbol, _ in SYMBOLS} == set()
