"""Whether anything was committed: one connection that never reads a row."""

import threading
from collections.abc import Callable

from meroid.store.driver import Connection, DriverError, translated
from meroid.store.errors import StoreClosedError


class CommitWatch:
    """Tells whether anybody, in this process or another, has committed since one asked before.

    `PRAGMA data_version` compares the header of the log with the one that this connection saw last
    (sqlite.org/pragma.html#pragma_data_version): some 3 us, and no page is read or decrypted. It doesn't move for
    commits of its own connection, so the connection is used for nothing else.
    """

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def version(self) -> int:
        """A number that is another one after each commit; it means nothing to another watch.

        Raises:
            StoreClosedError: the store is closed.
            StoreFailedError: the database can't be read.
        """
        with self._lock:
            connection = self._connection or self._connect()
            try:
                row = connection.execute("PRAGMA data_version").fetchone()
            except DriverError as error:
                raise translated(error) from error
        if row is None:
            raise RuntimeError("the database has no version")
        return int(row[0])

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect(self) -> Connection:
        if self._closed:
            raise StoreClosedError("the store is closed")
        self._connection = self._open()
        return self._connection
