"""Seeds at rest: sealed under the store key, each with a key of its own."""

import secrets
from typing import Final

from meroid.account.phrase import ENTROPY_BYTES
from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.sealing import NONCE_BYTES, SealBrokenError, aead_open, aead_seal, expand
from meroid.keys.signer import Secret
from meroid.service.ports.sealer import StoreSealBrokenError
from meroid.vault.key_store import STORE_KEY_BYTES
from meroid.vault.locked_memory import LockedSecret

_SEED_LABEL: Final = "meroid/sealed-seed/v1"
_DATABASE_LABEL: Final = "meroid/database-key/v1"
_VERSION: Final = b"\x01"


class SeedVault:
    """Seals and opens seeds, and gives the key of the encrypted database.

    A sealed seed is a version byte (1), a random nonce (12 bytes) and the entropy under
    ChaCha20-Poly1305, with the account id as associated data. What is opened lies in locked memory. Nothing is kept here:
    stretching a phrase costs about a millisecond, so who signs often keeps the `Seed`.
    """

    def __init__(self, store_key: Secret) -> None:
        if len(store_key) != STORE_KEY_BYTES:
            raise ValueError(f"a store key has {STORE_KEY_BYTES} bytes")
        self._store_key = store_key

    def seal(self, account_id: AccountId, seed: Seed) -> bytes:
        """Seal the seed of an account; the same seed gives other bytes each time."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + nonce + aead_seal(self._key(account_id), nonce, seed.entropy.reveal(), account_id)

    def open(self, account_id: AccountId, sealed: bytes) -> Seed:
        """Open what `seal` made for this account under this store key.

        Raises:
            StoreSealBrokenError: it was changed, or sealed for another account or under another key.
        """
        if sealed[:1] != _VERSION:
            raise StoreSealBrokenError("the sealed seed is of an unknown version")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            entropy = aead_open(self._key(account_id), nonce, ciphertext, account_id)
        except SealBrokenError:
            raise StoreSealBrokenError("the seed of an account doesn't open with this store key") from None
        if len(entropy) not in ENTROPY_BYTES.values():
            raise StoreSealBrokenError("what was sealed is not a seed")
        return Seed(LockedSecret(entropy))

    def database_key(self) -> str:
        """The raw key of the database, 64 lower-case hex digits (SQLCipher's `x'…'` form)."""
        return expand(self._store_key.reveal(), _DATABASE_LABEL).hex()

    def _key(self, account_id: AccountId) -> bytes:
        return expand(self._store_key.reveal(), _SEED_LABEL, account_id)

    def __repr__(self) -> str:
        return "SeedVault(hidden)"
