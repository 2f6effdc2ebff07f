"""The contexts of this node."""

from collections.abc import Iterable, Sequence
from typing import Any

from meroid import limits
from meroid.ids import ApplicationId, ContextId
from meroid.service.ports.content import ContextRecord
from meroid.store.errors import StoreConflictError
from meroid.store.repository import Repository

_ADD = """
INSERT INTO contexts (context_id, application_id, protocol, root_hash, created_at) VALUES (?, ?, ?, ?, ?)
"""
_GET = "SELECT context_id, application_id, protocol, root_hash, created_at FROM contexts WHERE context_id = ?"
_LIST = """
SELECT context_id, application_id, protocol, root_hash, created_at FROM contexts ORDER BY created_at, context_id
"""
_SET_ROOT = "UPDATE contexts SET root_hash = ? WHERE context_id = ?"
_SET_APPLICATION = "UPDATE contexts SET application_id = ? WHERE context_id = ?"
_KEEP_ENDPOINT = """
INSERT INTO context_endpoints (context_id, endpoint)
SELECT ?, ? WHERE (SELECT COUNT(*) FROM context_endpoints WHERE context_id = ?) < ? ON CONFLICT DO NOTHING
"""
_ENDPOINTS_OF = "SELECT endpoint FROM context_endpoints WHERE context_id = ? ORDER BY endpoint"
_ENDPOINTS = "SELECT DISTINCT endpoint FROM context_endpoints ORDER BY endpoint"
# Client keys stay: they can't be made again without their place in the derivation tree.
_REMOVE_PARTS = (
    "DELETE FROM context_endpoints WHERE context_id = ?",
    "DELETE FROM operations WHERE context_id = ?",
    "DELETE FROM state WHERE context_id = ?",
    "DELETE FROM epochs WHERE context_id = ?",
    "DELETE FROM aliases WHERE scope = 'identity' AND context_id = ?",
)
_REMOVE = "DELETE FROM contexts WHERE context_id = ?"


class SqlContexts(Repository):
    """The port `Contexts` over SQL."""

    __slots__ = ()

    def add(self, record: ContextRecord) -> None:
        """Store a new context.

        Raises:
            StoreConflictError: it is here already.
        """
        self._session.run(
            _ADD,
            (record.context_id, record.application_id, record.protocol, record.root_hash, record.created_at),
        )

    def get(self, context_id: ContextId) -> ContextRecord | None:
        """One context by its id."""
        row = self._session.one(_GET, (context_id,))
        return None if row is None else _context(row)

    def list(self) -> Sequence[ContextRecord]:
        """All contexts, oldest first."""
        return tuple(map(_context, self._session.all(_LIST)))

    def set_root(self, context_id: ContextId, root_hash: bytes) -> None:
        """Note the hash of the state (32 bytes).

        Raises:
            StoreConflictError: the context isn't here.
        """
        self._change(_SET_ROOT, root_hash, context_id)

    def set_application(self, context_id: ContextId, application_id: ApplicationId) -> None:
        """Note another application.

        Raises:
            StoreConflictError: the context isn't here.
        """
        self._change(_SET_APPLICATION, application_id, context_id)

    def keep_endpoints(self, context_id: ContextId, endpoints: Iterable[str]) -> None:
        """Keep addresses of other nodes of a context, beside those that are kept, up to a limit.

        Raises:
            StoreConflictError: the context isn't here.
        """
        for endpoint in endpoints:
            self._session.run(_KEEP_ENDPOINT, (context_id, endpoint, context_id, limits.CONTEXT_ENDPOINTS.value))

    def endpoints(self, context_id: ContextId | None = None) -> Sequence[str]:
        """The kept addresses, of one context or of all, each once."""
        if context_id is not None:
            return tuple(row[0] for row in self._session.all(_ENDPOINTS_OF, (context_id,)))
        return tuple(row[0] for row in self._session.all(_ENDPOINTS))

    def remove(self, context_id: ContextId) -> bool:
        """Forget context, operations, state, epochs and names of its identities; true if it was there."""
        for sql in _REMOVE_PARTS:
            self._session.run(sql, (context_id,))
        return self._session.run(_REMOVE, (context_id,)) == 1

    def _change(self, sql: str, value: bytes, context_id: ContextId) -> None:
        if self._session.run(sql, (value, context_id)) == 0:
            raise StoreConflictError("the context isn't here any more")


def _context(row: tuple[Any, ...]) -> ContextRecord:
    return ContextRecord(
        context_id=ContextId(row[0]),
        application_id=ApplicationId(row[1]),
        protocol=row[2],
        root_hash=row[3],
        created_at=row[4],
    )
