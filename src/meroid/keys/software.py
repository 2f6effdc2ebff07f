"""A signer whose key lies in the memory of this process."""

import secrets
from typing import Self

import nacl.bindings

from meroid.keys.public import SIGNATURE_BYTES, PublicKey
from meroid.keys.signer import Secret


class SoftwareSigner:
    """Signs with an Ed25519 key in memory (libsodium; RFC 8032); made from a seed of 32 bytes."""

    __slots__ = ("_key_pair", "_public_key")

    def __init__(self, seed: Secret) -> None:
        public, private_and_public = nacl.bindings.crypto_sign_seed_keypair(seed.reveal())
        self._public_key = PublicKey(public)
        self._key_pair = Secret(private_and_public)

    @classmethod
    def generate(cls) -> Self:
        """A signer with a random key, which nothing can restore."""
        return cls(Secret(secrets.token_bytes(32)))

    @property
    def public_key(self) -> PublicKey:
        """The key that its signatures verify under."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return nacl.bindings.crypto_sign(message, self._key_pair.reveal())[:SIGNATURE_BYTES]

    def wipe(self) -> None:
        """Overwrite the key; a signature made afterwards verifies under no key."""
        self._key_pair.wipe()

    def __repr__(self) -> str:
        return f"SoftwareSigner({self._public_key})"
