"""Signed envelopes: a payload and signatures over it, as canonical bytes `[payload, [[key, signature], …]]`.

The payload is carried as the byte string that was signed, so it is never encoded a second time.
"""

import itertools
from dataclasses import dataclass
from typing import Final, Self

from meroid.errors import IntegrityError
from meroid.ids import ID_BYTES
from meroid.keys.canonical import canonical_bytes, parse_canonical, tagged_message
from meroid.keys.public import SIGNATURE_BYTES, PublicKey, verify_signature
from meroid.keys.signer import Signer

_KEY_HEAD: Final = b"\x81\x82\x58\x20"  # an array of one array of two, and a byte string of 32
_SIGNATURE_HEAD: Final = b"\x58\x40"
_ONE_SIGNATURE_BYTES: Final = len(_KEY_HEAD) + ID_BYTES + len(_SIGNATURE_HEAD) + SIGNATURE_BYTES


class BadEnvelopeError(IntegrityError):
    """The bytes are no envelope: no payload with signatures, or signatures out of order."""

    code = "bad_envelope"
    next_step = "get the bytes again from who signed them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload and its signatures, one per key, in the order of the keys' bytes."""

    payload: bytes
    signatures: tuple[tuple[PublicKey, bytes], ...]

    @classmethod
    def sign(cls, tag: str, payload: bytes, *signers: Signer) -> Self:
        """Sign a payload for a purpose with each of the keys."""
        message = tagged_message(tag, payload)
        signatures = sorted((signer.public_key, signer.sign(message)) for signer in signers)
        return cls(payload=payload, signatures=tuple(signatures))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an envelope; its signatures aren't checked yet.

        Raises:
            NotCanonicalError: not canonical CBOR.
            BadEnvelopeError: not this shape, no signature, two by one key, or out of order.
        """
        data = bytes(data)
        alone = _signed_once(data)
        if alone is not None:
            payload, key, signature = alone
            return cls(payload=payload, signatures=((PublicKey(key), signature),))
        match parse_canonical(data):
            case [bytes() as payload, [_, *_] as pairs]:
                signatures = tuple(_pair(pair) for pair in pairs)
            case _:
                raise BadEnvelopeError("an envelope is a payload and at least one signature")
        keys = [key for key, _ in signatures]
        if any(key >= after for key, after in itertools.pairwise(keys)):
            raise BadEnvelopeError("the signatures are out of order, or two are by one key")
        return cls(payload=payload, signatures=signatures)

    @property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return canonical_bytes([self.payload, [[key, signature] for key, signature in self.signatures]])

    @property
    def signers(self) -> tuple[PublicKey, ...]:
        """The keys that the signatures name."""
        return tuple([key for key, _ in self.signatures])

    def verify(self, tag: str) -> None:
        """Verify every signature.

        Raises:
            BadSignatureError: one doesn't hold.
        """
        message = tagged_message(tag, self.payload)
        for key, signature in self.signatures:
            verify_signature(key, message, signature)


def _signed_once(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Payload, key and signature of an envelope with one signature and a payload of 24 to 255 bytes.

    Most are of this kind. Their canonical form leaves no choice, so the parts are cut out where they
    must stand, which halves the time; nothing means that this is another kind, or no envelope.
    """
    end = len(data) - _ONE_SIGNATURE_BYTES
    if not 27 <= end <= 258 or data[:3] != bytes((0x82, 0x58, end - 3)):
        return None
    if data[end : end + 4] != _KEY_HEAD or data[end + 36 : end + 38] != _SIGNATURE_HEAD:
        return None
    return data[3:end], data[end + 4 : end + 36], data[end + 38 :]


def _pair(pair: object) -> tuple[PublicKey, bytes]:
    match pair:
        case [bytes() as key, bytes() as signature] if len(key) == ID_BYTES and len(signature) == SIGNATURE_BYTES:
            return PublicKey(key), signature
        case _:
            raise BadEnvelopeError("a signature is a pair of key (32 bytes) and signature (64 bytes)")
