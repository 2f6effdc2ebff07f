"""Storage of the audit trail: append-only, each event chained to the one before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meroid.account.audit import AuditEvent, AuditHead, ChainedEvent
from meroid.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are wanted; `None` asks for all. `action` also takes what stands before the dot; times in ms, `until` excluded.

    `outcome` is a code, or `refused` for everything but `ok`. `account_id` is who did it.
    """

    account_id: AccountId | None = None
    action: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCount:
    """How many events of one kind there were, those left out included."""

    action: str
    outcome: str
    method: str | None
    count: int


class AuditTrail(Protocol):
    """The audit trail of this node; an event is kept with the transaction that it is appended in, or not at all."""

    def append(self, event: AuditEvent) -> ChainedEvent:
        """Add an event to the end of the chain."""
        ...

    def append_bounded(self, subject: str, event: AuditEvent, *, times: int = 1) -> ChainedEvent | None:
        """Add an event unless there were many of its kind lately; what is left out is counted, and told in the next one.

        At most one event a minute for each subject and outcome, and at most 60 a minute in all. `times` is how
        often it happened.
        """
        ...

    def head(self) -> AuditHead:
        """Where the chain ends."""
        ...

    def page(self, wanted: AuditFilter, *, after: int, limit: int) -> Sequence[ChainedEvent]:
        """At most `limit` events behind the number `after`, in their order."""
        ...

    def latest(self, wanted: AuditFilter, *, limit: int) -> Sequence[ChainedEvent]:
        """The last events that are wanted, in their order."""
        ...

    def counts(self) -> Sequence[AuditCount]:
        """How many events of each kind there ever were."""
        ...
