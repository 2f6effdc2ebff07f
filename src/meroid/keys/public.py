"""Ed25519 public keys and the one verifier of the system (libsodium; RFC 8032)."""

from typing import ClassVar

import nacl.bindings
import nacl.exceptions

from meroid.errors import IntegrityError
from meroid.ids import ID_BYTES, Id32

SIGNATURE_BYTES = 64


class BadSignatureError(IntegrityError):
    """The signature isn't one of this key over these bytes."""

    code = "bad_signature"
    next_step = "have the message signed anew by the key that it names"


class BadPublicKeyError(IntegrityError):
    """The bytes are no usable Ed25519 key (off the curve, non-canonical or of small order)."""

    code = "bad_public_key"
    next_step = "give the public key of an Ed25519 key pair"


class PublicKey(Id32):
    """An Ed25519 public key: 32 bytes, base58 outside. Made from a text or bytes, not yet checked."""

    kind: ClassVar[str] = "public key"

    def checked(self) -> "PublicKey":
        """This key, if it is a canonical point of the prime-order group.

        Raises:
            BadPublicKeyError: it isn't; such keys are refused at registration.
        """
        if not nacl.bindings.crypto_core_ed25519_is_valid_point(bytes(self)):
            raise BadPublicKeyError(f"{self} is not a valid Ed25519 public key")
        return self


def verify_signature(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Verify an Ed25519 signature (64 bytes).

    Raises:
        BadSignatureError: it doesn't hold.
    """
    # libsodium takes signature and message as one string, so a signature of another length would
    # shift the border between them and verify a message that nobody signed.
    if len(signature) != SIGNATURE_BYTES or len(key) != ID_BYTES:
        raise BadSignatureError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    try:
        nacl.bindings.crypto_sign_open(bytes(signature) + message, bytes(key))
    except nacl.exceptions.BadSignatureError:
        raise BadSignatureError(f"the signature is not one of {key}") from None
