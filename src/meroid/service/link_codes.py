"""The code that brings another device into a membership, and the offers behind such codes.

A code is `l1.` and the base64url of canonical CBOR `{1: context, 2: ticket, 3: salt}`; the salt is a
bearer secret, and absent where the code is for a named key. The ticket is that of an invitation,
under a tag of its own, and its grant is the offer's id: 32 random bytes. A code is valid for
`VALID_S` seconds and for one key.
"""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from meroid import limits
from meroid.errors import InvalidInputError, ThrottledError
from meroid.ids import BadIdError, ContextId, Id32
from meroid.keys.canonical import canonical_bytes, tagged_hash, tagged_message
from meroid.keys.public import BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import Capability
from meroid.service.tickets import Ticket, TicketKind, decode_text, encode_text, read_ticket, ticket_fields

VALID_S: Final = 600
_SALT_BYTES: Final = 32
_SECRET_TAG: Final = "meroid/link-secret/v1"  # noqa: S105  # a domain tag
_HOLDER_TAG: Final = "meroid/link-holder/v1"


class BadLinkCodeError(InvalidInputError):
    """The text isn't a link code of meroid, or its signature doesn't hold."""

    code = "bad_link_code"
    next_step = "copy the whole code again, or make a new one: `meroctl context identity link`"


class LinkCodeExpiredError(InvalidInputError):
    """The link code's time is over."""

    code = "link_code_expired"
    next_step = "make a new one on the device that is in: `meroctl context identity link`"


class TooManyLinkOffersError(ThrottledError):
    """Too many link codes are open on this node."""

    code = "too_many_link_offers"
    next_step = "use one of the open codes, or wait until they end"


LINK: Final = TicketKind(
    prefix="l1.",
    tag="meroid/link-ticket/v1",
    name="link code",
    bad=BadLinkCodeError,
    expired=LinkCodeExpiredError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCode:
    """A code as it is shown to the other device; `salt` (32 bytes) is secret, and absent for a named key."""

    ticket: Ticket
    salt: bytes | None = field(repr=False)

    @property
    def text(self) -> str:
        """The text that is copied, or drawn as a QR code."""
        fields: dict[int | str, object] = {1: self.ticket.context_id, 2: ticket_fields(self.ticket)}
        if self.salt is not None:
            fields[3] = self.salt
        return encode_text(LINK, fields)  # type: ignore[arg-type]  # bytes and maps of them


def new_salt() -> bytes:
    """A fresh bearer secret."""
    return secrets.token_bytes(_SALT_BYTES)


def decode_link_code(text: str) -> LinkCode:
    """Read and verify a code.

    Raises:
        BadLinkCodeError: not of this form, or not signed by the member that it names.
    """
    match decode_text(LINK, text):
        case {1: bytes() as context, 2: ticket, **rest} if rest.keys() <= {3}:
            salt = rest.get(3)
            if salt is not None and not (isinstance(salt, bytes) and len(salt) == _SALT_BYTES):
                raise LINK.damaged()
            try:
                context_id = ContextId(context)
            except BadIdError:
                raise LINK.damaged() from None
            return LinkCode(ticket=read_ticket(LINK, context_id, ticket), salt=salt)
        case _:
            raise LINK.damaged()


def holder_key(salt: bytes) -> PublicKey:
    """The public half of what a code's secret stands for; the offer keeps this only."""
    return _holder(salt).public_key


def prove_holder(salt: bytes, offer_id: Id32, key: PublicKey) -> bytes:
    """What who holds the secret signs, so that it lets in this key only."""
    return _holder(salt).sign(_holder_message(offer_id, key))


def _holder(salt: bytes) -> SoftwareSigner:
    return SoftwareSigner(Secret(tagged_hash(_SECRET_TAG, salt)))


def _holder_message(offer_id: Id32, key: PublicKey) -> bytes:
    return tagged_message(_HOLDER_TAG, canonical_bytes([offer_id, key]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOffer:
    """What a member's node will link: one key, until `ends_at` (ms since the epoch).

    `key` is the named one; where there is none, `holder` is the public key that a code's secret stands for.
    """

    offer_id: Id32
    context_id: ContextId
    main: PublicKey
    capabilities: frozenset[Capability]
    key: PublicKey | None
    holder: PublicKey | None
    ends_at: int

    def is_for(self, key: PublicKey, proof: bytes | None) -> bool:
        """Whether a key may be linked by it: the named one, or one that the secret's holder vouches for."""
        if self.holder is None or proof is None:
            return self.key == key and proof is None
        try:
            verify_signature(self.holder, _holder_message(self.offer_id, key), proof)
        except BadSignatureError:
            return False
        return True


class LinkOffers:
    """The open offers of this node. They live in memory: a restart ends them."""

    def __init__(self) -> None:
        self._offers: dict[Id32, LinkOffer] = {}
        self._used: dict[Id32, PublicKey] = {}
        self._lock = threading.Lock()

    def add(self, offer: LinkOffer, at: int) -> None:
        """Open an offer.

        Raises:
            TooManyLinkOffersError: as many as there may be are open.
        """
        with self._lock:
            for over in [each.offer_id for each in self._offers.values() if each.ends_at < at]:
                del self._offers[over]
                self._used.pop(over, None)
            if len(self._offers) >= limits.LINK_OFFERS.value:
                first = min(each.ends_at for each in self._offers.values())
                raise TooManyLinkOffersError(
                    f"{limits.LINK_OFFERS.value} link codes are open", retry_after_s=max(1, (first - at) // 1000 + 1)
                )
            self._offers[offer.offer_id] = offer

    def of_context(self, context_id: ContextId, at: int) -> tuple[LinkOffer, ...]:
        """Offers of a context whose door stands open; one that was used too, whose answer may have been lost."""
        with self._lock:
            lasting = (each for each in self._offers.values() if each.ends_at >= at)
            return tuple(each for each in lasting if each.context_id == context_id)

    def is_open_for(self, offer: LinkOffer, key: PublicKey, at: int) -> bool:
        """Whether an offer still lasts, and wasn't used by another key."""
        with self._lock:
            known = offer.offer_id in self._offers and at <= offer.ends_at
            return known and self._used.get(offer.offer_id, key) == key

    def use(self, offer: LinkOffer, key: PublicKey) -> None:
        """Use an offer up."""
        with self._lock:
            self._used[offer.offer_id] = key
