"""Hierarchical derivation of Ed25519 keys (SLIP-0010); hardened steps only, as the curve demands."""

import hmac
from typing import Final, Self

from meroid.errors import InvalidInputError
from meroid.keys.signer import Secret

INDEX_END: Final = 2**31
"""Indices run from 0 to one less; the hardening bit is added here and never by a caller."""

_CURVE: Final = b"ed25519 seed"
_SHORTEST_SEED, _LONGEST_SEED = 16, 64


class BadKeyPathError(InvalidInputError):
    """A step of a derivation path is out of range."""

    code = "bad_key_path"
    next_step = f"use whole numbers from 0 to {INDEX_END - 1}"


class ExtendedKey:
    """A node of the tree: a private key and its chain code, 32 bytes each; both are secret."""

    __slots__ = ("_chain_code", "_secret")

    def __init__(self, secret: Secret, chain_code: Secret) -> None:
        self._secret = secret
        self._chain_code = chain_code

    @classmethod
    def master(cls, seed: Secret) -> Self:
        """The root of the tree that grows from a seed of 16 to 64 bytes."""
        if not _SHORTEST_SEED <= len(seed) <= _LONGEST_SEED:
            raise ValueError("a seed has 16 to 64 bytes")
        return cls._split(hmac.digest(_CURVE, seed.reveal(), "sha512"))

    def child(self, index: int) -> Self:
        """The hardened child `index'`.

        Raises:
            BadKeyPathError: the index is below 0 or above 2^31 - 1.
        """
        if not 0 <= index < INDEX_END:
            raise BadKeyPathError("the index is outside of the derivation tree")
        data = b"\x00" + self._secret.reveal() + (INDEX_END + index).to_bytes(4, "big")
        return self._split(hmac.digest(self._chain_code.reveal(), data, "sha512"))

    def derive(self, path: tuple[int, ...]) -> Self:
        """The descendant that hardened steps lead to, an empty path to this node itself."""
        node = self
        for index in path:
            node = node.child(index)
        return node

    @property
    def secret(self) -> Secret:
        """The private key (an Ed25519 seed)."""
        return self._secret

    @property
    def chain_code(self) -> Secret:
        """What the children's keys also depend on."""
        return self._chain_code

    def wipe(self) -> None:
        """Overwrite both."""
        self._secret.wipe()
        self._chain_code.wipe()

    def __repr__(self) -> str:
        return "ExtendedKey(hidden)"

    @classmethod
    def _split(cls, digest: bytes) -> Self:
        return cls(Secret(digest[:32]), Secret(digest[32:]))
