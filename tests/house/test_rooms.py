"""Each room says in one line what it is."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGES = sorted(path for path in SOURCE.rglob("__init__.py"))


def title(path: Path) -> str:
    return ".".join(path.parent.relative_to(SOURCE).parts)


@pytest.mark.parametrize("path", PACKAGES, ids=title)
def test_a_room_says_in_one_line_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))

    assert docstring
    assert len(docstring.splitlines()) == 1


def test_every_folder_with_modules_is_a_package() -> None:
    # Alembic loads migrations by their path.
    folders = {path.parent for path in SOURCE.rglob("*.py") if path.parent.name != "versions"}

    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()
