"""Bringing a database to the schema of this code.

1. Read the stored revision; equal to ours: done, without loading Alembic.
2. A revision newer than ours is opened only if it says that our code may.
3. An older database is first copied beside itself, consistently and under the same key.
4. The steps and the record of them are committed together.
"""

import os
from pathlib import Path

from meroid.store.driver import Connection, DriverError, open_writer, translated
from meroid.store.errors import StoreFailedError, StoreTooNewError

SCHEMA_REVISION = "0005_audit_trail"  # a test holds that it is Alembic's head
BEFORE = ".before-"  # in the name of a copy; what follows is the revision that it was made for
PART = ".part"  # at the end of the name of one that isn't complete

_HAS_REVISION = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
_REVISION = "SELECT version_num FROM alembic_version"
_OLDEST_CODE = "SELECT oldest_code_schema FROM schema_meta WHERE id = 1"


def bring_up_to_date(path: Path, key_hex: str) -> None:
    """Make or migrate the schema of the database at `path`, if it isn't the one of this code.

    Raises:
        StoreTooNewError: a newer version wrote it and our code may not open it.
        StoreLockedError: the key doesn't open it.
        StoreFailedError: it can't be read, copied or migrated; then it is as it was before.
    """
    connection = open_writer(path, key_hex)
    try:
        stored = _stored_revision(connection)
        if stored == SCHEMA_REVISION:
            return
        if is_newer(connection):
            _check_oldest_code(connection)
            return
        if stored is not None:
            _copy(connection, path.with_name(f"{path.name}{BEFORE}{SCHEMA_REVISION}"), key_hex)
        migrate(connection)
    except DriverError as error:
        raise translated(error) from error
    except OSError as error:
        raise StoreFailedError(f"the copy before the migration can't be made: {error.strerror}") from error
    finally:
        connection.close()


def migrate(connection: Connection) -> None:
    """Run the missing steps in one transaction.

    Raises:
        sqlcipher3.dbapi2.Error: the database refused a step; nothing of any step is kept.
    """
    # Loading these takes longer than a start without a migration.
    from meroid.store.migrations.run import upgrade  # noqa: PLC0415

    upgrade(connection)


def is_newer(connection: Connection) -> bool:
    """Whether a newer version than this one wrote the database."""
    stored = _stored_revision(connection)
    return stored is not None and _number(stored) > _number(SCHEMA_REVISION)


def copies_of(path: Path) -> list[Path]:
    """The copies of the database at `path` that migrations left beside it, by name."""
    found = path.parent.glob(f"{path.name}{BEFORE}*")
    return sorted(each for each in found if _is_copy(each.name))


def forget_unfinished_copies(path: Path) -> None:
    """Remove what a migration left that was interrupted while it made a copy; the caller has the lock.

    Raises:
        OSError: one can't be removed.
    """
    for each in path.parent.glob(f"{path.name}{BEFORE}*{PART}*"):
        each.unlink(missing_ok=True)


def _is_copy(name: str) -> bool:
    return PART not in name and not name.endswith(("-wal", "-shm", "-journal", ".resealed"))


def _stored_revision(connection: Connection) -> str | None:
    if connection.execute(_HAS_REVISION).fetchone() is None:
        return None
    row = connection.execute(_REVISION).fetchone()
    return None if row is None else str(row[0])


def _number(revision: str) -> int:
    """The number that a revision's name begins with; a name without one is newer than all we know."""
    digits = revision.partition("_")[0]
    return int(digits) if digits.isdecimal() else 1 << 31


def _check_oldest_code(connection: Connection) -> None:
    row = connection.execute(_OLDEST_CODE).fetchone()
    if row is None or not isinstance(row[0], int) or row[0] > _number(SCHEMA_REVISION):
        raise StoreTooNewError("a newer version wrote this database")


def _copy(connection: Connection, target: Path, key_hex: str) -> None:
    part = target.with_name(f"{target.name}{PART}")
    for leftover in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
        leftover.unlink(missing_ok=True)
    copy = open_writer(part, key_hex)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)
