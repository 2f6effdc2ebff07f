"""Sealing: HPKE to a public key, authenticated encryption under a secret one, and key expansion.

HPKE is RFC 9180 in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305. It doesn't say who
sealed; the signed operation around it does. What a sealed message belongs to goes into `info`.
"""

import hmac
import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from meroid.errors import IntegrityError
from meroid.keys.canonical import canonical_bytes
from meroid.keys.signer import Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
HPKE_OVERHEAD: Final = 48
"""Bytes that HPKE adds: the ephemeral public key and the tag."""

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_HASH_BYTES: Final = 32
_LONGEST_EXPANSION: Final = 255 * _HASH_BYTES
# Any scalar is a multiple of 8 after clamping, so this one finds every point of small order.
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(range(KEY_BYTES)))


class SealBrokenError(IntegrityError):
    """Sealed bytes don't open: changed, cut, for another key, or bound to something else."""

    code = "seal_broken"
    next_step = "get the sealed bytes again, and open them with the key that they were sealed for"


class BadSealingKeyError(IntegrityError):
    """The bytes are no usable X25519 public key (not 32 bytes, or of small order)."""

    code = "bad_sealing_key"
    next_step = "give the public key of an X25519 key pair"


class SealingKey:
    """An X25519 private key (32 bytes), which opens what was sealed for its public half."""

    __slots__ = ("_private_key", "_public")

    def __init__(self, secret: Secret) -> None:
        self._private_key = X25519PrivateKey.from_private_bytes(secret.reveal())
        self._public = self._private_key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """A random key, which nothing can restore."""
        return cls(Secret(secrets.token_bytes(KEY_BYTES)))

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self._public

    def open(self, info: bytes, sealed: bytes) -> bytes:
        """Open what `hpke_seal` made for this key.

        Raises:
            SealBrokenError: it was changed, or sealed for another key or with another `info`.
        """
        if len(sealed) < HPKE_OVERHEAD:
            raise SealBrokenError("the sealed bytes are too short")
        try:
            return _SUITE.decrypt(sealed, self._private_key, info=info)
        except (InvalidTag, ValueError):
            raise SealBrokenError("the sealed bytes don't open with this key") from None

    def __repr__(self) -> str:
        return f"SealingKey(public {self._public.hex()})"


def check_sealing_key(public: bytes) -> None:
    """Refuse an X25519 public key with which every shared secret would be zero (RFC 7748 §6.1).

    Raises:
        BadSealingKeyError: not 32 bytes, or of small order.
    """
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise BadSealingKeyError("this is not a usable X25519 public key") from None


def hpke_seal(recipient: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal for an X25519 public key; gives the ephemeral key (32 bytes) and the ciphertext.

    Raises:
        BadSealingKeyError: not 32 bytes, or of small order.
    """
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(recipient), info=info)
    except ValueError:
        raise BadSealingKeyError("this is not a usable X25519 public key") from None


def hpke_open(secret: SealingKey, info: bytes, sealed: bytes) -> bytes:
    """Open what `hpke_seal` made.

    Raises:
        SealBrokenError: it was changed, or sealed for another key or with another `info`.
    """
    return secret.open(info, sealed)


def aead_seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Encrypt with ChaCha20-Poly1305 (RFC 8439): key 32 bytes, nonce 12 bytes, used once per key."""
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, associated)


def aead_open(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Decrypt what `aead_seal` made.

    Raises:
        SealBrokenError: ciphertext, nonce, key or associated data is another one.
    """
    if len(nonce) != NONCE_BYTES:
        raise SealBrokenError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise SealBrokenError("the sealed bytes don't open with this key") from None


def expand(key: bytes, label: str, *context: bytes, length: int = KEY_BYTES) -> bytes:
    """Make an independent key from a random one: HKDF-Expand with SHA-256 (RFC 5869 §2.3).

    The `info` is the canonical array of label and context parts, so no two uses share one.

    Raises:
        ValueError: the key has fewer than 32 bytes, or the length isn't from 1 to 8160.
    """
    if len(key) < KEY_BYTES:
        raise ValueError("expand needs a uniformly random key of at least 32 bytes")
    return hkdf_expand(key, canonical_bytes([label, *context]), length)


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 §2.3).

    Raises:
        ValueError: the length isn't from 1 to 8160.
    """
    if not 0 < length <= _LONGEST_EXPANSION:
        raise ValueError(f"HKDF-SHA256 gives 1 to {_LONGEST_EXPANSION} bytes")
    output = block = b""
    for counter in range(1, -(-length // _HASH_BYTES) + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:length]
