"""Contexts and their members, as the identities of this node see and change them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.errors import ConflictError, NotFoundError
from meroid.ids import AccountId, ApplicationId, ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next, compose_genesis, next_seq
from meroid.ledger.capability import Capability
from meroid.ledger.epoch import compose_rekey, new_epoch_key, seal_data
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Binding, Delta, Genesis, Grant, Policy, Remove, Revoke, VerifiedOperation
from meroid.ledger.state import Member, MembershipState
from meroid.ledger.verify import sign_operation
from meroid.service.authorship import Authorship, member_of
from meroid.service.catching_up import NobodyAnsweredError, SyncIncompleteError
from meroid.service.execution import GuestFailedError, encode_payload
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import ClientKeyRecord
from meroid.service.ports.content import ApplicationRecord, ContextRecord
from meroid.service.ports.runtime import Invocation, Outcome, Runtime
from meroid.service.ports.store import Store, Transaction
from meroid.service.projection import EMPTY_ROOT, bytecode_loader
from meroid.service.replica import ContextNotFoundError, Replica, Replicas
from meroid.service.replication import ReplicationService

_FOUNDING_TRIES: Final = 16
_SLOT_TAKEN: Final = "store_conflict"

Change: TypeAlias = Grant | Revoke | Remove
"""What one member does to the rights of another."""


class ApplicationNotFoundError(NotFoundError):
    """No application with this id is installed."""

    code = "application_not_found"
    next_step = "install it first: `meroctl app install --path FILE`"


class SeedUsedError(ConflictError):
    """This account already made a context from that seed."""

    code = "context_seed_used"
    next_step = "use the context that is there, or another seed"


class OwnLinkedKeyError(ConflictError):
    """A member named its own linked key where a member is meant, which would be itself."""

    code = "own_linked_key"
    next_step = "take the device away with `meroctl context identity unlink KEY`, or name your main key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextView:
    """A context as its members see it; `root_hash` is 32 bytes, heads are operation ids."""

    context_id: ContextId
    application_id: ApplicationId
    root_hash: bytes
    heads: tuple[bytes, ...]
    executors: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What a context is made from; `seed` is 32 bytes or nothing, `parameters` goes to the application's `init`."""

    application_id: ApplicationId
    protocol: str
    seed: bytes | None
    parameters: bytes


class ContextService:
    """Use cases around contexts and membership."""

    def __init__(
        self,
        store: Store,
        replicas: Replicas,
        keys: KeyRing,
        runtime: Runtime,
        authorship: Authorship,
        replication: ReplicationService,
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._runtime = runtime
        self._authorship = authorship
        self._replication = replication

    def create(self, principal: Principal, founding: Founding, at: int) -> tuple[ContextId, PublicKey]:
        """Make a context: genesis, first epoch and the application's first state, in one commit.

        Raises:
            ApplicationNotFoundError: the application isn't installed.
            SeedUsedError: the account made a context from this seed before.
            GuestFailedError, DeltaTooLargeError: the application's `init` failed, or wrote more than
                an operation holds; nothing was made.
        """
        application = self._store.read(lambda tx: tx.applications.get(founding.application_id))
        if application is None:
            raise ApplicationNotFoundError(f"application {founding.application_id} is not installed on this node")
        for left in reversed(range(_FOUNDING_TRIES)):
            try:
                return self._found(principal, founding, application, at)
            except ConflictError as clash:  # another call took the drafted slot first
                if clash.code != _SLOT_TAKEN or not left:
                    raise
        raise AssertionError("the loop returns or raises")

    def _found(
        self, principal: Principal, founding: Founding, application: ApplicationRecord, at: int
    ) -> tuple[ContextId, PublicKey]:
        """One try; who has drafted sees the contexts of all whose slots were taken before."""
        record, keys = self._keys.draft(principal.account_id, at)
        if founding.seed is not None:
            self._refuse_used_seed(principal, founding.seed)
        founder = _Founder(self._keys, self._runtime, principal, keys, application)
        genesis = founder.genesis(founding)
        outcome = self._store.read(lambda tx: founder.first_state(tx, genesis, founding, at))
        replica, operations = founder.begin(genesis, outcome)
        context = ContextRecord(
            context_id=replica.context_id,
            application_id=application.application_id,
            protocol=founding.protocol,
            root_hash=replica.root_hash,
            created_at=at,
        )
        bound = replace(record, context_id=replica.context_id)
        self._store.write(lambda tx: _store_founded(tx, context, bound, replica, operations, outcome, at))
        self._replicas.put(replica)
        self._replication.refresh(replica)
        return replica.context_id, keys.public_key

    def list(self, principal: Principal) -> Sequence[ContextView]:
        """The contexts in which the caller's account has an identity."""
        keys = self._store.read(lambda tx: tx.accounts.client_keys(account_id=principal.account_id))
        bound = dict.fromkeys(each.context_id for each in keys if each.context_id is not None)
        replicas = (self._replicas.find(context_id) for context_id in bound)
        return [_view(replica) for replica in replicas if replica is not None]

    def get(self, principal: Principal, context_id: ContextId) -> ContextView:
        """One context.

        Raises:
            ContextNotFoundError: this node isn't in it, or no identity of the caller's account is.
        """
        return _view(self._seen_by(principal, context_id))

    def members(self, principal: Principal, context_id: ContextId) -> Sequence[Member]:
        """The current members, the most senior first, and behind each main key those that are linked to it."""
        members = self._seen_by(principal, context_id).ledger.state.members.values()
        return sorted(
            members,
            key=lambda each: (len(each.rank), each.rank, each.linked_to or each.line, each.linked_to is not None),
        )

    def capabilities_of(self, principal: Principal, context_id: ContextId, key: PublicKey) -> frozenset[Capability]:
        """What the member may do to whom a key belongs; nothing if it is no member."""
        state = self._seen_by(principal, context_id).ledger.state
        member = state.members.get(state.main_key(key))
        return frozenset() if member is None else member.capabilities

    def owned(self, principal: Principal, context_id: ContextId) -> Sequence[PublicKey]:
        """The caller's identities that are members of a context."""
        replica = self._seen_by(principal, context_id)
        return [key for key in self._own_keys(principal, context_id) if key in replica.ledger.state.members]

    def generate_identity(self, principal: Principal, at: int) -> PublicKey:
        """A new client key of the caller's account, for a context to be joined."""
        return self._keys.generate(principal.account_id, at)

    def manager_of(self, principal: Principal, context_id: ContextId) -> PublicKey:
        """An identity of the caller that manages members here, for callers that name none.

        Raises:
            LacksCapabilityError, NotAMemberError: there is none.
        """
        replica = self._seen_by(principal, context_id)
        own = self._own_keys(principal, context_id)
        for key in own:
            member = replica.ledger.state.members.get(key)
            if member is not None and member.may(Capability.MANAGE_MEMBERS):
                return key
        return member_of(replica, own[0], needs=Capability.MANAGE_MEMBERS).key

    def change(
        self, principal: Principal, context_id: ContextId, signer: PublicKey, bodies: Sequence[Change], at: int
    ) -> Sequence[VerifiedOperation]:
        """Give and take rights and end memberships, here and now; all of them, or none.

        Who names a linked key means the member to whom it belongs; of its own nobody means it so.
        A new epoch begins at once where somebody may not read any more.

        Raises:
            OwnLinkedKeyError: a key is named that is linked to the signer.
            ForbiddenError, NotFoundError: the rules or the ownership of the signer don't allow one of them.
        """
        replica, keys = self._acting(principal, context_id, signer)
        with replica.lock:
            state = replica.ledger.state
            bodies = [replace(body, member=_meant(state, keys.public_key, body.member)) for body in bodies]
            self._authorship.check(replica, keys, bodies)
            issued = [self._authorship.issue(replica, keys, body, at) for body in bodies]
            self._authorship.secure(replica, keys, at)
        return issued

    def remove(
        self, principal: Principal, context_id: ContextId, signer: PublicKey, member: PublicKey, at: int
    ) -> VerifiedOperation:
        """End a membership; all that this node has seen of the member is among the ancestors, and so stays.

        Raises:
            ForbiddenError, NotFoundError: as `change`.
        """
        return self.change(principal, context_id, signer, [Remove(member=member, frontier=(), cascade=())], at)[0]

    def sync(self, principal: Principal, context_id: ContextId) -> None:
        """Ask members for what is missing; afterwards nothing is known to be missing.

        Raises:
            NotAMemberError, MembershipEndedError: no identity of the caller is a member.
            NobodyAnsweredError: there are members on other nodes, and none of them answered.
            SyncIncompleteError: something is missing still.
        """
        replica = self._seen_by(principal, context_id)
        report = self._replication.repair(replica)
        with replica.lock:
            members = {key for key in replica.ledger.state.members if replica.noticed(key) is None}
            own = [principal.bound_executor] if principal.bound_executor else self._own_keys(principal, context_id)
            if members.isdisjoint(own):
                member_of(replica, own[-1])
        if not report.answered and any(self._keys.owner_of(key) is None for key in members):
            raise NobodyAnsweredError(f"no other member of {context_id} answered")
        if not report.complete:
            raise SyncIncompleteError(f"a part of the history of {context_id} is missing still")

    def may_read(self, principal: Principal, context_id: ContextId) -> bool:
        """Whether an identity of the caller reads this context now."""
        replica = self._replicas.find(context_id)
        if replica is None:
            return False
        held = replica.ledger.state.members  # looked up once: an operation that comes meanwhile makes another state
        keys = [principal.bound_executor] if principal.bound_executor else self._own_keys(principal, context_id)
        here = (held[key] for key in keys if key in held and replica.noticed(key) is None)
        return any(member.may(Capability.READ) for member in here)

    def account_of(self, key: PublicKey) -> AccountId | None:
        """The account of this node that a client key belongs to."""
        return self._keys.owner_of(key)

    def application_of(self, context_id: ContextId) -> ApplicationId | None:
        """The application of a context of this node."""
        replica = self._replicas.find(context_id)
        return None if replica is None else replica.ledger.state.application.application_id

    def _acting(self, principal: Principal, context_id: ContextId, signer: PublicKey) -> tuple[Replica, ClientKeys]:
        replica = self._replicas.get(context_id)
        return replica, self._keys.own(principal.account_id, signer)

    def _seen_by(self, principal: Principal, context_id: ContextId) -> Replica:
        replica = self._replicas.get(context_id)
        if not self._own_keys(principal, context_id):
            raise ContextNotFoundError(f"this account has no identity in context {context_id}")
        return replica

    def _own_keys(self, principal: Principal, context_id: ContextId) -> Sequence[PublicKey]:
        records = self._store.read(
            lambda tx: tx.accounts.client_keys(account_id=principal.account_id, context_id=context_id)
        )
        return [record.public_key for record in records]

    def _refuse_used_seed(self, principal: Principal, seed: bytes) -> None:
        for view in self.list(principal):
            replica = self._replicas.get(view.context_id)
            genesis = next(iter(replica.ledger.graph)).operation
            own = self._keys.owner_of(genesis.author) == principal.account_id
            if own and isinstance(genesis.body, Genesis) and genesis.body.nonce == seed:
                raise SeedUsedError(f"context {view.context_id} was made from this seed")


def _meant(state: MembershipState, signer: PublicKey, key: PublicKey) -> PublicKey:
    """The member that a key stands for."""
    main = state.main_key(key)
    if main == signer != state.key_now(key):
        raise OwnLinkedKeyError(f"{key} is linked to {signer}, which would change itself")
    return main


def _view(replica: Replica) -> ContextView:
    with replica.lock:
        return ContextView(
            context_id=replica.context_id,
            application_id=replica.ledger.state.application.application_id,
            root_hash=replica.root_hash,
            heads=tuple(replica.ledger.heads()),
            executors=tuple(sorted(replica.ledger.state.members)),
        )


class _Founder:
    """The first steps of a context, before anything is stored."""

    def __init__(
        self,
        keys: KeyRing,
        runtime: Runtime,
        principal: Principal,
        signer: ClientKeys,
        application: ApplicationRecord,
    ) -> None:
        self._keys = keys
        self._runtime = runtime
        self._account_id = principal.account_id
        self._signer = signer
        self._application = application

    def genesis(self, founding: Founding) -> VerifiedOperation:
        binding = Binding(
            application_id=self._application.application_id,
            blob_id=self._application.blob_id,
            size=self._application.size,
            source=self._application.source,
            metadata=self._application.metadata,
        )
        body = Genesis(
            keys=self._keys.publish(self._account_id, self._signer),
            nonce=secrets.token_bytes(32) if founding.seed is None else founding.seed,
            policy=Policy(),
            application=binding,
        )
        return sign_operation(compose_genesis(self._signer.public_key, body), self._signer)

    def first_state(self, tx: Transaction, genesis: VerifiedOperation, founding: Founding, at: int) -> Outcome:
        """Run the application's `init`."""
        invocation = Invocation(
            method="init",
            input=founding.parameters,
            context_id=genesis.context_id,
            executor=self._signer.public_key,
            at=at,
            members=(self._signer.public_key,),
        )
        blob_id = self._application.blob_id
        outcome = self._runtime.run(blob_id, bytecode_loader(tx, blob_id), invocation, lambda _: None)
        if outcome.failure is not None:
            raise GuestFailedError(outcome.failure)
        return outcome

    def begin(self, genesis: VerifiedOperation, outcome: Outcome) -> tuple[Replica, list[VerifiedOperation]]:
        """Genesis, first epoch, and the delta of `init`, on a new ledger."""
        ledger = Ledger(genesis)
        context_id, author = ledger.context_id, self._signer.public_key
        key = new_epoch_key()
        rekey = compose_rekey(
            context=context_id,
            key=key,
            author=author,
            seq=next_seq(ledger, author),
            recipients=[(author, self._signer.sealing.public)],
            previous=None,
        )
        second = author_next(ledger, self._signer, rekey, epoch=None)
        ledger.add(second)
        root_hash = outcome.root_hash or EMPTY_ROOT
        payload = encode_payload(outcome, root_hash)
        nonce, ciphertext = seal_data(context_id, key, author, next_seq(ledger, author), payload)
        third = author_next(ledger, self._signer, Delta(nonce=nonce, ciphertext=ciphertext), epoch=rekey.epoch)
        ledger.add(third)
        replica = Replica(context_id=context_id, ledger=ledger, root_hash=root_hash)
        replica.epoch_keys[rekey.epoch] = key
        replica.applied.add(third.operation_id)
        return replica, [genesis, second, third]


def _store_founded(  # one commit holds them all
    tx: Transaction,
    context: ContextRecord,
    founder: ClientKeyRecord,
    replica: Replica,
    operations: Sequence[VerifiedOperation],
    outcome: Outcome,
    at: int,
) -> None:
    tx.contexts.add(context)
    tx.accounts.add_client_key(founder)
    for operation in operations:
        applied = operation.operation_id in replica.applied
        tx.operations.append(context.context_id, operation.operation_id, operation.envelope, applied=applied, at=at)
    tx.state.write(context.context_id, outcome.writes)
    for epoch, key in replica.epoch_keys.items():
        tx.epochs.put(context.context_id, epoch, key)
