"""Replacing an identity's client key by the next one of its slot (`semantics.md` rule 11)."""

from meroid.access.principal import Principal
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next
from meroid.ledger.operation import Rotate
from meroid.service.authorship import Authorship, current_epoch, member_of
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import ClientKeyRecord
from meroid.service.ports.content import AliasScope
from meroid.service.ports.store import Store, Transaction
from meroid.service.refusals import refusal_of
from meroid.service.replica import Replicas


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
        """
        replica = self._replicas.get(context_id)
        keys = self._keys.own(principal.account_id, key)
        with replica.lock:
            member_of(replica, key)
            record, following = self._keys.next_generation(keys, context_id, at)
            published = self._keys.publish(principal.account_id, following)
            body = Rotate(previous=key, keys=published, frontier=())
            operation = author_next(replica.ledger, following, body, epoch=current_epoch(replica))
            verdict = replica.ledger.trial(operation)
            if not verdict.valid:
                raise refusal_of(verdict)
            # the key comes on record first: what it signs must never outlive the knowledge of it
            self._store.write(lambda tx: _keep(tx, record))
            self._authorship.put(replica, [operation], at)
            self._authorship.secure(replica, following, at)
        self._store.write(lambda tx: _follow(tx, context_id, key, following.public_key))
        return following.public_key


def _keep(tx: Transaction, record: ClientKeyRecord) -> None:
    if tx.accounts.client_key(record.public_key) is None:
        tx.accounts.add_client_key(record)


def _follow(tx: Transaction, context_id: ContextId, old: PublicKey, new: PublicKey) -> None:
    for name, target in tx.aliases.list(AliasScope.IDENTITY, context_id).items():
        if target == old:
            tx.aliases.remove(AliasScope.IDENTITY, context_id, name)
            tx.aliases.add(AliasScope.IDENTITY, context_id, name, new)
