"""A closed database under another key, in one step: written anew beside itself, checked, and renamed over itself.

1. Take the log into the file, so that nothing of it is left to be read into another one.
2. Export everything into a second file under the new key (SQLCipher's own copy, page by page anew).
3. Seal each row anew there that is sealed under the store key.
4. Check the second file, put it on disk, and rename it over the first.

Whoever calls holds the lock of the database. After a crash there is the old file or the new one, and
perhaps a part that the next call throws away. The blocks of the old file go back to the system as they are.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from meroid.ids import AccountId
from meroid.keys.sealing import SealBrokenError
from meroid.service.ports.sealer import Resealer, signing_key_label
from meroid.store.driver import Connection, DriverError, Value, check_key, open_existing, result_code, translated
from meroid.store.errors import DiskFullError, StoreFailedError, StoreLockedError, StoreTooNewError
from meroid.store.schema import is_newer

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes of how many are written; called often."""

SEALED_PREFIX: Final = "sealed_"
"""How the name of each column begins that holds something sealed under the store key."""

_SUFFIXES: Final = ("", "-journal", "-wal", "-shm")
_STEPS_BETWEEN_REPORTS: Final = 50_000
_FULL: Final = 13  # SQLite's result code
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_SEALED_COLUMNS: Final = """
SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND substr(columns.name, 1, ?) = ?
"""
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column whose values are sealed under the store key, and how one of them is sealed anew."""

    table: str
    identifier: str
    column: str
    reseal: Callable[[Resealer, Value, bytes], bytes]


def _seed(resealer: Resealer, account_id: Value, sealed: bytes) -> bytes:
    if not isinstance(account_id, bytes):
        raise SealBrokenError("an account's id is no bytes")
    return resealer.seed(AccountId(account_id), sealed)


def _signing_key(resealer: Resealer, kid: Value, sealed: bytes) -> bytes:
    return resealer.secret(signing_key_label(str(kid)), sealed)


SEALED: Final = (
    SealedColumn("accounts", "account_id", "sealed_seed", _seed),
    SealedColumn("signing_keys", "kid", "sealed_secret", _signing_key),
)
"""All of them, in every schema up to this code's; a test holds that none is missing."""


class DatabaseFile:
    """One file of a database that nobody has open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.resealed")

    def opens_with(self, key_hex: str, resealer: Resealer) -> bool:
        """Whether the file opens with a key, and each sealed row in it with the `resealer`.

        Raises:
            StoreFailedError: it isn't there, or can't be read.
            StoreTooNewError: a newer version sealed something in it that this one doesn't know.
        """
        return _opens(self.path, key_hex, resealer)

    def rekey(self, old_hex: str, new_hex: str, resealer: Resealer, progress: Progress | None = None) -> None:
        """Put the file under another key, with all that is sealed in it; on disk when this returns.

        Raises:
            StoreLockedError: the old key doesn't open it.
            SealBrokenError: something in it opens under neither key.
            DiskFullError: there is no room for a second file.
            StoreFailedError: it can't be read, or the second file isn't as the first.
            StoreTooNewError: as `opens_with` says.
            KeyboardInterrupt: as it came.
            All of them leave the database as it was.
        """
        check_key(new_hex)
        self.forget_part()
        try:
            self._write_part(old_hex, new_hex, progress)
            self._reseal_part(new_hex, resealer)
            self._check_part(old_hex, new_hex, resealer)
            self._put_in_place()
        except DriverError as error:
            raise _refusal(error) from error
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise DiskFullError(f"{self.path.name} can't be written anew: {error.strerror}") from error
            raise StoreFailedError(f"the database can't be written anew: {error.strerror}") from error
        finally:
            self.forget_part()

    def forget_part(self) -> None:
        """Remove what an interrupted call left."""
        for suffix in _SUFFIXES:
            with suppress(OSError):  # a part that stays is in the way of the next call, which says so
                self._part.with_name(self._part.name + suffix).unlink()

    def _write_part(self, old_hex: str, new_hex: str, progress: Progress | None) -> None:
        os.close(os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        interrupted: list[BaseException] = []
        with closing(open_existing(self.path, old_hex)) as source:
            _check_known(source)
            log = self.path.with_name(f"{self.path.name}-wal")
            _check_room(self._part, self.path.stat().st_size + (log.stat().st_size if log.exists() else 0))
            source.execute("PRAGMA journal_mode = DELETE").fetchall()  # empties the log and removes it
            total = self.path.stat().st_size
            # As parameters, so that the key is in no statement's text.
            source.execute("ATTACH DATABASE ? AS resealed KEY ?", (str(self._part), f"x'{new_hex}'"))
            source.execute("PRAGMA resealed.journal_mode = OFF").fetchall()  # a part that fails is thrown away
            source.execute("PRAGMA resealed.synchronous = OFF").fetchall()
            if progress is not None:
                report = _Report(self._part, total, progress, interrupted)
                source.set_progress_handler(report.now, _STEPS_BETWEEN_REPORTS)
            try:
                source.execute("SELECT sqlcipher_export('resealed')").fetchall()
            except DriverError:
                if interrupted:  # the driver swallows what its handler raises
                    raise interrupted[0] from None
                raise
            source.set_progress_handler(None, 0)
            (version,) = source.execute("PRAGMA user_version").fetchone() or (0,)
            source.execute(f"PRAGMA resealed.user_version = {int(version)}")
        if progress is not None:
            progress(total, total)

    def _reseal_part(self, new_hex: str, resealer: Resealer) -> None:
        with closing(open_existing(self._part, new_hex)) as part:
            part.execute("PRAGMA secure_delete = ON").fetchall()
            part.execute("BEGIN IMMEDIATE")
            for each in _sealed_columns(part):
                change = f"UPDATE {each.table} SET {each.column} = ? WHERE {each.identifier} = ?"  # noqa: S608 - ours
                for identifier, sealed in _rows(part, each):
                    part.execute(change, (each.reseal(resealer, identifier, sealed), identifier))
            part.execute("COMMIT")

    def _check_part(self, old_hex: str, new_hex: str, resealer: Resealer) -> None:
        with closing(open_existing(self._part, new_hex)) as part, closing(open_existing(self.path, old_hex)) as source:
            whole = part.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            if not whole or _sizes(part) != _sizes(source):
                raise StoreFailedError("the database that was written anew isn't as the one before")
        if not _opens(self._part, new_hex, resealer):
            raise StoreFailedError("the database that was written anew doesn't open")

    def _put_in_place(self) -> None:
        with self._part.open("rb") as written:
            os.fsync(written.fileno())
        for suffix in _SUFFIXES[1:]:
            beside = self.path.with_name(self.path.name + suffix)
            if beside.exists():  # it would be read into the new file, which it doesn't belong to
                raise StoreFailedError(f"{beside.name} is still there: the database is in use")
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
            os.replace(self._part, self.path)  # noqa: PTH105 - Path.replace hides that it's one atomic call
            os.fsync(folder)
        finally:
            os.close(folder)


class _Report:
    """Tells how far the part has come; keeps what that raised, Ctrl-C above all, and has the statement end."""

    def __init__(self, part: Path, total: int, progress: Progress, raised: list[BaseException]) -> None:
        self._part, self._total, self._progress, self._raised = part, total, progress, raised

    def now(self) -> int:
        """Not 0 if the statement is to end."""
        try:
            self._progress(min(self._part.stat().st_size, self._total), self._total)
        except BaseException as error:  # noqa: BLE001 - it is raised again by whom it was meant for
            self._raised.append(error)
        return len(self._raised)


def _opens(path: Path, key_hex: str, resealer: Resealer) -> bool:
    try:
        with closing(open_existing(path, key_hex)) as connection:
            _check_known(connection)
            for each in _sealed_columns(connection):
                for identifier, sealed in _rows(connection, each):
                    each.reseal(resealer, identifier, sealed)
    except (StoreLockedError, SealBrokenError):
        return False
    except DriverError as error:
        raise translated(error) from error
    return True


def _sealed_columns(connection: Connection) -> list[SealedColumn]:
    """Those that this database has: an older schema may lack some."""
    there = _found(connection)
    return [each for each in SEALED if (each.table, each.column) in there]


def _check_known(connection: Connection) -> None:
    if is_newer(connection) or _found(connection) - {(each.table, each.column) for each in SEALED}:
        raise StoreTooNewError("a newer version sealed something in this database that this one doesn't know")


def _found(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(_SEALED_COLUMNS, (len(SEALED_PREFIX), SEALED_PREFIX)).fetchall()
    return {(str(table), str(column)) for table, column in rows}


def _rows(connection: Connection, each: SealedColumn) -> Iterator[tuple[Value, bytes]]:
    # Read as a whole: few are sealed, and a table isn't changed while it is read.
    wanted = f"SELECT {each.identifier}, {each.column} FROM {each.table}"  # noqa: S608 - ours
    for identifier, sealed in connection.execute(wanted).fetchall():
        if not isinstance(sealed, bytes):
            raise SealBrokenError("what should be sealed is no bytes")
        yield identifier, sealed


def _sizes(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    names = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
    counts = (connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone() or (0,) for name in names)  # noqa: S608
    return {name: int(count) for name, (count,) in zip(names, counts, strict=True)}


def _check_room(part: Path, needed: int) -> None:
    """Refuse before the disk is filled to the brim, which would hurt others that write to it."""
    free = os.statvfs(part)
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if free.f_bavail * free.f_frsize < needed or (most != resource.RLIM_INFINITY and most < needed):
        raise DiskFullError("there is no room for the database to be written anew")


def _refusal(error: Exception) -> Exception:
    text = str(error)
    if result_code(error) == _FULL or "disk is full" in text:
        return DiskFullError("the disk filled up while the database was written anew")
    return translated(error)
