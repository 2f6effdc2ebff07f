"""The store key at the start of a node, after whatever was interrupted is finished."""

from typing import Final

import structlog

from meroid.config import ServiceSettings
from meroid.custody.databases import NoDatabaseError, is_there, lock_home
from meroid.custody.finishing import finish_moving, finish_rotating
from meroid.errors import MeroidError
from meroid.keys.signer import Ask, Secret
from meroid.store.lock import FileLock
from meroid.vault.key_store import KeyStore, NoStoreKeyError, make_store_key
from meroid.vault.store_keys import open_secret_store

_log: Final = structlog.get_logger("meroid.node")


def take_store_key(settings: ServiceSettings, *, make: bool, ask: Ask | None = None) -> tuple[Secret, FileLock]:
    """The store key of a node, with the lock of its database, which the caller gives back.

    `make` makes the key where there is neither a key nor a database yet.

    Raises:
        StoreInUseError: the node runs.
        NoDatabaseError: the database isn't there, and none is to be made.
        NoStoreKeyError: the key store is empty, and there is a database or no key is to be made.
        MeroidError: what the key store raises, and `finish_rotation`.
    """
    key_store = open_secret_store(settings.key_store, settings.home, ask)
    there = is_there(settings.database)
    if not there and not make:
        raise NoDatabaseError(f"there is no {settings.database.name} in this home")
    lock = lock_home(settings)
    try:
        if there:
            key_store = _finish(settings, key_store, ask)
        key = _load(key_store) if there else _load_or_make(key_store)
    except BaseException:
        lock.release()
        raise
    return key, lock


def _finish(settings: ServiceSettings, key_store: KeyStore, ask: Ask | None) -> KeyStore:
    """Finish what was interrupted; the key store that the node has then."""
    if finish_rotating(settings, key_store):
        _log.info("a rotation of the store key that was interrupted is finished")
    try:
        finished = finish_moving(settings, ask)
    except MeroidError as error:
        # The key is where the configuration says; a copy elsewhere doesn't keep the node from its work.
        _log.warning(
            "a move of the store key was interrupted and can't be finished, so a copy of the key may lie elsewhere",
            code=error.code,
            reason=error.reason,
        )
        return key_store
    if finished is None:
        return key_store
    note, moved = finished
    _log.info("a move of the store key that was interrupted is finished", left_behind=moved.left_behind)
    return open_secret_store(note.target, settings.home, ask)


def _load(key_store: KeyStore) -> Secret:
    key = key_store.load()
    if key is None:
        raise NoStoreKeyError(f"there is no store key at {key_store.place}, but a database that needs one")
    return key


def _load_or_make(key_store: KeyStore) -> Secret:
    key = key_store.load()
    if key is None:
        key = make_store_key()
        key_store.save(key)
    return key
