"""Keeping this node's contexts in step with those of the other members.

Live: an operation is sealed under its epoch and published on that epoch's topic. Repair: a member
is asked for what is missing, on a gap, when it comes, and when somebody asks to sync. Nothing here
decides anything: what arrives goes through `Intake` like everything else.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import MeroidError
from meroid.ids import BlobId, ContextId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.epoch import EnvelopeSealer, handle, open_envelope, topic
from meroid.ledger.operation import Join, Rekey, VerifiedOperation
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.applications import ApplicationService
from meroid.service.authorship import current_epoch
from meroid.service.intake import Intake
from meroid.service.invitations import door_of
from meroid.service.keyring import KeyRing
from meroid.service.peering import Channel, Desk, ProvenAsker, ask_peer
from meroid.service.ports.store import Store
from meroid.service.ports.transport import Registration, Transport
from meroid.service.replica import Replica, Replicas
from meroid.service.serving import PeerServer

ASK_S: Final = 5.0
EPOCHS_HEARD: Final = 8
_PEERS_ASKED: Final = 3


@dataclass(slots=True)
class _Presence:
    """What is registered at the transport for one context, by what it is for."""

    registered: dict[tuple[str, ...], Registration] = field(default_factory=dict)
    sealers: dict[EpochId, EnvelopeSealer] = field(default_factory=dict)
    repairing: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did: how many members answered, how many operations came, whether gaps remain."""

    asked: int
    answered: int
    received: int
    complete: bool


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
        transport: Transport,
        clock: Clock,
        trouble: Callable[[str, MeroidError], None],
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._intake = intake
        self._applications = applications
        self._server = server
        self._transport = transport
        self._clock = clock
        self._trouble = trouble
        self._presence: dict[ContextId, _Presence] = {}
        self._lock = threading.RLock()

    def start(self) -> None:
        """Take part in every stored context again."""
        for context_id in self._replicas.stored():
            replica = self._replicas.get(context_id)
            self.refresh(replica)

    def announce(self, replica: Replica, operations: tuple[VerifiedOperation, ...]) -> None:
        """Publish operations that were just committed, each under its own epoch."""
        presence = self._of(replica)
        membership = False
        for operation in operations:
            membership |= not operation.operation.kind.is_delta
            epoch = operation.operation.epoch or current_epoch(replica)
            key = None if epoch is None else replica.epoch_keys.get(epoch)
            if epoch is None or key is None:
                continue
            with self._lock:
                sealer = presence.sealers.setdefault(epoch, EnvelopeSealer(replica.context_id, key))
                sealed = sealer.seal(operation.envelope)
            self._transport.publish(topic(replica.context_id, key), sealed)
        if membership:
            self.refresh(replica)

    def refresh(self, replica: Replica) -> bool:
        """Register for the epochs and doors of now, and withdraw from what ended; true if a topic is new."""
        wanted = self._wanted(replica)
        presence = self._of(replica)
        with self._lock:
            gone = [purpose for purpose in presence.registered if purpose not in wanted]
            closing = [presence.registered.pop(purpose) for purpose in gone]
            new = [purpose for purpose in wanted if purpose not in presence.registered]
            for purpose in new:
                presence.registered[purpose] = wanted[purpose]()
        for registration in closing:
            registration.close()
        return any(purpose[0] == "hear" for purpose in new)

    def leave(self, context_id: ContextId) -> None:
        """Withdraw everything of a context."""
        with self._lock:
            presence = self._presence.pop(context_id, None)
        for registration in () if presence is None else presence.registered.values():
            registration.close()

    def repair(self, replica: Replica) -> SyncReport:
        """Ask members for what is missing here, and give them what they may lack; waits for the answers."""
        channels = self._channels(replica)
        presence = self._of(replica)
        answered = received = 0
        with presence.repairing:
            for channel, keys in channels[:_PEERS_ASKED]:
                try:
                    received += self.catch_up(replica, channel, keys)
                    answered += 1
                except MeroidError as problem:
                    self._trouble("peer did not help", problem)
        with replica.lock:
            complete = not replica.pending and not replica.waiting
        asked = min(len(channels), _PEERS_ASKED)
        return SyncReport(asked=asked, answered=answered, received=received, complete=complete)

    def catch_up(self, replica: Replica, channel: Channel, keys: ClientKeys) -> int:
        """Everything that one member has and this node lacks: operations, keys, the application's code."""
        received = 0
        more = True
        while more:
            with replica.lock:
                heads = replica.ledger.graph.heads
            reply = ask_peer(self._transport, channel, keys, requests.ask_history(heads), timeout_s=ASK_S)
            page = requests.read_history(reply)
            taken = self._intake.take(replica, page.operations, self._clock.now_ms())
            received += len(taken.new)
            more = page.more and bool(taken.new)
        self._fetch_application(replica, channel, keys)
        self._fetch_keys(replica, channel, keys)
        self.refresh(replica)
        return received

    def _fetch_keys(self, replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        with replica.lock:
            epochs = replica.ledger.state.epochs
            lacking = [epoch for epoch in epochs if epoch not in replica.epoch_keys]
        if lacking:
            reply = ask_peer(self._transport, channel, keys, requests.ask_keys(lacking), timeout_s=ASK_S)
            self._intake.take_keys(replica, requests.read_keys(reply), self._clock.now_ms())

    def _fetch_application(self, replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        binding = replica.ledger.state.application
        blob_id: BlobId = binding.blob_id
        if self._store.read(lambda tx: tx.blobs.size(blob_id)) is not None:
            return
        content = bytearray()
        index, count = 0, 1
        while index < count and len(content) < binding.size:
            reply = ask_peer(self._transport, channel, keys, requests.ask_blob(blob_id, index), timeout_s=ASK_S)
            chunk, count = requests.read_chunk(reply)
            content += chunk
            index += 1
        self._applications.install_bound(binding, bytes(content), self._clock.now_ms())

    def _hear(self, context_id: ContextId, key: bytes, sealed: bytes) -> None:
        """A message on a topic: open, verify, take; a gap is repaired at once."""
        replica = self._replicas.find(context_id)
        if replica is None:
            return
        try:
            operation = read_operation(open_envelope(context_id, key, sealed))
            if operation.context_id != context_id:
                return
            taken = self._intake.take(replica, [operation], self._clock.now_ms())
            moved = not operation.operation.kind.is_delta and self.refresh(replica)
            # who rekeyed may have written on the new topic before this node listened there
            if taken.missing or (moved and isinstance(operation.operation.body, Rekey)) or replica.waiting:
                self.repair(replica)
        except SealBrokenError:
            return
        except MeroidError as problem:
            self._trouble("message not taken", problem)

    def _peer_moved(self, context_id: ContextId, here: bool) -> None:  # noqa: FBT001  # the port's callback
        replica = self._replicas.find(context_id)
        if here and replica is not None:
            self.repair(replica)

    def _wanted(self, replica: Replica) -> dict[tuple[str, ...], Callable[[], Registration]]:
        """What should be registered now, by purpose."""
        context_id = replica.context_id
        with replica.lock:
            state = replica.ledger.state
            own = [keys for keys in self._keys.of_context(context_id) if keys.public_key in state.members]
            epochs = replica.known_epochs()[:EPOCHS_HEARD] if own else ()
            doors = [
                (door_of(grant), keys)
                for grant, inviter in _open_doors(replica)
                for keys in own
                if keys.public_key == inviter
            ]
        wanted: dict[tuple[str, ...], Callable[[], Registration]] = {}
        for _, key in epochs:
            name = topic(context_id, key)
            wanted["hear", name] = self._hearing(context_id, name, key)
            wanted["watch", name] = self._watching(context_id, name)
            for keys in own:
                place = handle(context_id, key, keys.public_key)
                wanted["serve", name, place] = self._serving(replica, name, place, keys, door=False)
        for door, keys in doors:
            wanted["door", door.topic, door.handle] = self._serving(replica, door.topic, door.handle, keys, door=True)
        return wanted

    def _hearing(self, context_id: ContextId, name: str, key: bytes) -> Callable[[], Registration]:
        return lambda: self._transport.subscribe(name, lambda sealed: self._hear(context_id, key, sealed))

    def _watching(self, context_id: ContextId, name: str) -> Callable[[], Registration]:
        return lambda: self._transport.watch(name, lambda _, here: self._peer_moved(context_id, here))

    def _serving(
        self, replica: Replica, name: str, place: str, keys: ClientKeys, *, door: bool
    ) -> Callable[[], Registration]:
        def serve(asker: ProvenAsker) -> Value:
            current = self._replicas.find(replica.context_id)
            if current is None:
                return None
            if door:
                return self._server.serve_door(current, keys, asker)
            return self._server.serve_member(current, asker)

        desk = Desk(replica.context_id, name, place, keys, serve, self._clock)
        return lambda: self._transport.serve(name, place, desk.answer)

    def _channels(self, replica: Replica) -> list[tuple[Channel, ClientKeys]]:
        """Present members to ask, each once, found under the epochs that this node knows."""
        with replica.lock:
            state = replica.ledger.state
            own = self._keys.of_context(replica.context_id)
            epochs = replica.known_epochs()[:EPOCHS_HEARD]
            members = tuple(state.members.values())
        own_keys = {keys.public_key for keys in own}
        if not own:
            return []
        asker = next((keys for keys in own if keys.public_key in state.members), own[0])
        found: dict[bytes, Channel] = {}
        for _, key in epochs:
            name = topic(replica.context_id, key)
            present = set(self._transport.present(name))
            for member in members:
                place = handle(replica.context_id, key, member.key)
                if place in present and member.key not in own_keys and member.key not in found:
                    found[member.key] = Channel(
                        context_id=replica.context_id,
                        topic=name,
                        handle=place,
                        responder=member.key,
                        sealing=member.sealing,
                    )
        return [(channel, asker) for channel in found.values()]

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
