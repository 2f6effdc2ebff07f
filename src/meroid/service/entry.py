"""Coming into a context with something that was handed over: knocking at its door, and taking part after that."""

from typing import Final

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import ConflictError, ForbiddenError
from meroid.ids import ContextId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Kind
from meroid.service import requests
from meroid.service.catching_up import ASK_S
from meroid.service.keyring import KeyRing
from meroid.service.peering import Channel, PeerRefusedError, ask_peer
from meroid.service.ports.content import ContextRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.ports.transport import PeerUnreachableError, Transport
from meroid.service.projection import EMPTY_ROOT
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService
from meroid.service.tickets import Ticket, door_of

DOOR_TRIES: Final = 4


class IdentityBoundError(ConflictError):
    """The client key belongs to another context; a slot serves one context for good."""

    code = "identity_bound"
    next_step = "generate a new identity and have it invited: `meroctl context identity generate`"


class RestoredIdentityError(ConflictError):
    """The identity came from a backup or a copy; whoever has another one may have used it elsewhere."""

    code = "identity_restored"
    next_step = "generate a new identity and have it invited, or linked: `meroctl context identity generate`"


class NotLetInError(ForbiddenError):
    """The inviter's node answered, but what it handed out doesn't make the key a member."""

    code = "not_let_in"
    next_step = "ask for a new invitation, from a member that you trust"


class Entry:
    """The way in that invitations and link codes share."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        replication: ReplicationService,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._replication = replication
        self._transport = transport
        self._clock = clock

    def free_keys(self, principal: Principal, context_id: ContextId, key: PublicKey) -> ClientKeys:
        """The keys of an identity of the caller that may enter this context.

        Raises:
            NotYourIdentityError, IdentityBoundError: it is another's, or of another context.
            RestoredIdentityError: it was restored, and of no context yet.
        """
        keys = self._keys.own(principal.account_id, key)
        record = self._store.read(lambda tx: tx.accounts.client_key(key))
        if record is None or record.context_id not in {None, context_id}:
            raise IdentityBoundError(f"{key} is an identity of another context")
        if record.context_id is None:
            self.check_first_use(key)
        return keys

    def check_first_use(self, key: PublicKey) -> None:
        """Refuse to sign with a restored key what makes it a member: it may be one elsewhere, or have tried it here.

        Raises:
            RestoredIdentityError: it is a restored one.
        """
        if key in self._keys.restored():
            raise RestoredIdentityError(f"{key} was restored, and may have been used since")

    def bind(self, key: PublicKey, context_id: ContextId) -> None:
        """Bind the key before anything signed with it leaves, so that it never stands in two contexts.

        Raises:
            IdentityBoundError: another call took it for another context.
        """

        def work(tx: Transaction) -> None:
            record = tx.accounts.client_key(key)
            bound = None if record is None else record.context_id
            if bound != context_id and not tx.accounts.bind_client_key(key, context_id):
                raise IdentityBoundError(f"{key} is an identity of another context")

        self._store.write(work)

    def channel(self, ticket: Ticket) -> Channel:
        """The door of a ticket; connections to its endpoints are begun."""
        self._transport.connect(ticket.endpoints)
        door = door_of(ticket.grant)
        return Channel(
            context_id=ticket.context_id,
            topic=door.topic,
            handle=door.handle,
            responder=ticket.inviter,
            sealing=ticket.sealing,
        )

    def knock(self, channel: Channel, keys: ClientKeys, request: Value) -> Value:
        """Ask at the door; a connection that was just asked for may take a moment.

        Raises:
            PeerUnreachableError, PeerRefusedError, BadPeerAnswerError: as `ask_peer`.
        """
        for left in reversed(range(DOOR_TRIES)):
            try:
                return self.ask(channel, keys, request)
            except PeerUnreachableError:
                if not left:
                    raise
        raise AssertionError("the loop returns or raises")

    def ask(self, channel: Channel, keys: ClientKeys, request: Value) -> Value:
        """Ask once.

        Raises:
            PeerUnreachableError, PeerRefusedError, BadPeerAnswerError: as `ask_peer`.
        """
        return ask_peer(self._transport, channel, keys, request, timeout_s=ASK_S)

    def take_part(self, ticket: Ticket, channel: Channel, keys: ClientKeys) -> None:
        """Fetch the history as somebody who was let in, and keep the context.

        Raises:
            PeerUnreachableError, PeerRefusedError: the member's node doesn't answer or hand it out.
            NotLetInError: the history that came doesn't say that the key is a member.
        """
        replica = self._replicas.find(ticket.context_id) or self.begin(channel, keys)
        self._store.write(lambda tx: tx.contexts.keep_endpoints(ticket.context_id, ticket.endpoints))
        self._replication.catch_up(replica, channel, keys)
        if keys.public_key not in replica.ledger.state.members:
            raise NotLetInError(f"{keys.public_key} is no member of {ticket.context_id} by the history that came")

    def begin(self, channel: Channel, keys: ClientKeys) -> Replica:
        """Fetch the genesis from a member and keep the context; the rest of the history follows.

        Raises:
            PeerUnreachableError, PeerRefusedError, BadReplyError: the member doesn't hand it out.
        """
        context_id = channel.context_id
        operations = requests.read_history(self.ask(channel, keys, requests.ask_history(()))).operations
        of_context = (each for each in operations if each.context_id == context_id)
        genesis = next((each for each in of_context if each.operation.kind is Kind.GENESIS), None)
        if genesis is None:
            raise PeerRefusedError("the other node did not hand out the beginning of the context")
        at = self._clock.now_ms()
        replica = Replica(context_id=context_id, ledger=Ledger(genesis), root_hash=EMPTY_ROOT)
        record = ContextRecord(
            context_id=context_id,
            application_id=replica.ledger.state.application.application_id,
            protocol="",
            root_hash=EMPTY_ROOT,
            created_at=at,
        )

        def work(tx: Transaction) -> None:
            tx.contexts.add(record)
            tx.operations.append(context_id, genesis.operation_id, genesis.envelope, applied=False, at=at)

        self._store.write(work)
        self._replicas.put(replica)
        return replica
