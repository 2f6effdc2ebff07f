"""The key logs of this node's accounts: read, extended by what this node signs, replaced by later copies.

The log follows the records: `settle` adds what is missing in it, that is the claim of this device, and
root keys that were bound or removed here. An account that came from a backup is unsettled: its log may
have later entries elsewhere, and an entry added to it would fork it; so nothing is added until its owner
says that the log is the latest, or gives a later one.
"""

from collections.abc import Iterable, Iterator, Sequence

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.changes import Change, DeviceClaim, RootKeyBinding, RootKeyRemoval
from meroid.account.key_log import EntryDraft, extend_key_log, verify_key_log
from meroid.account.root_key import NEAR_WALLET, root_key_identifier, root_key_salt
from meroid.account.seed import Seed
from meroid.account.succession import SeedNotOfAccountError, rotate, seed_generation
from meroid.auth.near_wallet import certification_from_text
from meroid.errors import ConflictError, ForbiddenError
from meroid.ids import AccountId
from meroid.keys.signer import Signer
from meroid.service.keyring import KeyRing, NotYourIdentityError
from meroid.service.ports.accounts import AccountRecord
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.verified_logs import VerifiedLogs


class KeyLogUnsettledError(ConflictError):
    """The account came from a backup, and its key log may have later entries elsewhere."""

    code = "key_log_unsettled"
    next_step = "stop the node, and give a later copy of the log (merod account log --file FILE), or say that there is none (--is-latest)"


class NeedsCosignersError(ForbiddenError):
    """This node doesn't hold enough of the account's keys to sign alone."""

    code = "needs_cosigners"
    next_step = "draft the entry, have the others sign it, and put it together: merod account draft, sign, assemble"


class NoLaterEntryError(ConflictError):
    """A copy of the log has nothing that isn't here, so it says nothing about later entries."""

    code = "key_log_not_later"
    next_step = "take the copy from the device that was used last, or say that there is no later entry: --is-latest"


class OtherKeyLogError(ConflictError):
    """A copy of the log doesn't go on from the one that is here."""

    code = "key_log_diverges"
    next_step = "give a copy of this account's log that has all entries that are here, or more"


class KeyLogs:
    """Reads and extends the key logs of accounts whose seed this node keeps."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys
        self._verified = VerifiedLogs()

    def read(self, account_id: AccountId) -> VerifiedKeyLog:
        """The log of an account as it is here.

        Raises:
            NotYourIdentityError: the account isn't on this node.
        """
        return self._store.read(lambda tx: self.within(tx, account_id))

    def within(self, tx: Transaction, account_id: AccountId) -> VerifiedKeyLog:
        """The log of an account inside a transaction; what was verified before isn't verified again.

        Raises:
            NotYourIdentityError: the account isn't on this node.
        """
        log = self._verified.within(tx, account_id)
        if log is None:
            raise NotYourIdentityError("this account has no key log on this node")
        return log

    def entries(self, account_id: AccountId) -> Sequence[bytes]:
        """The bytes of a log, the inception first."""
        return self._store.read(lambda tx: tx.accounts.key_log(account_id))

    def append(self, account_id: AccountId, *changes: Change) -> VerifiedKeyLog:
        """Make changes, each signed by the account's current key, in one transaction.

        Raises:
            KeyLogUnsettledError: the log may have later entries elsewhere.
            NeedsCosignersError: others have to sign as well.
            IntegrityError, ConflictError, NotFoundError: as `key_log.verify_key_log`; nothing was added.
        """
        return self._store.write(lambda tx: self.append_within(tx, account_id, *changes))

    def append_within(self, tx: Transaction, account_id: AccountId, *changes: Change) -> VerifiedKeyLog:
        """As `append`, inside a transaction."""
        account, log = self._account(tx, account_id), self.within(tx, account_id)
        if not changes:
            return log
        self._check_may_sign(account, log)
        signer = self.signer(account_id, log)
        for change in changes:
            log = self._store_entry(tx, log, EntryDraft.of(log, change).signed(signer).encoded)
        return log

    def settle(self, tx: Transaction, account_id: AccountId) -> VerifiedKeyLog:
        """Bring the log in line with the records of this node, as far as this node may.

        Raises:
            NotYourIdentityError: the account isn't on this node.
        """
        account = tx.accounts.get(account_id)
        log = self.within(tx, account_id)
        if account is None or account.log_unsettled_at is not None or not self._signs_alone(account, log):
            return log
        return self.append_within(tx, account_id, *self._missing(tx, account, log))

    def missing(self, account_id: AccountId) -> Sequence[Change]:
        """What the records of this node say and the log doesn't, each an entry to be signed.

        Raises:
            KeyLogUnsettledError: the log may have later entries elsewhere.
        """

        def work(tx: Transaction) -> Sequence[Change]:
            account = self._account(tx, account_id)
            _check_settled(account)
            return list(self._missing(tx, account, self.within(tx, account_id)))

        return self._store.read(work)

    def check_settled(self, account_id: AccountId) -> None:
        """Refuse where the log may have later entries elsewhere.

        Raises:
            KeyLogUnsettledError: it may.
        """
        _check_settled(self._store.read(lambda tx: self._account(tx, account_id)))

    def rotate(self, account_id: AccountId) -> VerifiedKeyLog:
        """The next account key takes over; the recovery set stays.

        Raises:
            KeyLogUnsettledError, NeedsCosignersError: as `append`.
        """

        def work(tx: Transaction) -> VerifiedKeyLog:
            account, log = self._account(tx, account_id), self.within(tx, account_id)
            self._check_may_sign(account, log)
            entry = rotate(log, self._keys.seed(account_id), recovery=log.state.recovery)
            return self._store_entry(tx, log, entry.encoded)

        return self._store.write(work)

    def take_entry(self, account_id: AccountId, entry: bytes) -> VerifiedKeyLog:
        """Add an entry that others have signed too.

        Raises:
            KeyLogUnsettledError: the log may have later entries elsewhere.
            IntegrityError, ConflictError, NotFoundError: as `key_log.verify_key_log`.
        """

        def work(tx: Transaction) -> VerifiedKeyLog:
            _check_settled(self._account(tx, account_id))
            return self._store_entry(tx, self.within(tx, account_id), entry)

        return self._store.write(work)

    def take_later(self, account_id: AccountId, entries: Iterable[bytes]) -> VerifiedKeyLog:
        """Put a later copy of the log in the place of the one here, which says that it is whole.

        Raises:
            OtherKeyLogError: it isn't this account's, or lacks entries that are here.
            NoLaterEntryError: it has no further entry.
            IntegrityError: it doesn't hold.
        """
        later = tuple(entries)
        log = verify_key_log(later)

        def work(tx: Transaction) -> VerifiedKeyLog:
            here = tx.accounts.key_log(account_id)
            if log.account_id != account_id or [*later[: len(here)]] != [*here]:
                raise OtherKeyLogError("the copy doesn't go on from the log that is here")
            if len(later) == len(here):
                raise NoLaterEntryError("the copy has no entry that isn't here already")
            for place, entry in enumerate(later[len(here) :], start=len(here)):
                tx.accounts.append_key_log(account_id, place, entry)
            return self._settled(tx, account_id)

        return self._store.write(work)

    def say_latest(self, account_id: AccountId) -> VerifiedKeyLog:
        """Go on from the log as it is here, since its owner says that there is no later one."""
        return self._store.write(lambda tx: self._settled(tx, account_id))

    def _settled(self, tx: Transaction, account_id: AccountId) -> VerifiedKeyLog:
        tx.accounts.set_log_settled(account_id)
        return self.settle(tx, account_id)

    def signer(self, account_id: AccountId, log: VerifiedKeyLog) -> Signer:
        """The account's current key, where this node holds it.

        Raises:
            SeedNotOfAccountError: no key of the seed is in force.
        """
        seed = self._keys.seed(account_id)
        return seed.account_key(seed_generation(log.state, seed))

    def _store_entry(self, tx: Transaction, log: VerifiedKeyLog, entry: bytes) -> VerifiedKeyLog:
        extended = extend_key_log(log, entry)
        tx.accounts.append_key_log(log.account_id, log.length, entry)
        return extended

    def _account(self, tx: Transaction, account_id: AccountId) -> AccountRecord:
        account = tx.accounts.get(account_id)
        if account is None:
            raise NotYourIdentityError("this account keeps no seed on this node")
        return account

    def _check_may_sign(self, account: AccountRecord, log: VerifiedKeyLog) -> None:
        _check_settled(account)
        if not self._signs_alone(account, log):
            raise NeedsCosignersError(f"{log.state.keys.threshold} of the account's keys have to sign")

    def _signs_alone(self, account: AccountRecord, log: VerifiedKeyLog) -> bool:
        if log.state.keys.threshold > 1:
            return False
        try:
            seed_generation(log.state, self._keys.seed_of(account))
        except SeedNotOfAccountError:
            return False
        return True

    def _missing(self, tx: Transaction, account: AccountRecord, log: VerifiedKeyLog) -> Iterator[Change]:
        """What the records say and the log doesn't: this device, root keys that came, root keys that went."""
        state = log.state
        if account.device not in state.devices | state.revoked_devices:
            yield DeviceClaim(device=account.device)
        seed = self._keys.seed_of(account)
        records = tx.auth.root_keys(account.account_id)
        live = {binding.identifier: binding for binding in (_binding(seed, each) for each in records if _lives(each))}
        for identifier, binding in live.items():
            known = state.root_keys.get(identifier)
            if known is not None and known != binding:  # a wallet has certified the account since, or anew
                yield RootKeyRemoval(identifier=identifier)
            if known != binding:
                yield binding
        gone = {_binding(seed, each).identifier for each in records if not _lives(each)} - live.keys()
        yield from (RootKeyRemoval(identifier=each) for each in sorted(gone) if each in state.root_keys)


def _check_settled(account: AccountRecord) -> None:
    if account.log_unsettled_at is not None:
        raise KeyLogUnsettledError("the key log may have later entries on another device")


def _lives(record: RootKeyRecord) -> bool:
    return record.revoked_at is None


def _binding(seed: Seed, record: RootKeyRecord) -> RootKeyBinding:
    salt = root_key_salt(seed, record.method, record.identifier)
    identifier = root_key_identifier(record.method, record.identifier, salt)
    certified = record.method == NEAR_WALLET and record.verifier is not None
    evidence = certification_from_text(record.verifier or "").digest if certified else None
    return RootKeyBinding(method=record.method, identifier=identifier, evidence=evidence)
