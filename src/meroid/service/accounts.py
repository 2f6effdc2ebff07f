"""What somebody sees and changes of an account that this node keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meroid.access.principal import Principal
from meroid.account.account_state import VerifiedKeyLog
from meroid.account.audit import Action, AuditEvent
from meroid.account.certificate import DelegationCertificate, delegation_of, issue_certificate
from meroid.account.changes import DelegationRevocation
from meroid.account.proof import IdentityProof, make_proof
from meroid.errors import ForbiddenError, InvalidInputError, NotFoundError
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.service.auditing import actor_of
from meroid.service.key_logs import KeyLogs, NeedsCosignersError
from meroid.service.keyring import KeyRing
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.replica import Replicas
from meroid.service.revoking import LoginNotFreshError

LONGEST_PROOF_MS: Final = 365 * 24 * 3_600_000


class AccountNotFoundError(NotFoundError):
    """This node keeps no account with this id."""

    code = "account_not_found"
    next_step = "list the accounts: meroctl account list"


class NotTheOwnerError(ForbiddenError):
    """Only the owner of the node may do that with other people's accounts."""

    code = "not_the_owner"
    next_step = "ask the owner of the node"


class OwnerAccountError(ForbiddenError):
    """The node's own account can't be disabled: the node acts as it."""

    code = "owner_account"
    next_step = "stop the node, if it is to do nothing any more"


class ProofTooLongError(InvalidInputError):
    """The proof would hold for longer than a year, or has ended already."""

    code = "bad_proof_lifetime"
    next_step = "let it hold for a second to a year"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account with its key log's state and the root keys that open it here."""

    record: AccountRecord
    log: VerifiedKeyLog
    root_keys: Sequence[RootKeyRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeyView:
    """A client key of an account: `current` unless it was rotated away; `member` if it may act in its context."""

    record: ClientKeyRecord
    current: bool
    member: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegated:
    """A certificate that was issued, with its serial in the key log."""

    serial: int
    certificate: bytes


class AccountService:
    """Use cases around one's own account, and the owner's view of all."""

    def __init__(self, store: Store, keys: KeyRing, key_logs: KeyLogs, replicas: Replicas) -> None:
        self._store = store
        self._keys = keys
        self._key_logs = key_logs
        self._replicas = replicas

    def show(self, principal: Principal) -> AccountView:
        """The caller's account.

        Raises:
            AccountNotFoundError: it isn't on this node any more.
        """
        return self._store.read(lambda tx: self._view(tx, principal.account_id))

    def key_log(self, principal: Principal) -> Sequence[bytes]:
        """The entries of the caller's key log, for anyone to verify."""
        return self._key_logs.entries(principal.account_id)

    def client_keys(self, principal: Principal) -> Sequence[ClientKeyView]:
        """The caller's client keys, oldest first."""
        records = self._store.read(lambda tx: tx.accounts.client_keys(account_id=principal.account_id))
        latest = {(each.device, each.slot): each.generation for each in records}
        latest |= {(each.device, each.slot): max(each.generation, latest[each.device, each.slot]) for each in records}
        return [
            ClientKeyView(
                record=each,
                current=each.generation == latest[each.device, each.slot],
                member=self._is_member(each),
            )
            for each in records
        ]

    def rotate(self, principal: Principal, at: int) -> AccountView:
        """The next account key takes over; client keys, memberships and the id stay as they are.

        Raises:
            LoginNotFreshError: the log-in is older than five minutes.
            KeyLogUnsettledError, NeedsCosignersError: this node may not sign now, or not alone.
        """
        _check_fresh(principal, at)
        self._key_logs.rotate(principal.account_id)
        return self.show(principal)

    def prove(self, principal: Principal, proof: IdentityProof, at: int) -> bytes:
        """Sign that a client key of the caller belongs to the caller's account.

        Raises:
            NotYourIdentityError: the client key isn't the caller's.
            ProofTooLongError: for longer than a year, or over already.
            NeedsCosignersError: the account's key alone doesn't prove anything.
        """
        _check_fresh(principal, at)
        if not at < proof.expires_at <= at + LONGEST_PROOF_MS:
            raise ProofTooLongError("a proof holds for a second to a year")
        client = self._keys.own(principal.account_id, proof.client_key)
        log = self._key_logs.read(principal.account_id)
        if log.state.keys.threshold > 1:
            raise NeedsCosignersError(f"{log.state.keys.threshold} of the account's keys have to sign")
        return make_proof(proof, client, [self._key_logs.signer(principal.account_id, log)])

    def delegate(self, principal: Principal, certificate: DelegationCertificate, at: int) -> Delegated:
        """Issue a certificate for a client key, and enter its digest in the key log.

        Args:
            principal: whose account delegates.
            certificate: what it says; its account and serial are set here.
            at: ms since the epoch.

        Raises:
            KeyLogUnsettledError, NeedsCosignersError: this node may not sign now, or not alone.
        """
        _check_fresh(principal, at)

        def work(tx: Transaction) -> Delegated:
            log = self._key_logs.within(tx, principal.account_id)
            numbered = replace(certificate, account_id=principal.account_id, serial=log.state.next_serial)
            data = issue_certificate(numbered, self._key_logs.signer(principal.account_id, log))
            self._key_logs.append_within(tx, principal.account_id, delegation_of(numbered, data))
            return Delegated(serial=numbered.serial, certificate=data)

        return self._store.write(work)

    def end_delegation(self, principal: Principal, serial: int, at: int) -> None:
        """Take a certificate out of force.

        Raises:
            DelegationNotLiveError: none with this serial is in force.
            KeyLogUnsettledError, NeedsCosignersError: as `delegate`.
        """
        _check_fresh(principal, at)
        self._key_logs.append(principal.account_id, DelegationRevocation(serial=serial))

    def list(self, principal: Principal) -> Sequence[AccountView]:
        """All accounts for the owner of the node, for others their own."""

        def work(tx: Transaction) -> list[AccountView]:
            known = tx.accounts.list()
            everything = any(each.owner and each.account_id == principal.account_id for each in known)
            wanted = [each for each in known if everything or each.account_id == principal.account_id]
            return [self._view(tx, each.account_id) for each in wanted]

        return self._store.read(work)

    def disable(self, principal: Principal, account_id: AccountId, at: int) -> None:
        """Let an account open nothing here any more; its log-ins end at once, its memberships stay.

        Raises:
            NotTheOwnerError, AccountNotFoundError, OwnerAccountError.
            LoginNotFreshError: the log-in is older than five minutes.
        """
        _check_fresh(principal, at)

        def work(tx: Transaction) -> None:
            if self._owned(tx, principal, account_id).owner:
                raise OwnerAccountError("the node acts as this account")
            tx.accounts.set_disabled(account_id, at)
            ended = tx.auth.revoke_account_families(account_id, at=at)
            event = AuditEvent(
                at=at,
                action=Action.ACCOUNT_DISABLE,
                by=actor_of(principal),
                target=str(account_id),
                details={"ended": str(ended)},
            )
            tx.audit.append(event)

        self._store.write(work)

    def enable(self, principal: Principal, account_id: AccountId, at: int) -> None:
        """Let a disabled account log in again; what ended stays ended.

        Raises:
            NotTheOwnerError, AccountNotFoundError.
            LoginNotFreshError: the log-in is older than five minutes.
        """
        _check_fresh(principal, at)

        def work(tx: Transaction) -> None:
            self._owned(tx, principal, account_id)
            tx.accounts.set_disabled(account_id, None)
            event = AuditEvent(at=at, action=Action.ACCOUNT_ENABLE, by=actor_of(principal), target=str(account_id))
            tx.audit.append(event)

        self._store.write(work)

    @staticmethod
    def _owned(tx: Transaction, principal: Principal, account_id: AccountId) -> AccountRecord:
        owner = tx.accounts.owner()
        if owner is None or owner.account_id != principal.account_id:
            raise NotTheOwnerError("this account doesn't own the node")
        account = tx.accounts.get(account_id)
        if account is None:
            raise AccountNotFoundError(f"there is no account {account_id} on this node")
        return account

    def _view(self, tx: Transaction, account_id: AccountId) -> AccountView:
        record = tx.accounts.get(account_id)
        if record is None:
            raise AccountNotFoundError(f"there is no account {account_id} on this node")
        live = [each for each in tx.auth.root_keys(account_id) if each.revoked_at is None]
        return AccountView(record=record, log=self._key_logs.within(tx, account_id), root_keys=live)

    def _is_member(self, record: ClientKeyRecord) -> bool:
        context_id: ContextId | None = record.context_id
        replica = None if context_id is None else self._replicas.find(context_id)
        key: PublicKey = record.public_key
        return replica is not None and key in replica.ledger.state.members and replica.noticed(key) is None


def _check_fresh(principal: Principal, at: int) -> None:
    if not principal.is_fresh(at):
        raise LoginNotFreshError(
            "changing an account, or proving it to others, needs a log-in of the last five minutes"
        )
