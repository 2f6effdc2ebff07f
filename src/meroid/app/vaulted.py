"""What opens with the store key: database, seeds, sealed secrets."""

from dataclasses import dataclass

from meroid.config import ServiceSettings
from meroid.custody.starting import take_store_key
from meroid.keys.signer import Ask, Secret
from meroid.store.lock import FileLock
from meroid.store.sqlite import SqliteStore
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault


@dataclass(frozen=True, slots=True)
class Vaulted:
    """What opens with the store key."""

    store: SqliteStore
    seeds: SeedVault
    box: SecretBox


def open_vaulted(settings: ServiceSettings, *, make: bool, ask: Ask | None = None) -> Vaulted:
    """Open the store with the key from the key store; `make` makes both where there are none yet.

    What was interrupted is finished first: a rotation of the store key, a move of it.

    Args:
        settings: those of the service.
        make: make key and database of a new home.
        ask: asks a person for the PIN of a token.

    Raises:
        MeroidError: as `take_store_key` and `SqliteStore` say.
    """
    return unlock(settings, *take_store_key(settings, make=make, ask=ask))


def unlock(settings: ServiceSettings, key: Secret, lock: FileLock) -> Vaulted:
    """Open the store with its key; it gives the lock back when it is closed, or can't be opened.

    Raises:
        MeroidError: as `SqliteStore` says.
    """
    seeds = SeedVault(key)
    return Vaulted(SqliteStore(settings.database, seeds.database_key(), lock=lock), seeds, SecretBox(key))
