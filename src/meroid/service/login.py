"""Logging in: one method checks the proof, one transaction opens the log-in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, narrow, parse_permissions
from meroid.auth.first_owner import Peer, is_direct
from meroid.auth.methods import LoginAttempt, LoginMethod, VerifiedLogin, WrongCredentialsError
from meroid.auth.setup_code import check_setup_code, new_setup_code, setup_code_hash
from meroid.auth.throttle import (
    KEEP_ATTEMPTS_MS,
    LOGIN_WINDOW_MS,
    Failures,
    address_group,
    check_throttle,
    login_digest,
)
from meroid.auth.tokens import new_id
from meroid.errors import ConflictError, UnauthenticatedError, UnavailableError
from meroid.keys.signer import Secret
from meroid.service.live import parsed
from meroid.service.ports.auth import RefreshRecord, RootKeyRecord, Standing
from meroid.service.ports.store import Store, Transaction
from meroid.service.tokens import TokenPair, TokenService

__all__ = [
    "LoginRequest",
    "LoginService",
    "NotInitialisedError",
    "OwnerExistsError",
    "Peer",
    "Provider",
    "Providers",
    "SetupRequiredError",
    "TokenPair",
    "UnsupportedMethodError",
    "WrongCredentialsError",
]

SETUP_CODE_FIELD: Final = "setup_code"


class UnsupportedMethodError(UnauthenticatedError):
    """This node has no such way to log in."""

    code = "unsupported_method"
    next_step = "take a method from /auth/providers"


class SetupRequiredError(UnauthenticatedError):
    """The node has no owner yet, and this request doesn't come from the machine itself."""

    code = "setup_required"
    next_step = "send the code of the file setup-code in the node's home, or log in on the machine itself"


class NotInitialisedError(UnavailableError):
    """The node has no account of its own yet."""

    code = "not_initialised"
    next_step = "run merod init"


class OwnerExistsError(ConflictError):
    """The node has an owner."""

    code = "owner_exists"
    next_step = "log in as the owner and add a root key"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """A log-in as it came in; `permissions` asks for less than the key has, empty for all of it."""

    auth_method: str
    public_key: str
    client_name: str
    permissions: Sequence[str]
    provider_data: Mapping[str, object]
    peer: Peer

    def __repr__(self) -> str:  # provider_data holds a password
        return f"LoginRequest(auth_method={self.auth_method!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A way to log in, as it is shown to callers; `configured` says that the owner uses it."""

    name: str
    kind: str
    description: str
    configured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """All ways to log in; with `setup_required` the first log-in makes the owner."""

    providers: tuple[Provider, ...]
    setup_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """Whom an attempt claims to be, before anything is proven, and where its failures are counted."""

    method: LoginMethod
    identifier: str
    digest: bytes
    address: str
    narrowed_to: tuple[str, ...] | None


class LoginService:
    """Log-ins of all methods; `claimed` is called once the node has its owner."""

    def __init__(
        self,
        store: Store,
        tokens: TokenService,
        methods: Sequence[LoginMethod],
        claimed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._methods = tuple(methods)
        self._claimed = claimed

    def log_in(self, request: LoginRequest, at: int) -> TokenPair:
        """Check the proof and open a log-in; on an empty node, make the owner.

        Raises:
            UnsupportedMethodError: no such method.
            BadProviderDataError: the method's fields are malformed.
            BadPermissionError: a permission asked for is malformed.
            LoginThrottledError: too many failures; nothing was checked.
            WrongCredentialsError: the proof opens nothing here.
            SetupRequiredError, WrongSetupCodeError: the node is empty, and this caller may not claim it.
        """
        attempt = LoginAttempt(
            method=request.auth_method, public_key=request.public_key, provider_data=request.provider_data
        )
        claim = self._read(attempt, request)
        if not self._store.read(lambda tx: tx.auth.has_root_keys()):
            claimed = self._claim_node(claim, attempt, request.peer, at)
            if claimed is not None:
                return claimed
        return self._open(claim, attempt, at)

    def create_owner(self, attempt: LoginAttempt, at: int) -> None:
        """Make the first owner without logging in, for who initialises the node on its machine.

        Raises:
            OwnerExistsError: there is one.
        """
        method, identifier = self._identify(attempt)
        verified = method.enrol(attempt, lenient=True)
        if self._store.write(lambda tx: _claim_first_owner(tx, method.name, identifier, verified, at)) is None:
            raise OwnerExistsError("this node has an owner")
        self._claimed()

    def renew_setup_code(self) -> Secret | None:
        """A new set-up code in place of the old one, or nothing if the node has an owner."""
        code = new_setup_code()

        def keep(tx: Transaction) -> bool:
            if tx.auth.has_root_keys():
                return False
            tx.auth.set_setup_code(setup_code_hash(code))
            return True

        return code if self._store.write(keep) else None

    def has_setup_code(self) -> bool:
        """True if a set-up code waits to be used."""
        return self._store.read(lambda tx: tx.auth.setup_code() is not None)

    def providers(self) -> Providers:
        """The ways to log in, and whether the node waits for its owner."""

        def look(tx: Transaction) -> tuple[bool, frozenset[str]]:
            owner = tx.accounts.owner()
            keys = tx.auth.root_keys(owner.account_id) if owner is not None else ()
            return tx.auth.has_root_keys(), frozenset(each.method for each in keys if each.revoked_at is None)

        owned, used = self._store.read(look)
        return Providers(
            providers=tuple(
                Provider(name=each.name, kind=each.kind, description=each.description, configured=each.name in used)
                for each in self._methods
            ),
            setup_required=not owned,
        )

    def _read(self, attempt: LoginAttempt, request: LoginRequest) -> _Claim:
        method, identifier = self._identify(attempt)
        asked = parse_permissions(request.permissions)
        return _Claim(
            method=method,
            identifier=identifier,
            digest=login_digest(method.name, identifier),
            address=address_group(request.peer.address),
            narrowed_to=tuple(str(each) for each in asked) or None,
        )

    def _identify(self, attempt: LoginAttempt) -> tuple[LoginMethod, str]:
        for method in self._methods:
            identifier = method.identify(attempt)
            if identifier is not None:
                return method, identifier
        raise UnsupportedMethodError("this node has no such way to log in")

    def _claim_node(self, claim: _Claim, attempt: LoginAttempt, peer: Peer, at: int) -> TokenPair | None:
        """Make the first owner; nothing if somebody else was faster."""
        direct = is_direct(peer)
        if not direct:
            self._check_setup_code(attempt)
        verified = claim.method.enrol(attempt, lenient=direct)

        def make(tx: Transaction) -> tuple[Standing, RefreshRecord] | None:
            root = _claim_first_owner(tx, claim.method.name, claim.identifier, verified, at)
            return self._start(tx, root, claim, at) if root is not None else None

        made = self._store.write(make)
        if made is None:
            return None
        self._claimed()
        return self._tokens.pair(*made, at)

    def _check_setup_code(self, attempt: LoginAttempt) -> None:
        code = attempt.provider_data.get(SETUP_CODE_FIELD)
        if not isinstance(code, str) or not code:
            raise SetupRequiredError("this node has no owner yet")
        check_setup_code(code, self._store.read(lambda tx: tx.auth.setup_code()))

    def _open(self, claim: _Claim, attempt: LoginAttempt, at: int) -> TokenPair:
        root, failures = self._store.read(lambda tx: _look_up(tx, claim, at))
        check_throttle(failures, at)
        try:
            verified = claim.method.verify(attempt, root.verifier if root is not None else None)
        except WrongCredentialsError:
            self._fail(claim, at)
            raise
        if root is None:
            self._fail(claim, at)
            raise WrongCredentialsError("this proof opens no account here")
        key_id = root.key_id
        opened = self._store.write(lambda tx: self._succeed(tx, claim, key_id, verified, at))
        return self._tokens.pair(*opened, at)

    def _fail(self, claim: _Claim, at: int) -> None:
        """Count a failure; what failed together with too many others doesn't learn that it was wrong."""

        def count(tx: Transaction) -> Failures:
            before = _failures(tx, claim, at)
            tx.auth.forget_attempts(before=at - KEEP_ATTEMPTS_MS)
            tx.auth.record_failure(claim.digest, claim.address, at=at)
            return before

        check_throttle(self._store.write(count), at)

    def _succeed(
        self, tx: Transaction, claim: _Claim, key_id: str, verified: VerifiedLogin, at: int
    ) -> tuple[Standing, RefreshRecord]:
        check_throttle(_failures(tx, claim, at), at)  # guesses made side by side don't slip through
        root = tx.auth.root_key(key_id)
        if root is None or root.revoked_at is not None:
            raise WrongCredentialsError("this proof opens no account here")
        tx.auth.touch_root_key(key_id, at=at, verifier=verified.verifier)
        tx.auth.record_success(claim.digest, claim.address, at=at)
        return self._start(tx, root, claim, at)

    def _start(self, tx: Transaction, root: RootKeyRecord, claim: _Claim, at: int) -> tuple[Standing, RefreshRecord]:
        narrowed = claim.narrowed_to
        if narrowed is not None:
            narrowed = tuple(str(each) for each in narrow(parsed(root.permissions), parsed(narrowed)))
        first = self._tokens.open_family(tx, root.key_id, narrowed_to=narrowed, logged_in_at=at, at=at)
        standing = tx.auth.standing(root.key_id, first.family_id)
        if standing is None:
            raise NotInitialisedError("the log-in can't be read back")
        return standing, first


def _claim_first_owner(
    tx: Transaction, method: str, identifier: str, verified: VerifiedLogin, at: int
) -> RootKeyRecord | None:
    """Bind the first root key to the node's own account; nothing if there is or was a root key."""
    owner = tx.accounts.owner()
    if owner is None:
        raise NotInitialisedError("this node has no account yet")
    root = RootKeyRecord(
        key_id=new_id(),
        account_id=owner.account_id,
        method=method,
        identifier=identifier,
        verifier=verified.verifier,
        permissions=(str(ADMIN),),
        created_at=at,
        last_used_at=at,
    )
    return root if tx.auth.claim_first_owner(root) else None


def _look_up(tx: Transaction, claim: _Claim, at: int) -> tuple[RootKeyRecord | None, Failures]:
    return tx.auth.find_root_key(claim.method.name, claim.identifier), _failures(tx, claim, at)


def _failures(tx: Transaction, claim: _Claim, at: int) -> Failures:
    here = tx.auth.attempts(claim.digest, claim.address)
    anywhere = tx.auth.login_attempts(claim.digest, since=at - LOGIN_WINDOW_MS)
    return Failures(
        here=here.failures if here is not None else 0,
        last_here=here.last_failed_at if here is not None else None,
        succeeded_here=here.last_succeeded_at if here is not None else None,
        anywhere=anywhere.failures,
        last_anywhere=anywhere.last_failed_at,
    )
