"""`meroctl audit list`: the events of the audit trail, and those that come."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from meroid.cli.meroctl.ages import span_ms
from meroid.cli.meroctl.output import compact
from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, texts_at, value_at
from meroid.clock import SystemClock

HEADER: Final = ("Time", "Who", "What", "On", "From", "Outcome")
_EVERY_S: Final = 1.0
_SHOWN_OF_AN_ID: Final = 12
_MOST: Final = 1000
_LAST_MS: Final = 253_402_300_799_999  # in the year 9999


def list_events(session: Session) -> None:
    """Show the last events; with `--follow` wait for more until Ctrl-C."""
    args = session.args
    if not 1 <= args.limit <= _MOST:
        raise BadArgumentError(f"a list has 1 to {_MOST} events", next_step="choose another number with --limit")
    wanted = _wanted(session)
    body = session.routes.audit({**wanted, "limit": str(args.limit), "latest": "true"})
    events = items_at(body, "data", "events")
    if args.follow:
        _follow(session, wanted, events)
        return
    rows = [row_of(each) for each in events]
    session.output.answer(body, Table(HEADER, rows) if rows else "No events found")


def row_of(event: object) -> list[str]:
    """An event as a row of the table."""
    left_out, outcome = number_at(event, "left_out"), text_at(event, "outcome")
    method = value_at(event, "method")
    action = text_at(event, "action") + (f" ({method})" if isinstance(method, str) else "")
    who = _short(value_at(event, "account")) or "-"
    key = _short(value_at(event, "key"))
    route = texts_at(event, "details").get("route", "")
    return [
        time_text(number_at(event, "at")),
        f"{who} by key {key}" if key else who,
        action,
        _short(value_at(event, "target")) or route or "-",
        str(value_at(event, "address") or "-"),
        f"{outcome} (and {left_out} more)" if left_out else outcome,
    ]


def time_text(ms: int) -> str:
    """A time in ms, in UTC to the second."""
    return datetime.fromtimestamp(min(max(0, ms), _LAST_MS) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _follow(session: Session, wanted: dict[str, str], events: Sequence[object]) -> None:
    after = number_at(events[-1], "seq") if events else 0
    try:
        while True:
            for each in events:
                text = compact(each) if session.output.json_format else "  ".join(map(printable, row_of(each)))
                sys.stdout.write(text + "\n")
                after = number_at(each, "seq")
            sys.stdout.flush()
            time.sleep(_EVERY_S)
            body = session.routes.audit({**wanted, "after": str(after)})
            events = items_at(body, "data", "events")
    except KeyboardInterrupt:
        return


def _wanted(session: Session) -> dict[str, str]:
    args = session.args
    given = {"account": args.account, "action": args.action, "outcome": args.outcome}
    wanted = {name: value for name, value in given.items() if value is not None}
    for name, text in (("since", args.since), ("until", args.until)):
        if text is not None:
            wanted[name] = str(_time_ms(text))
    return wanted


def _time_ms(text: str) -> int:
    if text[:1].isdecimal() and text[-1:].isalpha() and text[-1:] in "smhd":
        return max(0, SystemClock().now_ms() - span_ms(text))
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadArgumentError(
            f"{text} is no time", next_step="write it like 2026-01-31, 2026-01-31T12:00 or 2h"
        ) from None
    return max(0, int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000))


def _short(value: object) -> str:
    """The beginning of an id, which tells it from others in a list."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= _SHOWN_OF_AN_ID + 1 else f"{value[:_SHOWN_OF_AN_ID]}…"
