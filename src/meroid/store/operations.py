"""The append-only operations of all contexts."""

from collections.abc import Iterable, Iterator
from typing import Any

from meroid.ids import ContextId, OperationId
from meroid.service.ports.content import StoredOperation
from meroid.store.repository import Repository

_PAGE = 64  # operations; with the largest ones a page holds 64 MiB

_APPEND = """
INSERT INTO operations (operation_id, context_id, envelope, applied, received_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (operation_id) DO NOTHING
"""
_GET = """
SELECT position, operation_id, context_id, envelope, applied, received_at FROM operations
WHERE operation_id = ?
"""
_SCAN = """
SELECT position, operation_id, context_id, envelope, applied, received_at FROM operations
WHERE context_id = ? AND position > ? ORDER BY position LIMIT ?
"""
_MARK = "UPDATE operations SET applied = ? WHERE operation_id = ?"


class SqlOperations(Repository):
    """The port `Operations` over SQL."""

    __slots__ = ()

    def append(
        self, context_id: ContextId, operation_id: OperationId, envelope: bytes, *, applied: bool, at: int
    ) -> bool:
        """Store an operation; false if it is here already (then nothing changes).

        Raises:
            StoreConflictError: the context isn't here.
        """
        return self._session.run(_APPEND, (operation_id, context_id, envelope, int(applied), at)) == 1

    def get(self, operation_id: OperationId) -> StoredOperation | None:
        """One operation by its id, whatever its context."""
        row = self._session.one(_GET, (operation_id,))
        return None if row is None else _operation(row)

    def scan(self, context_id: ContextId) -> Iterator[StoredOperation]:
        """All operations of a context in order of position, read in pages."""
        position = -1
        while True:
            page = self._session.all(_SCAN, (context_id, position, _PAGE))
            for row in page:
                yield _operation(row)
            if len(page) < _PAGE:
                return
            position = page[-1][0]

    def mark_applied(self, operation_ids: Iterable[OperationId], *, applied: bool) -> None:
        """Note whether the state holds these operations."""
        self._session.run_many(_MARK, [(int(applied), operation_id) for operation_id in operation_ids])


def _operation(row: tuple[Any, ...]) -> StoredOperation:
    return StoredOperation(
        position=row[0],
        operation_id=OperationId(row[1]),
        context_id=ContextId(row[2]),
        envelope=row[3],
        applied=bool(row[4]),
        received_at=row[5],
    )
