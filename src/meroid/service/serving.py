"""What this node tells a peer that proved its key: everything to members, the door to invitees."""

from collections.abc import Iterable, Iterator
from itertools import islice

from meroid import limits
from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.ids import BlobId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey, verify_signature
from meroid.keys.sealing import check_sealing_key
from meroid.ledger.capability import Capability
from meroid.ledger.operation import Admit, Join, Link, VerifiedOperation
from meroid.ledger.verify import invitation_proof_message, read_operation
from meroid.service import requests
from meroid.service.authorship import Authorship
from meroid.service.intake import Intake
from meroid.service.link_codes import LinkOffer, LinkOffers
from meroid.service.peering import ProvenAsker, notice
from meroid.service.ports.store import Store, Transaction
from meroid.service.ports.transport import Transport
from meroid.service.refusals import RuleRefusalError
from meroid.service.replica import Replica

_OFFER_MOST = 16


class PeerServer:
    """Answers requests about one context after another; it holds nothing of its own."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        authorship: Authorship,
        offers: LinkOffers,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._store = store
        self._offers = offers
        self._transport = transport
        self._intake = intake
        self._authorship = authorship
        self._clock = clock

    def serve_member(self, replica: Replica, asker: ProvenAsker) -> Value:
        """Answer a current member; who was removed is shown the removal, anybody else gets nothing."""
        with replica.lock:
            member = replica.ledger.state.members.get(asker.key)
            if member is None:
                return self._removal_of(replica, asker.key)
            reads = member.may(Capability.READ) and asker.key not in replica.ledger.state.suspensions
            held = dict(replica.epoch_keys) if reads else {}
        match asker.request:
            case {1: requests.HISTORY, 2: heads, 3: int() as position} if position >= 0:
                return self._history(replica, heads, position)
            case {1: requests.KEYS, 2: epochs} if reads:
                return {1: [[each, held[each]] for each in map(EpochId, requests.ids_of(epochs)) if each in held]}
            case {1: requests.BLOB, 2: bytes() as blob_id, 3: int() as index} if reads:
                return self._chunk(replica, blob_id, index)
            case {1: requests.OFFER, 2: list() as envelopes} if len(envelopes) <= _OFFER_MOST:
                return self._take(replica, [read_operation(each) for each in envelopes if isinstance(each, bytes)])
            case {1: requests.DOOR}:
                return {1: list(replica.ledger.to_cite()), 2: True}
            case {1: requests.ADDRESSES}:
                return {1: list(self._transport.endpoints())}
            case _:
                return None

    def _removal_of(self, replica: Replica, key: PublicKey) -> Value:
        """The removal that ended a key's membership, so that who was away learns of it; else nothing."""
        cuts = replica.ledger.state.cuts_of(key)
        removal = next((cut.by for cut in cuts if cut.ends_membership and cut.by.author != key), None)
        if removal is None:
            return None
        stored = self._store.read(lambda tx: tx.operations.get(removal.operation_id))
        return None if stored is None else notice(stored.envelope)

    def serve_door(self, replica: Replica, grant: OperationId, host: ClientKeys, asker: ProvenAsker) -> Value:
        """Answer at an invitation's door: a member as ever, an invitee who wants to join."""
        with replica.lock:
            if asker.key in replica.ledger.state.members:
                return self.serve_member(replica, asker)
            match asker.request:
                case {1: requests.DOOR, 2: bytes() as proof} if _is_invited(replica, grant, asker.key, proof):
                    return {1: list(replica.ledger.to_cite()), 2: False}
                case {1: requests.DOOR} if _is_invited(replica, grant, asker.key, None):
                    return {1: list(replica.ledger.to_cite()), 2: False}
                case {1: requests.OFFER, 2: [bytes() as envelope]}:
                    return self._let_in(replica, grant, host, asker, envelope)
                case _:
                    return None

    def _let_in(
        self, replica: Replica, grant: OperationId, host: ClientKeys, asker: ProvenAsker, envelope: bytes
    ) -> Value:
        """Take the asker's own `join`; one that used a secret is answered with an `admit`."""
        join = read_operation(envelope)
        body = join.operation.body
        if join.operation.author != asker.key or not isinstance(body, Join) or body.invitation != grant:
            return None
        if not _is_invited(replica, grant, asker.key, body.proof):
            return None
        verdict = replica.ledger.trial(join)
        if verdict.valid:
            at = self._clock.now_ms()
            self._authorship.secure(replica, host, at)
            verdict = self._authorship.put(replica, [join], at).new.get(join.operation_id, verdict)
            if verdict.valid and body.proof is not None:
                self._authorship.issue(replica, host, Admit(join=join.operation_id), at)
        return {1: [[join.operation_id, verdict.code]]}

    def serve_link(self, replica: Replica, offer: LinkOffer, host: ClientKeys, asker: ProvenAsker) -> Value:
        """Answer at a link code's door: a device that agrees to be linked, and a member as ever."""
        with replica.lock:
            wish = requests.link_wish(asker.request)
            if wish is None:
                return self.serve_member(replica, asker) if asker.key in replica.ledger.state.members else None
            check_sealing_key(wish.keys.sealing)
            body = Link(key=asker.key, keys=wish.keys, capabilities=offer.capabilities, proof=wish.consent)
            return self._link(replica, offer, host, body, wish.holder)

    def _link(self, replica: Replica, offer: LinkOffer, host: ClientKeys, body: Link, holder: bytes | None) -> Value:
        """Issue the `link`, once for one key; who lost the answer hears it again."""
        state, at = replica.ledger.state, self._clock.now_ms()
        known = state.members.get(body.key)
        if known is not None:
            here = known.linked_to is not None and state.main_key(body.key) == state.key_now(offer.main)
            return {1: "valid" if here else "already_member"}
        if not self._offers.is_open_for(offer, body.key, at) or not offer.is_for(body.key, holder):
            return None
        try:
            self._authorship.issue(replica, host, body, at)
        except RuleRefusalError as refusal:
            return {1: refusal.code}
        self._offers.use(offer, body.key)
        return {1: "valid"}

    def _take(self, replica: Replica, operations: list[VerifiedOperation]) -> Value:
        with replica.lock:
            taken = self._intake.take(replica, operations, self._clock.now_ms())
        return {1: [[operation_id, verdict.code] for operation_id, verdict in taken.new.items()]}

    def _history(self, replica: Replica, heads: Value, position: int) -> Value:
        with replica.lock:
            known = replica.ledger.graph.ancestors(requests.operation_ids(heads))
            left = (node for node in islice(replica.ledger.graph, position, None) if node.operation_id not in known)
            wanted = list(islice(left, limits.PAGE_OPERATIONS.value + 1))

        def envelopes(tx: Transaction) -> Iterable[tuple[int, bytes]]:
            for node in wanted:
                stored = tx.operations.get(node.operation_id)
                if stored is not None:
                    yield node.index, stored.envelope

        return self._store.read(lambda tx: requests.page(envelopes(tx)))

    def _chunk(self, replica: Replica, blob_id: bytes, index: int) -> Value:
        binding = replica.ledger.state.application
        if blob_id != binding.blob_id or index < 0:
            return None

        def nth(tx: Transaction) -> bytes | None:
            return _nth(tx.blobs.chunks(BlobId(blob_id)), index)

        chunk = self._store.read(nth)
        return None if chunk is None else {1: chunk}


def _nth(chunks: Iterator[bytes], index: int) -> bytes | None:
    for number, chunk in enumerate(chunks):
        if number == index:
            return chunk
    return None


def _is_invited(replica: Replica, grant: OperationId, key: PublicKey, proof: bytes | None) -> bool:
    """Whether an invitation that stands is for this key, or this key proves to hold its secret.

    A key that somebody removed doesn't come back with a secret that it may have kept: it needs an
    invitation of its own.

    Raises:
        BadSignatureError: the proof is another secret's or for another key.
    """
    state = replica.ledger.state
    invitation = state.invitations.get(grant)
    if invitation is None or invitation.secret_key is None or proof is None:
        return invitation is not None and proof is None and invitation.invitee == key
    if any(cut.ends_membership and cut.by.author != key for cut in state.cuts_of(key)):
        return False
    message = invitation_proof_message(replica.context_id, grant, key)
    verify_signature(invitation.secret_key, message, proof)
    return True
