"""The database files that lie under the store key, while nobody else has them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meroid.config import ServiceSettings
from meroid.errors import ForbiddenError, NotFoundError
from meroid.keys.signer import Secret
from meroid.store.errors import StoreFailedError
from meroid.store.lock import FileLock, lock_database
from meroid.store.rekeying import DatabaseFile, Progress
from meroid.store.schema import copies_of, forget_unfinished_copies
from meroid.vault.rotation import Resealing

_FOLDER_MODE: Final = 0o700


class NoDatabaseError(NotFoundError):
    """The node's database isn't there."""

    code = "no_database"
    next_step = "put the database back from where you keep a copy; a home without it would be another one"


class AnotherUsersHomeError(ForbiddenError):
    """The files of the node belong to another user, who couldn't read what this one writes."""

    code = "another_users_home"
    next_step = "run the command as the user that the node runs as"


class SealedDatabase:
    """A database file of the node as something that a rotation seals anew."""

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path = path
        self._file = DatabaseFile(path)
        self._progress = progress

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def opens_with(self, key: Secret) -> bool:
        """Whether the file, and every sealed row in it, opens with a store key.

        Raises:
            StoreFailedError, StoreTooNewError: as `DatabaseFile` says.
        """
        resealing = Resealing(key, key)
        return self._file.opens_with(resealing.database_keys()[0], resealing)

    def reseal(self, old: Secret, new: Secret) -> None:
        """Write it anew under another store key, and put that in its place in one step.

        Raises:
            DiskFullError, StoreFailedError and others: as `DatabaseFile.rekey` says; it is as it was then.
        """
        resealing = Resealing(old, new)
        self._file.rekey(*resealing.database_keys(), resealing, self._progress)

    def forget_part(self) -> None:
        """Remove what an interruption left."""
        self._file.forget_part()


def sealed_databases(settings: ServiceSettings, progress: Progress | None = None) -> list[SealedDatabase]:
    """The node's database, and the copies that migrations left beside it."""
    return [SealedDatabase(path, progress) for path in (settings.database, *copies_of(settings.database))]


def forget_leftovers(settings: ServiceSettings) -> None:
    """Remove what interruptions left beside the database: parts of files, under this key or another.

    Raises:
        StoreFailedError: something can't be removed.
    """
    try:
        forget_unfinished_copies(settings.database)
    except OSError as error:
        raise StoreFailedError(f"a copy that isn't complete can't be removed: {error.strerror}") from None
    for each in sealed_databases(settings):
        each.forget_part()


def is_there(database: Path) -> bool:
    """Whether there is a database. A file of no bytes is none: a start leaves it that dies before its first commit.

    Raises:
        StoreFailedError: that can't be found out.
    """
    try:
        return database.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreFailedError(f"the database can't be looked at: {error.strerror}") from None


def lock_home(settings: ServiceSettings) -> FileLock:
    """The lock of the node's database; its folder is made (0700) where there is none.

    Raises:
        StoreInUseError: the node runs.
        StoreFailedError: the folder or the lock can't be made.
    """
    try:
        settings.database.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailedError(f"the folder of the database can't be made: {error.strerror}") from None
    return lock_database(settings.database)


@contextmanager
def alone(settings: ServiceSettings, *, writes: bool) -> Iterator[None]:
    """Hold the lock of a database that is there.

    Raises:
        NoDatabaseError, StoreInUseError, StoreFailedError: as above.
        AnotherUsersHomeError: another user's files are to be written.
    """
    if not is_there(settings.database):
        raise NoDatabaseError(f"there is no {settings.database.name} in this home")
    if writes and settings.database.stat().st_uid != os.geteuid():
        raise AnotherUsersHomeError(f"{settings.database.name} belongs to another user")
    lock = lock_home(settings)
    try:
        yield
    finally:
        lock.release()
