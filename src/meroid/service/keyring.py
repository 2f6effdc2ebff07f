"""The client keys of this node: made, found and used for signing."""

import threading
from dataclasses import replace
from typing import Final

from meroid import limits
from meroid.account.audit import NOBODY, Action, Actor, AuditEvent
from meroid.account.client_keys import ClientKeyPath, ClientKeys
from meroid.account.key_log import claim_device, incept, verify_key_log
from meroid.account.seed import Seed
from meroid.errors import ConflictError, ForbiddenError
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.ledger.operation import MemberKeys
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.service.ports.seeds import SeedSealer
from meroid.service.ports.store import Store, Transaction

FIRST_DEVICE: Final = 0
_KEYS_KEPT: Final = 4096


class NotYourIdentityError(ForbiddenError):
    """The client key isn't one of the caller's account on this node."""

    code = "not_your_identity"
    next_step = "act as one of your own identities: `meroctl context identity list --owned`"


class RestoredUnsyncedError(ConflictError):
    """The client key came from a backup, and hasn't heard from a member what was signed with it since."""

    code = "restored_unsynced"
    next_step = (
        "have a member's node online (meroctl account return ADDRESS tells this one where); "
        "if no other copy of this home runs, and there is no other member: meroctl context identity resume"
    )


class PoolFullError(ConflictError):
    """Too many client keys wait for a context."""

    code = "pool_full"
    next_step = "use one of the identities that were generated and not used yet"


class KeyRing:
    """Derives the client keys that the store has on record, and keeps them while the node runs."""

    def __init__(self, store: Store, sealer: SeedSealer) -> None:
        self._store = store
        self._sealer = sealer
        self._seeds: dict[AccountId, Seed] = {}
        self._keys: dict[PublicKey, tuple[AccountId, ClientKeys]] = {}
        self._restored: set[PublicKey] | None = None  # read when first asked for
        self._elsewhere: set[PublicKey] = set()
        self._lock = threading.Lock()

    def create_account(self, *, owner: bool, at: int, by: Actor = NOBODY) -> AccountRecord:
        """Make an account with a fresh seed; the seed lies in the store, sealed. `by` is who makes it."""
        seed = Seed.generate()
        inception = incept(seed).encoded
        log = verify_key_log([inception])
        claim = claim_device(log, FIRST_DEVICE, seed.account_key(0)).encoded
        record = AccountRecord(
            account_id=log.account_id,
            sealed_seed=self._sealer.seal(log.account_id, seed),
            device=FIRST_DEVICE,
            created_at=at,
            owner=owner,
        )

        def work(tx: Transaction) -> None:
            tx.accounts.add(record, inception)
            tx.accounts.append_key_log(record.account_id, log.length, claim)
            tx.audit.append(AuditEvent(at=at, action=Action.ACCOUNT_CREATE, by=by, target=str(record.account_id)))

        self._store.write(work)
        return record

    def sealed(self, account_id: AccountId, seed: Seed) -> bytes:
        """A seed as it lies in the store."""
        return self._sealer.seal(account_id, seed)

    def seed(self, account_id: AccountId) -> Seed:
        """The seed of an account, for what signs as the account itself.

        Raises:
            NotYourIdentityError: the account keeps no seed on this node.
        """
        return self._seed(account_id)

    def words(self, account_id: AccountId) -> Secret:
        """The phrase of an account: for the terminal of this machine, never over HTTP.

        Raises:
            NotYourIdentityError: the account keeps no seed on this node.
        """
        return self._seed(account_id).words()

    def generate(self, account_id: AccountId, at: int) -> PublicKey:
        """Take the account's next free slot.

        Raises:
            PoolFullError: `limits.UNBOUND_IDENTITIES` keys wait for a context already.
        """
        most = limits.UNBOUND_IDENTITIES.value

        def work(tx: Transaction) -> ClientKeyRecord:
            if tx.accounts.count_unbound(account_id) >= most:
                raise PoolFullError(f"{most} identities of this account wait for a context")
            record = self._draft(tx, account_id, at)
            tx.accounts.add_client_key(record)
            return record

        return self._store.write(work).public_key

    def draft(self, account_id: AccountId, at: int) -> tuple[ClientKeyRecord, ClientKeys]:
        """The keys of the account's next free slot, not on record yet; who stores the record takes the slot.

        Raises:
            NotYourIdentityError: the account keeps no seed on this node.
        """
        record = self._store.read(lambda tx: self._draft(tx, account_id, at))
        return record, self._derive(record)

    def own(self, account_id: AccountId, public_key: PublicKey) -> ClientKeys:
        """The keys of one of the account's identities.

        Raises:
            NotYourIdentityError: the key belongs to another account, or isn't here.
        """
        known = self._keys.get(public_key)
        if known is None:
            record = self._store.read(lambda tx: tx.accounts.client_key(public_key))
            if record is not None:
                known = (record.account_id, self._derive(record))
        if known is None or known[0] != account_id:
            raise NotYourIdentityError(f"{public_key} is not an identity of this account")
        return known[1]

    def of_context(self, context_id: ContextId) -> tuple[ClientKeys, ...]:
        """All client keys of this node that are bound to a context."""
        records = self._store.read(lambda tx: tx.accounts.client_keys(context_id=context_id))
        return tuple(self._derive(record) for record in records)

    def owner_of(self, public_key: PublicKey) -> AccountId | None:
        """The account of this node that a client key belongs to."""
        known = self._keys.get(public_key)
        if known is not None:
            return known[0]
        record = self._store.read(lambda tx: tx.accounts.client_key(public_key))
        return None if record is None else record.account_id

    def check_resumed(self, public_key: PublicKey) -> None:
        """Refuse to sign operations with a key that came from a backup and wasn't rotated yet (`design.md` §4).

        Raises:
            RestoredUnsyncedError: it may have signed what isn't known here.
        """
        if public_key in self.restored():
            raise RestoredUnsyncedError(f"{public_key} was restored, and may have signed what is not known here")

    def restored(self) -> frozenset[PublicKey]:
        """The keys that came from a backup and sign nothing yet."""
        with self._lock:
            if self._restored is None:
                self._restored = set(self._store.read(lambda tx: tx.accounts.restored()))
            return frozenset(self._restored)

    def check_may_rotate(self, public_key: PublicKey) -> None:
        """As `check_resumed`, but a key that somebody else was seen to sign with may rotate: that is the remedy.

        Raises:
            RestoredUnsyncedError: it came from a backup, and nothing was heard since.
        """
        if public_key not in self._elsewhere:
            self.check_resumed(public_key)

    def seen_elsewhere(self, public_keys: frozenset[PublicKey]) -> None:
        """Note keys of this node with which somebody else was seen to sign; their records say restored already."""
        self._elsewhere |= public_keys
        self.reread()

    def reread(self) -> None:
        """Look again which keys were restored, after the records changed."""
        with self._lock:
            self._restored = None

    def next_generation(self, keys: ClientKeys, context_id: ContextId, at: int) -> tuple[ClientKeyRecord, ClientKeys]:
        """The next keys of an identity's slot, not on record yet.

        Raises:
            BadKeyPathError: it was the last generation of the slot.
        """
        account_id = self.owner_of(keys.public_key)
        if account_id is None:
            raise NotYourIdentityError(f"{keys.public_key} is not an identity of this node")
        path = replace(keys.path, generation=keys.path.generation + 1)
        record = ClientKeyRecord(
            public_key=self._seed(account_id).client_keys(path).public_key,
            account_id=account_id,
            device=path.device,
            slot=path.slot,
            generation=path.generation,
            context_id=context_id,
            created_at=at,
        )
        return record, self._derive(record)

    def publish(self, account_id: AccountId, keys: ClientKeys) -> MemberKeys:
        """What an identity publishes beside its client key when it becomes a member."""
        commitment = self._seed(account_id).next_keys_commitment(keys.path)
        return MemberKeys(sealing=keys.sealing.public, next_keys=commitment)

    def _draft(self, tx: Transaction, account_id: AccountId, at: int) -> ClientKeyRecord:
        account = tx.accounts.get(account_id)
        if account is None:
            raise NotYourIdentityError("this account keeps no seed on this node")
        path = ClientKeyPath(device=account.device, slot=tx.accounts.next_slot(account_id, account.device))
        keys = self._open(account).client_keys(path)
        return ClientKeyRecord(
            public_key=keys.public_key,
            account_id=account_id,
            device=path.device,
            slot=path.slot,
            generation=path.generation,
            context_id=None,
            created_at=at,
        )

    def _derive(self, record: ClientKeyRecord) -> ClientKeys:
        known = self._keys.get(record.public_key)
        if known is not None:
            return known[1]
        path = ClientKeyPath(device=record.device, slot=record.slot, generation=record.generation)
        keys = self._seed(record.account_id).client_keys(path)
        with self._lock:
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.pop(next(iter(self._keys)))
            self._keys[record.public_key] = (record.account_id, keys)
        return keys

    def _seed(self, account_id: AccountId) -> Seed:
        known = self._seeds.get(account_id)
        if known is not None:
            return known
        account = self._store.read(lambda tx: tx.accounts.get(account_id))
        if account is None:
            raise NotYourIdentityError("this account keeps no seed on this node")
        return self._open(account)

    def _open(self, account: AccountRecord) -> Seed:
        with self._lock:
            known = self._seeds.get(account.account_id)
            if known is None:
                known = self._seeds[account.account_id] = self._sealer.open(account.account_id, account.sealed_seed)
        return known
