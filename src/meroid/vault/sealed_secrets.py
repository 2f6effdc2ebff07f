"""Secrets of the node itself at rest (signing keys of tokens and the like), sealed under the store key."""

import secrets
from typing import Final

from meroid.keys.sealing import NONCE_BYTES, SealBrokenError, aead_open, aead_seal, expand
from meroid.keys.signer import Secret
from meroid.service.ports.sealer import StoreSealBrokenError
from meroid.vault.locked_memory import LockedSecret

_LABEL: Final = "meroid/sealed-secret/v1"


class SecretBox:
    """Seals under the store key: a random nonce (12 bytes), then ChaCha20-Poly1305 with the label bound."""

    def __init__(self, store_key: Secret) -> None:
        self._key = LockedSecret(expand(store_key.reveal(), _LABEL))

    def seal(self, label: str, secret: Secret) -> bytes:
        """Seal a secret of one purpose."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + aead_seal(self._key.reveal(), nonce, secret.reveal(), label.encode())

    def open(self, label: str, sealed: bytes) -> Secret:
        """Open what `seal` made under this store key and label.

        Raises:
            StoreSealBrokenError: it doesn't open.
        """
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        if len(nonce) != NONCE_BYTES:
            raise StoreSealBrokenError("the sealed secret is too short")
        try:
            return Secret(aead_open(self._key.reveal(), nonce, ciphertext, label.encode()))
        except SealBrokenError:
            raise StoreSealBrokenError("a secret of the store doesn't open with this store key") from None

    def __repr__(self) -> str:
        return "SecretBox(hidden)"
