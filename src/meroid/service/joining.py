"""Inviting to a context and joining one (`design.md` §7)."""

import secrets
from dataclasses import dataclass, field

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import ConflictError, ForbiddenError
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Invite, Join, Kind, Operation, VerifiedOperation
from meroid.ledger.verdict import void
from meroid.ledger.verify import invitation_proof_message, sign_operation
from meroid.service import requests
from meroid.service.authorship import Authorship, member_of
from meroid.service.catching_up import ASK_S
from meroid.service.invitations import Ticket, door_of, invitation_secret, issue_ticket
from meroid.service.keyring import KeyRing
from meroid.service.peering import Channel, PeerRefusedError, ask_peer
from meroid.service.ports.content import ContextRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.ports.transport import PeerUnreachableError, Transport
from meroid.service.projection import EMPTY_ROOT
from meroid.service.refusals import refusal_of
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService

_LET_IN = frozenset({"valid", "already_member"})  # the second where an answer was lost and the offer came twice
DOOR_TRIES = 4


class IdentityBoundError(ConflictError):
    """The client key belongs to another context; a slot serves one context for good."""

    code = "identity_bound"
    next_step = "generate a new identity and have it invited: `meroctl context identity generate`"


class WrongInviteeError(ForbiddenError):
    """The invitation is for a key that this account doesn't have here."""

    code = "wrong_invitee"
    next_step = "have one of your own identities invited"


class NotLetInError(ForbiddenError):
    """The inviter's node answered, but what it handed out doesn't make the key a member."""

    code = "not_let_in"
    next_step = "ask for a new invitation, from a member that you trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """An invitation for whoever holds `salt` (32 bytes, secret)."""

    ticket: Ticket
    salt: bytes = field(repr=False)


class JoiningService:
    """Invitations made and taken by identities of this node."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        authorship: Authorship,
        replication: ReplicationService,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._authorship = authorship
        self._replication = replication
        self._transport = transport
        self._clock = clock

    def invite(
        self, principal: Principal, context_id: ContextId, inviter: PublicKey, invitee: PublicKey, at: int
    ) -> Ticket:
        """Offer membership to a named key.

        Raises:
            ForbiddenError, NotFoundError: the rules or the ownership of the inviter don't allow it.
        """
        body = Invite(invitee=invitee.checked(), secret_key=None, capabilities=ON_JOINING, uses=1)
        return self._offer(principal, context_id, inviter, body, None, at)

    def invite_openly(
        self, principal: Principal, context_id: ContextId, inviter: PublicKey, valid_for_s: int, at: int
    ) -> OpenInvitation:
        """Offer membership to whoever holds the secret, any number of times until it is revoked.

        Raises:
            ForbiddenError, NotFoundError: as `invite`.
        """
        salt = secrets.token_bytes(32)
        secret_key = invitation_secret(salt).public_key
        body = Invite(invitee=None, secret_key=secret_key, capabilities=ON_JOINING, uses=None)
        return OpenInvitation(ticket=self._offer(principal, context_id, inviter, body, valid_for_s, at), salt=salt)

    def join(
        self, principal: Principal, ticket: Ticket, joiner: PublicKey, *, salt: bytes | None, at: int
    ) -> tuple[ContextId, PublicKey]:
        """Join with an invitation: ask at its door, join, fetch the history, and take part.

        Raises:
            InvitationExpiredError: its time is over.
            NotYourIdentityError, IdentityBoundError: the joining key isn't free to join here.
            PeerUnreachableError, PeerRefusedError: the inviter's node doesn't answer or let in.
            RuleRefusalError: the invitation doesn't hold any more.
            NotLetInError: the history that came doesn't say that the key is a member.
        """
        ticket.check_time(at)
        keys = self._free_keys(principal, ticket.context_id, joiner)
        self._transport.connect(ticket.endpoints)
        door = door_of(ticket.grant)
        channel = Channel(
            context_id=ticket.context_id,
            topic=door.topic,
            handle=door.handle,
            responder=ticket.inviter,
            sealing=ticket.sealing,
        )
        proof = None if salt is None else _proof(ticket, salt, joiner)
        heads, member = self._knock(channel, keys, proof)
        self._bind(joiner, ticket.context_id)
        if not member:
            join = self._join_operation(principal, ticket, keys, heads, proof)
            reply = ask_peer(self._transport, channel, keys, requests.ask_offer([join]), timeout_s=ASK_S)
            code = requests.read_offer(reply).get(join.operation_id, "not_invited")
            if code not in _LET_IN:
                raise refusal_of(void(code))
        replica = self._replicas.find(ticket.context_id) or self.begin(channel, keys)
        self._store.write(lambda tx: tx.contexts.keep_endpoints(ticket.context_id, ticket.endpoints))
        self._replication.catch_up(replica, channel, keys)
        if joiner not in replica.ledger.state.members:
            raise NotLetInError(f"{joiner} is no member of {ticket.context_id} by the history that came")
        return ticket.context_id, joiner

    def _offer(
        self,
        principal: Principal,
        context_id: ContextId,
        inviter: PublicKey,
        body: Invite,
        valid_for_s: int | None,
        at: int,
    ) -> Ticket:
        replica = self._replicas.get(context_id)
        keys = self._keys.own(principal.account_id, inviter)
        with replica.lock:
            member_of(replica, inviter, needs=Capability.INVITE)
            operation = self._authorship.issue(replica, keys, body, at)
        return issue_ticket(
            keys,
            context_id=context_id,
            grant=operation.operation_id,
            sealing=keys.sealing.public,
            endpoints=tuple(self._transport.endpoints()),
            issued_at=at,
            valid_for_s=valid_for_s,
        )

    def _free_keys(self, principal: Principal, context_id: ContextId, joiner: PublicKey) -> ClientKeys:
        keys = self._keys.own(principal.account_id, joiner)
        record = self._store.read(lambda tx: tx.accounts.client_key(joiner))
        if record is None or record.context_id not in {None, context_id}:
            raise IdentityBoundError(f"{joiner} is an identity of another context")
        return keys

    def _bind(self, joiner: PublicKey, context_id: ContextId) -> None:
        """Bind the key before anything signed with it leaves, so that it never stands in two contexts.

        Raises:
            IdentityBoundError: another call took it for another context.
        """

        def work(tx: Transaction) -> None:
            record = tx.accounts.client_key(joiner)
            bound = None if record is None else record.context_id
            if bound != context_id and not tx.accounts.bind_client_key(joiner, context_id):
                raise IdentityBoundError(f"{joiner} is an identity of another context")

        self._store.write(work)

    def _knock(self, channel: Channel, keys: ClientKeys, proof: bytes | None) -> tuple[tuple[OperationId, ...], bool]:
        """Ask at the door; a connection that was just asked for may take a moment."""
        for left in reversed(range(DOOR_TRIES)):
            try:
                reply = ask_peer(self._transport, channel, keys, requests.ask_door(proof), timeout_s=ASK_S)
                return requests.read_door(reply)
            except PeerUnreachableError:
                if not left:
                    raise
        raise AssertionError("the loop returns or raises")

    def _join_operation(
        self,
        principal: Principal,
        ticket: Ticket,
        keys: ClientKeys,
        heads: tuple[OperationId, ...],
        proof: bytes | None,
    ) -> VerifiedOperation:
        body = Join(invitation=ticket.grant, keys=self._keys.publish(principal.account_id, keys), proof=proof)
        known = self._replicas.find(ticket.context_id)
        last = None if known is None else known.ledger.last_of(keys.public_key)
        operation = Operation(
            context=ticket.context_id,
            author=keys.public_key,
            seq=1 if last is None else last.operation.seq + 1,
            prev=None if last is None else last.operation_id,
            parents=heads,
            auth=ticket.grant,
            epoch=None,
            body=body,
        )
        return sign_operation(operation, keys)

    def begin(self, channel: Channel, keys: ClientKeys) -> Replica:
        """Fetch the genesis from a member and keep the context; the rest of the history follows.

        Raises:
            PeerUnreachableError, PeerRefusedError, BadReplyError: the member doesn't hand it out.
        """
        context_id = channel.context_id
        reply = ask_peer(self._transport, channel, keys, requests.ask_history(()), timeout_s=ASK_S)
        operations = requests.read_history(reply).operations
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


def _proof(ticket: Ticket, salt: bytes, joiner: PublicKey) -> bytes:
    """What the secret of an open invitation signs for the joiner."""
    return invitation_secret(salt).sign(invitation_proof_message(ticket.context_id, ticket.grant, joiner))
