"""The lock that keeps a second process out of a database."""

import fcntl
import os
from pathlib import Path

from meroid.store.errors import StoreFailedError, StoreInUseError


class FileLock:
    """An exclusive lock on a file of its own; the system frees it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once.

        Processes that are forked hold it too, until each of them has given it back or ended.

        Raises:
            StoreInUseError: somebody has it.
            StoreFailedError: the file can't be made.
        """
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailedError(f"the lock of the database can't be made: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise StoreInUseError("another process has this database open") from None

    def share(self) -> "FileLock":
        """The same lock for one more holder in this process; it is free once all have given it back."""
        if self._descriptor is None:
            raise ValueError("this lock was given back")
        other = FileLock.__new__(FileLock)
        other._descriptor = os.dup(self._descriptor)  # noqa: SLF001  # one of its own
        return other

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would race with the next one."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_database(path: Path) -> FileLock:
    """The lock of the database at `path`: a file beside it.

    Raises:
        StoreInUseError: another process has the database open.
        StoreFailedError: the lock can't be made.
    """
    return FileLock(path.with_name(f"{path.name}.lock"))
