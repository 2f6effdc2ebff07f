"""Replacing an identity's client key by the next one of its slot (`semantics.md` rule 11)."""

from dataclasses import replace

from meroid import limits
from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next
from meroid.ledger.graph import Node
from meroid.ledger.operation import Leave, Rotate, VerifiedOperation
from meroid.ledger.verify import sign_operation
from meroid.service.authorship import Authorship, KeyRotatedError, MembershipEndedError, current_epoch, member_of
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import ClientKeyRecord
from meroid.service.ports.content import AliasScope
from meroid.service.ports.store import Store, Transaction
from meroid.service.refusals import refusal_of
from meroid.service.replica import Replica, Replicas


class RotationService:
    """Rotates client keys; membership, rank and rights go on, and the old key signs nothing that counts."""

    def __init__(self, store: Store, replicas: Replicas, keys: KeyRing, authorship: Authorship) -> None:
        self._store = store
        self._replicas = replicas
        self._keys = keys
        self._authorship = authorship

    def rotate(self, principal: Principal, context_id: ContextId, key: PublicKey, at: int) -> PublicKey:
        """Rotate one identity in its context, and begin a new epoch that the old key can't read.

        What this node has seen of the old key stays; aliases of this node follow to the new one.

        Raises:
            ContextNotFoundError, NotYourIdentityError: no such identity of the caller.
            NotAMemberError, MembershipEndedError, KeyRotatedError: the key is no member now.
            BadKeyPathError: it was the last generation of the slot.
            RestoredUnsyncedError: the key came from a backup, and no member was heard since.
        """
        self._keys.check_may_rotate(key)
        return self._rotate(principal, context_id, key, at)

    def resume(self, principal: Principal, context_id: ContextId, key: PublicKey, at: int) -> PublicKey:
        """Rotate an identity that came from a backup, once its last operation is known here.

        Raises:
            MeroidError: as `rotate`; the key stays restored.
        """
        return self._rotate(principal, context_id, key, at)

    def _rotate(self, principal: Principal, context_id: ContextId, key: PublicKey, at: int) -> PublicKey:
        replica = self._replicas.get(context_id)
        keys = self._keys.own(principal.account_id, key)
        with replica.lock:
            leave = None
            try:
                line = member_of(replica, key).line
            except KeyRotatedError:
                # a crash may have come between the rotation and this
                self._aliases_follow(context_id, key, replica.ledger.state.key_now(key))
                raise
            except MembershipEndedError:
                leave = _leave_of(replica, key)
                if leave is None:
                    raise
                line = leave.line
            record, following = self._keys.next_generation(keys, context_id, at)
            published = self._keys.publish(principal.account_id, following)
            body = Rotate(previous=key, keys=published, frontier=_branches(replica, line))
            epoch = current_epoch(replica)
            if leave is None:
                operation = author_next(replica.ledger, following, body, epoch=epoch)
            else:
                operation = _instead_of(leave, following, body)
            verdict = replica.ledger.trial(operation)
            if not verdict.valid:
                raise refusal_of(verdict)
            # the key comes on record first: what it signs must never outlive the knowledge of it
            self._store.write(lambda tx: _keep(tx, record))
            self._authorship.put(replica, [operation], at)
            self._aliases_follow(context_id, key, following.public_key)
            self._authorship.secure(replica, following, at)
        return following.public_key

    def _aliases_follow(self, context_id: ContextId, old: PublicKey, new: PublicKey) -> None:
        self._store.write(lambda tx: _follow(tx, context_id, old, new))


def _leave_of(replica: Replica, key: PublicKey) -> Node | None:
    """The `leave` of this key that ended its membership, if nothing else did: a thief may have signed it."""
    ended = [cut.by for cut in replica.ledger.state.cuts_of(key) if cut.ends_membership]
    leaves = all(isinstance(by.operation.body, Leave) and by.author == key for by in ended)
    return ended[0] if leaves and len(ended) == 1 and replica.noticed(key) is None else None


def _instead_of(leave: Node, following: ClientKeys, body: Rotate) -> VerifiedOperation:
    """A rotation in the place of a `leave`, which it doesn't honour (rule 11)."""
    operation = replace(leave.operation, author=following.public_key, body=replace(body, frontier=()))
    return sign_operation(operation, following)


def _branches(replica: Replica, line: PublicKey) -> tuple[OperationId, ...]:
    """The ends of all that is here of a line: after a fork nobody can tell which branch is the owner's."""
    tips = replica.ledger.graph.tips_of(line)
    if len(tips) == 1:
        return ()
    return tuple(sorted(node.operation_id for node in tips))[: limits.OPERATION_PARENTS.value]


def _keep(tx: Transaction, record: ClientKeyRecord) -> None:
    if tx.accounts.client_key(record.public_key) is None:
        tx.accounts.add_client_key(record)


def _follow(tx: Transaction, context_id: ContextId, old: PublicKey, new: PublicKey) -> None:
    for name, target in tx.aliases.list(AliasScope.IDENTITY, context_id).items():
        if target == old:
            tx.aliases.remove(AliasScope.IDENTITY, context_id, name)
            tx.aliases.add(AliasScope.IDENTITY, context_id, name, new)
