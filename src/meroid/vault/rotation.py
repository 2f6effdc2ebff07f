"""A new store key for a home, with everything sealed anew under it; a crash at any point loses nothing.

1. Make the new key and store it beside the old one (the key store's successor).
2. Seal everything anew, one thing after another, and make sure that it opens.
3. Put the new key in the old one's place; the old one is destroyed.

As long as there is a successor, the rotation isn't finished: `finish_rotation` looks which key
each thing opens with, and goes on. A node calls it at each start, before it loads its key.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from meroid.errors import MeroidError, UnavailableError
from meroid.ids import AccountId
from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret
from meroid.vault.key_store import (
    KeyStore,
    KeyStoreDamagedError,
    KeyStoreReadOnlyError,
    NoStoreKeyError,
    WrongStoreKeyError,
    make_store_key,
)
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault


class NotResealedError(UnavailableError):
    """Something doesn't open with the new store key, though it was sealed anew; the old key is still there."""

    code = "not_resealed"
    next_step = "look at the node's log and the disk, then start the rotation again; it goes on where it stopped"


class Resealable(Protocol):
    """Something that lies sealed under the store key: the database with the seeds and secrets in it.

    It is sealed anew as a whole or not at all: after a crash anywhere in `reseal` it opens with
    exactly one of the two keys, and `opens_with` tells which. For the database that means: the rows
    and the key of the file change in one step, for example by writing a second file and renaming it.
    """

    @property
    def name(self) -> str:
        """What it is, for a person."""
        ...

    def opens_with(self, key: Secret) -> bool:
        """Whether all of it opens with this key, judged from what is on disk."""
        ...

    def reseal(self, old: Secret, new: Secret) -> None:
        """Seal it under `new`, on disk when this returns. Called only while it opens with `old`."""
        ...


def rotate_store_key(store: KeyStore, sealed: Sequence[Resealable]) -> None:
    """Give a home a new store key; nothing else may use the home meanwhile. Call it again after a crash.

    A rotation that was interrupted is finished instead, and counts as this one. One that fails is
    taken back where everything still opens with the old key; elsewhere both keys stay, and it can be
    finished.

    Raises:
        NoStoreKeyError: the key store holds no key.
        WrongStoreKeyError: something doesn't open with it; nothing was changed.
        KeyStoreReadOnlyError: the store can't be written (`env:`).
        NotResealedError: something doesn't open with the new key.
        MeroidError: whatever the store or a `Resealable` raises.
    """
    successor = store.successor
    if finish_rotation(store, sealed):
        return
    _check_opens(_load(store), sealed)
    successor.save(make_store_key())
    try:
        finish_rotation(store, sealed)
    except (MeroidError, KeyboardInterrupt):
        _take_back(store, sealed)
        raise


def _take_back(store: KeyStore, sealed: Sequence[Resealable]) -> None:
    """Remove the successor if nothing needs it; the refusal that led here matters more than one from here."""
    with suppress(MeroidError):
        old = store.load()
        if old is not None and all(each.opens_with(old) for each in sealed):
            store.successor.remove()


def finish_rotation(store: KeyStore, sealed: Sequence[Resealable]) -> bool:
    """Go on with a rotation that was interrupted; whether there was one.

    Raises:
        NoStoreKeyError, WrongStoreKeyError, NotResealedError: as `rotate_store_key`.
    """
    new = _successor(store, sealed)
    if new is None:
        return False
    behind = [each for each in sealed if not each.opens_with(new)]
    if behind:  # otherwise the old key isn't needed any more, and may be gone already
        old = _load(store)
        _check_opens(old, behind)
        for each in behind:
            each.reseal(old, new)
            if not each.opens_with(new):
                raise NotResealedError(f"{each.name} doesn't open with the new store key")
        old.wipe()
    store.promote()
    return True


def _successor(store: KeyStore, sealed: Sequence[Resealable]) -> Secret | None:
    try:
        return store.successor.load()
    except KeyStoreDamagedError:
        # It was being written when the crash came; then nothing was sealed under it.
        _check_opens(_load(store), sealed)
        store.successor.remove()
        return None
    except KeyStoreReadOnlyError:
        return None  # what can't be rotated has no unfinished rotation


def _load(store: KeyStore) -> Secret:
    key = store.load()
    if key is None:
        raise NoStoreKeyError(f"there is no store key at {store.place}")
    return key


def _check_opens(key: Secret, sealed: Sequence[Resealable]) -> None:
    for each in sealed:
        if not each.opens_with(key):
            raise WrongStoreKeyError(f"{each.name} doesn't open with the store key")


class Resealing:
    """The bytes' part of sealing anew: opens under the old store key, seals under the new one."""

    def __init__(self, old: Secret, new: Secret) -> None:
        self._seeds = SeedVault(old), SeedVault(new)
        self._boxes = SecretBox(old), SecretBox(new)

    def database_keys(self) -> tuple[str, str]:
        """The old and the new raw key of the database, each 64 lower-case hex digits."""
        old, new = self._seeds
        return old.database_key(), new.database_key()

    def seed(self, account_id: AccountId, sealed: bytes) -> bytes:
        """A sealed seed under the new key; one that is under it already is given back as it is.

        Raises:
            SealBrokenError: it opens under neither key.
        """
        old, new = self._seeds
        try:
            new.open(account_id, sealed).wipe()
        except SealBrokenError:
            seed = old.open(account_id, sealed)
            resealed = new.seal(account_id, seed)
            seed.wipe()
            return resealed
        return sealed

    def secret(self, label: str, sealed: bytes) -> bytes:
        """A sealed secret of a `SecretBox` under the new key; as `seed` otherwise.

        Raises:
            SealBrokenError: it opens under neither key.
        """
        old, new = self._boxes
        try:
            new.open(label, sealed).wipe()
        except SealBrokenError:
            secret = old.open(label, sealed)
            resealed = new.seal(label, secret)
            secret.wipe()
            return resealed
        return sealed

    def __repr__(self) -> str:
        return "Resealing(hidden)"
