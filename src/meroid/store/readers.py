"""Connections for reading: one for each reader at the same time, kept for the next."""

import threading
from collections.abc import Callable

from meroid.store.driver import Connection
from meroid.store.errors import StoreClosedError

_IDLE = 16  # connections kept open, each with its own page cache


class ReadPool:
    """Hands out connections, the one used last first: its cache is the warmest."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self) -> Connection:
        """An idle connection, or a new one.

        Raises:
            StoreClosedError: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise StoreClosedError("the store is closed")
            if self._idle:
                return self._idle.pop()
        return self._open()

    def give(self, connection: Connection) -> None:
        """Take a connection back after its transaction ended."""
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections now, and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
