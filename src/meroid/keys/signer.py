"""Secrets that don't print, and the two protocols that hide where a key lies."""

from collections.abc import Callable
from typing import NoReturn, Protocol

from meroid.keys.public import PublicKey

Ask = Callable[[str], "Secret"]
"""Asks a person for a secret, given what it is for; the library itself never prompts."""


class Secret:
    """Secret bytes whose `repr` and `str` hide them; `reveal` is the one way to them."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes | bytearray) -> None:
        self._raw = bytearray(raw)

    def reveal(self) -> bytes:
        """The bytes; keep the copy short-lived."""
        return bytes(self._raw)

    def wipe(self) -> None:
        """Overwrite this copy with zeros (Python may have made others: docs/keys.md)."""
        for i in range(len(self._raw)):
            self._raw[i] = 0

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        return f"Secret({len(self._raw)} bytes)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


class Signer(Protocol):
    """Signs for one Ed25519 key, wherever its private half lies."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        ...


class SecretStore(Protocol):
    """Keeps the store key (32 bytes) behind a URI such as `file:`, `env:`, `keyring:`, `pkcs11:`."""

    def load(self) -> Secret | None:
        """The key, or nothing if none was made yet."""
        ...

    def save(self, secret: Secret) -> None:
        """Store it; a key that is there already is never overwritten."""
        ...
