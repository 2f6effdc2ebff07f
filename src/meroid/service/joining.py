"""Inviting to a context and joining one (`design.md` §7)."""

import secrets
from dataclasses import dataclass, field

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.errors import ForbiddenError
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.operation import Invite, Join, Operation, VerifiedOperation
from meroid.ledger.verdict import void
from meroid.ledger.verify import invitation_proof_message, sign_operation
from meroid.service import requests
from meroid.service.authorship import Authorship, member_of
from meroid.service.entry import Entry
from meroid.service.invitations import INVITATION, invitation_secret
from meroid.service.keyring import KeyRing
from meroid.service.ports.transport import Transport
from meroid.service.refusals import refusal_of
from meroid.service.replica import Replicas
from meroid.service.tickets import Ticket, issue_ticket

_LET_IN = frozenset({"valid", "already_member"})  # the second where an answer was lost and the offer came twice


class WrongInviteeError(ForbiddenError):
    """The invitation is for a key that this account doesn't have here."""

    code = "wrong_invitee"
    next_step = "have one of your own identities invited"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """An invitation for whoever holds `salt` (32 bytes, secret)."""

    ticket: Ticket
    salt: bytes = field(repr=False)


class JoiningService:
    """Invitations made and taken by identities of this node."""

    def __init__(
        self, replicas: Replicas, keys: KeyRing, authorship: Authorship, entry: Entry, transport: Transport
    ) -> None:
        self._replicas = replicas
        self._keys = keys
        self._authorship = authorship
        self._entry = entry
        self._transport = transport

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
            NotYourIdentityError, IdentityBoundError, RestoredIdentityError: the joining key isn't free to join here.
            PeerUnreachableError, PeerRefusedError: the inviter's node doesn't answer or let in.
            RuleRefusalError: the invitation doesn't hold any more.
            NotLetInError: the history that came doesn't say that the key is a member.
        """
        ticket.check_time(at)
        keys = self._entry.free_keys(principal, ticket.context_id, joiner)
        channel = self._entry.channel(ticket)
        proof = None if salt is None else _proof(ticket, salt, joiner)
        heads, member = requests.read_door(self._entry.knock(channel, keys, requests.ask_door(proof)))
        if not member:
            self._entry.check_first_use(joiner)
        self._entry.bind(joiner, ticket.context_id)
        if not member:
            join = self._join_operation(principal, ticket, keys, heads, proof)
            reply = self._entry.ask(channel, keys, requests.ask_offer([join]))
            code = requests.read_offer(reply).get(join.operation_id, "not_invited")
            if code not in _LET_IN:
                raise refusal_of(void(code))
        self._entry.take_part(ticket, channel, keys)
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
            INVITATION,
            context_id=context_id,
            grant=operation.operation_id,
            sealing=keys.sealing.public,
            endpoints=tuple(self._transport.endpoints()),
            issued_at=at,
            valid_for_s=valid_for_s,
        )

    def _join_operation(
        self,
        principal: Principal,
        ticket: Ticket,
        keys: ClientKeys,
        heads: tuple[OperationId, ...],
        proof: bytes | None,
    ) -> VerifiedOperation:
        grant = OperationId(ticket.grant)
        body = Join(invitation=grant, keys=self._keys.publish(principal.account_id, keys), proof=proof)
        known = self._replicas.find(ticket.context_id)
        last = None if known is None else known.ledger.last_of(keys.public_key)
        operation = Operation(
            context=ticket.context_id,
            author=keys.public_key,
            seq=1 if last is None else last.operation.seq + 1,
            prev=None if last is None else last.operation_id,
            parents=heads,
            auth=grant,
            epoch=None,
            body=body,
        )
        return sign_operation(operation, keys)


def _proof(ticket: Ticket, salt: bytes, joiner: PublicKey) -> bytes:
    """What the secret of an open invitation signs for the joiner."""
    return invitation_secret(salt).sign(invitation_proof_message(ticket.context_id, OperationId(ticket.grant), joiner))
