"""Names for ids."""

from collections.abc import Mapping

from meroid.ids import ContextId, Id32
from meroid.service.ports.content import AliasScope
from meroid.store.repository import Repository

_NODE = b""  # stands for "no context": a missing value would escape the primary key

_ADD = """
INSERT INTO aliases (scope, context_id, name, target) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, context_id, name) DO NOTHING
"""
_GET = "SELECT target FROM aliases WHERE scope = ? AND context_id = ? AND name = ?"
_LIST = "SELECT name, target FROM aliases WHERE scope = ? AND context_id = ? ORDER BY name"
_REMOVE = "DELETE FROM aliases WHERE scope = ? AND context_id = ? AND name = ?"


class SqlAliases(Repository):
    """The port `Aliases` over SQL."""

    __slots__ = ()

    def add(self, scope: AliasScope, context_id: ContextId | None, name: str, target: Id32 | bytes) -> bool:
        """Store a name; false if it is taken (then nothing changes)."""
        return self._session.run(_ADD, (scope.value, context_id or _NODE, name, target)) == 1

    def get(self, scope: AliasScope, context_id: ContextId | None, name: str) -> bytes | None:
        """What a name stands for, or nothing."""
        row = self._session.one(_GET, (scope.value, context_id or _NODE, name))
        return None if row is None else row[0]

    def list(self, scope: AliasScope, context_id: ContextId | None) -> Mapping[str, bytes]:
        """All names of a scope, in order."""
        return {row[0]: row[1] for row in self._session.all(_LIST, (scope.value, context_id or _NODE))}

    def remove(self, scope: AliasScope, context_id: ContextId | None, name: str) -> bool:
        """Forget a name; true if it was there."""
        return self._session.run(_REMOVE, (scope.value, context_id or _NODE, name)) == 1
