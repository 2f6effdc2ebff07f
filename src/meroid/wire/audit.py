"""Shapes of `/admin/audit` and of exports, beside the wire: one event is the same object in both. Times in ms."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from meroid.account.audit import Actor, AuditEvent, AuditHead, ChainedEvent
from meroid.errors import InvalidInputError
from meroid.ids import AccountId, BadIdError

PAGE_MOST: Final = 1000
PAGE: Final = 100
_LINE_BYTES: Final = 64 * 1024
_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class BadAuditLineError(InvalidInputError):
    """A line of an export is neither an event nor the statement at its end."""

    code = "audit_bad_line"
    next_step = "give a file that meroctl audit export made"


class AuditEventData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event; `hash` covers it and all before it (`account.audit`)."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    at: _Number
    action: str
    outcome: str
    account: str | None
    key: str | None
    address: str | None
    method: str | None
    target: str | None
    details: Mapping[str, str]
    left_out: _Number
    hash: _Hash


class AuditPageData(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /admin/audit`; `next` is the `after` of the next page, or nothing at the end."""

    events: Sequence[AuditEventData]
    next: int | None


class AuditHeadData(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /admin/audit/head`; `statement` is the signed form of it (`account.audit_statement`)."""

    count: int
    head: str
    statement: str


class ExportEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line of an export: the signed head, and the keys that the node published then."""

    statement: str
    jwks: Mapping[str, object]


def event_data(chained: ChainedEvent) -> AuditEventData:
    """An event as it is shown and exported."""
    event, by = chained.event, chained.event.by
    return AuditEventData(
        seq=chained.sequence,
        at=event.at,
        action=str(event.action),
        outcome=event.outcome,
        account=None if by.account_id is None else str(by.account_id),
        key=by.key_id,
        address=by.address,
        method=event.method,
        target=event.target,
        details=event.details,
        left_out=event.left_out,
        hash=chained.digest.hex(),
    )


def head_data(head: AuditHead, statement: str) -> AuditHeadData:
    """A head as it is shown."""
    return AuditHeadData(count=head.count, head=head.digest.hex(), statement=statement)


def parse_line(line: bytes) -> ChainedEvent | ExportEnd:
    """A line of an export.

    Raises:
        BadAuditLineError: it is neither an event nor the end.
    """
    if len(line) > _LINE_BYTES:
        raise BadAuditLineError("the line is too long")
    try:
        if line.startswith(b'{"statement"'):
            return msgspec.json.decode(line, type=ExportEnd)
        return _event(msgspec.json.decode(line, type=AuditEventData))
    except (msgspec.MsgspecError, BadIdError, ValueError, RecursionError):
        raise BadAuditLineError("the line is neither an event nor the end of an export") from None


def export_line(value: object) -> str:
    """An event or the end as one line, as the node sent it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _event(data: AuditEventData) -> ChainedEvent:
    account = None if data.account is None else AccountId.parse(data.account)
    event = AuditEvent(
        at=data.at,
        action=data.action,
        outcome=data.outcome,
        by=Actor(account_id=account, key_id=data.key, address=data.address),
        method=data.method,
        target=data.target,
        details=data.details,
        left_out=data.left_out,
    )
    return ChainedEvent(sequence=data.seq, event=event, digest=bytes.fromhex(data.hash))
