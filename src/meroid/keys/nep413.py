"""Messages that a NEAR wallet signs, and their verification (NEP-413), without any network.

The signature says which key signed; that the key is a full-access key of the NEAR account is for
the chain to say.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

import base58

from meroid import limits
from meroid.errors import IntegrityError, InvalidInputError
from meroid.ids import ID_BYTES
from meroid.keys.public import SIGNATURE_BYTES, BadPublicKeyError, PublicKey, verify_signature

NONCE_BYTES: Final = 32
_TAG: Final = 2**31 + 413
_ED25519, _SECP256K1 = "ed25519", "secp256k1"
_LONGEST_KEY_TEXT: Final = 128


class BadNearKeyError(InvalidInputError):
    """The text isn't the public key of a NEAR account."""

    code = "bad_near_key"
    next_step = "give the key as `ed25519:` and base58 of 32 bytes"


class UnsupportedNearKeyError(InvalidInputError):
    """A NEAR key on a curve that isn't accepted."""

    code = "near_key_unsupported"
    next_step = "sign with an ed25519 key of the NEAR account"


class BadNep413MessageError(InvalidInputError):
    """A part of the message can't be what a wallet signed."""

    code = "bad_nep413_message"
    next_step = "send message, nonce (32 bytes), recipient and callback URL exactly as the wallet signed them"


class BadNearSignatureError(IntegrityError):
    """The signature isn't one of this key over this message."""

    code = "near_signature_invalid"
    next_step = "sign the message anew in the wallet, and send the same nonce, recipient and callback URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nep413Message:
    """What the wallet shows and signs; `nonce` has 32 bytes, no callback is not an empty one.

    Raises:
        BadNep413MessageError: a text is too long or no Unicode text, or the nonce has another length.
    """

    message: str
    nonce: bytes
    recipient: str
    callback_url: str | None = None

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_BYTES:
            raise BadNep413MessageError(f"a nonce has {NONCE_BYTES} bytes, not {len(self.nonce)}")
        try:
            sizes = [len(text.encode()) for text in (self.message, self.recipient, self.callback_url or "")]
        except UnicodeEncodeError:
            raise BadNep413MessageError("a text holds half of a surrogate pair") from None
        if max(sizes) > limits.NEP413_BYTES.value:
            raise BadNep413MessageError(f"each text has at most {limits.NEP413_BYTES.value} bytes")

    def payload(self) -> bytes:
        """Tag and fields in Borsh, the bytes that are hashed."""
        callback = b"\x00" if self.callback_url is None else b"\x01" + _string(self.callback_url)
        return _TAG.to_bytes(4, "little") + _string(self.message) + self.nonce + _string(self.recipient) + callback

    def digest(self) -> bytes:
        """SHA-256 of the payload, 32 bytes: what Ed25519 signs."""
        return hashlib.sha256(self.payload()).digest()


def verify_nep413(message: Nep413Message, key: PublicKey, signature: bytes) -> None:
    """Verify what a wallet signed; `signature` has 64 bytes.

    Raises:
        BadNearSignatureError: it doesn't hold.
    """
    try:
        verify_signature(key, message.digest(), signature)
    except IntegrityError:
        raise BadNearSignatureError("the signature is not one of this key over this message") from None


def parse_near_key(text: str) -> PublicKey:
    """Read a NEAR public key; without a curve it is an ed25519 key.

    Raises:
        UnsupportedNearKeyError: on the curve secp256k1.
        BadNearKeyError: anything else than 32 bytes, or no usable key.
    """
    curve, colon, digits = text.rpartition(":")
    if curve == _SECP256K1:
        raise UnsupportedNearKeyError("keys on the curve secp256k1 are not accepted")
    if (colon and curve != _ED25519) or not 0 < len(digits) <= _LONGEST_KEY_TEXT:
        raise BadNearKeyError("a NEAR key is `ed25519:` and base58")
    try:
        raw = base58.b58decode(digits)
    except ValueError:
        raise BadNearKeyError("a NEAR key is `ed25519:` and base58") from None
    if len(raw) != ID_BYTES:
        raise BadNearKeyError(f"an ed25519 key has {ID_BYTES} bytes, not {len(raw)}")
    try:
        return PublicKey(raw).checked()
    except BadPublicKeyError:
        raise BadNearKeyError("this is not a usable ed25519 key") from None


def near_key_text(key: PublicKey) -> str:
    """A key as NEAR writes it."""
    return f"{_ED25519}:{key}"


def parse_near_signature(text: str) -> bytes:
    """Read a signature as wallets send it, base64 of 64 bytes.

    Raises:
        BadNearSignatureError: it is anything else.
    """
    try:
        raw = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise BadNearSignatureError("the signature is not base64") from None
    if len(raw) != SIGNATURE_BYTES:
        raise BadNearSignatureError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(raw)}")
    return raw


def _string(text: str) -> bytes:
    """A string in Borsh: its length in bytes, 4 bytes little-endian, and its UTF-8."""
    encoded = text.encode()
    return len(encoded).to_bytes(4, "little") + encoded
