"""The printable sheet of an account as PDF, for A4 and Letter. Needs the extra `paper` (reportlab)."""

import io
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

from meroid.account.sheet import Sheet, grouped, qr_rows
from meroid.errors import UnavailableError
from meroid.keys.signer import Secret

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

Paper = Literal["a4", "letter"]

_POINTS_PER_MM: Final = 72 / 25.4
_SIZES_MM: Final = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
_MARGIN_MM: Final = 16.0
_TEXT, _BOLD, _MONO = "Times-Roman", "Times-Bold", "Courier"
_CODE_MM, _CARD_MM, _CODE_COLUMN = 62.0, 118.0, 63
_WORDS_QR_MM: Final = 54.0
_QUIET_MODULES: Final = 4


class PaperNotInstalledError(UnavailableError):
    """Making a PDF needs an optional part of meroid that isn't installed."""

    code = "paper_not_installed"
    next_step = "install it (pip install 'meroid[paper]'), or make the sheet as HTML and print that"


def render_pdf(sheet: Sheet, paper: Paper = "a4") -> Secret:
    """The sheet as PDF; the same sheet gives the same bytes.

    Raises:
        PaperNotInstalledError: the extra `paper` is missing.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 - an extra
    except ImportError:
        raise PaperNotInstalledError("a PDF needs the extra `paper`") from None
    output = io.BytesIO()
    width, height = _SIZES_MM[paper]
    canvas = Canvas(output, pagesize=(width * _POINTS_PER_MM, height * _POINTS_PER_MM), invariant=1)
    canvas.setTitle("meroid")
    canvas.setCreator("meroid")
    page = _Page(canvas, width, height)
    _first_page(page, sheet)
    for start in range(0, len(sheet.codes), 4):
        canvas.showPage()
        _codes_page(page, sheet, start)
    canvas.save()
    return Secret(output.getvalue())


class _Page:
    """A page in millimetres from its top left corner, with a pen that moves down."""

    def __init__(self, canvas: "Canvas", width: float, height: float) -> None:
        self._canvas = canvas
        self._height = height
        self.width = width - 2 * _MARGIN_MM
        self.y = _MARGIN_MM

    def text(self, x: float, y: float, text: str, size: float, font: str = _TEXT) -> None:
        """Write one line; `y` is that of its foot."""
        self._canvas.setFont(font, size)
        self._canvas.drawString((_MARGIN_MM + x) * _POINTS_PER_MM, (self._height - y) * _POINTS_PER_MM, text)

    def paragraph(self, text: str, size: float, *, mark: str = "", font: str = _TEXT, inset: float = 0) -> None:
        """Write lines from the pen down, broken to the width; `mark` stands before the first one."""
        indent = inset + (6.0 if mark else 0)
        if mark:
            self.text(inset, self.y + 4, mark, size, font)
        for line in self._broken(text, size, font, self.width - indent - inset):
            self.text(indent, self.y + 4, line, size, font)
            self.y += size * 0.46
        self.y += 0.8

    def heading(self, text: str) -> None:
        """Write a heading with a line under it."""
        self.y += 4
        self.text(0, self.y + 4, text, 12.5, _BOLD)
        self.rule(0, self.y + 5.6, self.width, 0.3)
        self.y += 7

    def rule(self, x: float, y: float, width: float, thickness: float) -> None:
        """Draw a horizontal line."""
        self._canvas.setLineWidth(thickness * _POINTS_PER_MM)
        left, up = (_MARGIN_MM + x) * _POINTS_PER_MM, (self._height - y) * _POINTS_PER_MM
        self._canvas.line(left, up, left + width * _POINTS_PER_MM, up)

    def frame(self, x: float, y: float, width: float, height: float, thickness: float) -> None:
        """Draw a rectangle."""
        self._canvas.setLineWidth(thickness * _POINTS_PER_MM)
        self._canvas.rect(
            (_MARGIN_MM + x) * _POINTS_PER_MM,
            (self._height - y - height) * _POINTS_PER_MM,
            width * _POINTS_PER_MM,
            height * _POINTS_PER_MM,
        )

    def qr(self, x: float, y: float, width: float, text: str) -> None:
        """Draw a QR code with its white border inside of the width."""
        rows = qr_rows(text)
        module = width / (len(rows) + 2 * _QUIET_MODULES)
        path = self._canvas.beginPath()
        for row_number, row in enumerate(rows):
            for start, end in _runs(row):
                path.rect(
                    (_MARGIN_MM + x + (start + _QUIET_MODULES) * module) * _POINTS_PER_MM,
                    (self._height - y - (row_number + 1 + _QUIET_MODULES) * module) * _POINTS_PER_MM,
                    (end - start) * module * _POINTS_PER_MM,
                    module * _POINTS_PER_MM,
                )
        self._canvas.drawPath(path, stroke=0, fill=1)

    def _broken(self, text: str, size: float, font: str, width: float) -> Iterable[str]:
        line = ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if line and self._canvas.stringWidth(longer, font, size) > width * _POINTS_PER_MM:
                yield line
                longer = word
            line = longer
        yield line


def _first_page(page: _Page, sheet: Sheet) -> None:
    page.text(0, page.y + 6, sheet.title, 20, _BOLD)
    page.text(page.width - 14, page.y + 6, "meroid", 11)
    page.y += 13
    top = page.y
    page.paragraph(sheet.warning, 10.5, font=_BOLD, inset=3)
    page.frame(0, top - 1.5, page.width, page.y - top + 2.5, 0.6)
    page.y += 4
    for name, value in sheet.facts():
        page.text(0, page.y + 4, name, 10.5, _BOLD)
        page.text(24, page.y + 4, value, 9.5, _MONO)
        page.y += 5.2
    page.text(0, page.y + 4, "Name", 10.5, _BOLD)
    page.rule(24, page.y + 4.6, 70, 0.2)
    page.y += 5.2
    page.heading("The words")
    _words(page, sheet)
    page.heading("To get the account back")
    for number, step in enumerate(sheet.steps(), start=1):
        page.paragraph(step, 10.5, mark=f"{number}.")
    page.heading("To keep it safe")
    for caution in sheet.cautions():
        page.paragraph(caution, 10.5, mark="\u2022")


def _words(page: _Page, sheet: Sheet) -> None:
    words = sheet.numbered_words()
    rows = -(-len(words) // 3)
    for number, word in words:
        column, row = divmod(number - 1, rows)
        y = page.y + 5 + row * 6.6
        page.text(column * 40, y, f"{number:>2}.", 9, _TEXT)
        page.text(column * 40 + 7, y, word, 11.5, _MONO)
    page.qr(page.width - _WORDS_QR_MM, page.y, _WORDS_QR_MM, sheet.words.reveal().decode())
    page.text(page.width - _WORDS_QR_MM + 7, page.y + _WORDS_QR_MM + 1, "the same words, for a camera", 9)
    page.y += max(_WORDS_QR_MM + 2, rows * 6.6 + 2)


def _codes_page(page: _Page, sheet: Sheet, start: int) -> None:
    page.y = _MARGIN_MM
    page.text(0, page.y + 4, "The encrypted list", 12.5, _BOLD)
    page.text(45, page.y + 4, f"of account {sheet.account_id}", 9)
    page.rule(0, page.y + 5.6, page.width, 0.3)
    column_width = (page.width - 6) / 2
    for place, code in enumerate(sheet.codes[start : start + 4]):
        x, y = (place % 2) * (column_width + 6), page.y + 9 + (place // 2) * (_CARD_MM + 3)
        page.frame(x, y, column_width, _CARD_MM, 0.2)
        page.qr(x + (column_width - _CODE_MM) / 2, y + 1, _CODE_MM, code)
        page.text(x + 2, y + _CODE_MM + 4, f"Code {start + place + 1} of {len(sheet.codes)}", 9, _BOLD)
        for number, line in enumerate(textwrap.wrap(grouped(code), _CODE_COLUMN)):
            page.text(x + 2, y + _CODE_MM + 8.5 + number * 2.6, line, 5.9, _MONO)


def _runs(row: Iterable[bool]) -> Iterable[tuple[int, int]]:
    """Where black modules begin and end."""
    start: int | None = None
    place = -1
    for place, black in enumerate(row):
        if black and start is None:
            start = place
        elif not black and start is not None:
            yield start, place
            start = None
    if start is not None:
        yield start, place + 1
