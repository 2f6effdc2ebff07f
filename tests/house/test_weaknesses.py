"""docs/wire-differences.md has one line for each weakness of the original's auth service."""

import re
from pathlib import Path

DOCUMENT = (Path(__file__).parents[2] / "docs" / "wire-differences.md").read_text("utf-8")
ROW = re.compile(r"^\| (W\d+[ab]?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
WEAKNESSES = [name for number in range(1, 30) for name in (("W21a", "W21b") if number == 21 else (f"W{number}",))]


def test_each_weakness_has_one_line_in_order() -> None:
    assert [name for name, _, _ in ROW.findall(DOCUMENT)] == WEAKNESSES


def test_each_line_says_what_was_done() -> None:
    assert [name for name, weakness, here in ROW.findall(DOCUMENT) if not weakness.strip() or not here.strip()] == []
