"""The audit trail."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from meroid.account.audit import DONE, Action, Actor, AuditEvent, AuditHead, ChainedEvent, chain
from meroid.ids import AccountId
from meroid.service.ports.audit import AuditCount, AuditFilter
from meroid.store.driver import Value
from meroid.store.repository import Repository

WINDOW_MS: Final = 60_000
EVENTS_PER_WINDOW: Final = 60
REFUSED: Final = "refused"
_KEEP_MS: Final = 3_600_000  # how long what was left out of one subject waits for its next event
_OVERALL: Final = ("", "")

_HEAD = "SELECT sequence, digest FROM audit_events ORDER BY sequence DESC LIMIT 1"
_APPEND = """
INSERT INTO audit_events
(sequence, at, action, outcome, account_id, key_id, address, method, target, details, left_out, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_EVENTS = """
SELECT sequence, at, action, outcome, account_id, key_id, address, method, target, details, left_out, digest
FROM audit_events
"""
_COUNT = """
INSERT INTO audit_counts (action, outcome, method, count) VALUES (?, ?, ?, ?)
ON CONFLICT (action, outcome, method) DO UPDATE SET count = audit_counts.count + excluded.count
"""
_COUNTS = "SELECT action, outcome, method, count FROM audit_counts ORDER BY action, outcome, method"
_BOUND = "SELECT began_at, told, left_out FROM audit_bounds WHERE subject = ? AND outcome = ?"
_SET_BOUND = """
INSERT INTO audit_bounds (subject, outcome, began_at, told, left_out) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (subject, outcome) DO UPDATE SET
  began_at = excluded.began_at, told = excluded.told, left_out = excluded.left_out
"""
_OLD_LEFT_OUT = "SELECT COALESCE(SUM(left_out), 0) FROM audit_bounds WHERE began_at < ? AND subject <> ''"
_FORGET_BOUNDS = "DELETE FROM audit_bounds WHERE began_at < ? AND subject <> ''"


class SqlAudit(Repository):
    """The port `AuditTrail` over SQL."""

    __slots__ = ()

    def append(self, event: AuditEvent) -> ChainedEvent:
        """Add an event to the end of the chain."""
        chained = chain(self.head(), event)
        by = event.by
        self._session.run(
            _APPEND,
            (
                chained.sequence,
                event.at,
                str(event.action),
                event.outcome,
                by.account_id,
                by.key_id,
                by.address,
                event.method,
                event.target,
                json.dumps(dict(event.details), ensure_ascii=False, sort_keys=True),
                event.left_out,
                chained.digest,
            ),
        )
        self._count(event, 1)
        return chained

    def append_bounded(self, subject: str, event: AuditEvent, *, times: int = 1) -> ChainedEvent | None:
        """Add an event unless there were many of its kind lately; what is left out is counted, and told in the next one."""
        at = event.at
        began, told, left_out = self._bound(subject, event.outcome)
        if began <= at < began + WINDOW_MS and told:
            self._set_bound((subject, event.outcome), began, 1, left_out + times)
            self._count(event, times)
            return None
        if not self._has_room(at, times):
            self._count(event, times)
            return None
        self._set_bound((subject, event.outcome), at, 1, 0)
        self._count(event, times - 1)
        return self.append(replace(event, left_out=left_out + times - 1))

    def head(self) -> AuditHead:
        """Where the chain ends."""
        row = self._session.one(_HEAD)
        return AuditHead() if row is None else AuditHead(count=row[0], digest=row[1])

    def page(self, wanted: AuditFilter, *, after: int, limit: int) -> Sequence[ChainedEvent]:
        """At most `limit` events behind the number `after`, in their order."""
        where, values = _where(wanted)
        sql = f"{_EVENTS} WHERE sequence > ?{where} ORDER BY sequence LIMIT ?"
        return [_chained(row) for row in self._session.all(sql, (after, *values, limit))]

    def latest(self, wanted: AuditFilter, *, limit: int) -> Sequence[ChainedEvent]:
        """The last events that are wanted, in their order."""
        where, values = _where(wanted)
        sql = f"{_EVENTS} WHERE sequence > 0{where} ORDER BY sequence DESC LIMIT ?"
        return [_chained(row) for row in reversed(self._session.all(sql, (*values, limit)))]

    def counts(self) -> Sequence[AuditCount]:
        """How many events of each kind there ever were."""
        return [
            AuditCount(action=row[0], outcome=row[1], method=row[2] or None, count=row[3])
            for row in self._session.all(_COUNTS)
        ]

    def _has_room(self, at: int, times: int) -> bool:
        """Whether one more bounded event fits this minute; a minute that begins tells what the last ones left out."""
        began, told, left_out = self._bound(*_OVERALL)
        if not began <= at < began + WINDOW_MS:
            left_out += self._forget(at)
            if left_out:
                self.append(AuditEvent(at=at, action=Action.LEFT_OUT, left_out=left_out))
            began, told, left_out = at, 0, 0
        fits = told < EVENTS_PER_WINDOW
        self._set_bound(_OVERALL, began, told + fits, left_out + (0 if fits else times))
        return fits

    def _forget(self, at: int) -> int:
        """Forget subjects that were silent for long; how many events of theirs nobody was told of."""
        row = self._session.one(_OLD_LEFT_OUT, (at - _KEEP_MS,))
        self._session.run(_FORGET_BOUNDS, (at - _KEEP_MS,))
        return 0 if row is None else row[0]

    def _bound(self, subject: str, outcome: str) -> tuple[int, int, int]:
        row = self._session.one(_BOUND, (subject, outcome))
        return (0, 0, 0) if row is None else (row[0], row[1], row[2])

    def _set_bound(self, kind: tuple[str, str], began: int, told: int, left_out: int) -> None:
        self._session.run(_SET_BOUND, (*kind, began, told, left_out))

    def _count(self, event: AuditEvent, times: int) -> None:
        if times:
            self._session.run(_COUNT, (str(event.action), event.outcome, event.method or "", times))


def _where(wanted: AuditFilter) -> tuple[str, list[Value]]:
    text, values = "", list[Value]()
    if wanted.account_id is not None:
        text += " AND account_id = ?"
        values.append(wanted.account_id)
    if wanted.action is not None:
        family = f"{wanted.action}."
        text += " AND (action = ? OR SUBSTR(action, 1, ?) = ?)"
        values += [wanted.action, len(family), family]
    if wanted.outcome is not None:
        refused = wanted.outcome == REFUSED
        text += " AND outcome <> ?" if refused else " AND outcome = ?"
        values.append(DONE if refused else wanted.outcome)
    if wanted.since is not None:
        text += " AND at >= ?"
        values.append(wanted.since)
    if wanted.until is not None:
        text += " AND at < ?"
        values.append(wanted.until)
    return text, values


def _chained(row: tuple[Any, ...]) -> ChainedEvent:
    account = None if row[4] is None else AccountId(row[4])
    event = AuditEvent(
        at=row[1],
        action=Action(row[2]),
        outcome=row[3],
        by=Actor(account_id=account, key_id=row[5], address=row[6]),
        method=row[7],
        target=row[8],
        details=json.loads(row[9]),
        left_out=row[10],
    )
    return ChainedEvent(sequence=row[0], event=event, digest=row[11])
