"""What is handed over outside of a context so that somebody may knock: who to ask, where, and until when.

An invitation is one kind, a link code another. Each is signed by the member that made it, under a
tag of its own; its *grant* (32 bytes) names the door at which that member's node answers.
"""

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Final

from meroid.errors import InvalidInputError
from meroid.ids import BadIdError, ContextId, Id32
from meroid.keys.canonical import (
    NotCanonicalError,
    Value,
    canonical_bytes,
    parse_canonical,
    tagged_hash,
    tagged_message,
)
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Signer

ENDPOINTS_MOST: Final = 4
_ENDPOINT_BYTES: Final = 256
_TEXT_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketKind:
    """What sets the kinds apart: prefix of the text, tag of the signature, its name, and how it is refused."""

    prefix: str
    tag: str
    name: str
    bad: type[InvalidInputError]
    expired: type[InvalidInputError]

    def damaged(self) -> InvalidInputError:
        """The refusal of what can't be read."""
        return self.bad(f"the {self.name} is damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The signed part of an invitation or link code; `valid_for_s` in seconds, `issued_at` in ms since the epoch.

    `inviter` is the client key of the member that made it and answers at the door, `sealing` its X25519 key.
    """

    kind: TicketKind
    context_id: ContextId
    grant: Id32
    inviter: PublicKey
    sealing: bytes
    endpoints: tuple[str, ...] = field(repr=False)
    issued_at: int
    valid_for_s: int | None
    signature: bytes = field(repr=False)

    def check_time(self, at: int) -> None:
        """Refuse to start with an old one; a verdict never looks at the time (rule 10).

        Raises:
            InvitationExpiredError, LinkCodeExpiredError: its seconds are over.
        """
        if self.valid_for_s is not None and at > self.issued_at + self.valid_for_s * 1000:
            raise self.kind.expired(f"the time of the {self.kind.name} is over")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the member's node answers: topic and handle, both 32 hex digits."""

    topic: str
    handle: str


def door_of(grant: Id32) -> Door:
    """The door of an invitation or link code; only who has that can know it."""
    return Door(
        topic=tagged_hash("meroid/door-topic/v1", grant)[:16].hex(),
        handle=tagged_hash("meroid/door-handle/v1", grant)[:16].hex(),
    )


def issue_ticket(  # each is a field of the ticket
    signer: Signer,
    kind: TicketKind,
    *,
    context_id: ContextId,
    grant: Id32,
    sealing: bytes,
    endpoints: tuple[str, ...],
    issued_at: int,
    valid_for_s: int | None,
) -> Ticket:
    """Sign what is handed over."""
    unsigned = Ticket(
        kind=kind,
        context_id=context_id,
        grant=grant,
        inviter=signer.public_key,
        sealing=sealing,
        endpoints=endpoints[:ENDPOINTS_MOST],
        issued_at=issued_at,
        valid_for_s=valid_for_s,
        signature=b"",
    )
    return replace(unsigned, signature=signer.sign(_message(unsigned)))


def ticket_fields(ticket: Ticket) -> dict[int | str, Value]:
    """A ticket as a map, with its signature."""
    return {**_signed_fields(ticket), 7: ticket.signature}


def read_ticket(kind: TicketKind, context_id: ContextId, value: Value) -> Ticket:
    """Read and verify a ticket for a context.

    Raises:
        BadInvitationError, BadLinkCodeError: not of this form, or not signed by the member that it names.
    """
    try:
        ticket = _parse(kind, context_id, value)
        verify_signature(ticket.inviter.checked(), _message(ticket), ticket.signature)
    except BadIdError:
        raise kind.damaged() from None
    except (BadSignatureError, BadPublicKeyError):
        raise kind.bad(f"the {kind.name} is not signed by the member that it names") from None
    return ticket


def encode_text(kind: TicketKind, value: dict[int | str, Value]) -> str:
    """The prefix, and base64url without padding of canonical CBOR."""
    return kind.prefix + _base64url(canonical_bytes(value))


def decode_text(kind: TicketKind, text: str) -> Value:
    """What stands in such a text.

    Raises:
        BadInvitationError, BadLinkCodeError: not of this form.
    """
    if not text.startswith(kind.prefix) or len(text) > _TEXT_CHARACTERS:
        raise kind.bad(f"the {kind.name} is not one of meroid")
    rest = text[len(kind.prefix) :]
    try:
        encoded = rest.encode("ascii")
        raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        value = parse_canonical(raw)
    except (binascii.Error, UnicodeEncodeError, NotCanonicalError):
        raise kind.damaged() from None
    if _base64url(raw) != rest:  # bits beyond the last byte: one value has one text
        raise kind.damaged()
    return value


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _parse(kind: TicketKind, context_id: ContextId, value: Value) -> Ticket:
    if not isinstance(value, dict) or not value.keys() <= set(range(1, 8)):
        raise kind.damaged()
    match value, value.get(6):
        case {
            1: bytes() as grant,
            2: bytes() as inviter,
            3: bytes() as sealing,
            4: list() as endpoints,
            5: int() as issued_at,
            7: bytes() as signature,
        }, (None | int()) as valid_for if len(endpoints) <= ENDPOINTS_MOST and len(sealing) == 32:
            return Ticket(
                kind=kind,
                context_id=context_id,
                grant=Id32(grant),
                inviter=PublicKey(inviter),
                sealing=sealing,
                endpoints=tuple(_endpoint(kind, each) for each in endpoints),
                issued_at=issued_at,
                valid_for_s=valid_for,
                signature=signature,
            )
        case _:
            raise kind.damaged()


def _endpoint(kind: TicketKind, value: Value) -> str:
    if not isinstance(value, str) or len(value) > _ENDPOINT_BYTES:
        raise kind.damaged()
    return value


def _signed_fields(ticket: Ticket) -> dict[int | str, Value]:
    fields: dict[int | str, Value] = {
        1: ticket.grant,
        2: ticket.inviter,
        3: ticket.sealing,
        4: list(ticket.endpoints),
        5: ticket.issued_at,
    }
    if ticket.valid_for_s is not None:
        fields[6] = ticket.valid_for_s
    return fields


def _message(ticket: Ticket) -> bytes:
    return tagged_message(ticket.kind.tag, canonical_bytes([ticket.context_id, _signed_fields(ticket)]))
