"""The audit trail: what happened to log-ins, keys and tokens, as a chain that shows every change in it.

Each event's hash covers the hash before it and its own canonical bytes:
`SHA-256("meroid/audit/v1" ‖ 0 ‖ previous hash ‖ canonical event)`; before the first event stand 32 zero bytes.
Who keeps one hash and its number can tell later that nothing up to there was changed, left out or added.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from meroid.errors import IntegrityError
from meroid.ids import AccountId
from meroid.keys.canonical import canonical_bytes, tagged_hash

DONE: Final = "ok"
"""The outcome of what was done; what was refused has the code of the refusal."""
BEFORE_THE_FIRST: Final = bytes(32)
DETAIL_CHARACTERS: Final = 1024
_TAG: Final = "meroid/audit/v1"


class Action(StrEnum):
    """What an event is about; a name never changes its meaning."""

    LOGIN = "login"
    LOGOUT = "logout"
    OWNER_CLAIM = "owner.claim"
    TOKEN_MINT = "token.mint"  # noqa: S105 - the name of an action
    TOKEN_REFRESH = "token.refresh"  # noqa: S105 - the name of an action
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - the name of an action
    ROOT_KEY_BIND = "root_key.bind"
    ROOT_KEY_RENEW = "root_key.renew"
    ROOT_KEY_REMOVE = "root_key.remove"
    PASSWORD_CHANGE = "password.change"  # noqa: S105 - the name of an action
    PERMISSIONS_CHANGE = "permissions.change"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_DISABLE = "account.disable"
    ACCOUNT_ENABLE = "account.enable"
    SIGNING_KEY_CREATE = "signing_key.create"
    SIGNING_KEY_ROTATE = "signing_key.rotate"
    REQUEST = "request"
    LEFT_OUT = "events.left_out"


class AuditBrokenError(IntegrityError):
    """The chain doesn't hold: an event was changed, left out, added or moved.

    Attributes:
        sequence: number of the first event that doesn't fit what is before it.
    """

    code = "audit_broken"
    next_step = "keep this file, compare it with an older export, and find out who could write to the database"

    def __init__(self, reason: str, *, sequence: int) -> None:
        super().__init__(reason)
        self.sequence = sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it: account and key as far as they are known, and the caller's address; nothing of it for the node's own machine."""

    account_id: AccountId | None = None
    key_id: str | None = None
    address: str | None = None


NOBODY: Final = Actor()
"""The node itself, or who administers it on its machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that was done or refused.

    Attributes:
        at: ms since the epoch.
        action: what.
        by: who.
        outcome: `ok`, or the code of the refusal.
        method: log-in method, where there is one.
        target: what it was done to: the id of a key, log-in or account; `login:` and a digest for a log-in that opened nothing.
        details: more about it, by name; never a secret, a token or what somebody typed.
        left_out: how many more of the same there were since the last one of it, without events of their own.
    """

    at: int
    action: Action
    by: Actor = NOBODY
    outcome: str = DONE
    method: str | None = None
    target: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """How many events there are, and the hash of the last one."""

    count: int = 0
    digest: bytes = BEFORE_THE_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEvent:
    """An event with its number, from 1, and the hash that covers it and all before it."""

    sequence: int
    event: AuditEvent
    digest: bytes

    @property
    def head(self) -> AuditHead:
        """The head of a trail that ends here."""
        return AuditHead(count=self.sequence, digest=self.digest)


def detail(value: str) -> str:
    """A text that fits a detail: cut where it is too long."""
    return value if len(value) <= DETAIL_CHARACTERS else f"{value[: DETAIL_CHARACTERS - 1]}…"


def event_bytes(sequence: int, event: AuditEvent) -> bytes:
    """The canonical bytes of an event: what its hash covers beside the hash before it."""
    by = event.by
    return canonical_bytes(
        [
            sequence,
            event.at,
            str(event.action),
            event.outcome,
            None if by.account_id is None else bytes(by.account_id),
            by.key_id,
            by.address,
            event.method,
            event.target,
            dict(event.details),
            event.left_out,
        ]
    )


def chain(head: AuditHead, event: AuditEvent) -> ChainedEvent:
    """The event as the one that follows this head."""
    sequence = head.count + 1
    digest = tagged_hash(_TAG, head.digest, event_bytes(sequence, event))
    return ChainedEvent(sequence=sequence, event=event, digest=digest)


def verify_chain(events: Iterable[ChainedEvent], *, after: AuditHead | None = None) -> AuditHead:
    """Check that events follow each other, and a head that is known (by default: the beginning); the last head.

    Raises:
        AuditBrokenError: with the number of the first event that doesn't fit.
    """
    head = after or AuditHead()
    for each in events:
        if each.sequence != head.count + 1:
            raise AuditBrokenError(
                f"event {head.count + 1} is missing: {each.sequence} comes after {head.count}", sequence=head.count + 1
            )
        if chain(head, each.event).digest != each.digest:
            raise AuditBrokenError(
                f"event {each.sequence} isn't what was recorded, or not after what is before it", sequence=each.sequence
            )
        head = each.head
    return head
