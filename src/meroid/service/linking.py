"""A second device in one membership: offering it, taking the offer, and ending it (`semantics.md` §1)."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.errors import ForbiddenError, NotFoundError
from meroid.ids import ContextId, Id32
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.operation import Unlink
from meroid.ledger.state import Member
from meroid.ledger.verdict import void
from meroid.ledger.verify import link_proof_message
from meroid.service import requests
from meroid.service.authorship import Authorship, LacksCapabilityError, member_of
from meroid.service.contexts import ContextService
from meroid.service.entry import Entry
from meroid.service.keyring import KeyRing
from meroid.service.link_codes import (
    LINK,
    VALID_S,
    LinkCode,
    LinkOffer,
    LinkOffers,
    holder_key,
    new_salt,
    prove_holder,
)
from meroid.service.ports.store import Store
from meroid.service.ports.transport import Transport
from meroid.service.refusals import refusal_of
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService
from meroid.service.tickets import Ticket, issue_ticket


class NotTheMainKeyError(ForbiddenError):
    """A linked key can't do what concerns the membership itself."""

    code = "not_the_main_key"
    next_step = "do it as the member's main key: `meroctl context identity show` says which one that is"


class NoSuchIdentityError(NotFoundError):
    """The key isn't one of a current member."""

    code = "no_such_identity"
    next_step = "list the members: `meroctl context members`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A key of a member as others see it; `changes` counts what it wrote that counts."""

    member: Member
    main: PublicKey
    linked: tuple[PublicKey, ...]
    changes: int
    owned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A code with what it gives; `ends_at` in ms since the epoch."""

    code: LinkCode
    capabilities: frozenset[Capability]
    ends_at: int


class LinkingService:
    """Linked keys of this node's identities, and identities of this node that become linked keys."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        authorship: Authorship,
        contexts: ContextService,
        entry: Entry,
        replication: ReplicationService,
        offers: LinkOffers,
        transport: Transport,
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._authorship = authorship
        self._contexts = contexts
        self._entry = entry
        self._replication = replication
        self._offers = offers
        self._transport = transport

    def offer(
        self,
        principal: Principal,
        context_id: ContextId,
        main: PublicKey,
        *,
        key: PublicKey | None,
        capabilities: frozenset[Capability] | None,
        at: int,
    ) -> Offered:
        """Offer to link one further key to the membership of `main`, for ten minutes.

        Args:
            principal: the caller.
            context_id: the context.
            main: the caller's identity that is the member.
            key: the key that may be linked; `None` for whoever holds the code.
            capabilities: what the device may do; `None` for reading and writing, as far as the member may.
            at: now, in ms since the epoch.

        Raises:
            ContextNotFoundError, NotYourIdentityError, NotAMemberError: no such identity of the caller.
            NotTheMainKeyError: it is a linked key itself.
            LacksCapabilityError: the member lacks what the device should have.
            TooManyLinkOffersError: as many codes as there may be are open.
        """
        replica = self._replicas.get(context_id)
        keys = self._keys.own(principal.account_id, main)
        with replica.lock:
            member = _main_member(replica, main)
            given = _given(member, capabilities)
            salt = new_salt() if key is None else None
            offer = LinkOffer(
                offer_id=Id32(secrets.token_bytes(32)),
                context_id=context_id,
                main=main,
                capabilities=given,
                key=None if key is None else key.checked(),
                holder=None if salt is None else holder_key(salt),
                ends_at=at + VALID_S * 1000,
            )
            self._offers.add(offer, at)
        self._replication.refresh(replica)
        code = LinkCode(ticket=self._ticket(keys, offer, at), salt=salt)
        return Offered(code=code, capabilities=given, ends_at=offer.ends_at)

    def take(self, principal: Principal, code: LinkCode, key: PublicKey | None, at: int) -> tuple[ContextId, PublicKey]:
        """Become a further key of the membership behind a code, and take part as it.

        It may be called again after a lost answer. Without a `key` an identity is taken that an earlier
        try made, or a new one.

        Raises:
            LinkCodeExpiredError: its time is over.
            NotYourIdentityError, IdentityBoundError, RestoredIdentityError: the key isn't free to be linked.
            PeerUnreachableError, PeerRefusedError: the member's node doesn't answer, or not to this key.
            RuleRefusalError: the rules don't allow the link.
            NotLetInError: the history that came doesn't say that the key is linked.
        """
        ticket = code.ticket
        ticket.check_time(at)
        if key is None:
            key = self._waiting_key(principal, ticket.context_id) or self._keys.generate(principal.account_id, at)
        keys = self._entry.free_keys(principal, ticket.context_id, key)
        self._entry.check_first_use(key)
        channel = self._entry.channel(ticket)
        self._entry.bind(key, ticket.context_id)
        published = self._keys.publish(principal.account_id, keys)
        consent = keys.sign(link_proof_message(ticket.context_id, ticket.inviter, key, published))
        holder = None if code.salt is None else prove_holder(code.salt, ticket.grant, key)
        reply = self._entry.knock(channel, keys, requests.ask_link(published, consent, holder))
        verdict = requests.read_link(reply)
        if verdict != "valid":
            raise refusal_of(void(verdict))
        self._entry.take_part(ticket, channel, keys)
        return ticket.context_id, key

    def unlink(self, principal: Principal, context_id: ContextId, main: PublicKey, key: PublicKey, at: int) -> int:
        """Take a linked key away, and begin an epoch that it can't read; gives the number of its changes that stay.

        Raises:
            ContextNotFoundError, NotYourIdentityError, NotAMemberError: no such identity of the caller.
            NotTheMainKeyError: it is a linked key itself.
            RuleRefusalError: `key` isn't linked to it.
        """
        replica = self._replicas.get(context_id)
        keys = self._keys.own(principal.account_id, main)
        with replica.lock:
            _main_member(replica, main)
            state = replica.ledger.state
            now = state.key_now(key)
            linked = state.members.get(now)
            stay = 0 if linked is None else _changes(replica, linked)
            self._authorship.issue(replica, keys, Unlink(key=now, frontier=()), at)
            self._authorship.secure(replica, keys, at)
        return stay

    def identity(self, principal: Principal, context_id: ContextId, key: PublicKey) -> Identity:
        """A key of a current member, with the keys that are linked to it.

        Raises:
            ContextNotFoundError: no identity of the caller is in the context.
            NoSuchIdentityError: the key is no member's.
        """
        owned = key in self._contexts.owned(principal, context_id)
        replica = self._replicas.get(context_id)
        with replica.lock:
            state = replica.ledger.state
            member = state.members.get(key)
            if member is None:
                raise NoSuchIdentityError(f"{key} is no key of a member of {context_id}")
            return Identity(
                member=member,
                main=state.main_key(key),
                linked=tuple(each.key for each in state.linked_keys(member.line)),
                changes=_changes(replica, member),
                owned=owned,
            )

    def _ticket(self, keys: ClientKeys, offer: LinkOffer, at: int) -> Ticket:
        return issue_ticket(
            keys,
            LINK,
            context_id=offer.context_id,
            grant=offer.offer_id,
            sealing=keys.sealing.public,
            endpoints=tuple(self._transport.endpoints()),
            issued_at=at,
            valid_for_s=VALID_S,
        )

    def _waiting_key(self, principal: Principal, context_id: ContextId) -> PublicKey | None:
        """An identity that was bound to the context by an earlier try, and never came in."""
        records = self._store.read(
            lambda tx: tx.accounts.client_keys(account_id=principal.account_id, context_id=context_id)
        )
        replica = self._replicas.find(context_id)
        fresh = (each.public_key for each in records if each.restored_at is None)
        return next((key for key in fresh if _never_in(replica, key)), None)


def _never_in(replica: Replica | None, key: PublicKey) -> bool:
    if replica is None:
        return True
    state = replica.ledger.state
    return key not in state.members and key not in state.retired and not state.cuts_of(key)


def _main_member(replica: Replica, main: PublicKey) -> Member:
    member = member_of(replica, main)
    if member.linked_to is not None:
        raise NotTheMainKeyError(f"{main} is linked to {replica.ledger.state.main_key(main)}")
    return member


def _given(member: Member, wanted: Iterable[Capability] | None) -> frozenset[Capability]:
    given = member.capabilities & ON_JOINING if wanted is None else frozenset(wanted)
    lacking = sorted(given - member.capabilities)
    if lacking or not given:
        raise LacksCapabilityError(
            f"{member.key} does not have {', '.join(lacking) or 'a capability that the device could have'}"
        )
    return given


def _changes(replica: Replica, member: Member) -> int:
    return sum(node.line == member.line for node in replica.ledger.valid_deltas())
