"""Connections to the encrypted SQLite file (SQLCipher), and what their errors mean.

- The key is given raw (32 bytes), so no password hashing slows opening down; it stands in no
  message, no log and no attribute.
- Transactions are begun and ended by us: the driver's own are off.
- Readers can't write (`query_only`).
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from sqlcipher3 import dbapi2

from meroid.errors import MeroidError
from meroid.store.errors import StoreBusyError, StoreConflictError, StoreFailedError, StoreLockedError

Value: TypeAlias = bytes | str | int | None
Row: TypeAlias = tuple[Any, ...]
DriverError: type[Exception] = dbapi2.Error

_KEY = re.compile(r"[0-9a-f]{64}")
_BUSY_TIMEOUT_MS = 5_000
_WRITER_CACHE_KIB = 16_384
_READER_CACHE_KIB = 4_096
_JOURNAL_BYTES = 64 * 1024 * 1024  # a log that grew larger is cut back at the next checkpoint
_NOT_A_DATABASE = 26
_BUSY = 5
# SQLite's primary result codes for a database that is locked, out of memory, read-only, broken, damaged,
# full, unopenable, in trouble with its locks, or no database (sqlite.org/rescode.html).
_FAILURES = frozenset({6, 7, 8, 10, 11, 13, 14, 15, _NOT_A_DATABASE})
_FAILURE_TEXTS = ("not a database", "malformed", "disk I/O error", "disk is full")  # of errors without a code
_CONFLICTS = ("UNIQUE constraint", "FOREIGN KEY constraint")


class Cursor(Protocol):
    """The part of a DB-API cursor that we use."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...


class Connection(Protocol):
    """The part of a driver's connection that we use."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Sequence[Value] = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Value]], /) -> Cursor: ...
    def backup(self, target: "Connection", /) -> None: ...
    def set_progress_handler(self, handler: Callable[[], int] | None, n: int, /) -> None: ...
    def close(self) -> None: ...


def check_key(key_hex: str) -> None:
    """Refuse a key that isn't 64 lower-case hex digits.

    Raises:
        ValueError: it isn't; the message doesn't repeat it.
    """
    if _KEY.fullmatch(key_hex) is None:
        raise ValueError("the key of the store is 64 lower-case hex digits")


def open_writer(path: Path, key_hex: str) -> Connection:
    """Open the database for writing, and make it if it isn't there (mode 0600).

    Raises:
        StoreLockedError: the key doesn't open it, or it is no database.
        StoreFailedError: it can't be opened or made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreFailedError(f"the database can't be opened: {error.strerror}") from error
    return _open(
        path,
        key_hex,
        (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}",
            f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}",
        ),
    )


def open_reader(path: Path, key_hex: str) -> Connection:
    """Open one more connection that can't write to a database that a writer has open.

    Raises:
        StoreLockedError, StoreFailedError: as for `open_writer`.
    """
    return _open(path, key_hex, ("PRAGMA query_only = ON", f"PRAGMA cache_size = -{_READER_CACHE_KIB}"))


def open_existing(path: Path, key_hex: str) -> Connection:
    """Open a database as it is, without the settings of a writer; it isn't made if it isn't there.

    Raises:
        StoreLockedError: the key doesn't open it, it is no database, or it is empty.
        StoreFailedError: it isn't there, or can't be opened.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StoreFailedError(f"the database can't be opened: {error.strerror}") from error
    if size == 0:  # it would open with every key
        raise StoreLockedError("the database is an empty file")
    return _open(path, key_hex, ())


def _open(path: Path, key_hex: str, settings: Iterable[str]) -> Connection:
    check_key(key_hex)
    connection: Connection | None = None
    try:
        connection = cast(
            "Connection",
            dbapi2.connect(str(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_MS / 1000),
        )
        connection.execute("PRAGMA cipher_log_level = NONE")  # a wrong key is our refusal, not noise on stderr
        connection.execute(f"PRAGMA key = \"x'{key_hex}'\"")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first read proves the key
        for setting in settings:
            connection.execute(setting).fetchall()
    except DriverError as error:
        if connection is not None:
            connection.close()
        raise _opening_error(error) from None
    return connection


def _opening_error(error: Exception) -> MeroidError:
    # Some of the driver's errors carry no code, this one among them.
    if result_code(error) == _NOT_A_DATABASE or "not a database" in str(error):
        return StoreLockedError("the key store and the database don't belong together")
    return StoreFailedError(f"the database can't be opened: {error}")


def result_code(error: Exception) -> int:
    """SQLite's primary result code of a driver's error, 0 if it carries none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def is_busy(error: Exception) -> bool:
    """Whether another process has what this one waits for."""
    return result_code(error) == _BUSY


def translated(error: Exception) -> Exception:
    """Our error for a driver's error; a plain `RuntimeError` where it shows a mistake in our own code."""
    text = str(error)
    if text.startswith(_CONFLICTS):
        return StoreConflictError("the record is here already, or what it belongs to isn't")
    if is_busy(error):
        return StoreBusyError("another process had the database for too long")
    if result_code(error) in _FAILURES or any(each in text for each in _FAILURE_TEXTS):
        return StoreFailedError(f"the database failed: {text}")
    return RuntimeError(f"the database refused a statement: {text}")
