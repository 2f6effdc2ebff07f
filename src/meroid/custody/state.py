"""How it stands with a node's store key: where it lies, what it opens, who else could reach it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meroid.config import CONFIG_FILE, ServiceSettings
from meroid.custody.databases import SealedDatabase, alone, sealed_databases
from meroid.errors import MeroidError
from meroid.keys.signer import Ask
from meroid.vault.key_store import KeyStore, KeyStoreReadOnlyError, NoStoreKeyError, WrongStoreKeyError
from meroid.vault.locked_memory import LockedSecret, Protection
from meroid.vault.move_note import MoveNote, read_move_note
from meroid.vault.store_keys import open_secret_store

_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """A file or directory of the node, and its mode (permission bits)."""

    path: Path
    mode: int

    @property
    def private(self) -> bool:
        """Whether only its owner can reach it."""
        return not self.mode & _OTHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeyState:
    """How it stands with the store key.

    Attributes:
        place: where it lies, without a secret.
        found: whether a key is there.
        opens: whether it opens the database, and every seed and secret that is sealed in it.
        rotation_unfinished: whether a rotation was interrupted.
        move_unfinished: a move that was interrupted.
        protection: of the page of memory that it was read into; nothing if it couldn't be read.
        files: the directories and files of the node that matter, with their modes.
        problem: why it couldn't be read, or doesn't open the database.
    """

    place: str
    found: bool
    opens: bool
    rotation_unfinished: bool
    move_unfinished: MoveNote | None
    protection: Protection | None
    files: tuple[OwnFile, ...]
    problem: MeroidError | None


def look_at_store_key(settings: ServiceSettings, *, ask: Ask | None = None) -> StoreKeyState:
    """Look at the store key and what lies under it, changing nothing.

    Raises:
        StoreInUseError: the node runs.
        NoDatabaseError: it has no database.
        UnknownKeyStoreError and others: the configuration names no key store.
        MoveNoteDamagedError: as it says.
    """
    with alone(settings, writes=False):
        key_store = open_secret_store(settings.key_store, settings.home, ask)
        found = opens = unfinished = False
        protection: Protection | None = None
        problem: MeroidError | None = None
        try:
            unfinished = _rotation_unfinished(key_store)
            key = key_store.load()
            found = key is not None
            if key is None:
                raise NoStoreKeyError(f"there is no store key at {key_store.place}")
            if isinstance(key, LockedSecret):
                protection = key.protection
            opens = SealedDatabase(settings.database).opens_with(key)
            if not opens:
                raise WrongStoreKeyError(f"{settings.database.name} doesn't open with the store key")
        except MeroidError as error:
            problem = error
        return StoreKeyState(
            place=key_store.place,
            found=found,
            opens=opens,
            rotation_unfinished=unfinished,
            move_unfinished=read_move_note(settings.home),
            protection=protection,
            files=tuple(_own_files(settings, key_store)),
            problem=problem,
        )


def _rotation_unfinished(key_store: KeyStore) -> bool:
    try:
        return key_store.successor.load() is not None
    except KeyStoreReadOnlyError:
        return False


def _own_files(settings: ServiceSettings, key_store: KeyStore) -> Iterator[OwnFile]:
    databases = [each.path for each in sealed_databases(settings)]
    key_file = getattr(key_store, "path", None)
    paths = [settings.home, settings.home / CONFIG_FILE, settings.database.parent, *databases]
    if isinstance(key_file, Path):
        paths.append(key_file)
    for path in paths:
        try:
            yield OwnFile(path=path, mode=path.stat().st_mode & 0o777)
        except OSError:
            continue  # the key's own file may be missing, which `found` tells
