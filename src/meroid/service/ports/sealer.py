"""Sealing secrets that lie in the store under the store key."""

from typing import Protocol

from meroid.ids import AccountId
from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret


class StoreSealBrokenError(SealBrokenError):
    """What the node sealed in its store doesn't open: another store key, or changed bytes."""

    code = "store_seal_broken"
    next_step = "start the node with the key store that it was initialised with"


def signing_key_label(kid: str) -> str:
    """What the key of this id that signs tokens is sealed as."""
    return f"meroid/token-signing-key/v1/{kid}"


class SecretSealer(Protocol):
    """Seals under the store key; `label` says what the secret is and is authenticated with it."""

    def seal(self, label: str, secret: Secret) -> bytes: ...
    def open(self, label: str, sealed: bytes) -> Secret:
        """The secret.

        Raises:
            StoreSealBrokenError: it doesn't open under this key and label.
        """
        ...


class Resealer(Protocol):
    """Gives back what was sealed under one store key as it is under another; called for each row that is sealed."""

    def seed(self, account_id: AccountId, sealed: bytes) -> bytes:
        """The seed of an account under the new key.

        Raises:
            SealBrokenError: it opens under neither key.
        """
        ...

    def secret(self, label: str, sealed: bytes) -> bytes:
        """Another secret under the new key; as `seed` otherwise."""
        ...
