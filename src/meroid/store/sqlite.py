"""The embedded store: one encrypted SQLite file, one writer, readers on snapshots."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from meroid.service.ports.store import Transaction
from meroid.store.driver import Connection, DriverError, check_key, open_reader, open_writer, translated
from meroid.store.errors import StoreFailedError
from meroid.store.lock import FileLock, lock_database
from meroid.store.readers import ReadPool
from meroid.store.schema import bring_up_to_date
from meroid.store.session import Session
from meroid.store.transaction import SqlTransaction
from meroid.store.watch import CommitWatch
from meroid.store.writer import Writer

T = TypeVar("T")


class SqliteStore:
    """A `Store` in one file, for one process or for several that share its lock; files beside it: `-wal`, `-shm`, `.lock`.

    Opening makes the file if it isn't there and migrates an older schema.

    Attributes:
        write_failed: whether the disk refused the last write, and none succeeded since.
    """

    def __init__(self, path: Path, key_hex: str, *, lock: FileLock | None = None) -> None:
        """Open the database at `path` with a key of 32 bytes in lower-case hex.

        `lock` is the lock of this database, if the caller has it already; the store gives it back, also when it
        can't be opened.

        Raises:
            StoreInUseError: another process has it open.
            StoreLockedError: the key doesn't open it.
            StoreTooNewError: a newer version wrote it.
            StoreFailedError: it can't be opened, made or migrated.
            ValueError: the key has another form.
        """
        check_key(key_hex)
        self._lock = lock or lock_database(path)
        try:
            bring_up_to_date(path, key_hex)
            self._connection = open_writer(path, key_hex)
            self._connection.execute("PRAGMA busy_timeout = 0")  # the writer waits for others in its own way
        except BaseException:
            self._lock.release()
            raise
        self._writer = Writer(self._connection)
        self._readers = ReadPool(lambda: open_reader(path, key_hex))
        self._watch = CommitWatch(path, lambda: open_reader(path, key_hex))
        self._closing = threading.Lock()
        self.write_failed = False
        self._closed = False

    @property
    def commits(self) -> int:
        """How many transactions were committed since the store was opened."""
        return self._writer.commits

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run a work in the one writer; return when the commit is on disk.

        Raises:
            StoreClosedError: the store is closed.
            StoreFailedError: it couldn't be committed; nothing of it is kept.
            Exception: whatever the work raises; then nothing of it is kept.
        """
        try:
            result = self._writer.submit(work)
        except StoreFailedError:
            self.write_failed = True
            raise
        self.write_failed = False
        return result

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work in this thread, on a snapshot of what is committed.

        Raises:
            StoreClosedError: the store is closed.
            StoreFailedError: the database can't be read, or the work writes.
            Exception: whatever the work raises.
        """
        connection = self._readers.take()
        session = Session(connection)
        try:
            connection.execute("BEGIN")
            return work(SqlTransaction(session))
        except DriverError as error:
            raise translated(error) from error
        finally:
            session.end()
            self._give_back(connection)

    def version(self) -> bytes:
        """Some bytes that are others after each commit of any process. See `CommitWatch.version`."""
        return self._watch.version()

    def close(self) -> None:
        """Finish what was accepted, empty the log into the database, and give the lock back."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._writer.close()
            self._readers.close()
            self._watch.close()
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except DriverError:
                pass  # a reader is still at work, or the disk is full: the log keeps all that was committed
            finally:
                self._connection.close()
                self._lock.release()

    def _give_back(self, connection: Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except DriverError:
            connection.close()
        else:
            self._readers.give(connection)
