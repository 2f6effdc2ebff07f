"""What an invitation carries outside of the context: who to ask, where, and until when.

The wire's `contract_id` holds it as `m1.` and the base64url of canonical CBOR
`{1: grant, 2: inviter's key, 3: inviter's sealing key, 4: endpoints, 5: issued at, 6: valid for,
7: signature}`. The grant is the id of the `invite` operation. An invitation is a secret.
"""

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Final

from meroid.errors import InvalidInputError
from meroid.ids import BadIdError, ContextId, OperationId
from meroid.keys.canonical import (
    NotCanonicalError,
    Value,
    canonical_bytes,
    parse_canonical,
    tagged_hash,
    tagged_message,
)
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret, Signer
from meroid.keys.software import SoftwareSigner

PREFIX: Final = "m1."
ENDPOINTS_MOST: Final = 4
_ENDPOINT_BYTES: Final = 256
_TICKET_CHARACTERS: Final = 4096
_TAG: Final = "meroid/invitation-ticket/v1"
_SECRET_TAG: Final = "meroid/invitation-secret/v1"  # noqa: S105  # a domain tag


class BadInvitationError(InvalidInputError):
    """What the invitation carries isn't a ticket of meroid, or its signature doesn't hold."""

    code = "bad_invitation"
    next_step = "copy the whole invitation again, or ask for a new one"


class InvitationExpiredError(InvalidInputError):
    """The invitation's time is over."""

    code = "invitation_expired"
    next_step = "ask for a new invitation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The signed part of an invitation; `valid_for_s` in seconds, `issued_at` in ms since the epoch."""

    context_id: ContextId
    grant: OperationId
    inviter: PublicKey
    sealing: bytes
    endpoints: tuple[str, ...] = field(repr=False)
    issued_at: int
    valid_for_s: int | None
    signature: bytes = field(repr=False)

    def check_time(self, at: int) -> None:
        """Refuse to start with an old invitation; a verdict never looks at the time (rule 10).

        Raises:
            InvitationExpiredError: its seconds are over.
        """
        if self.valid_for_s is not None and at > self.issued_at + self.valid_for_s * 1000:
            raise InvitationExpiredError("the time of the invitation is over")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the inviter answers: topic and handle, both 32 hex digits."""

    topic: str
    handle: str


def door_of(grant: OperationId) -> Door:
    """The door of an invitation; only who has the invitation can know it."""
    return Door(
        topic=tagged_hash("meroid/door-topic/v1", grant)[:16].hex(),
        handle=tagged_hash("meroid/door-handle/v1", grant)[:16].hex(),
    )


def invitation_secret(salt: bytes) -> SoftwareSigner:
    """The key pair that an open invitation's secret (the wire's `secret_salt`, 32 bytes) stands for."""
    return SoftwareSigner(Secret(tagged_hash(_SECRET_TAG, salt)))


def issue_ticket(  # each is a field of the ticket
    signer: Signer,
    *,
    context_id: ContextId,
    grant: OperationId,
    sealing: bytes,
    endpoints: tuple[str, ...],
    issued_at: int,
    valid_for_s: int | None,
) -> Ticket:
    """Sign what goes with an invitation."""
    unsigned = Ticket(
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


def encode_ticket(ticket: Ticket) -> str:
    """`m1.` and base64url without padding."""
    fields = {**_fields(ticket), 7: ticket.signature}
    return PREFIX + _base64url(canonical_bytes(fields))


def decode_ticket(context_id: ContextId, text: str) -> Ticket:
    """Read and verify a ticket for a context.

    Raises:
        BadInvitationError: not of this form, or not signed by the inviter that it names.
    """
    if not text.startswith(PREFIX) or len(text) > _TICKET_CHARACTERS:
        raise BadInvitationError("the invitation is not one of meroid")
    try:
        encoded = text[len(PREFIX) :].encode("ascii")
        raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        if _base64url(raw) != text[len(PREFIX) :]:  # bits beyond the last byte: one invitation has one text
            raise BadInvitationError("the invitation is damaged")
        ticket = _parse(context_id, parse_canonical(raw))
        verify_signature(ticket.inviter.checked(), _message(ticket), ticket.signature)
    except (binascii.Error, UnicodeEncodeError, NotCanonicalError, BadIdError):
        raise BadInvitationError("the invitation is damaged") from None
    except (BadSignatureError, BadPublicKeyError):
        raise BadInvitationError("the invitation is not signed by the inviter that it names") from None
    return ticket


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _parse(context_id: ContextId, value: Value) -> Ticket:
    if not isinstance(value, dict) or not value.keys() <= set(range(1, 8)):
        raise BadInvitationError("the invitation is damaged")
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
                context_id=context_id,
                grant=OperationId(grant),
                inviter=PublicKey(inviter),
                sealing=sealing,
                endpoints=tuple(_endpoint(each) for each in endpoints),
                issued_at=issued_at,
                valid_for_s=valid_for,
                signature=signature,
            )
        case _:
            raise BadInvitationError("the invitation is damaged")


def _endpoint(value: Value) -> str:
    if not isinstance(value, str) or len(value) > _ENDPOINT_BYTES:
        raise BadInvitationError("the invitation is damaged")
    return value


def _fields(ticket: Ticket) -> dict[int | str, Value]:
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
    return tagged_message(_TAG, canonical_bytes([ticket.context_id, _fields(ticket)]))
