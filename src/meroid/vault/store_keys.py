"""Stores of the store key (32 bytes), named by URI: `file:` and `env:`.

| URI | where |
|---|---|
| `file:` | `store.key` in the home; `file:NAME` relative to the home, `file:/PATH` anywhere |
| `env:NAME` | the environment variable NAME, for containers; can't be written |

Both hold the key as base64url of its 32 bytes. A variable can be read by whoever may read the
process's environment, and it is inherited by its children; prefer a file where there is one.
"""

import base64
import binascii
import os
import re
import stat
from pathlib import Path
from typing import Final

from meroid.errors import ConflictError, ForbiddenError, InvalidInputError, UnavailableError
from meroid.keys.signer import Secret, SecretStore

STORE_KEY_BYTES: Final = 32
SCHEMES: Final = ("file", "env")

_DEFAULT_NAME: Final = "store.key"
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700
_LONGEST_TEXT: Final = 128
_KEY_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}=?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class UnknownKeyStoreError(InvalidInputError):
    """The URI names no key store of this version."""

    code = "unknown_key_store"
    next_step = "use file: (in the home), file:/path or env:NAME"


class KeyStoreOpenToOthersError(ForbiddenError):
    """Somebody else can read or change the file with the store key."""

    code = "key_store_open_to_others"
    next_step = "make the file yours alone (chmod 600); if others could read it, rotate the store key"


class KeyStoreDamagedError(InvalidInputError):
    """The key store holds something, but no key."""

    code = "key_store_damaged"
    next_step = "put the store key back from where you keep a copy; without it the database can't be opened"


class KeyStoreTakenError(ConflictError):
    """The key store holds a key already; it is never overwritten."""

    code = "key_store_taken"
    next_step = "use the key that is there, or name another key store"


class KeyStoreReadOnlyError(ForbiddenError):
    """This key store can only be read."""

    code = "key_store_read_only"
    next_step = "set the variable to base64url of 32 random bytes before the start, or use file:"


class KeyStoreUnavailableError(UnavailableError):
    """The system doesn't let this process at the key store."""

    code = "key_store_unavailable"
    next_step = "check that path and rights allow this user to reach the key store"


def open_secret_store(uri: str, home: Path) -> SecretStore:
    """The key store that a URI names; nothing is read or made yet.

    Raises:
        UnknownKeyStoreError: no such scheme, or `env:` without a valid name.
    """
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "file" and "\x00" not in rest:
        path = rest.removeprefix("//")
        return FileSecretStore(home / (path or _DEFAULT_NAME))
    if colon and scheme == "env":
        if not _VARIABLE.fullmatch(rest):
            raise UnknownKeyStoreError("env: needs the name of an environment variable")
        return EnvironmentSecretStore(rest)
    existing = ", ".join(f"{known}:" for known in SCHEMES)
    raise UnknownKeyStoreError(f"there is no such key store; there are {existing}")


class FileSecretStore:
    """A file of mode 0600 that only its owner can reach."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Where the key lies."""
        return self._path

    def load(self) -> Secret | None:
        """The key, or nothing if there is no file.

        Raises:
            KeyStoreOpenToOthersError: the file belongs or is open to somebody else.
            KeyStoreDamagedError: no regular file, or no key in it.
            KeyStoreUnavailableError: the file can't be read.
        """
        try:
            # Not blocking, so that a pipe under this name can't hang the start.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self._path} can't be opened: {error.strerror}") from None
        try:
            self._check_owner(os.fstat(descriptor))
            text = os.read(descriptor, _LONGEST_TEXT)
        finally:
            os.close(descriptor)
        return _decode(text, str(self._path))

    def save(self, secret: Secret) -> None:
        """Make the file, with its directory (0700) if there is none; on disk when this returns.

        Raises:
            KeyStoreTakenError: the file is there already.
            KeyStoreUnavailableError: it can't be made.
        """
        text = _encode(secret)
        try:
            self._path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self._path.parent} can't be made: {error.strerror}") from None
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        except FileExistsError:
            raise KeyStoreTakenError(f"{self._path} is there already") from None
        except OSError as error:
            raise KeyStoreUnavailableError(f"{self._path} can't be made: {error.strerror}") from None
        try:
            self._write(descriptor, text)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise KeyStoreUnavailableError(f"{self._path} can't be written: {error.strerror}") from None

    def _write(self, descriptor: int, text: bytes) -> None:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _check_owner(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise KeyStoreDamagedError(f"{self._path} is not a regular file")
        if found.st_mode & 0o077:
            raise KeyStoreOpenToOthersError(f"{self._path} is open to others than its owner")
        user = os.geteuid()
        if user != 0 and found.st_uid not in {user, 0}:  # root can read any file, so its owner doesn't matter then
            raise KeyStoreOpenToOthersError(f"{self._path} belongs to another user")


class EnvironmentSecretStore:
    """An environment variable; it can only be read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def load(self) -> Secret | None:
        """The key, or nothing if the variable isn't set or empty.

        Raises:
            KeyStoreDamagedError: it doesn't hold base64url of 32 bytes.
        """
        text = os.environ.get(self._name)
        return _decode(text.encode(), self._name) if text else None

    def save(self, secret: Secret) -> None:
        """Always refuses.

        Raises:
            KeyStoreReadOnlyError: a process can't set its own environment for the next start.
        """
        raise KeyStoreReadOnlyError(f"{self._name} is an environment variable and can't be stored from here")


def _encode(secret: Secret) -> bytes:
    if len(secret) != STORE_KEY_BYTES:
        raise ValueError(f"a store key has {STORE_KEY_BYTES} bytes")
    return base64.urlsafe_b64encode(secret.reveal()) + b"\n"


def _decode(text: bytes, source: str) -> Secret:
    try:
        stripped = text.decode("ascii").strip()
        if not _KEY_TEXT.fullmatch(stripped):
            raise KeyStoreDamagedError(f"{source} doesn't hold base64url of {STORE_KEY_BYTES} bytes")
        return Secret(base64.urlsafe_b64decode(stripped.rstrip("=") + "="))
    except (UnicodeDecodeError, binascii.Error):
        raise KeyStoreDamagedError(f"{source} doesn't hold base64url of {STORE_KEY_BYTES} bytes") from None
