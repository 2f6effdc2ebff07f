"""What an invitation carries outside of the context: who to ask, where, and until when.

The wire's `contract_id` holds it as `m1.` and the base64url of canonical CBOR
`{1: grant, 2: inviter's key, 3: inviter's sealing key, 4: endpoints, 5: issued at, 6: valid for,
7: signature}`. The grant is the id of the `invite` operation. An invitation is a secret.
"""

from typing import Final

from meroid.errors import InvalidInputError
from meroid.ids import ContextId
from meroid.keys.canonical import tagged_hash
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.service.tickets import Ticket, TicketKind, decode_text, encode_text, read_ticket, ticket_fields

PREFIX: Final = "m1."
_SECRET_TAG: Final = "meroid/invitation-secret/v1"  # noqa: S105  # a domain tag


class BadInvitationError(InvalidInputError):
    """What the invitation carries isn't a ticket of meroid, or its signature doesn't hold."""

    code = "bad_invitation"
    next_step = "copy the whole invitation again, or ask for a new one"


class InvitationExpiredError(InvalidInputError):
    """The invitation's time is over."""

    code = "invitation_expired"
    next_step = "ask for a new invitation"


INVITATION: Final = TicketKind(
    prefix=PREFIX,
    tag="meroid/invitation-ticket/v1",
    name="invitation",
    bad=BadInvitationError,
    expired=InvitationExpiredError,
)


def invitation_secret(salt: bytes) -> SoftwareSigner:
    """The key pair that an open invitation's secret (the wire's `secret_salt`, 32 bytes) stands for."""
    return SoftwareSigner(Secret(tagged_hash(_SECRET_TAG, salt)))


def encode_ticket(ticket: Ticket) -> str:
    """`m1.` and base64url without padding."""
    return encode_text(INVITATION, ticket_fields(ticket))


def decode_ticket(context_id: ContextId, text: str) -> Ticket:
    """Read and verify an invitation's ticket for a context.

    Raises:
        BadInvitationError: not of this form, or not signed by the inviter that it names.
    """
    return read_ticket(INVITATION, context_id, decode_text(INVITATION, text))
