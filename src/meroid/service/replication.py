"""Keeping this node's contexts in step with those of the other members.

Live: an operation is sealed under its epoch and published on that epoch's topic. Repair: a member
is asked for what is missing, on a gap, when it comes, and when somebody asks to sync. Nothing here
decides anything: what arrives goes through `Intake` like everything else.

Hearing never waits for a peer: gaps are closed by one thread for each context that has any, which
takes a pause when it got nothing, so nobody keeps a node busy by naming what doesn't exist.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import MeroidError
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.codec import decode_operation
from meroid.ledger.epoch import EnvelopeSealer, handle, open_envelope, topic
from meroid.ledger.operation import Join, Rekey, Rotate, VerifiedOperation
from meroid.ledger.verify import verify_operation
from meroid.service.applications import ApplicationService
from meroid.service.authorship import current_epoch
from meroid.service.catching_up import EPOCHS_HEARD, CatchUp, SyncReport, lacks
from meroid.service.intake import Intake, TooManyPendingError
from meroid.service.keyring import KeyRing
from meroid.service.link_codes import LinkOffer, LinkOffers
from meroid.service.peering import Channel, Desk, ProvenAsker
from meroid.service.ports.store import Store
from meroid.service.ports.transport import Registration, Transport
from meroid.service.replica import Replica, Replicas
from meroid.service.serving import PeerServer
from meroid.service.tickets import door_of

_PAUSE_S: Final = 1.0
_CLOSE_S: Final = 1.0
_FORMER_MOST: Final = 64


@dataclass(slots=True)
class _Presence:
    """What is registered at the transport for one context, by what it is for, and the repair that runs.

    `gaps` says that there is something to ask for, and `first` whom; `former` counts what was heard
    of each key that was a member once.
    """

    registered: dict[tuple[str, ...], Registration] = field(default_factory=dict)
    sealers: dict[EpochId, EnvelopeSealer] = field(default_factory=dict)
    former: Counter[PublicKey] = field(default_factory=Counter)
    repairing: threading.Lock = field(default_factory=threading.Lock)
    repairer: threading.Thread | None = None
    gaps: bool = False
    first: set[PublicKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told what: `synced` after members answered everything that was asked of them, `trouble` of what failed."""

    synced: Callable[[Replica], None]
    trouble: Callable[[str, MeroidError], None]


class ReplicationService:
    """Publishes, listens, answers and asks for every context of this node."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        intake: Intake,
        applications: ApplicationService,
        server: PeerServer,
        offers: LinkOffers,
        transport: Transport,
        clock: Clock,
        told: Told,
    ) -> None:
        self._store = store
        self._synced = told.synced
        self._replicas = replicas
        self._keys = keys
        self._intake = intake
        self._server = server
        self._offers = offers
        self._transport = transport
        self._clock = clock
        self._trouble = told.trouble
        self._catching_up = CatchUp(store, keys, intake, applications, transport, clock, told.trouble)
        self._presence: dict[ContextId, _Presence] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Take part in every stored context again, and connect to the nodes that it was joined through."""
        self._transport.connect(self._store.read(lambda tx: tx.contexts.endpoints()))
        for context_id in self._replicas.stored():
            self.refresh(self._replicas.get(context_id))

    def close(self) -> None:
        """End what repairs still run; call it after the transport was closed."""
        self._closing.set()
        with self._lock:
            running = [each.repairer for each in self._presence.values() if each.repairer is not None]
        for repairer in running:
            repairer.join(_CLOSE_S)

    def announce(self, replica: Replica, operations: tuple[VerifiedOperation, ...]) -> None:
        """Publish operations that were just committed, each under its own epoch."""
        if any(not operation.operation.kind.is_delta for operation in operations):
            self.refresh(replica)  # before others hear of a new topic, this node listens there
        presence = self._of(replica)
        for operation in operations:
            epoch = operation.operation.epoch or current_epoch(replica)
            key = None if epoch is None else replica.epoch_keys.get(epoch)
            if epoch is None or key is None:
                continue
            with self._lock:
                if epoch not in presence.sealers:
                    presence.sealers[epoch] = EnvelopeSealer(replica.context_id, key)
                sealed = presence.sealers[epoch].seal(operation.envelope)
            self._transport.publish(topic(replica.context_id, key), sealed)

    def refresh(self, replica: Replica) -> bool:
        """Register for the epochs and doors of now, and withdraw from what ended; true if a topic is new."""
        presence = self._of(replica)
        with replica.lock, self._lock:  # in this order everywhere; so what is registered is never an older state's
            wanted = self._wanted(replica)
            gone = [purpose for purpose in presence.registered if purpose not in wanted]
            closing = [presence.registered.pop(purpose) for purpose in gone]
            new = [purpose for purpose in wanted if purpose not in presence.registered]
            for purpose in new:
                presence.registered[purpose] = wanted[purpose]()
            heard = dict(replica.known_epochs()[:EPOCHS_HEARD])
            presence.sealers = {epoch: sealer for epoch, sealer in presence.sealers.items() if epoch in heard}
        for registration in closing:
            registration.close()
        return any(purpose[0] == "hear" for purpose in new)

    def repair(self, replica: Replica, first: frozenset[PublicKey] = frozenset()) -> SyncReport:
        """Ask members for what is missing here, some of them `first`; waits for the answers."""
        with self._of(replica).repairing:
            report = self._catching_up.from_present(replica, first)
        self.refresh(replica)
        if report.answered:
            self._synced(replica)
        return report

    def catch_up(self, replica: Replica, channel: Channel, keys: ClientKeys) -> int:
        """Everything that one member has and this node lacks: operations, keys, the application's code.

        Raises:
            MeroidError: the member doesn't help; what it gave before is kept.
        """
        try:
            return self._catching_up.from_member(replica, channel, keys)
        finally:
            self.refresh(replica)

    def _repair_soon(self, replica: Replica, first: PublicKey | None = None) -> None:
        """Have gaps closed by the context's own thread, which asks the member `first` before others."""
        presence = self._of(replica)
        with self._lock:
            presence.gaps = True
            if first is not None:
                presence.first.add(first)
            if presence.repairer is None and not self._closing.is_set():
                presence.repairer = threading.Thread(
                    target=self._close_gaps, args=(replica.context_id, presence), name="repair", daemon=True
                )
                presence.repairer.start()

    def _close_gaps(self, context_id: ContextId, presence: _Presence) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            with self._lock:
                if not presence.gaps:
                    presence.repairer = None
                    return
                first, presence.first, presence.gaps = frozenset(presence.first), set(), False
            pause = _PAUSE_S
            try:
                replica = self._replicas.find(context_id)
                if replica is not None and self.repair(replica, first).received:
                    pause = 0.0
            except MeroidError as problem:
                self._trouble("context not repaired", problem)

    def _hear(self, context_id: ContextId, key: bytes, sealed: bytes) -> None:
        """A message on a topic: open, verify, take; a gap is repaired soon."""
        replica = self._replicas.find(context_id)
        if replica is None:
            return
        try:
            unverified = decode_operation(open_envelope(context_id, key, sealed))
            if unverified.operation.context != context_id or not lacks(replica, unverified.operation_id):
                return
            operation = verify_operation(unverified)
            author = operation.operation.author
            if not self._worth_taking(replica, operation):
                return
            self._intake.take(replica, [operation], self._clock.now_ms())
            moved = not operation.operation.kind.is_delta and self.refresh(replica)
            # who rekeyed may have written on the new topic before this node listened there
            moved = moved and isinstance(operation.operation.body, Rekey)
            waits = operation.operation_id in replica.pending or operation.operation_id in replica.waiting
            if moved or waits or author in self._keys.restored():
                self._repair_soon(replica, author)
        except SealBrokenError:
            return
        except TooManyPendingError:
            self._repair_soon(replica)
        except MeroidError as problem:
            self._trouble("message not taken", problem)

    def _worth_taking(self, replica: Replica, operation: VerifiedOperation) -> bool:
        """Whether to look at what came under an epoch that former members may know as well.

        Members are heard, who joins by an invitation that stands, and the next key of a member. Of a
        former member some is kept, with the reason why it is void. Anything else isn't taken here, which
        judges nothing: what an operation that counts is built on comes with the history.
        """
        author = operation.operation.author
        with replica.lock:
            ledger = replica.ledger
            if author in ledger.state.members:
                return True
            if ledger.graph.missing(operation.operation):
                self._repair_soon(replica)  # the author may be a member of whom this node hasn't heard
                return False
            if ledger.last_of(author) is None:
                return isinstance(operation.operation.body, Join | Rotate) and ledger.trial(operation).valid
        former = self._of(replica).former
        former[author] += 1
        return former[author] <= _FORMER_MOST

    def _peer_moved(self, context_id: ContextId, key: bytes, place: str, here: bool) -> None:  # noqa: FBT001  # the port's callback
        """Ask a member that came; others may show up on an old topic as often as they like."""
        replica = self._replicas.find(context_id) if here else None
        for member in () if replica is None else replica.ledger.state.members:
            if replica is not None and handle(context_id, key, member) == place:
                self._repair_soon(replica, member)
                return

    def _wanted(self, replica: Replica) -> dict[tuple[str, ...], Callable[[], Registration]]:
        """What should be registered now, by purpose; the caller holds the replica's lock."""
        context_id, state = replica.context_id, replica.ledger.state
        everything = {keys.public_key: keys for keys in self._keys.of_context(context_id)}
        # a key that was rotated away still answers members, who may know this member by no other yet
        own = [keys for key, keys in everything.items() if state.key_now(key) in state.members]
        wanted: dict[tuple[str, ...], Callable[[], Registration]] = {}
        for _, key in replica.known_epochs()[:EPOCHS_HEARD] if own else ():
            name = topic(context_id, key)
            wanted["hear", name] = self._hearing(context_id, name, key)
            wanted["watch", name] = self._watching(context_id, name, key)
            for keys in own:
                place = handle(context_id, key, keys.public_key)
                wanted["serve", name, place] = self._serving(context_id, name, place, keys)
        for grant, inviter in _open_doors(replica):
            # the invitation names the inviter's key of that time, which answers; the key of now lets in
            door, named = door_of(grant), everything.get(inviter)
            if named is not None and named in own:
                wanted["door", door.topic, door.handle] = self._serving(
                    context_id, door.topic, door.handle, named, grant
                )
        for offer in self._offers.of_context(context_id, self._clock.now_ms()):
            door, named = door_of(offer.offer_id), everything.get(offer.main)
            if named is not None and named in own:
                wanted["link", door.topic, door.handle] = self._serving(
                    context_id, door.topic, door.handle, named, offer
                )
        return wanted

    def _hearing(self, context_id: ContextId, name: str, key: bytes) -> Callable[[], Registration]:
        return lambda: self._transport.subscribe(name, lambda sealed: self._hear(context_id, key, sealed))

    def _watching(self, context_id: ContextId, name: str, key: bytes) -> Callable[[], Registration]:
        return lambda: self._transport.watch(name, lambda place, here: self._peer_moved(context_id, key, place, here))

    def _serving(
        self,
        context_id: ContextId,
        name: str,
        place: str,
        keys: ClientKeys,
        grant: OperationId | LinkOffer | None = None,
    ) -> Callable[[], Registration]:
        """A desk for members, or for those who come with the invitation `grant`, or the code of an offer."""

        def serve(asker: ProvenAsker) -> Value:
            replica = self._replicas.find(context_id)
            if replica is None:
                return None
            if grant is None:
                return self._server.serve_member(replica, asker)
            if isinstance(grant, LinkOffer):
                return self._server.serve_link(replica, grant, keys, asker)
            now = replica.ledger.state.key_now(keys.public_key)
            host = next((each for each in self._keys.of_context(context_id) if each.public_key == now), keys)
            return self._server.serve_door(replica, grant, host, asker)

        desk = Desk(context_id, name, place, keys, serve, self._clock)
        return lambda: self._transport.serve(name, place, desk.answer)

    def _of(self, replica: Replica) -> _Presence:
        with self._lock:
            return self._presence.setdefault(replica.context_id, _Presence())


def _open_doors(replica: Replica) -> Iterator[tuple[OperationId, PublicKey]]:
    """Invitations at whose door somebody may still knock, with their inviters.

    One for a named key stays open after its use until the new member is heard of again: it may
    have lost the answer, and knows no other way in.
    """
    ledger = replica.ledger
    for invitation in ledger.state.invitations.values():
        yield invitation.operation_id, invitation.inviter
    for member in ledger.state.members.values():
        join = ledger.graph[member.admission].operation
        last = ledger.last_of(member.key)
        if isinstance(join.body, Join) and last is not None and last.operation_id == member.admission:
            yield join.body.invitation, ledger.graph[join.body.invitation].author
