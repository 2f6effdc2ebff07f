"""Whether anything was committed: a look at the header that all connections share, without one of their own locks."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from meroid.store.driver import Connection, DriverError, translated
from meroid.store.errors import StoreClosedError

_HEADER: Final = 2 * 48  # it stands there twice (sqlite.org/walformat.html#the_wal_index_header)
_VERSION: Final = 3_007_000  # of its layout, since SQLite 3.7.0
_OWN_DESCRIPTORS: Final = "/proc/self/fd"
_PROT_READ, _MAP_SHARED = 1, 1
_FAILED: Final = ctypes.c_void_p(-1).value


class CommitWatch:
    """Tells whether anybody, in this process or another, has committed since one asked before.

    In WAL mode each commit ends with a new header in the shared memory beside the database (`-shm`): readers compare
    it with the one that they know, and so do we, which costs as much as a comparison of 96 bytes. Where it can't be
    mapped, SQLite is asked to compare (`PRAGMA data_version`, a hundred times as much, with two calls of the system).

    The connection keeps the memory alive. It is used for nothing else, as it doesn't hear of its own commits.
    """

    def __init__(self, path: Path, open_connection: Callable[[], Connection]) -> None:
        self._shared_memory = f"{path.resolve()}-shm"
        self._open = open_connection
        self._connection: Connection | None = None
        self._header: Any = None
        self._lock = threading.Lock()
        self._closed = False

    def version(self) -> bytes:
        """Some bytes that are others after each commit; they mean nothing to another watch.

        Raises:
            StoreClosedError: the store is closed.
            StoreFailedError: the database can't be read.
        """
        header = self._header
        return self._asked() if header is None else header.raw

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._closed = True
            self._header = None  # the page stays mapped: a thread may be looking at it
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _asked(self) -> bytes:
        with self._lock:
            if self._closed:
                raise StoreClosedError("the store is closed")
            if self._connection is None:
                self._connection = self._open()
                self._header = _map(self._shared_memory)
            if self._header is not None:
                return bytes(self._header.raw)
            try:
                row = self._connection.execute("PRAGMA data_version").fetchone()
            except DriverError as error:
                raise translated(error) from error
        return repr(row).encode("ascii")


def _map(path: str) -> Any:  # noqa: ANN401  # an array of ctypes
    """The header, by SQLite's own descriptor; nothing where that can't be done.

    A descriptor of our own would be a trap: when a process closes any descriptor of a file, all its locks on that file
    are gone, and SQLite's with them (sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        own = next(int(each) for each in os.listdir(_OWN_DESCRIPTORS) if _leads_to(each) == path)  # noqa: PTH208 - iterdir stays open
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        address = libc.mmap(None, _HEADER, _PROT_READ, _MAP_SHARED, own, 0)
    except (OSError, StopIteration, AttributeError):
        return None
    if address in {None, _FAILED}:
        return None
    header = (ctypes.c_char * _HEADER).from_address(address)
    return header if int.from_bytes(header.raw[:4], sys.byteorder) == _VERSION else None


def _leads_to(descriptor: str) -> str | None:
    try:
        return str(Path(_OWN_DESCRIPTORS, descriptor).readlink())
    except OSError:  # that of the listing itself, which is closed by now
        return None
