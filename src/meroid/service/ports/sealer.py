"""Sealing secrets that lie in the store under the store key."""

from typing import Protocol

from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret


class StoreSealBrokenError(SealBrokenError):
    """What the node sealed in its store doesn't open: another store key, or changed bytes."""

    code = "store_seal_broken"
    next_step = "start the node with the key store that it was initialised with"


class SecretSealer(Protocol):
    """Seals under the store key; `label` says what the secret is and is authenticated with it."""

    def seal(self, label: str, secret: Secret) -> bytes: ...
    def open(self, label: str, sealed: bytes) -> Secret:
        """The secret.

        Raises:
            StoreSealBrokenError: it doesn't open under this key and label.
        """
        ...
