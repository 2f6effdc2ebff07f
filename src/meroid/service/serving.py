"""What this node tells a peer that proved its key: everything to members, the door to invitees."""

from collections.abc import Iterator

from meroid import limits
from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.ids import BlobId, EpochId
from meroid.keys.canonical import Value
from meroid.ledger.capability import Capability
from meroid.ledger.operation import Admit, Join, VerifiedOperation
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.applications import CHUNK_BYTES
from meroid.service.authorship import Authorship
from meroid.service.intake import Intake
from meroid.service.peering import ProvenAsker
from meroid.service.ports.store import Store, Transaction
from meroid.service.replica import Replica

_OFFER_MOST = 16


class PeerServer:
    """Answers requests about one context after another; it holds nothing of its own."""

    def __init__(self, store: Store, intake: Intake, authorship: Authorship, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._authorship = authorship
        self._clock = clock

    def serve_member(self, replica: Replica, asker: ProvenAsker) -> Value:
        """Answer a current member; anybody else gets nothing."""
        with replica.lock:
            member = replica.ledger.state.members.get(asker.key)
            if member is None:
                return None
            reads = member.may(Capability.READ) and asker.key not in replica.ledger.state.suspensions
        match asker.request:
            case {1: requests.HISTORY, 2: heads}:
                return self._history(replica, heads)
            case {1: requests.KEYS, 2: epochs} if reads:
                return _keys(replica, epochs)
            case {1: requests.BLOB, 2: bytes() as blob_id, 3: int() as index} if reads:
                return self._chunk(replica, blob_id, index)
            case {1: requests.OFFER, 2: list() as envelopes} if len(envelopes) <= _OFFER_MOST:
                return self._take(replica, [read_operation(each) for each in envelopes if isinstance(each, bytes)])
            case {1: requests.DOOR}:
                return {1: list(replica.ledger.heads()), 2: True}
            case _:
                return None

    def serve_door(self, replica: Replica, host: ClientKeys, asker: ProvenAsker) -> Value:
        """Answer at an invitation's door: a member as ever, an invitee who wants to join."""
        with replica.lock:
            if asker.key in replica.ledger.state.members:
                return self.serve_member(replica, asker)
        match asker.request:
            case {1: requests.DOOR}:
                return {1: list(replica.ledger.heads()), 2: False}
            case {1: requests.OFFER, 2: [bytes() as envelope]}:
                return self._let_in(replica, host, asker, envelope)
            case _:
                return None

    def _let_in(self, replica: Replica, host: ClientKeys, asker: ProvenAsker, envelope: bytes) -> Value:
        """Take the asker's own `join`; one that used a secret is answered with an `admit`."""
        join = read_operation(envelope)
        body = join.operation.body
        if join.operation.author != asker.key or not isinstance(body, Join):
            return None
        at = self._clock.now_ms()
        with replica.lock:
            verdict = replica.ledger.trial(join)
            if not verdict.valid:
                return {1: [[join.operation_id, verdict.code]]}
            self._authorship.put(replica, [join], at)
            if body.proof is not None:
                self._authorship.issue(replica, host, Admit(join=join.operation_id), at)
        return {1: [[join.operation_id, verdict.code]]}

    def _take(self, replica: Replica, operations: list[VerifiedOperation]) -> Value:
        with replica.lock:
            taken = self._intake.take(replica, operations, self._clock.now_ms())
        return {1: [[operation_id, verdict.code] for operation_id, verdict in taken.new.items()]}

    def _history(self, replica: Replica, heads: Value) -> Value:
        with replica.lock:
            known = replica.ledger.graph.ancestors(requests.operation_ids(heads))
            wanted = [node.operation_id for node in replica.ledger.graph if node.operation_id not in known]
        most = wanted[: limits.PAGE_OPERATIONS.value + 1]

        def envelopes(tx: Transaction) -> Value:
            stored = (tx.operations.get(operation_id) for operation_id in most)
            return requests.page(each.envelope for each in stored if each is not None)

        return self._store.read(envelopes)

    def _chunk(self, replica: Replica, blob_id: bytes, index: int) -> Value:
        binding = replica.ledger.state.application
        if blob_id != binding.blob_id or index < 0:
            return None
        count = -(-binding.size // CHUNK_BYTES)

        def nth(tx: Transaction) -> bytes | None:
            return _nth(tx.blobs.chunks(BlobId(blob_id)), index)

        chunk = self._store.read(nth)
        return None if chunk is None else {1: chunk, 2: count}


def _nth(chunks: Iterator[bytes], index: int) -> bytes | None:
    for number, chunk in enumerate(chunks):
        if number == index:
            return chunk
    return None


def _keys(replica: Replica, epochs: Value) -> Value:
    with replica.lock:
        wanted = [EpochId(each) for each in requests.ids_of(epochs)]
        return {1: [[epoch, replica.epoch_keys[epoch]] for epoch in wanted if epoch in replica.epoch_keys]}
