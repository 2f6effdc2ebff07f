"""Invitations on the wire (`wire/node.md` §1.4): a base58 text for a named key, an object for open ones."""

from dataclasses import dataclass, field
from typing import Annotated, Final

import base58
import msgspec

from meroid.errors import InvalidInputError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey

NETWORK: Final = "meroid"
_TEXT_MOST: Final = 8192
_FIRST_HEIGHT: Final = 999_999_999  # the original counts its blocks from here

Ints32 = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=255)]], msgspec.Meta(min_length=32, max_length=32)]


class BadInvitationTextError(InvalidInputError):
    """The text isn't of the outer form of an invitation, or is one of another network."""

    code = "bad_invitation_text"
    next_step = "copy the whole invitation again, or ask for a new one"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationText:
    """What the text for a named key holds; `contract` carries our own part."""

    context_id: ContextId
    invitee: PublicKey
    protocol: str
    network: str
    contract: str = field(repr=False)


class OpenInvitationData(msgspec.Struct, frozen=True, kw_only=True):
    """The inner object of an open invitation."""

    inviter_identity: Ints32
    context_id: Ints32
    expiration_height: Annotated[int, msgspec.Meta(ge=0)]
    secret_salt: Ints32
    protocol: Annotated[str, msgspec.Meta(max_length=200)]
    network: Annotated[str, msgspec.Meta(max_length=200)]
    contract_id: Annotated[str, msgspec.Meta(max_length=8192)]

    def __repr__(self) -> str:
        """Without the secret."""
        return "OpenInvitationData()"


class SignedOpenInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An open invitation; the signature is hex."""

    invitation: OpenInvitationData
    inviter_signature: Annotated[str, msgspec.Meta(max_length=256)]


class JoinOpenlyBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/join_by_open_invitation`."""

    invitation: SignedOpenInvitation
    new_member_public_key: PublicKey


def expiration_height(valid_for: int) -> int:
    """The height that the wire shows for a time in "blocks"."""
    return _FIRST_HEIGHT + valid_for


def encode_invitation(invitation: InvitationText) -> str:
    """base58 of the Borsh form."""
    texts = (invitation.protocol, invitation.network, invitation.contract)
    raw = bytes(invitation.context_id) + bytes(invitation.invitee) + b"".join(_borsh_text(text) for text in texts)
    return base58.b58encode(raw).decode("ascii")


def decode_invitation(text: str) -> InvitationText:
    """Read the text.

    Raises:
        BadInvitationTextError: not base58, not of this form, or with something after it.
    """
    if len(text) > _TEXT_MOST:
        raise BadInvitationTextError("the invitation is too long")
    if not (text.isascii() and text.isalnum()):  # the library would cut off white space at the end
        raise BadInvitationTextError("the invitation is damaged")
    try:
        raw = base58.b58decode(text)
        context_id, invitee = ContextId(raw[:32]), PublicKey(raw[32:64])
        protocol, rest = _read_text(raw[64:])
        network, rest = _read_text(rest)
        contract, rest = _read_text(rest)
    except (ValueError, InvalidInputError):
        raise BadInvitationTextError("the invitation is damaged") from None
    if rest:
        raise BadInvitationTextError("the invitation is damaged")
    return InvitationText(context_id=context_id, invitee=invitee, protocol=protocol, network=network, contract=contract)


def check_network(network: str) -> None:
    """Refuse an invitation to contexts of another system; its `protocol` means nothing and isn't looked at.

    Raises:
        BadInvitationTextError: it is for another network.
    """
    if network != NETWORK:
        raise BadInvitationTextError("the invitation is not one of meroid")


def _borsh_text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "little") + raw


def _read_text(data: bytes) -> tuple[str, bytes]:
    length = int.from_bytes(data[:4], "little")
    if len(data) < 4 + length:
        raise ValueError("too short")
    return data[4 : 4 + length].decode("utf-8"), data[4 + length :]
