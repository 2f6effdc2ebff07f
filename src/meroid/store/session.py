"""One transaction's way to the database, and the end of it."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from meroid.store.driver import Connection, DriverError, Value, translated


class Session:
    """Runs hand-written SQL on one connection until its transaction ends.

    SQL goes straight to the driver: through SQLAlchemy's connection a point read cost 16 us
    instead of 6. The text keeps to what SQLite and PostgreSQL share, apart from the placeholder.

    All methods raise:
        StoreConflictError: a unique or foreign key refuses the change.
        StoreFailedError: the database can't do its work.
        RuntimeError: the transaction has ended; an iterator was kept longer than its work.
    """

    __slots__ = ("_connection", "_execute", "_executemany")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._executemany = connection.executemany

    def one(self, sql: str, parameters: Sequence[Value] = ()) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        try:
            return self._execute(sql, parameters).fetchone()
        except DriverError as error:
            raise self._refused(error) from error

    def all(self, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Every row; the caller bounds their number."""
        try:
            return self._execute(sql, parameters).fetchall()
        except DriverError as error:
            raise self._refused(error) from error

    def run(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Change rows; how many."""
        try:
            return self._execute(sql, parameters).rowcount
        except DriverError as error:
            raise self._refused(error) from error

    def run_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each of many rows."""
        try:
            self._executemany(sql, rows)
        except DriverError as error:
            raise self._refused(error) from error

    def end(self) -> None:
        """Cut the way to the database: the connection serves another transaction next."""
        self._execute = _ended
        self._executemany = _ended

    def _refused(self, error: Exception) -> Exception:
        if not self._connection.in_transaction:
            # SQLite gave the transaction up (a full disk, for one): what followed would commit by itself.
            self.end()
        return translated(error)


def _ended(_sql: str, _parameters: Iterable[object] = (), /) -> NoReturn:
    raise RuntimeError("the transaction has ended: use what it gives inside the work, or copy it out")
