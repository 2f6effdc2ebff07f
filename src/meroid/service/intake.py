"""Taking operations into a context: judged, stored and applied in one commit.

Own and received operations come the same way. What was judged is in memory before it is on disk;
so when the commit fails the replica is dropped, and opened anew from what is stored.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from meroid.account.client_keys import ClientKeys
from meroid.errors import ThrottledError
from meroid.ids import EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.epoch import is_key_of, open_previous, open_wrap
from meroid.ledger.graph import MissingAncestorsError, Node
from meroid.ledger.operation import Kind, Rekey, VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.service.feed import EventFeed, MembershipEnded, StateMutation
from meroid.service.keyring import KeyRing
from meroid.service.ports.runtime import GuestEvent, Outcome
from meroid.service.ports.store import Store, Transaction
from meroid.service.projection import Projection, Projector
from meroid.service.replica import Replica, Replicas

PENDING_MOST: Final = 4096
CORRECTED: Final = "StateCorrected"


class TooManyPendingError(ThrottledError):
    """Too many operations wait for ancestors that don't come."""

    code = "too_many_pending"
    next_step = "sync the context with a member who has its history"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: verdicts of the operations that are new here, and ancestors still missing."""

    new: Mapping[OperationId, Verdict]
    missing: frozenset[OperationId] = frozenset()


@dataclass(slots=True)
class _Batch:
    """Operations of one commit."""

    operations: list[VerifiedOperation]
    verdicts: dict[OperationId, Verdict]
    membership: bool = False
    rebuild: bool = False


class Intake:
    """The one way by which operations enter a context on this node."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        projector: Projector,
        feed: EventFeed,
        on_ended: Callable[[PublicKey, int], object],
        alarm: Callable[[Replica, OperationId], None],
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._projector = projector
        self._feed = feed
        self._on_ended = on_ended
        self._alarm = alarm

    def take(
        self, replica: Replica, operations: Iterable[VerifiedOperation], at: int, *, outcome: Outcome | None = None
    ) -> Taken:
        """Take operations; with an `outcome` the one delta among them was run here already.

        Raises:
            TooManyPendingError: no room for operations that wait for their ancestors.
            UnavailableError: the store failed; nothing was taken.
        """
        with replica.lock:
            before = set(replica.ledger.state.members)
            try:
                batch, missing = self._judge(replica, operations)
                if batch.operations:
                    self._commit(replica, batch, at, outcome)
            except Exception:
                self._replicas.forget(replica.context_id)
                raise
            if batch.membership:
                self._tell_ended(replica, before, at)
        return Taken(batch.verdicts, missing)

    def take_keys(self, replica: Replica, keys: Mapping[EpochId, bytes], at: int) -> None:
        """Keep epoch keys that a member handed out, if they are the right ones; apply what waited for them."""
        with replica.lock:
            fitting = {
                epoch: key
                for epoch, key in keys.items()
                if epoch not in replica.epoch_keys and is_key_of(replica.context_id, epoch, key)
            }
            if not fitting:
                return
            replica.epoch_keys.update(self._with_previous(replica, fitting))
            self._commit(replica, _Batch([], {}), at, None)

    def _judge(
        self, replica: Replica, operations: Iterable[VerifiedOperation]
    ) -> tuple[_Batch, frozenset[OperationId]]:
        """Add to the ledger what can be judged, and what waited for it."""
        for operation in operations:
            if operation.operation_id in replica.ledger:
                continue
            if len(replica.pending) >= PENDING_MOST and operation.operation_id not in replica.pending:
                raise TooManyPendingError("too many operations wait for their ancestors", retry_after_s=5)
            replica.pending[operation.operation_id] = operation
        batch = _Batch([], {})
        missing: set[OperationId] = set()
        progress = True
        while progress:
            progress, missing = False, set()
            for operation in list(replica.pending.values()):
                try:
                    self._add(replica, batch, operation)
                except MissingAncestorsError as waits:
                    missing |= waits.missing - replica.pending.keys()
                    continue
                del replica.pending[operation.operation_id]
                progress = True
        return batch, frozenset(missing)

    @staticmethod
    def _add(replica: Replica, batch: _Batch, operation: VerifiedOperation) -> None:
        added = replica.ledger.add(operation)
        if not added.new:
            return
        batch.operations.append(operation)
        batch.verdicts[operation.operation_id] = added.verdict
        is_delta = operation.operation.kind is Kind.DELTA
        batch.membership |= not is_delta
        if is_delta and added.verdict.valid:
            replica.waiting[operation.operation_id] = None
        for changed in added.changed:
            if replica.ledger.verdict(changed).valid:
                replica.waiting[changed] = None
            else:
                replica.waiting.pop(changed, None)
                batch.rebuild |= changed in replica.applied

    def _commit(self, replica: Replica, batch: _Batch, at: int, outcome: Outcome | None) -> None:
        """Open what can be opened, work out the new state, and store everything at once."""
        if batch.membership:
            replica.epoch_keys.update(self._opened_epochs(replica, batch))
        held = dict(replica.epoch_keys)
        void_now = (
            {each for each in replica.applied if not replica.ledger.verdict(each).valid} if batch.rebuild else set()
        )
        if outcome is not None:
            projection = _as_projection(replica, batch, outcome)
        else:
            projection = self._store.read(lambda tx: self._project(tx, replica, at, fresh=batch.rebuild))

        def work(tx: Transaction) -> None:
            applied = set(projection.applied)
            for operation in batch.operations:
                tx.operations.append(
                    replica.context_id,
                    operation.operation_id,
                    operation.envelope,
                    applied=operation.operation_id in applied,
                    at=at,
                )
            if outcome is None and applied:
                tx.operations.mark_applied(applied, applied=True)
            if batch.rebuild:
                tx.operations.mark_applied(void_now, applied=False)
                tx.state.clear(replica.context_id)
            if projection.writes:
                tx.state.write(replica.context_id, projection.writes)
            if projection.root_hash != replica.root_hash:
                tx.contexts.set_root(replica.context_id, projection.root_hash)
            for epoch, key in held.items():
                tx.epochs.put(replica.context_id, epoch, key)

        self._store.write(work)
        self._settle(replica, projection, batch, void_now)

    def _settle(self, replica: Replica, projection: Projection, batch: _Batch, void_now: set[OperationId]) -> None:
        """After the commit: memory follows the disk, and listeners hear of it."""
        if batch.rebuild:
            replica.applied.clear()
        replica.applied.update(projection.applied)
        for operation_id in projection.applied:
            replica.waiting.pop(operation_id, None)
        changed_root = projection.root_hash != replica.root_hash
        replica.root_hash = projection.root_hash
        for operation_id in projection.alarms:
            self._alarm(replica, operation_id)
        if batch.rebuild:
            note = GuestEvent(CORRECTED, "\n".join(sorted(str(each) for each in void_now)).encode())
            self._mutated(replica, projection.root_hash, (note,))
            return
        for root_hash, events in projection.events:
            self._mutated(replica, root_hash, events)
        if changed_root and not projection.events:
            self._mutated(replica, projection.root_hash, ())

    def _mutated(self, replica: Replica, root_hash: bytes, events: tuple[GuestEvent, ...]) -> None:
        self._feed.tell(StateMutation(context_id=replica.context_id, new_root=root_hash, events=events))

    def _project(self, tx: Transaction, replica: Replica, at: int, *, fresh: bool) -> Projection:
        ledger = replica.ledger
        if fresh:
            deltas: list[Node] = list(ledger.valid_deltas())
        else:
            deltas = sorted((ledger.graph[each] for each in replica.waiting), key=lambda node: node.index)
        if not deltas:
            return Projection(root_hash=replica.root_hash)
        own = self._keys.of_context(replica.context_id)
        executor = own[0].public_key if own else deltas[0].author
        return self._projector.project(tx, replica, deltas, executor=executor, at=at, fresh=fresh)

    def _opened_epochs(self, replica: Replica, batch: _Batch) -> dict[EpochId, bytes]:
        """Keys of new epochs that were sealed for identities of this node, and of the epochs before them."""
        own = self._keys.of_context(replica.context_id)
        opened: dict[EpochId, bytes] = {}
        for operation in batch.operations:
            body = operation.operation.body
            if isinstance(body, Rekey) and batch.verdicts[operation.operation_id].valid:
                key = _open_for(replica, operation, body, own)
                if key is not None:
                    opened[body.epoch] = key
        return self._with_previous(replica, opened)

    @staticmethod
    def _with_previous(replica: Replica, opened: Mapping[EpochId, bytes]) -> dict[EpochId, bytes]:
        """Follow each epoch to the one before, as far as keys are carried and not here already."""
        found = dict(opened)
        chain = list(opened)
        while chain:
            epoch = replica.ledger.state.epochs.get(chain.pop())
            if epoch is None or not isinstance(epoch.rekey.operation.body, Rekey):
                continue
            before = open_previous(replica.context_id, found[epoch.epoch_id], epoch.rekey.operation.body)
            if before is not None and before[0] not in found and before[0] not in replica.epoch_keys:
                found[before[0]] = before[1]
                chain.append(before[0])
        return found

    def _tell_ended(self, replica: Replica, before: set[PublicKey], at: int) -> None:
        ended = before - replica.ledger.state.members.keys()
        own = [key for key in ended if self._keys.owner_of(key) is not None]
        for key in own:
            self._on_ended(key, at)
        if own:
            self._feed.tell(MembershipEnded(context_id=replica.context_id))


def _open_for(replica: Replica, operation: VerifiedOperation, rekey: Rekey, own: Iterable[ClientKeys]) -> bytes | None:
    for keys in own:
        key = open_wrap(
            context=replica.context_id,
            rekey=rekey,
            author=operation.operation.author,
            seq=operation.operation.seq,
            recipient=keys.public_key,
            sealing=keys.sealing,
        )
        if key is not None:
            return key
    return None


def _as_projection(replica: Replica, batch: _Batch, outcome: Outcome) -> Projection:
    """What a local call did to the state is what its delta does."""
    root_hash = replica.root_hash if outcome.root_hash is None else outcome.root_hash
    return Projection(
        root_hash=root_hash,
        writes=dict(outcome.writes),
        applied=[operation.operation_id for operation in batch.operations if operation.operation.kind is Kind.DELTA],
        events=[(root_hash, outcome.events)] if outcome.events else [],
    )
