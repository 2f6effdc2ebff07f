"""Asking members for what this node lacks of a context: operations, epoch keys, the application's code.

Nothing here decides anything: what arrives goes through `Intake` like everything else. A peer that
answers on and on, or with nothing, holds up one context for a bounded time.
"""

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import MeroidError, UnavailableError
from meroid.ids import BlobId, ContextId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.ledger.epoch import handle, topic
from meroid.ledger.evaluate import is_senior
from meroid.ledger.operation import Remove, Unlink
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.applications import CHUNK_BYTES, ApplicationService, ApplicationTooLargeError
from meroid.service.intake import Intake
from meroid.service.keyring import KeyRing
from meroid.service.peering import BadPeerAnswerError, Channel, MembershipNoticeError, PeerRefusedError, ask_peer
from meroid.service.ports.store import Store
from meroid.service.ports.transport import Transport
from meroid.service.replica import Replica

ASK_S: Final = 5.0
EPOCHS_HEARD: Final = 8
_PEERS_ASKED: Final = 3
_PEERS_MOST: Final = 8
_PAGES_MOST: Final = 1024
_IDLE_PAGES_MOST: Final = 16
_KEYS_MOST: Final = 1024


class NobodyAnsweredError(UnavailableError):
    """There are other members, and none of them could be asked."""

    code = "nobody_answered"
    next_step = "try again when a node of another member runs and is reachable: meroctl peers"


class SyncIncompleteError(UnavailableError):
    """Members were asked, and something that is known of still hasn't come."""

    code = "sync_incomplete"
    next_step = "sync again; if it stays so, wait for a member who has the whole history"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did: how many members answered, how many operations came, whether gaps remain."""

    asked: int
    answered: int
    received: int
    complete: bool


class CatchUp:
    """Fetches from members, whom it finds under the epochs' topics."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        intake: Intake,
        applications: ApplicationService,
        transport: Transport,
        clock: Clock,
        trouble: Callable[[str, MeroidError], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._intake = intake
        self._applications = applications
        self._transport = transport
        self._clock = clock
        self._trouble = trouble
        self._addressed: set[tuple[ContextId, PublicKey]] = set()

    def from_present(self, replica: Replica, first: Collection[PublicKey] = ()) -> SyncReport:
        """Ask members who are here, some of them `first`; waits for the answers."""
        channels = self._channels(replica)
        channels.sort(key=lambda found: found[0].responder not in first)
        wanted = sum(channel.responder in first for channel, _ in channels)
        asked = channels[: min(max(wanted, _PEERS_ASKED), _PEERS_MOST)]
        answered = received = 0
        for channel, keys in asked:
            try:
                received += self._as_any(replica, channel, keys)
                answered += 1
                replica.notices.pop(keys.public_key, None)
            except MembershipNoticeError as problem:
                self._trouble("peer did not help", problem)
                self._heed(replica, keys.public_key, problem.envelope)
            except MeroidError as problem:
                self._trouble("peer did not help", problem)
        with replica.lock:
            complete = not replica.pending and not replica.waiting
        return SyncReport(asked=len(asked), answered=answered, received=received, complete=complete)

    def _as_any(self, replica: Replica, channel: Channel, keys: ClientKeys) -> int:
        """Ask as an identity, and where it isn't known yet, as the keys that it was rotated from, the last first."""
        try:
            return self.from_member(replica, channel, keys)
        except MembershipNoticeError:
            raise
        except PeerRefusedError:
            now = replica.ledger.state.key_now
            before = [
                each
                for each in self._keys.of_context(replica.context_id)
                if each.public_key != keys.public_key and now(each.public_key) == keys.public_key
            ]
            for earlier in sorted(before, key=lambda each: -each.path.generation):
                try:
                    return self.from_member(replica, channel, earlier)
                except PeerRefusedError:
                    continue
            raise

    def from_member(self, replica: Replica, channel: Channel, keys: ClientKeys) -> int:
        """Everything that one member has and this node lacks; gives the number of operations.

        Raises:
            PeerUnreachableError, PeerRefusedError, BadPeerAnswerError, BadReplyError: it doesn't help.
        """
        received = self._fetch_history(replica, channel, keys)
        self._fetch_keys(replica, channel, keys)
        self._fetch_application(replica, channel, keys)
        with contextlib.suppress(MeroidError):  # what came stands without it
            self._fetch_addresses(replica, channel, keys)
        return received

    def _heed(self, replica: Replica, key: PublicKey, envelope: bytes) -> None:
        """Believe a removal or unlinking whose ancestors aren't here if its author, as far as is known, may do it.

        It changes no verdict: this node only stops acting as a member that others don't answer any more.
        """
        try:
            removal = read_operation(envelope)
        except MeroidError as problem:
            self._trouble("notice not heeded", problem)
            return
        body, state = removal.operation.body, replica.ledger.state
        author, own = state.members.get(removal.operation.author), state.members.get(key)
        if removal.context_id != replica.context_id or author is None or own is None:
            return
        match body:
            case Remove(member=member):
                of_this_key = state.key_now(member) in {key, state.main_key(key)}
                may = author.may(Capability.MANAGE_MEMBERS) and is_senior(author.rank, own.rank)
            case Unlink(key=linked):
                of_this_key = state.key_now(linked) == key
                may = own.linked_to == author.line
            case _:
                return
        if of_this_key and may:
            replica.notices[key] = removal.operation_id

    def _ask(self, channel: Channel, keys: ClientKeys, request: Value) -> Value:
        return ask_peer(self._transport, channel, keys, request, timeout_s=ASK_S)

    def _fetch_history(self, replica: Replica, channel: Channel, keys: ClientKeys) -> int:
        received = position = idle = 0
        for _ in range(_PAGES_MOST):
            with replica.lock:
                heads = replica.ledger.graph.heads
            reply = self._ask(channel, keys, requests.ask_history(heads, position))
            page = requests.read_history(reply, known=replica.ledger)
            taken = self._intake.take(replica, page.operations, self._clock.now_ms())
            received += len(taken.new)
            idle = 0 if taken.new else idle + 1
            if page.after is None or page.after <= position or idle == _IDLE_PAGES_MOST:
                break
            position = page.after
        return received

    def _fetch_keys(self, replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        """Ask for keys of epochs, those first under which something waits to be read, then the latest."""
        with replica.lock:
            graph, epochs = replica.ledger.graph, replica.ledger.state.epochs
            read = {graph[each].operation.epoch for each in replica.waiting}
            lacking = [epoch for epoch in epochs.values() if epoch.epoch_id not in replica.epoch_keys]
        lacking.sort(key=lambda epoch: (epoch.epoch_id not in read, -epoch.rekey.index))
        if lacking:
            request = requests.ask_keys([epoch.epoch_id for epoch in lacking[:_KEYS_MOST]])
            found = requests.read_keys(self._ask(channel, keys, request))
            self._intake.take_keys(replica, found, self._clock.now_ms())

    def _fetch_application(self, replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        binding = replica.ledger.state.application
        blob_id: BlobId = binding.blob_id
        if self._store.read(lambda tx: tx.blobs.size(blob_id)) is not None:
            return
        if binding.size > limits.APPLICATION_BYTES.value:
            raise ApplicationTooLargeError(f"an application has at most {limits.APPLICATION_BYTES.value} bytes")
        content = bytearray()
        for index in range(-(-binding.size // CHUNK_BYTES)):
            chunk = requests.read_chunk(self._ask(channel, keys, requests.ask_blob(blob_id, index)))
            if len(chunk) != min(CHUNK_BYTES, binding.size - len(content)):
                raise BadPeerAnswerError("a chunk of the application has another size")
            content += chunk
        at = self._clock.now_ms()
        self._applications.install_bound(binding, bytes(content), at)
        self._intake.take_keys(replica, {}, at)  # what waited for the application is applied now

    def _fetch_addresses(self, replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        """Keep where the member's node can be reached, once while this node runs: a backup names it."""
        if (replica.context_id, channel.responder) in self._addressed:
            return
        found = requests.read_addresses(self._ask(channel, keys, requests.ask_addresses()))
        usable = [each for each in found if self._transport.takes(each)]
        self._store.write(lambda tx: tx.contexts.keep_endpoints(replica.context_id, usable))
        self._addressed.add((replica.context_id, channel.responder))

    def _channels(self, replica: Replica) -> list[tuple[Channel, ClientKeys]]:
        """Present members to ask, each once, found under the epochs that this node knows."""
        with replica.lock:
            state = replica.ledger.state
            own = self._keys.of_context(replica.context_id)
            epochs = replica.known_epochs()[:EPOCHS_HEARD]
        own_keys = {keys.public_key for keys in own}
        if not own:
            return []
        asker = next((keys for keys in own if keys.public_key in state.members), own[0])
        found: dict[bytes, Channel] = {}
        for _, key in epochs:
            name = topic(replica.context_id, key)
            present = set(self._transport.present(name))
            for member in state.members.values() if present else ():
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


def lacks(replica: Replica, operation_id: OperationId) -> bool:
    """Whether an operation was never seen here, neither judged nor waiting for its ancestors."""
    return operation_id not in replica.ledger and operation_id not in replica.pending
