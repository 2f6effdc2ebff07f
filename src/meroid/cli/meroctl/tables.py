"""The two grids in which `meroctl` answers people (`wire/node.md` §3.4).

Every cell has one space on each side, a column is as wide as its widest cell, nothing is wrapped. A header
with fewer cells than the rows is filled up with empty ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meroid.cli.meroctl.printable import printable, width

_GREEN = "\x1b[32m"
_PLAIN = "\x1b[39m"


class Rule(NamedTuple):
    """One horizontal line: left end, filling, crossing, right end."""

    left: str
    fill: str
    cross: str
    right: str

    def over(self, widths: Sequence[int]) -> str:
        """The line over columns of these widths (padding included)."""
        return self.left + self.cross.join(self.fill * each for each in widths) + self.right


class Grid(NamedTuple):
    """The drawing of one style."""

    edge: str
    between: str
    top: Rule
    below_header: Rule
    below_row: Rule
    bottom: Rule


ASCII = Grid(
    edge="|",
    between="|",
    top=Rule("+", "-", "+", "+"),
    below_header=Rule("+", "=", "=", "+"),
    below_row=Rule("|", "-", "+", "|"),
    bottom=Rule("+", "-", "+", "+"),
)

ROUNDED = Grid(
    edge="│",
    between="┆",
    top=Rule("╭", "─", "┬", "╮"),
    below_header=Rule("╞", "═", "╪", "╡"),
    below_row=Rule("├", "╌", "┼", "┤"),
    bottom=Rule("╰", "─", "┴", "╯"),
)


class Table(NamedTuple):
    """A table before it is drawn."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    grid: Grid = ASCII


def draw(table: Table, *, colour: bool = False) -> str:
    """The table as text, without a closing line feed; with `colour` the header is green."""
    columns = max(len(table.header), *(len(row) for row in table.rows), 0)
    header, *rows = [_filled(row, columns) for row in (table.header, *table.rows)]
    widths = [2 + max(width(row[column]) for row in (header, *rows)) for column in range(columns)]
    grid = table.grid
    lines = [grid.top.over(widths), _line(header, widths, grid, colour=colour), grid.below_header.over(widths)]
    for number, row in enumerate(rows):
        if number:
            lines.append(grid.below_row.over(widths))
        lines.append(_line(row, widths, grid))
    lines.append(grid.bottom.over(widths))
    return "\n".join(lines)


def _filled(row: Sequence[str], columns: int) -> list[str]:
    return [printable(cell) for cell in row] + [""] * (columns - len(row))


def _line(row: Sequence[str], widths: Sequence[int], grid: Grid, *, colour: bool = False) -> str:
    cells = [_cell(text, room, colour=colour) for text, room in zip(row, widths, strict=True)]
    return grid.edge + grid.between.join(cells) + grid.edge


def _cell(text: str, room: int, *, colour: bool) -> str:
    filling = " " * (room - 1 - width(text))
    return f" {_GREEN}{text}{_PLAIN}{filling}" if colour and text else f" {text}{filling}"
