"""Times for people: ages of keys, and spans as they are typed."""

import re
from typing import Final

from meroid.cli.meroctl.refusals import BadArgumentError

DAY_MS: Final = 86_400_000
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")


def age_text(since: int, now: int) -> str:
    """The age of something, from two times in ms: `today`, `1 day`, `91 days`."""
    days = max(0, now - since) // DAY_MS
    return "today" if days == 0 else "1 day" if days == 1 else f"{days} days"


def ago_text(since: int, now: int) -> str:
    """When something was, from two times in ms: `today`, `1 day ago`."""
    age = age_text(since, now)
    return age if age == "today" else f"{age} ago"


def span_ms(text: str) -> int:
    """A span like `10m`, `24h` or `30d`, in ms.

    Raises:
        BadArgumentError: it isn't one.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise BadArgumentError("a time is a number with s, m, h or d behind it", next_step="write it like 24h or 30d")
    return int(match[1]) * _UNITS_MS[match[2]]
