"""The root keys of an account: listing, binding and removing them, and changing passwords.

Nothing of this touches the account itself: whoever logs in with any of its root keys is the same
account, with the same client keys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, Permission, any_covers
from meroid.access.principal import Principal
from meroid.account.audit import Action, AuditEvent
from meroid.auth.first_owner import Peer
from meroid.auth.methods import (
    Enrolment,
    LoginAttempt,
    LoginMethod,
    MethodUnsuitedError,
    VerifiedLogin,
    WrongCredentialsError,
)
from meroid.auth.throttle import address_group, check_throttle, login_digest
from meroid.auth.tokens import TokenRevokedError, new_id
from meroid.errors import ConflictError, ForbiddenError, InvalidInputError, UnauthenticatedError
from meroid.ids import AccountId
from meroid.service.auditing import Refusals, actor_of
from meroid.service.challenges import use_challenge
from meroid.service.gate import PermissionDeniedError
from meroid.service.live import check_live, parsed
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.proofs import Claim, Proofs, failures_of
from meroid.service.revoking import KeyNotFoundError, Revoked, check_fresh, check_root_keys, revoke_key

_LIST: Final = Permission(path=("keys", "list"))
_CREATE: Final = Permission(path=("keys", "create"))
_CREDENTIALS, _WALLET = "credentials", "wallet"


class RootKeyExistsError(ConflictError):
    """This login opens an account of this node already."""

    code = "root_key_exists"
    next_step = "take another name or key; a password is changed with PUT /admin/keys/{key_id}/password"


class RootKeyChangedError(ConflictError):
    """Somebody else changed or removed this root key at the same time."""

    code = "root_key_changed"
    next_step = "list the root keys and try again"


class OldPasswordNeededError(InvalidInputError):
    """It takes the old password: the log-in was made with this very one, or may less than this root key."""

    code = "old_password_needed"
    next_step = "send old_password, or log in with another root key of the account"


class WrongOldPasswordError(ForbiddenError):
    """The old password isn't this root key's."""

    code = "wrong_old_password"
    next_step = "send the right one, or log in with another root key of the account and leave it out"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRootKey:
    """A root key that is to be bound, with the proof that its holder wants it."""

    auth_method: str
    public_key: str
    provider_data: Mapping[str, object]
    peer: Peer

    def __repr__(self) -> str:  # provider_data holds a password
        return f"NewRootKey(auth_method={self.auth_method!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """A password that is to take the place of another one; without `end_sessions` other log-ins go on."""

    password: str
    old_password: str | None
    end_sessions: bool
    peer: Peer

    def __repr__(self) -> str:
        return "NewPassword()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A root key that was bound, or bound before and now certified anew (`created` is false)."""

    key_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRootKey:
    """A root key with the label that a person knows it by."""

    record: RootKeyRecord
    label: str


class RootKeyService:
    """What a person does with the root keys of an account; every change needs a fresh log-in."""

    def __init__(
        self,
        store: Store,
        proofs: Proofs,
        *,
        refusals: Refusals | None = None,
        settle: Callable[[Transaction, AccountId], object] = lambda _tx, _account: None,
    ) -> None:
        """`settle` brings an account's key log in line with its root keys, in the transaction that changed them.

        `refusals` takes proofs that don't hold.
        """
        self._refusals = refusals or Refusals(store)
        self._store = store
        self._proofs = proofs
        self._settle = settle

    def list(self, principal: Principal, *, everybody: bool) -> Sequence[ListedRootKey]:
        """Root keys of the caller's account, or with `everybody` of all, revoked ones included, oldest first.

        Raises:
            PermissionDeniedError: all are asked for without `admin`, or the token isn't for root keys.
        """
        if everybody and not any_covers(principal.held, ADMIN):
            raise PermissionDeniedError("the root keys of other accounts need admin")

        def look(tx: Transaction) -> Sequence[RootKeyRecord]:
            check_root_keys(tx, principal, _LIST)
            return tx.auth.root_keys(None if everybody else principal.account_id)

        records = self._store.read(look)
        labels = {each.name: each.label for each in self._proofs.methods}
        return [
            ListedRootKey(
                record=each,
                label=labels[each.method](each.identifier, each.verifier) if each.method in labels else each.identifier,
            )
            for each in records
        ]

    def bind(self, principal: Principal, new: NewRootKey, at: int) -> Bound:
        """Bind a root key to the caller's account; it may what the caller may.

        Raises:
            PermissionDeniedError: the token isn't for root keys.
            LoginNotFreshError: the log-in is older than five minutes.
            UnauthenticatedError, InvalidInputError: the proof doesn't hold; the leaf says why.
            UnavailableError, ThrottledError: it can't be checked now.
            RootKeyExistsError: this login opens an account here already.
            TokenRevokedError: the caller's own log-in ended meanwhile.
        """
        self._store.read(lambda tx: check_root_keys(tx, principal, _CREATE))
        check_fresh(principal, "binding a root key", at)
        try:
            return self._prove_and_bind(principal, new, at)
        except UnauthenticatedError as error:
            by = actor_of(principal)
            event = AuditEvent(at=at, action=Action.ROOT_KEY_BIND, by=by, outcome=error.code)
            self._refusals.note(f"bind:{by.key_id}", event)
            raise

    def _prove_and_bind(self, principal: Principal, new: NewRootKey, at: int) -> Bound:
        attempt = LoginAttempt(method=new.auth_method, public_key=new.public_key, provider_data=new.provider_data)
        claim = self._proofs.read(attempt, new.peer, at)
        verified = claim.method.enrol(claim.attempt, Enrolment(account_id=principal.account_id))

        def work(tx: Transaction) -> Bound:
            bound = _bind(tx, principal, claim, verified, at)
            self._settle(tx, principal.account_id)
            return bound

        return self._store.write(work)

    def remove(self, principal: Principal, key_id: str, at: int, *, force: bool) -> Revoked:
        """Revoke a root key; raises as `revoke_key`."""

        def work(tx: Transaction) -> Revoked:
            root = tx.auth.root_key(key_id)
            if root is None:
                raise KeyNotFoundError("there is no such root key")
            revoked = revoke_key(tx, principal, key_id, at, force=force)
            self._settle(tx, root.account_id)
            return revoked

        return self._store.write(work)

    def change_password(self, principal: Principal, key_id: str, new: NewPassword, at: int) -> int:
        """Give a root key of the caller's account another password; how many log-ins and mintings it ended.

        Raises:
            PermissionDeniedError: the token isn't for root keys.
            LoginNotFreshError: the log-in is older than five minutes.
            KeyNotFoundError: no live root key of this account.
            MethodUnsuitedError: a root key without a password.
            OldPasswordNeededError, WrongOldPasswordError: as they say.
            WeakPasswordError, BadProviderDataError: the new one can't be one.
            LoginThrottledError: too many wrong ones.
            RootKeyChangedError: somebody else was faster.
        """
        root = self._store.read(lambda tx: _permitted(tx, principal, key_id))
        check_fresh(principal, "changing a password", at)
        if root is None or root.revoked_at is not None or root.account_id != principal.account_id:
            raise KeyNotFoundError("your account has no such root key")
        method = self._proofs.method(root.method)
        if method.kind != _CREDENTIALS:
            raise MethodUnsuitedError("this root key has no password")
        if new.old_password is not None:
            self._check_old(principal, root, new, at)
        elif principal.key_id == root.key_id or not _may_as_much(principal, root):
            raise OldPasswordNeededError("the old password is missing")
        attempt = _attempt(method, root, new.password)
        verified = method.enrol(attempt, Enrolment(account_id=root.account_id))

        def work(tx: Transaction) -> int:
            _check_caller(tx, principal, at)
            if not tx.auth.replace_verifier(key_id, old=root.verifier, new=verified.verifier, at=at):
                raise RootKeyChangedError("this root key was changed meanwhile")
            ended = tx.auth.end_families(key_id, but=principal.family_id, at=at) if new.end_sessions else 0
            event = AuditEvent(
                at=at,
                action=Action.PASSWORD_CHANGE,
                by=actor_of(principal),
                method=root.method,
                target=key_id,
                details={"ended": str(ended)},
            )
            tx.audit.append(event)
            return ended

        return self._store.write(work)

    def _check_old(self, principal: Principal, root: RootKeyRecord, new: NewPassword, at: int) -> None:
        """Check the old password, as slowly as at a log-in: who stole a token may not guess it."""
        method = self._proofs.method(root.method)
        claim = Claim(
            method=method,
            identifier=root.identifier,
            attempt=_attempt(method, root, new.old_password or ""),
            digest=login_digest(method.name, root.identifier),
            address=address_group(new.peer.address),
        )
        check_throttle(self._store.read(lambda tx: failures_of(tx, claim, at)), at)
        try:
            method.verify(claim.attempt, root.verifier)
        except WrongCredentialsError:
            by, code = actor_of(principal), WrongOldPasswordError.code
            self._proofs.fail(claim, AuditEvent(at=at, action=Action.PASSWORD_CHANGE, by=by, outcome=code), at)
            raise WrongOldPasswordError("the old password is wrong") from None


def _may_as_much(principal: Principal, root: RootKeyRecord) -> bool:
    """True if the caller holds all that the root key grants: otherwise its new password would widen that."""
    return all(any_covers(principal.held, each) for each in parsed(root.permissions))


def _attempt(method: LoginMethod, root: RootKeyRecord, password: str) -> LoginAttempt:
    fields = {"username": root.identifier, "password": password}
    return LoginAttempt(method=method.name, public_key=root.identifier, provider_data=fields)


def _bind(tx: Transaction, principal: Principal, claim: Claim, verified: VerifiedLogin, at: int) -> Bound:
    _check_caller(tx, principal, at)
    use_challenge(tx, claim.attempt.challenge, at)
    known = tx.auth.find_root_key(claim.method.name, claim.identifier)
    if known is not None:
        if known.account_id != principal.account_id or claim.method.kind != _WALLET:
            raise RootKeyExistsError("this login opens an account here already")
        tx.auth.replace_verifier(known.key_id, old=known.verifier, new=verified.verifier, at=at)
        tx.audit.append(_bound_event(Action.ROOT_KEY_RENEW, principal, known, at))
        return Bound(key_id=known.key_id, created=False)
    root = RootKeyRecord(
        key_id=new_id(),
        account_id=principal.account_id,
        method=claim.method.name,
        identifier=verified.identifier,
        verifier=verified.verifier,
        permissions=tuple(str(each) for each in principal.held),
        created_at=at,
    )
    tx.auth.add_root_key(root)
    tx.audit.append(_bound_event(Action.ROOT_KEY_BIND, principal, root, at))
    return Bound(key_id=root.key_id, created=True)


def _bound_event(action: Action, principal: Principal, root: RootKeyRecord, at: int) -> AuditEvent:
    return AuditEvent(at=at, action=action, by=actor_of(principal), method=root.method, target=root.key_id)


def _permitted(tx: Transaction, principal: Principal, key_id: str) -> RootKeyRecord | None:
    check_root_keys(tx, principal, _CREATE)
    return tx.auth.root_key(key_id)


def _check_caller(tx: Transaction, principal: Principal, at: int) -> None:
    """Refuse a caller whose key or log-in ended while the proof was checked."""
    key_id, family_id = principal.key_id, principal.family_id
    standing = tx.auth.standing(key_id, family_id) if key_id is not None and family_id is not None else None
    if standing is None:
        raise TokenRevokedError("the log-in behind this request is gone")
    check_live(standing, at)
