"""Taking operations into a context: judged, stored and applied in one commit.

Own and received operations come the same way. What was judged is in memory before it is on disk;
so when the commit fails the replica is dropped, and opened anew from what is stored.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from meroid.account.audit import Action, AuditEvent
from meroid.account.client_keys import ClientKeys
from meroid.errors import MeroidError, ThrottledError, UnavailableError
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.epoch import is_key_of, open_previous, open_wrap
from meroid.ledger.graph import BrokenChainError, MissingAncestorsError, Node
from meroid.ledger.operation import Kind, Rekey, VerifiedOperation
from meroid.ledger.state import MembershipState
from meroid.ledger.verdict import Standing, Verdict
from meroid.service.feed import EventFeed, MembershipEnded, StateMutation
from meroid.service.keyring import KeyRing
from meroid.service.ports.runtime import GuestEvent, Outcome
from meroid.service.ports.store import Store, Transaction
from meroid.service.projection import Projection, Projector
from meroid.service.replica import Replica, Replicas
from meroid.service.seldom import Seldom

PENDING_MOST: Final = 4096
PENDING_BYTES: Final = 64 * 1024 * 1024
CORRECTED: Final = "StateCorrected"


class TooManyPendingError(ThrottledError):
    """Too many operations wait for ancestors that don't come."""

    code = "too_many_pending"
    next_step = "sync the context with a member who has its history"


class ReplicaDroppedError(UnavailableError):
    """The context is opened anew, because the store failed while something was taken into it."""

    code = "context_reopened"
    next_step = "send the request again"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: verdicts of the operations that are new here, and ancestors still missing."""

    new: Mapping[OperationId, Verdict]
    missing: frozenset[OperationId] = frozenset()


@dataclass(slots=True)
class _Batch:
    """What is new in one commit: operations with their verdicts, and epoch keys."""

    operations: list[VerifiedOperation] = field(default_factory=list)
    verdicts: dict[OperationId, Verdict] = field(default_factory=dict)
    keys: dict[EpochId, bytes] = field(default_factory=dict)
    membership: bool = False
    rebuild: bool = False
    ended: tuple[PublicKey, ...] = ()
    elsewhere: frozenset[PublicKey] = frozenset()
    problem: MeroidError | None = None


class Intake:
    """The one way by which operations enter a context on this node."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        projector: Projector,
        feed: EventFeed,
        alarm: Callable[[Replica, OperationId], None],
        void: Callable[[Replica, OperationId, Verdict], None],
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._projector = projector
        self._feed = feed
        self._alarm = alarm
        self._void = void
        self._void_told: dict[ContextId, Seldom] = {}

    def take(
        self,
        replica: Replica,
        operations: Iterable[VerifiedOperation],
        at: int,
        *,
        issued: bool = False,
        outcome: Outcome | None = None,
    ) -> Taken:
        """Take operations; `issued` says that this node signed them just now, an `outcome` also that it ran the delta.

        An operation that comes from elsewhere and is signed by a key of this node means that somebody else has
        that key, another copy of this home or a thief: it counts as restored from then on, and rotates before it
        signs again.

        Raises:
            TooManyPendingError: no room for one that waits for its ancestors; the others were taken.
            BrokenChainError: one doesn't continue its author's chain; the others were taken.
            ReplicaDroppedError, UnavailableError: the store failed; nothing was taken.
        """
        with replica.lock:
            before = replica.ledger.state
            with self._as_on_disk(replica):
                batch = self._judge(replica, operations)
                if batch.membership:
                    batch.ended = self._ended(replica, before)
                if batch.operations:
                    batch.elsewhere = frozenset() if issued else self._signed_elsewhere(replica, batch)
                    self._commit(replica, batch, at, outcome)
                    if batch.elsewhere:
                        self._keys.seen_elsewhere(batch.elsewhere)
            self._tell_void(replica, batch, at)
            if batch.problem is not None:
                raise batch.problem
            return Taken(batch.verdicts, replica.missing())

    def _signed_elsewhere(self, replica: Replica, batch: _Batch) -> frozenset[PublicKey]:
        """Keys of this node that signed what it doesn't know; a `join` comes back from whoever it was handed to."""
        own = {keys.public_key for keys in self._keys.of_context(replica.context_id)} - self._keys.restored()
        came = (each.operation for each in batch.operations if each.operation.kind is not Kind.JOIN)
        return frozenset(each.author for each in came if each.author in own)

    def _tell_void(self, replica: Replica, batch: _Batch, at: int) -> None:
        """Say which operations that came are void, seldom enough that nobody floods the log with them."""
        for operation in batch.operations:
            verdict = batch.verdicts[operation.operation_id]
            if verdict.standing is Standing.VOID:
                told = self._void_told.setdefault(replica.context_id, Seldom())
                if told.allows(operation.operation.author, at):
                    self._void(replica, operation.operation_id, verdict)

    def take_keys(self, replica: Replica, keys: Mapping[EpochId, bytes], at: int) -> None:
        """Keep epoch keys that a member handed out, if they are the right ones; apply what waits and can be now."""
        with replica.lock:
            fitting = {
                epoch: key
                for epoch, key in keys.items()
                if epoch not in replica.epoch_keys and is_key_of(replica.context_id, epoch, key)
            }
            if not fitting and not replica.waiting:
                return
            with self._as_on_disk(replica):
                self._commit(replica, _Batch(keys=self._with_previous(replica, fitting)), at, None)

    @contextmanager
    def _as_on_disk(self, replica: Replica) -> Iterator[None]:
        """When what is done inside fails, memory may be ahead of the disk: the replica is dropped."""
        if replica.dropped:
            raise ReplicaDroppedError("this context is being opened anew after a failure of the store")
        try:
            yield
        except Exception:
            self._replicas.forget(replica.context_id)
            raise

    def _judge(self, replica: Replica, operations: Iterable[VerifiedOperation]) -> _Batch:
        """Add to the ledger what can be judged, and what waited for it."""
        batch = _Batch()
        coming = deque(operation for operation in operations if operation.operation_id not in replica.pending)
        while coming:
            operation = coming.popleft()
            try:
                self._add(replica, batch, operation)
            except MissingAncestorsError as waits:
                full = len(replica.pending) >= PENDING_MOST or replica.pending_bytes >= PENDING_BYTES
                if not full:
                    replica.wait(operation, waits.missing)
                else:
                    batch.problem = TooManyPendingError("too many operations wait for ancestors", retry_after_s=5)
            except BrokenChainError as problem:
                batch.problem = problem
            else:
                coming.extend(replica.release(operation.operation_id))
        return batch

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
            batch.keys |= self._opened_epochs(replica, batch)
        replica.epoch_keys.update(batch.keys)
        void_now = (
            {each for each in replica.applied if not replica.ledger.verdict(each).valid} if batch.rebuild else set()
        )
        if outcome is not None:
            projection = _as_projection(replica, batch, outcome)
        else:
            projection = self._store.read(lambda tx: self._project(tx, replica, at, fresh=batch.rebuild))

        self._store.write(lambda tx: _write(tx, replica, batch, projection, void_now, at))
        self._settle(replica, projection, batch, void_now)

    def _settle(self, replica: Replica, projection: Projection, batch: _Batch, void_now: set[OperationId]) -> None:
        """After the commit: memory follows the disk, and listeners hear of it."""
        if batch.rebuild:
            replica.applied.clear()
        replica.applied.update(projection.applied)
        for operation_id in projection.applied:
            replica.waiting.pop(operation_id, None)
        if batch.ended:
            self._feed.tell(MembershipEnded(context_id=replica.context_id))
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

    def _ended(self, replica: Replica, before: MembershipState) -> tuple[PublicKey, ...]:
        """Identities of this node whose membership ended since that state."""
        gone = before.members.keys() - replica.ledger.state.members.keys()
        return tuple(key for key in gone if self._keys.owner_of(key) is not None)


def _write(
    tx: Transaction,
    replica: Replica,
    batch: _Batch,
    projection: Projection,
    void_now: set[OperationId],
    at: int,
) -> None:
    """All that a batch changes on disk, in one transaction."""
    context_id, applied = replica.context_id, set(projection.applied)
    for operation in batch.operations:
        known = operation.operation_id in applied
        tx.operations.append(context_id, operation.operation_id, operation.envelope, applied=known, at=at)
    tx.operations.mark_applied(applied - batch.verdicts.keys(), applied=True)
    if batch.rebuild:
        tx.operations.mark_applied(void_now, applied=False)
        tx.state.clear(context_id)
    if projection.writes:
        tx.state.write(context_id, projection.writes)
    if projection.root_hash != replica.root_hash:
        tx.contexts.set_root(context_id, projection.root_hash)
    for epoch, key in batch.keys.items():
        tx.epochs.put(context_id, epoch, key)
    for key in batch.elsewhere:
        tx.accounts.mark_restored(key, at)
    for ended in batch.ended:  # tokens bound to a membership end with it, in the same commit
        revoked = tx.auth.revoke_bound(ended, at=at)
        if revoked:
            details = {"context": str(context_id), "executor": str(ended), "minted_keys": str(revoked)}
            tx.audit.append(AuditEvent(at=at, action=Action.TOKEN_REVOKE, target=str(ended), details=details))


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
