"""One context as this node has it in memory, and the registry of all that are open."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from meroid.errors import NotFoundError
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import VerifiedOperation
from meroid.ledger.state import MembershipState
from meroid.ledger.verify import reread_operation
from meroid.service.ports.store import Store, Transaction


class ContextNotFoundError(NotFoundError):
    """This node doesn't take part in that context."""

    code = "context_not_found"
    next_step = "list the contexts of this node, or join with an invitation"


@dataclass(slots=True, eq=False)
class Replica:
    """A context's ledger, epoch keys and what was applied; everything under `lock`.

    `waiting` holds valid deltas that aren't applied yet (their epoch key is missing); `pending`
    holds operations whose ancestors are missing, each in `wanted` under one of those. `dropped` says
    that memory was ahead of the disk, and that the context has to be opened anew. `notices` holds
    removals of this node's identities that others showed, and whose ancestors aren't here.
    """

    context_id: ContextId
    ledger: Ledger
    root_hash: bytes
    epoch_keys: dict[EpochId, bytes] = field(default_factory=dict)
    applied: set[OperationId] = field(default_factory=set)
    waiting: dict[OperationId, None] = field(default_factory=dict)
    pending: dict[OperationId, VerifiedOperation] = field(default_factory=dict)
    wanted: dict[OperationId, list[OperationId]] = field(default_factory=dict)
    pending_bytes: int = 0
    notices: dict[PublicKey, OperationId] = field(default_factory=dict)
    dropped: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    _members: tuple[MembershipState, tuple[PublicKey, ...]] | None = None

    def noticed(self, key: PublicKey) -> OperationId | None:
        """A removal of this key that others showed; once it is in the ledger, its verdict decides instead."""
        removal = self.notices.get(key)
        return None if removal is None or removal in self.ledger else removal

    def members(self) -> tuple[PublicKey, ...]:
        """Client keys of the current members, ascending; put in order once for each state."""
        state = self.ledger.state
        if self._members is None or self._members[0] is not state:
            self._members = state, tuple(sorted(state.members))
        return self._members[1]

    def usable_epoch(self) -> tuple[EpochId, bytes] | None:
        """The latest epoch that may encrypt new writes and whose key is here."""
        for epoch in self.ledger.state.usable_epochs():
            key = self.epoch_keys.get(epoch.epoch_id)
            if key is not None:
                return epoch.epoch_id, key
        return None

    def known_epochs(self) -> tuple[tuple[EpochId, bytes], ...]:
        """Epochs whose key is here, the latest known first."""
        epochs = sorted(self.ledger.state.epochs.values(), key=lambda epoch: -epoch.rekey.index)
        return tuple(
            (epoch.epoch_id, self.epoch_keys[epoch.epoch_id]) for epoch in epochs if epoch.epoch_id in self.epoch_keys
        )

    def wait(self, operation: VerifiedOperation, missing: frozenset[OperationId]) -> None:
        """Keep an operation until its ancestors are here."""
        self.pending[operation.operation_id] = operation
        self.pending_bytes += len(operation.envelope)
        self.wanted.setdefault(min(missing), []).append(operation.operation_id)

    def release(self, ancestor: OperationId) -> list[VerifiedOperation]:
        """Operations that waited for this one; they may have to wait for another."""
        released = [self.pending.pop(operation_id) for operation_id in self.wanted.pop(ancestor, ())]
        self.pending_bytes -= sum(len(operation.envelope) for operation in released)
        return released

    def missing(self) -> frozenset[OperationId]:
        """Ancestors of pending operations that didn't come yet."""
        return frozenset(self.wanted.keys() - self.pending.keys())


class Replicas:
    """Opens contexts from the store when they are asked for, and keeps them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[ContextId, Replica] = {}
        self._lock = threading.Lock()

    def get(self, context_id: ContextId) -> Replica:
        """The replica of a context.

        Raises:
            ContextNotFoundError: this node doesn't take part in it.
        """
        known = self._open.get(context_id)
        if known is not None:
            return known
        with self._lock:
            if context_id not in self._open:
                self._open[context_id] = self._store.read(lambda tx: _load(tx, context_id))
            return self._open[context_id]

    def find(self, context_id: ContextId) -> Replica | None:
        """The replica of a context, or nothing."""
        try:
            return self.get(context_id)
        except ContextNotFoundError:
            return None

    def put(self, replica: Replica) -> None:
        """Keep a replica that was just made and stored."""
        with self._lock:
            self._open[replica.context_id] = replica

    def forget(self, context_id: ContextId) -> None:
        """Drop a replica from memory; what is stored is opened anew when it is asked for."""
        with self._lock:
            replica = self._open.pop(context_id, None)
        if replica is not None:
            replica.dropped = True

    def stored(self) -> tuple[ContextId, ...]:
        """The ids of all contexts of this node."""
        return tuple(record.context_id for record in self._store.read(lambda tx: tx.contexts.list()))


def _load(tx: Transaction, context_id: ContextId) -> Replica:
    record = tx.contexts.get(context_id)
    if record is None:
        raise ContextNotFoundError(f"this node has no context {context_id}")
    operations = tx.operations.scan(context_id)
    first = next(operations)
    ledger = Ledger(reread_operation(first.envelope))
    replica = Replica(context_id=context_id, ledger=ledger, root_hash=record.root_hash)
    for stored in operations:
        ledger.add(reread_operation(stored.envelope))
        if stored.applied:
            replica.applied.add(stored.operation_id)
    replica.epoch_keys.update(tx.epochs.keys(context_id))
    replica.waiting.update(
        (node.operation_id, None) for node in ledger.valid_deltas() if node.operation_id not in replica.applied
    )
    return replica


Announce = Callable[[Replica, tuple[VerifiedOperation, ...]], None]
"""Tells the other members of new operations; called after they were committed."""
