"""Logging in: one method checks the proof, one transaction opens the log-in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from meroid.access.permissions import ADMIN, narrow, parse_permissions
from meroid.account.audit import Action, Actor, AuditEvent
from meroid.auth.challenge import Challenge
from meroid.auth.dpop import Proof
from meroid.auth.first_owner import Peer, is_direct
from meroid.auth.methods import Enrolment, LoginAttempt, LoginMethod, VerifiedLogin, WrongCredentialsError
from meroid.auth.node_binding import origin_of
from meroid.auth.setup_code import check_setup_code, new_setup_code, setup_code_hash
from meroid.auth.throttle import Failures, address_group, check_throttle
from meroid.auth.tokens import new_id
from meroid.errors import ConflictError, InvalidInputError, MeroidError, UnauthenticatedError, UnavailableError
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.service.auditing import Refusals
from meroid.service.challenges import use_challenge
from meroid.service.live import check_enabled, parsed
from meroid.service.newcomers import NOT_AN_OWNERS, Newcomers, asks_to_sign_up, login_code_in
from meroid.service.ports.auth import RefreshRecord, RootKeyRecord, Standing
from meroid.service.ports.store import Store, Transaction
from meroid.service.possession import bind
from meroid.service.proofs import Claim, Proofs, UnsupportedMethodError, failures_of
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
_TRIES: Final = 3  # a verifier that changes under several checks in a row is no accident


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
    """A log-in as it came in; `permissions` asks for less than the key has, empty for all of it.

    `proof`, if there is one, has the key that the tokens are to be bound to.
    """

    auth_method: str
    public_key: str
    client_name: str
    permissions: Sequence[str]
    provider_data: Mapping[str, object]
    peer: Peer
    proof: Proof | None = None

    def __repr__(self) -> str:  # provider_data holds a password
        return f"LoginRequest(auth_method={self.auth_method!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A way to log in, as it is shown to callers; `configured` says that the owner uses it."""

    name: str
    kind: str
    description: str
    configured: bool
    shown: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """All ways to log in; with `setup_required` the first log-in makes the owner, `signup` is the policy for others."""

    providers: tuple[Provider, ...]
    setup_required: bool
    signup: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedChallenge:
    """A challenge, and what the method's client takes besides."""

    challenge: Challenge
    options: Mapping[str, object] | None


@dataclass(slots=True, kw_only=True)
class _Opening:
    """A claim with the permissions that its log-in asks for (`None` for all), and what its tokens are bound to.

    `recorded`: its failure is.
    """

    claim: Claim
    narrowed_to: tuple[str, ...] | None
    node_url: str | None
    proof: Proof | None
    address: str | None
    recorded: bool = False


class LoginService:
    """Log-ins of all methods; `claimed` is called once the node has its owner."""

    def __init__(
        self,
        store: Store,
        tokens: TokenService,
        proofs: Proofs,
        newcomers: Newcomers,
        claimed: Callable[[], None] = lambda: None,
        *,
        refusals: Refusals | None = None,
        settle: Callable[[Transaction, AccountId], object] = lambda _tx, _account: None,
        bind_to_node: bool = False,
    ) -> None:
        """`settle` brings an account's key log in line with its root keys, in the transaction that changed them.

        `refusals` takes what is refused before there is anything to count.

        With `bind_to_node` a log-in whose client is named by an address is good at that host only: for a service that
        makes the tokens of several nodes. A node alone signs for nobody else.
        """
        self._refusals = refusals or Refusals(store)
        self._bind_to_node = bind_to_node
        self._store = store
        self._tokens = tokens
        self._proofs = proofs
        self._newcomers = newcomers
        self._claimed = claimed
        self._settle = settle
        self._owned = False

    def log_in(self, request: LoginRequest, at: int) -> TokenPair:
        """Check the proof and open a log-in; on an empty node, make the owner.

        With `provider_data.login_code` or `.sign_up` it may make or reopen an account: raises as `Newcomers` then.

        Raises:
            UnsupportedMethodError: no such method.
            BadProviderDataError: the method's fields are malformed.
            BadChallengeError, ChallengeExpiredError, ChallengeUsedError: its challenge is no good.
            BadPermissionError: a permission asked for is malformed.
            LoginThrottledError: too many failures; nothing was checked.
            WrongCredentialsError: the proof opens nothing here.
            AccountDisabledError: the proof holds, and its account is disabled.
            SetupRequiredError, WrongSetupCodeError: the node is empty, and this caller may not claim it.
            ProofKeySharedError, BadProofError: the proof's key or the proof was used for something else.
            UnavailableError: what the method has to ask gives no answer.
        """
        opening = None
        try:
            opening = self._read(request, at)
            return self._log_in(opening, request.peer, at)
        except MeroidError as error:
            if not isinstance(error, InvalidInputError) and not (opening is not None and opening.recorded):
                self._note(error, request, opening, at)
            raise

    def _read(self, request: LoginRequest, at: int) -> _Opening:
        attempt = LoginAttempt(
            method=request.auth_method, public_key=request.public_key, provider_data=request.provider_data
        )
        asked = parse_permissions(request.permissions)
        return _Opening(
            claim=self._proofs.read(attempt, request.peer, at),
            narrowed_to=tuple(str(each) for each in asked) or None,
            node_url=origin_of(request.client_name) if self._bind_to_node else None,
            proof=request.proof,
            address=request.peer.address or None,
        )

    def _log_in(self, opening: _Opening, peer: Peer, at: int) -> TokenPair:
        if not self._has_owner():
            claimed = self._claim_node(opening, peer, at)
            if claimed is not None:
                return claimed
        come = self._come(opening, at)
        return self._open(opening, at) if come is None else self._tokens.pair(*come, at, node_url=opening.node_url)

    def _note(self, error: MeroidError, request: LoginRequest, opening: _Opening | None, at: int) -> None:
        """Note a log-in that was refused without being counted; nothing that was typed goes along."""
        known = request.auth_method in {each.name for each in self._proofs.methods}
        event = AuditEvent(
            at=at,
            action=Action.LOGIN,
            by=Actor(address=request.peer.address or None),
            outcome=error.code,
            method=request.auth_method if known else None,
            target=f"login:{opening.claim.digest.hex()}" if opening is not None else None,
        )
        stranger = f"address:{address_group(request.peer.address)}"
        self._refusals.note(opening.claim.subject if opening is not None else stranger, event)

    def challenge(self, name: str, peer: Peer, at: int) -> OfferedChallenge:
        """A challenge to answer with the method of that name.

        Raises:
            UnsupportedMethodError: no such method.
            UnknownHostError: it would bind to a host name that isn't the node's.
        """
        method = self._proofs.method(name)
        challenge = self._proofs.challenges.make(method, peer.host, at)
        return OfferedChallenge(challenge=challenge, options=method.options(challenge))

    def create_owner(self, attempt: LoginAttempt, at: int) -> None:
        """Make the first owner without logging in, for who initialises the node on its machine.

        Raises:
            OwnerExistsError: there is one.
        """
        method, identifier = self._proofs.identify(attempt)
        enrolment = Enrolment(account_id=self._owner(), claims=True, lenient=True)
        verified = method.enrol(attempt, enrolment)

        def make(tx: Transaction) -> bool:
            root = _claim_first_owner(tx, method, identifier, verified, at)
            if root is not None:
                tx.audit.append(_root_event(Action.OWNER_CLAIM, root, None, at))
                self._settle(tx, root.account_id)
            return root is not None

        if not self._store.write(make):
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
                Provider(
                    name=each.name,
                    kind=each.kind,
                    description=each.description,
                    configured=each.name in used,
                    shown=each.shown(),
                )
                for each in self._proofs.methods
            ),
            setup_required=not owned,
            signup=self._newcomers.rules.policy.value,
        )

    def _has_owner(self) -> bool:
        """Whether there is or ever was a root key, which never becomes false again: so it is asked until it is true."""
        self._owned = self._owned or self._store.read(lambda tx: tx.auth.has_root_keys())
        return self._owned

    def _owner(self) -> AccountId:
        owner = self._store.read(lambda tx: tx.accounts.owner())
        if owner is None:
            raise NotInitialisedError("this node has no account yet")
        return owner.account_id

    def _claim_node(self, opening: _Opening, peer: Peer, at: int) -> TokenPair | None:
        """Make the first owner; nothing if somebody else was faster."""
        claim, direct = opening.claim, is_direct(peer)
        if not direct:
            self._check_setup_code(claim.attempt)
        verified = claim.method.enrol(claim.attempt, Enrolment(account_id=self._owner(), claims=True, lenient=direct))

        def make(tx: Transaction) -> tuple[Standing, RefreshRecord] | None:
            root = _claim_first_owner(tx, claim.method, claim.identifier, verified, at)
            if root is None:
                return None
            use_challenge(tx, claim.attempt.challenge, at)
            tx.audit.append(_root_event(Action.OWNER_CLAIM, root, opening.address, at))
            self._settle(tx, root.account_id)
            return self._start(tx, root, opening, at)

        made = self._store.write(make)
        if made is None:
            return None
        self._claimed()
        return self._tokens.pair(*made, at, node_url=opening.node_url)

    def _come(self, opening: _Opening, at: int) -> tuple[Standing, RefreshRecord] | None:
        """Redeem a link or sign up, if that is what the proof comes with; nothing for a log-in like any other."""
        claim = opening.claim
        code = login_code_in(claim.attempt.provider_data)
        start = partial(self._start, opening=opening, at=at)
        if code is not None:
            return self._newcomers.redeem(claim, code, at, address=opening.address, start=start)
        if asks_to_sign_up(claim.attempt.provider_data):
            return self._newcomers.sign_up(claim, at, address=opening.address, start=start)
        return None

    def _check_setup_code(self, attempt: LoginAttempt) -> None:
        code = attempt.provider_data.get(SETUP_CODE_FIELD)
        if not isinstance(code, str) or not code:
            raise SetupRequiredError("this node has no owner yet")
        check_setup_code(code, self._store.read(lambda tx: tx.auth.setup_code()))

    def _open(self, opening: _Opening, at: int) -> TokenPair:
        """Check the proof, then open; anew where the verifier was replaced in between."""
        for _ in range(_TRIES):
            root, failures = self._store.read(lambda tx: _look_up(tx, opening.claim, at))
            check_throttle(failures, at)
            verified = self._verify(opening, root, at)
            opened = self._store.write(partial(self._succeed, opening=opening, seen=root, verified=verified, at=at))
            if opened is not None:
                return self._tokens.pair(*opened, at, node_url=opening.node_url)
        raise WrongCredentialsError("this proof opens no account here")

    def _verify(self, opening: _Opening, root: RootKeyRecord | None, at: int) -> VerifiedLogin:
        """A proof that holds for a root key that is there, or by itself; every other is counted."""
        claim = opening.claim
        try:
            verified = claim.method.verify(claim.attempt, root.verifier if root is not None else None)
        except WrongCredentialsError:
            self._fail(opening, at)
            raise
        if root is None and verified.opens is None:
            self._fail(opening, at)
            raise WrongCredentialsError("this proof opens no account here")
        return verified

    def _fail(self, opening: _Opening, at: int) -> None:
        opening.recorded = True
        by = Actor(address=opening.address)
        tried = AuditEvent(at=at, action=Action.LOGIN, by=by, outcome=WrongCredentialsError.code)
        self._proofs.fail(opening.claim, tried, at)

    def _succeed(
        self, tx: Transaction, opening: _Opening, seen: RootKeyRecord | None, verified: VerifiedLogin, at: int
    ) -> tuple[Standing, RefreshRecord] | None:
        """Open the log-in; nothing if what the proof was checked against isn't there any more."""
        claim = opening.claim
        check_throttle(failures_of(tx, claim, at), at)  # guesses made side by side don't slip through
        root = tx.auth.root_key(seen.key_id) if seen is not None else _bind_by_itself(tx, claim, verified, at)
        if root is None or root.revoked_at is not None:
            raise WrongCredentialsError("this proof opens no account here")
        if seen is not None and root.verifier != seen.verifier:
            return None
        use_challenge(tx, claim.attempt.challenge, at)
        tx.auth.touch_root_key(root.key_id, at=at, verifier=verified.verifier)
        tx.auth.record_success(claim.digest, claim.address, at=at)
        if seen is None:
            tx.audit.append(_root_event(Action.ROOT_KEY_BIND, root, opening.address, at))
            self._settle(tx, root.account_id)
        return self._start(tx, root, opening, at)

    def _start(
        self, tx: Transaction, root: RootKeyRecord, opening: _Opening, at: int
    ) -> tuple[Standing, RefreshRecord]:
        check_enabled(tx, root.account_id)
        narrowed = opening.narrowed_to
        if narrowed is not None:
            narrowed = tuple(str(each) for each in narrow(parsed(root.permissions), parsed(narrowed)))
        standing, first = self._tokens.open_family(
            tx,
            root,
            narrowed_to=narrowed,
            logged_in_at=at,
            proof_key=bind(tx, opening.proof, None, at),
            at=at,
        )
        by = Actor(account_id=root.account_id, key_id=root.key_id, address=opening.address)
        method, family_id = opening.claim.method.name, first.family_id
        tx.audit.append(AuditEvent(at=at, action=Action.LOGIN, by=by, method=method, target=family_id))
        return standing, first


def _root_event(action: Action, root: RootKeyRecord, address: str | None, at: int) -> AuditEvent:
    """What a proof did to the root key that it was made with."""
    by = Actor(account_id=root.account_id, key_id=root.key_id, address=address)
    return AuditEvent(at=at, action=action, by=by, method=root.method, target=root.key_id)


def _claim_first_owner(
    tx: Transaction, method: LoginMethod, identifier: str, verified: VerifiedLogin, at: int
) -> RootKeyRecord | None:
    """Bind the first root key to the node's own account; nothing if there is or was a root key."""
    owner = tx.accounts.owner()
    if owner is None:
        raise NotInitialisedError("this node has no account yet")
    root = RootKeyRecord(
        key_id=new_id(),
        account_id=owner.account_id,
        method=method.name,
        identifier=identifier,
        verifier=verified.verifier,
        permissions=(str(ADMIN),),
        created_at=at,
        last_used_at=at,
    )
    return root if tx.auth.claim_first_owner(root) else None


def _bind_by_itself(tx: Transaction, claim: Claim, verified: VerifiedLogin, at: int) -> RootKeyRecord | None:
    """The root key of a proof that shows its account by itself.

    Nothing if it was removed before, as long as another root key opens the account.
    """
    account = tx.accounts.get(verified.opens) if verified.opens is not None else None
    if account is None:
        return None
    known = tx.auth.root_keys(account.account_id)
    removed = any((each.method, each.identifier) == (claim.method.name, claim.identifier) for each in known)
    if removed and any(each.revoked_at is None for each in known):
        return None
    root = RootKeyRecord(
        key_id=new_id(),
        account_id=account.account_id,
        method=claim.method.name,
        identifier=claim.identifier,
        verifier=verified.verifier,
        permissions=(str(ADMIN),) if account.owner else NOT_AN_OWNERS,
        created_at=at,
        last_used_at=at,
    )
    return root if tx.auth.add_root_key(root) else tx.auth.find_root_key(claim.method.name, claim.identifier)


def _look_up(tx: Transaction, claim: Claim, at: int) -> tuple[RootKeyRecord | None, Failures]:
    return tx.auth.find_root_key(claim.method.name, claim.identifier), failures_of(tx, claim, at)
