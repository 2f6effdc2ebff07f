"""Files that only their owner can read: made whole or not at all, never over another, and destroyed."""

import errno
import os
from pathlib import Path
from typing import Final

from meroid.errors import ConflictError, UnavailableError
from meroid.keys.signer import Secret

_MODE: Final = 0o600
_OPEN_DESCRIPTORS: Final = Path("/proc/self/fd")
_NAMELESS: Final = getattr(os, "O_TMPFILE", 0)
_UNSUPPORTED: Final = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.ENOENT}
)


class FileTakenError(ConflictError):
    """There is something under this name already; it is never overwritten."""

    code = "file_taken"
    next_step = "name a file that isn't there yet, or take that one away first"


class FileUnwritableError(UnavailableError):
    """The file can't be made there."""

    code = "file_unwritable"
    next_step = "check that the folder exists, that you may write in it, and that the disk isn't full"


def write_private(path: Path, content: bytes | Secret) -> None:
    """Make a file of mode 0600 in a folder that exists; on disk when this returns.

    Where the system can (Linux, most file systems), it gets its name only when it is complete, so
    a crash leaves nothing behind. Elsewhere a crash may leave an incomplete file, of mode 0600.

    Raises:
        FileTakenError: something has this name, if only a dangling link.
        FileUnwritableError: it can't be made; nothing is left of it.
    """
    data = content if isinstance(content, Secret) else Secret(content)
    try:
        if not _write_nameless(path, data):
            _write_named(path, data)
        sync_folder(path.parent)
    except FileExistsError:
        raise FileTakenError(f"{path} is there already") from None
    except OSError as error:
        raise FileUnwritableError(f"{path} can't be written: {error.strerror}") from None


def destroy(path: Path) -> None:
    """Overwrite a file's bytes and remove it; nothing happens if there is none.

    A journal, a snapshot or the spare blocks of a flash disk may keep what was overwritten, so
    rotate a key whose disk goes into other hands. A file with a second name isn't overwritten.

    Raises:
        OSError: it can't be removed.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        if found.st_nlink == 1:
            os.pwrite(descriptor, bytes(found.st_size), 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk.

    Raises:
        OSError: the folder can't be opened, or the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_nameless(path: Path, data: Secret) -> bool:
    """Write a file without a name and then name it; false where the system can't, with nothing done."""
    if not _NAMELESS:
        return False
    try:
        descriptor = os.open(path.parent, os.O_WRONLY | _NAMELESS | os.O_CLOEXEC, _MODE)
    except OSError as error:
        if error.errno in _UNSUPPORTED and path.parent.is_dir():
            return False
        raise
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        _write_all(descriptor, data)
        try:
            folder = os.open(_OPEN_DESCRIPTORS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False  # no /proc here
        try:
            os.link(str(file.fileno()), path, src_dir_fd=folder, follow_symlinks=True)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return False
            raise
        finally:
            os.close(folder)
    return True


def _write_named(path: Path, data: Secret) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        _write_all(descriptor, data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: Secret) -> None:
    rest = memoryview(data.reveal())
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)
