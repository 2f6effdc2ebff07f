"""Names for contexts, applications and identities on this node."""

from collections.abc import Mapping
from typing import TypeVar

from meroid import limits
from meroid.errors import ConflictError, InvalidInputError
from meroid.ids import BadIdError, ContextId, Id32
from meroid.service.ports.content import AliasScope
from meroid.service.ports.store import Store

IdT = TypeVar("IdT", bound=Id32)


class AliasTakenError(ConflictError):
    """The name is taken in this scope."""

    code = "alias_exists"
    next_step = "delete the alias first, or choose another name"


class BadAliasError(InvalidInputError):
    """The name is empty, too long, not printable, or could be taken for an id."""

    code = "bad_alias"
    next_step = f"choose a name of at most {limits.ALIAS_BYTES.value} bytes, without control characters, that is no id"


class AliasService:
    """Makes, finds and forgets aliases; whether the target exists is not asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, scope: AliasScope, context_id: ContextId | None, name: str, target: Id32) -> None:
        """Name an id.

        Raises:
            BadAliasError: empty, too long, not printable, or an id.
            AliasTakenError: the name is taken.
        """
        _check(name)
        if not self._store.write(lambda tx: tx.aliases.add(scope, context_id, name, target)):
            raise AliasTakenError("alias already exists")

    def find(self, scope: AliasScope, context_id: ContextId | None, name: str, kind: type[IdT]) -> IdT | None:
        """The id that a name stands for, or nothing."""
        found = self._store.read(lambda tx: tx.aliases.get(scope, context_id, name))
        return None if found is None else kind(found)

    def list(self, scope: AliasScope, context_id: ContextId | None) -> Mapping[str, Id32]:
        """All names of a scope."""
        found = self._store.read(lambda tx: tx.aliases.list(scope, context_id))
        return {name: Id32(target) for name, target in found.items()}

    def delete(self, scope: AliasScope, context_id: ContextId | None, name: str) -> None:
        """Forget a name; one that isn't there is no error."""
        self._store.write(lambda tx: tx.aliases.remove(scope, context_id, name))


def _check(name: str) -> None:
    if not name or len(name.encode()) > limits.ALIAS_BYTES.value:
        raise BadAliasError(f"an alias has 1 to {limits.ALIAS_BYTES.value} bytes")
    if not name.isprintable():
        raise BadAliasError("an alias has no control or invisible characters")
    try:
        Id32.parse(name)
    except BadIdError:
        return
    raise BadAliasError("an alias that is an id itself would hide whom it names")
