"""Key-value state of the applications."""

from collections.abc import Mapping

from meroid.ids import ContextId
from meroid.store.repository import Repository

_READ = "SELECT value FROM state WHERE context_id = ? AND key = ?"
_SET = """
INSERT INTO state (context_id, key, value) VALUES (?, ?, ?)
ON CONFLICT (context_id, key) DO UPDATE SET value = excluded.value
"""
_UNSET = "DELETE FROM state WHERE context_id = ? AND key = ?"
_CLEAR = "DELETE FROM state WHERE context_id = ?"
_SIZE = "SELECT COALESCE(SUM(LENGTH(key) + LENGTH(value)), 0) FROM state WHERE context_id = ?"


class SqlState(Repository):
    """The port `State` over SQL."""

    __slots__ = ()

    def read(self, context_id: ContextId, key: bytes) -> bytes | None:
        """The value of a key, or nothing."""
        row = self._session.one(_READ, (context_id, key))
        return None if row is None else row[0]

    def write(self, context_id: ContextId, changes: Mapping[bytes, bytes | None]) -> None:
        """Set keys; `None` removes one."""
        kept = [(context_id, key, value) for key, value in changes.items() if value is not None]
        gone = [(context_id, key) for key, value in changes.items() if value is None]
        if kept:
            self._session.run_many(_SET, kept)
        if gone:
            self._session.run_many(_UNSET, gone)

    def clear(self, context_id: ContextId) -> None:
        """Remove all keys of a context."""
        self._session.run(_CLEAR, (context_id,))

    def size(self, context_id: ContextId) -> int:
        """Bytes of all keys and values."""
        row = self._session.one(_SIZE, (context_id,))
        return 0 if row is None else int(row[0])
