"""The key store `file:`: a file of mode 0600, in the home unless the URI says otherwise."""

import os
import stat
from pathlib import Path
from typing import Final

from meroid.keys.signer import Secret
from meroid.vault.key_store import (
    LONGEST_TEXT,
    KeyStore,
    KeyStoreDamagedError,
    KeyStoreOpenToOthersError,
    KeyStoreTakenError,
    KeyStoreUnavailableError,
    Surroundings,
    UnknownKeyStoreError,
    decode_store_key,
    encode_store_key,
)
from meroid.vault.private_file import FileTakenError, FileUnwritableError, destroy, sync_folder, write_private

DEFAULT_NAME: Final = "store.key"

_DIRECTORY_MODE: Final = 0o700


def open_file_store(rest: str, surroundings: Surroundings) -> KeyStore:
    """`file:` is `store.key` in the home, `file:NAME` lies in the home, `file:/PATH` anywhere.

    Raises:
        UnknownKeyStoreError: the path holds a zero byte.
    """
    if "\x00" in rest:
        raise UnknownKeyStoreError("a path holds no zero byte")
    return FileSecretStore(surroundings.home / (rest.removeprefix("//") or DEFAULT_NAME))


class OwnedFile:
    """One private file of a key store, and the traces that an interrupted removal leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.retired = path.with_name(f".{path.name}.removed")

    @property
    def successor(self) -> "OwnedFile":
        """The file beside it, with `.next` added to the name."""
        return OwnedFile(self.path.with_name(f"{self.path.name}.next"))

    @property
    def is_there(self) -> bool:
        """Whether something has the file's name, if only a dangling link."""
        return os.path.lexists(self.path)

    def make(self, content: Secret) -> None:
        """Make the file, and its folder (0700) if there is none.

        Raises:
            KeyStoreTakenError: it is there already.
            KeyStoreUnavailableError: it can't be made.
        """
        try:
            self.path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            write_private(self.path, content)
        except FileTakenError as error:
            raise KeyStoreTakenError(error.reason) from None
        except FileUnwritableError as error:
            raise KeyStoreUnavailableError(error.reason) from None
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self.path.parent} can't be made: {error.strerror}") from None

    def retire(self) -> None:
        """Take the file's name away, so that it counts as removed though its bytes are there until `destroy`."""
        try:
            os.replace(self.path, self.retired)  # noqa: PTH105 - Path.replace hides that it's one atomic call
            sync_folder(self.path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self.path} can't be removed: {error.strerror}") from None

    def destroy(self) -> None:
        """Destroy what `retire` took away, now or before a crash."""
        try:
            destroy(self.retired)
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self.retired} can't be removed: {error.strerror}") from None

    def promote(self) -> None:
        """Give the successor the name of this file, in one step."""
        try:
            os.replace(self.successor.path, self.path)  # noqa: PTH105 - as above
            sync_folder(self.path.parent)
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self.path} can't be replaced: {error.strerror}") from None


class FileSecretStore:
    """A file that only its owner can reach."""

    def __init__(self, path: Path) -> None:
        self._file = OwnedFile(path)

    @property
    def path(self) -> Path:
        """Where the key lies."""
        return self._file.path

    @property
    def place(self) -> str:
        """The file, with links resolved."""
        return f"file:{os.path.realpath(self.path)}"

    @property
    def successor(self) -> "FileSecretStore":
        """The file beside it, with `.next` added to the name."""
        return FileSecretStore(self._file.successor.path)

    def load(self) -> Secret | None:
        """The key, or nothing if there is no file.

        Raises:
            KeyStoreOpenToOthersError: the file belongs or is open to somebody else.
            KeyStoreDamagedError: no regular file, or no key in it.
            KeyStoreUnavailableError: the file can't be read.
        """
        text = read_owned(self.path)
        return None if text is None else decode_store_key(text, str(self.path))

    def save(self, secret: Secret) -> None:
        """Make the file, with its directory (0700) if there is none; on disk when this returns.

        Raises:
            KeyStoreTakenError: the file is there already, or that of a rotation that isn't finished.
            KeyStoreUnavailableError: it can't be made.
        """
        successor = self._file.successor
        if successor.is_there:
            raise KeyStoreTakenError(f"{successor.path} is there: a rotation of the store key isn't finished")
        self._file.make(encode_store_key(secret))

    def remove(self) -> bool:
        """Remove the file, its bytes overwritten.

        Raises:
            KeyStoreUnavailableError: it can't be removed.
        """
        self._file.retire()
        self._file.destroy()
        return True

    def promote(self) -> None:
        """Destroy the file and give the successor its name; nothing happens without a successor.

        Raises:
            KeyStoreUnavailableError: a file can't be removed or renamed.
        """
        if self._file.successor.is_there:
            self.remove()
            self._file.promote()


def read_owned(path: Path, most: int = LONGEST_TEXT) -> Secret | None:
    """The first `most` bytes of a file that belongs to this user (or root) alone; nothing if there is none.

    Raises:
        KeyStoreOpenToOthersError: it belongs or is open to somebody else.
        KeyStoreDamagedError: it is no regular file.
        KeyStoreUnavailableError: it can't be read.
    """
    try:
        # Not blocking, so that a pipe under this name can't hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyStoreUnavailableError(f"{path} can't be opened: {error.strerror}") from None
    try:
        _check_owner(path, os.fstat(descriptor))
        return Secret(os.read(descriptor, most))
    except OSError as error:
        raise KeyStoreUnavailableError(f"{path} can't be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyStoreDamagedError(f"{path} is not a regular file")
    if found.st_mode & 0o077:
        raise KeyStoreOpenToOthersError(f"{path} is open to others than its owner")
    user = os.geteuid()
    if user != 0 and found.st_uid not in {user, 0}:  # root can read any file, so its owner doesn't matter then
        raise KeyStoreOpenToOthersError(f"{path} belongs to another user")
