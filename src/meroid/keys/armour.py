"""Text armour: bytes as base64 between two lines that say what they are, for files and mails."""

import base64
import binascii
import textwrap
from typing import Final

from meroid.errors import InvalidInputError

_COLUMNS: Final = 64


class BadArmourError(InvalidInputError):
    """The text isn't armour of this kind."""

    code = "bad_armour"
    next_step = "give the whole text, with its first and its last line"


def armour(kind: str, data: bytes) -> str:
    """Write bytes as text; `kind` is upper-case words, such as `MEROID IDENTITY PROOF`."""
    lines = textwrap.wrap(base64.b64encode(data).decode("ascii"), _COLUMNS)
    return "\n".join((_line("BEGIN", kind), *lines, _line("END", kind), ""))


def unarmour(kind: str, text: str, *, most: int) -> bytes:
    """Read what `armour` wrote; space around lines is ignored, as are other line ends.

    Args:
        kind: what the lines must say.
        text: the whole text, nothing before or behind it.
        most: bytes that the data may have.

    Raises:
        BadArmourError: cut, of another kind, too large, or not base64.
    """
    if len(text) > 2 * most + 1024:
        raise BadArmourError(f"the text holds more than {most} bytes")
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) < 2 or lines[0] != _line("BEGIN", kind) or lines[-1] != _line("END", kind):
        raise BadArmourError(f"the text doesn't stand between the lines of {kind}")
    try:
        data = base64.b64decode("".join(lines[1:-1]).encode(), validate=True)
    except (binascii.Error, ValueError):
        raise BadArmourError("between its lines the text is not base64") from None
    if len(data) > most:
        raise BadArmourError(f"the text holds more than {most} bytes")
    return data


def _line(end: str, kind: str) -> str:
    return f"-----{end} {kind}-----"
