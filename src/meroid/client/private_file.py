"""Files that hold tokens: written whole or not at all, readable by their owner only, one writer at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from meroid.client.failures import BadClientFileError, ClientFileBusyError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MOST_BYTES = 1024 * 1024  # no honest token or registry file comes near

_LOCK_WAIT_S = 40.0  # longer than one request may take
_LOCK_POLL_S = 0.01


def read_private(path: Path) -> bytes | None:
    """The bytes of a file, or None where there is none.

    Raises:
        BadClientFileError: it can't be read, or is far too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadClientFileError(f"{path} can't be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise BadClientFileError(f"{path} is larger than {MOST_BYTES} bytes")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replace a file: temporary file beside it, flushed to disk, renamed. Its folder is made where missing.

    Raises:
        BadClientFileError: the place can't be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        make_private_folder(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)  # the file may be left over with another mode
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise BadClientFileError(
            f"{path} can't be written: {error.strerror}", next_step="check the rights on its folder, and the disk"
        ) from error


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that exists stays as it is."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the lock of a file, against other threads and processes, by a lock file beside it.

    Raises:
        ClientFileBusyError: another one holds it for too long.
        BadClientFileError: the lock file can't be made.
    """
    descriptor = _open_lock(path.with_name(path.name + ".lock"))
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise ClientFileBusyError(f"another program holds {path}")
            time.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    try:
        make_private_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise BadClientFileError(
            f"{path} can't be written: {error.strerror}", next_step="check the rights on its folder"
        ) from error


def _lock(descriptor: int) -> bool:
    # flock belongs to the open file, so it also holds between threads of one process
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
