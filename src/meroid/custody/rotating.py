"""A new store key for a node, with its database and the copies that migrations left sealed anew under it."""

from collections.abc import Sequence
from dataclasses import dataclass

from meroid.config import ServiceSettings
from meroid.custody.databases import SealedDatabase, alone, sealed_databases
from meroid.custody.finishing import finish_moving, finish_rotating
from meroid.errors import ConflictError, MeroidError
from meroid.keys.signer import Ask
from meroid.store.rekeying import Progress
from meroid.vault.key_store import KeyStore, NoStoreKeyError, WrongStoreKeyError
from meroid.vault.move_note import read_move_note, remove_move_note
from meroid.vault.rotation import rotate_store_key
from meroid.vault.store_keys import open_secret_store


class CopyUnderAnotherKeyError(ConflictError):
    """A copy of the database that a migration left doesn't open with the store key, so it can't be sealed anew."""

    code = "copy_under_another_key"
    next_step = "move the named file out of the node's home, or delete it, then try again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What was sealed anew, or would be.

    Attributes:
        place: the key store.
        databases: names of the files: the database, and copies that migrations left.
        size: bytes of all of them.
        finished: whether it was one that had been interrupted.
    """

    place: str
    databases: tuple[str, ...]
    size: int
    finished: bool


def rotate(
    settings: ServiceSettings, *, ask: Ask | None = None, progress: Progress | None = None, dry_run: bool = False
) -> Rotated:
    """Give the node a new store key, seal everything anew under it, and destroy the old one.

    With `dry_run` all of it is looked at, and nothing is changed.

    Raises:
        StoreInUseError: the node runs.
        NoDatabaseError, AnotherUsersHomeError, CopyUnderAnotherKeyError: as they say.
        KeyStoreReadOnlyError: the key store can't be written (`env:`).
        MeroidError: whatever `rotate_store_key` raises, and an interrupted move that can't be finished.
    """
    with alone(settings, writes=not dry_run):
        key_store = open_secret_store(settings.key_store, settings.home, ask)
        if dry_run:
            finished = key_store.successor.load() is not None
            return _rotated(key_store, settings, finished=finished, checked=not finished)
        _ = key_store.successor  # refuses what can't be rotated
        finished = finish_rotating(settings, key_store, progress)
        uri, unreachable = _finish_moving(settings, ask)
        if uri != settings.key_store:
            key_store = open_secret_store(uri, settings.home, ask)
        looked_at = _rotated(key_store, settings, finished=finished, checked=not finished)
        if not finished:
            rotate_store_key(key_store, sealed_databases(settings, progress))
        if unreachable:
            remove_move_note(settings.home)
        return looked_at


def _finish_moving(settings: ServiceSettings, ask: Ask | None) -> tuple[str, bool]:
    """Where the key lies then, and whether a copy at the source of an interrupted move can't be reached."""
    try:
        finished = finish_moving(settings, ask)
    except MeroidError:
        note = read_move_note(settings.home)
        if note is None or settings.key_store != note.target:
            raise
        return settings.key_store, True  # that copy opens nothing any more after the rotation
    return (settings.key_store if finished is None else finished[0].target), False


def _rotated(key_store: KeyStore, settings: ServiceSettings, *, finished: bool, checked: bool) -> Rotated:
    sealed = sealed_databases(settings)
    if checked:
        _check_opens(key_store, sealed)
    return Rotated(
        place=key_store.place,
        databases=tuple(each.name for each in sealed),
        size=sum(each.path.stat().st_size for each in sealed),
        finished=finished,
    )


def _check_opens(key_store: KeyStore, sealed: Sequence[SealedDatabase]) -> None:
    key = key_store.load()
    if key is None:
        raise NoStoreKeyError(f"there is no store key at {key_store.place}")
    database, *copies = sealed
    if not database.opens_with(key):
        raise WrongStoreKeyError(f"{database.name} doesn't open with the store key")
    for copy in copies:
        if not copy.opens_with(key):
            raise CopyUnderAnotherKeyError(f"{copy.name} doesn't open with the store key")
