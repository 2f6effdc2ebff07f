"""Minting, refreshing and revoking tokens."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from meroid.access.principal import Principal
from meroid.account.audit import Action, Actor, AuditEvent, detail
from meroid.auth.dpop import NOTHING_SHOWN, Proof, Shown, check_key, verify_proof
from meroid.auth.jwks import key_set
from meroid.auth.jws import InvalidTokenError
from meroid.auth.node_binding import check_node
from meroid.auth.refresh import (
    REPEAT_WINDOW_MS,
    Ended,
    Exchange,
    Expired,
    Keep,
    Presented,
    Repeat,
    Reused,
    decide_refresh,
)
from meroid.auth.tokens import (
    ACCESS_LIFETIME_MS,
    REFRESH_LIFETIME_MS,
    AccessClaims,
    MissingTokenError,
    RefreshClaims,
    TokenExpiredError,
    TokenRevokedError,
    new_id,
    new_token_id,
)
from meroid.errors import ConflictError
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.service.auditing import actor_of
from meroid.service.gate import NotYourIdentityError
from meroid.service.live import check_enabled, check_live, granted
from meroid.service.minting import BadLifetimeError, ServiceTokenMintsError, WantedKey, draft_key
from meroid.service.ports.auth import (
    FamilyRecord,
    RefreshRecord,
    RootKeyRecord,
    Standing,
    TokenKeyRecord,
)
from meroid.service.ports.store import Store, Transaction
from meroid.service.possession import bind, spend
from meroid.service.revoking import revoke_key
from meroid.service.signing import SigningKeys


class TokenReuseError(TokenRevokedError):
    """A refresh token came back after its successor was used: two parties held it, and the log-in was ended."""

    code = "token_reuse"
    next_step = "log in again; if you didn't share the token, somebody has copied it"


class BindingUncheckableError(ConflictError):
    """This service holds no client keys, so it can't know whose the named one is, and binds no token to it."""

    code = "binding_uncheckable"
    next_step = "mint it at the node that holds the key, or leave out context_id and context_identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that belongs to it."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "TokenPair(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceToken:
    """An access token for a script; `client_id` names its key, `expires_at` is in seconds, as the claim has it."""

    access: str
    client_id: str
    expires_at: int

    def __repr__(self) -> str:
        return f"ServiceToken(client_id={self.client_id!r})"


class TokenService:
    """The life of tokens after the log-in."""

    def __init__(
        self,
        store: Store,
        keys: SigningKeys,
        *,
        access_ms: int = ACCESS_LIFETIME_MS,
        refresh_ms: int = REFRESH_LIFETIME_MS,
        check_member: Callable[[ContextId, PublicKey], object] | None = None,
        holds_client_keys: bool = True,
        settle: Callable[[Transaction, AccountId], object] = lambda _tx, _account: None,
    ) -> None:
        """`check_member` raises if a client key is no member of a context; without it that isn't asked.

        With `holds_client_keys` false nothing is bound to one: nobody here could say whose it is.

        `settle` brings an account's key log in line with its root keys, in the transaction that changed them.
        """
        self._settle = settle
        self._store = store
        self._keys = keys
        self._access_ms = access_ms
        self._refresh_ms = refresh_ms
        self._check_member = check_member
        self._holds_client_keys = holds_client_keys

    def ensure_signing_key(self, at: int) -> None:
        """Make the key that signs tokens, if there is none yet."""
        self._keys.ensure(at)

    def jwks(self, at: int) -> dict[str, list[dict[str, str]]]:
        """The public keys that verify tokens, as a JWK set."""
        return key_set(self._keys.published(at))

    def open_family(
        self,
        tx: Transaction,
        root: RootKeyRecord,
        client: TokenKeyRecord | None = None,
        *,
        narrowed_to: tuple[str, ...] | None,
        logged_in_at: int | None,
        proof_key: str | None = None,
        at: int,
    ) -> tuple[Standing, RefreshRecord]:
        """Start the tokens of one log-in or minting, within the caller's transaction that read or made both keys."""
        family = FamilyRecord(
            family_id=new_id(),
            key_id=root.key_id if client is None else client.client_id,
            narrowed_to=narrowed_to,
            logged_in_at=logged_in_at,
            created_at=at,
            proof_key=proof_key,
        )
        first = self._refresh_record(family.family_id, at)
        tx.auth.open_family(family, first)
        return Standing(family=family, root=root, client=client), first

    def pair(self, standing: Standing, refresh: RefreshRecord, at: int, *, node_url: str | None = None) -> TokenPair:
        """Mint a pair for what the records grant now; with an origin, for that node only."""
        issuer = self._keys.issuer(at)
        return TokenPair(
            access=issuer.access(replace(self._access_claims(standing, at), node_url=node_url)),
            refresh=issuer.refresh(replace(self._refresh_claims(standing, refresh), node_url=node_url)),
        )

    def refresh(
        self,
        access: str,
        refresh: str,
        at: int,
        shown: Shown = NOTHING_SHOWN,
        *,
        address: str | None = None,
        host: str | None = None,
    ) -> TokenPair:
        """Exchange a refresh token; early is fine, and so is a repetition after a lost answer. `address`: where it comes from.

        `host` is the one that it was sent to. A pair that is bound to a key answers only a proof of it; without one,
        nothing happens to the log-in.

        Raises:
            WrongNodeError: the refresh token is for another node.
            InvalidTokenError: one of the tokens is no good, or they come from different log-ins.
            TokenExpiredError: the refresh token is past its time.
            TokenRevokedError: key or log-in ended.
            TokenReuseError: two parties hold the token; this log-in was ended just now.
            ProofRequiredError, ProofUnjudgedError, BadProofError: the key isn't proved.
        """
        old, presented = self._keys.access(access, at), self._keys.refresh(refresh, at)
        if (old.subject, old.family_id) != (presented.subject, presented.family_id):
            raise InvalidTokenError("access and refresh token come from different log-ins")
        check_node(presented.node_url, host)
        if old.proof_key != presented.proof_key:
            raise InvalidTokenError("access and refresh token are bound to different keys")
        proof = _prove(presented, shown, at)

        def work(tx: Transaction) -> tuple[Standing, RefreshRecord] | Reused:
            if proof is not None:
                spend(tx, proof, at)
            return self._exchange(tx, presented, at, address)

        outcome = self._store.write(work)
        if isinstance(outcome, Reused):
            raise TokenReuseError("this refresh token was used before, and its successor too")
        standing, successor = outcome
        return self.pair(standing, successor, at, node_url=presented.node_url)

    def mint_client(self, principal: Principal, wanted: WantedKey, at: int, proof: Proof | None = None) -> TokenPair:
        """Mint a pair under the caller's root key; with context and identity, bound to them; with a proof, to its key.

        Raises:
            MeroidError: as `draft_key` says.
            BindingUncheckableError: this service can't know whose the identity is.
            NotYourIdentityError: the identity isn't a client key of the caller's account in that context.
            ForbiddenError: the identity is no member there (the leaf says since when), or a service token asks.
            ProofKeySharedError, BadProofError: the proof's key or the proof was used for something else.
        """
        standing, first = self._mint(principal, wanted, proof, at)
        return self.pair(standing, first, at, node_url=_node_of(standing))

    def mint_service_token(
        self, principal: Principal, wanted: WantedKey, at: int, proof: Proof | None = None
    ) -> ServiceToken:
        """Mint one access token that lives for `expires_in_s`, without a refresh token; raises as `mint_client`."""
        if wanted.expires_in_s is None:
            raise BadLifetimeError("a service token needs an end")
        standing, _ = self._mint(principal, wanted, proof, at)
        claims = replace(self._access_claims(standing, at), node_url=_node_of(standing))
        access = self._keys.issuer(at).access(claims)
        return ServiceToken(access=access, client_id=claims.subject, expires_at=claims.expires_at)

    def revoke(self, principal: Principal, key_id: str, at: int) -> int:
        """Revoke a root key or token key, with all that hangs on it; returns the time, ms. Raises as `revoke_key`."""

        def work(tx: Transaction) -> int:
            root = tx.auth.root_key(key_id)
            revoked = revoke_key(tx, principal, key_id, at)
            if root is not None:
                self._settle(tx, root.account_id)
            return revoked.revoked_at

        return self._store.write(work)

    def log_out(
        self,
        access: str | None,
        refresh: str | None,
        at: int,
        shown: Shown = NOTHING_SHOWN,
        *,
        address: str | None = None,
    ) -> None:
        """End the log-ins behind these tokens, expired ones too; what has ended already stays so.

        A minted key ends with its token.

        Raises:
            MissingTokenError: there is neither.
            InvalidTokenError: one of them is no good; then nothing ends.
            ProofRequiredError, ProofUnjudgedError, BadProofError: one is bound to a key that isn't proved; likewise.
        """
        ended: list[AccessClaims | RefreshClaims] = [] if not access else [self._keys.access(access, at)]
        if refresh:
            ended.append(self._keys.refresh(refresh, at))
        if not ended:
            raise MissingTokenError("no token was sent")
        proofs = {proof.digest: proof for each in ended if (proof := _prove(each, shown, at)) is not None}

        def work(tx: Transaction) -> None:
            for proof in proofs.values():
                spend(tx, proof, at)
            for each in ended:
                standing = tx.auth.standing(each.subject, each.family_id)
                going = tx.auth.revoke_family(each.family_id, at=at)
                if tx.auth.revoke_token_key(each.subject, at=at) or going:
                    tx.audit.append(
                        AuditEvent(
                            at=at,
                            action=Action.LOGOUT,
                            by=Actor(
                                account_id=standing.root.account_id if standing is not None else None,
                                key_id=each.subject,
                                address=address,
                            ),
                            target=each.family_id,
                        )
                    )

        self._store.write(work)

    def forget_expired(self, at: int) -> int:
        """Remove refresh tokens that are past their time, and signing keys; how many tokens they were. For housekeeping."""
        self._keys.forget_retired(at)
        return self._store.write(lambda tx: tx.auth.forget_refreshes(expired_before=at))

    def _exchange(
        self, tx: Transaction, presented: RefreshClaims, at: int, address: str | None
    ) -> tuple[Standing, RefreshRecord] | Reused:
        standing = tx.auth.standing(presented.subject, presented.family_id)
        record = tx.auth.refresh(presented.token_id)
        if standing is None or record is None or record.family_id != presented.family_id:
            raise InvalidTokenError("this refresh token isn't known here")
        check_live(standing, at)
        by = Actor(account_id=standing.root.account_id, key_id=presented.subject, address=address)
        event = AuditEvent(at=at, action=Action.TOKEN_REFRESH, by=by, target=presented.family_id)
        before = tx.auth.refresh(record.successor) if record.successor is not None else None
        verdict = decide_refresh(_presented(standing, record, before), at)
        match verdict:
            case Exchange():
                successor = self._refresh_record(record.family_id, at)
                if tx.auth.consume_refresh(record.jti, successor, at=at):
                    tx.audit.append(event)
                    return standing, successor
                return self._exchange(tx, presented, at, address)  # another worker was first: its successor is ours
            case Keep():
                repeated = replace(event, details={"repeated": "true"})
                tx.audit.append_bounded(f"repeat:{presented.subject}", repeated)
                return standing, record
            case Repeat() if before is not None:
                repeated = replace(event, details={"repeated": "true"})
                tx.audit.append_bounded(f"repeat:{presented.subject}", repeated)
                return standing, self._repeated(tx, before, at)
            case Reused():
                tx.auth.revoke_family(presented.family_id, at=at)
                tx.audit.append(replace(event, outcome=TokenReuseError.code))
                return verdict
            case Expired():
                raise TokenExpiredError("the refresh token has expired")
            case Ended() | Repeat():
                raise TokenRevokedError("the log-in behind this token was ended")

    def _refresh_claims(self, standing: Standing, record: RefreshRecord) -> RefreshClaims:
        return RefreshClaims(
            subject=standing.family.key_id,
            family_id=record.family_id,
            token_id=record.jti,
            issued_at=(record.expires_at - self._refresh_ms) // 1000,  # so that a repeated one is the same text
            expires_at=record.expires_at // 1000,
            proof_key=standing.family.proof_key,
        )

    def _repeated(self, tx: Transaction, successor: RefreshRecord, at: int) -> RefreshRecord:
        """The successor that was made before; past half its time it lives longer, as who gets it now may sleep again.

        It counts as made now: another one isn't made from it while somebody may still store it.

        Where clocks are apart it may have been exchanged within the window: then it is what came after it, so that
        nobody stores a token that was used.
        """
        while successor.successor is not None:
            following = tx.auth.refresh(successor.successor)
            if following is None:
                break
            successor = following
        if at - successor.issued_at <= REPEAT_WINDOW_MS:
            return successor
        ages = successor.expires_at - at < self._refresh_ms // 2
        given = replace(successor, issued_at=at, expires_at=at + self._refresh_ms if ages else successor.expires_at)
        tx.auth.renew_refresh(given.jti, issued_at=given.issued_at, expires_at=given.expires_at)
        return given

    def _check_binding(self, principal: Principal, context_id: ContextId, identity: PublicKey) -> None:
        if not self._holds_client_keys:
            raise BindingUncheckableError("this service holds no client keys and can't tell whose this identity is")
        key = self._store.read(lambda tx: tx.accounts.client_key(identity))
        if key is None or key.account_id != principal.account_id or key.context_id != context_id:
            raise NotYourIdentityError("this identity is no client key of your account in this context")
        if self._check_member is not None:
            self._check_member(context_id, identity)

    def _mint(
        self, principal: Principal, wanted: WantedKey, proof: Proof | None, at: int
    ) -> tuple[Standing, RefreshRecord]:
        record = draft_key(principal, wanted, at)
        if record.context_id is not None and record.executor is not None:
            self._check_binding(principal, record.context_id, record.executor)
        by = actor_of(principal)
        return self._store.write(lambda tx: self._add_client(tx, record, proof, by, at))

    def _add_client(
        self, tx: Transaction, record: TokenKeyRecord, proof: Proof | None, by: Actor, at: int
    ) -> tuple[Standing, RefreshRecord]:
        root = _root_above(tx, record.root_key_id)
        check_enabled(tx, root.account_id)
        client = replace(record, root_key_id=root.key_id)
        proof_key = bind(tx, proof, record.context_id, at)
        tx.auth.add_token_key(client)
        opened = self.open_family(tx, root, client, narrowed_to=None, logged_in_at=None, proof_key=proof_key, at=at)
        event = AuditEvent(
            at=at, action=Action.TOKEN_MINT, by=by, target=client.client_id, details=_minted_details(client)
        )
        tx.audit.append(event)
        return opened

    def _access_claims(self, standing: Standing, at: int) -> AccessClaims:
        client = standing.client
        bound = client is not None and client.context_id is not None
        end = client.expires_at if client is not None else None
        return AccessClaims(
            subject=standing.family.key_id,
            family_id=standing.family.family_id,
            token_id=new_token_id(standing.family.family_id),
            permissions=tuple(str(each) for each in granted(standing)),
            issued_at=at // 1000,
            expires_at=(at + self._access_ms if end is None else end) // 1000,
            account_id=None if bound else standing.root.account_id,
            context_id=client.context_id if client is not None else None,
            executor=client.executor if client is not None else None,
            proof_key=standing.family.proof_key,
        )

    def _refresh_record(self, family_id: str, at: int) -> RefreshRecord:
        return RefreshRecord(
            jti=new_token_id(family_id), family_id=family_id, issued_at=at, expires_at=at + self._refresh_ms
        )


def _node_of(standing: Standing) -> str | None:
    return standing.client.node_url if standing.client is not None else None


def _prove(claims: AccessClaims | RefreshClaims, shown: Shown, at: int) -> Proof | None:
    """The proof of the key that a token is bound to; nothing for one that is bound to none."""
    if claims.proof_key is None:
        return None
    proof = verify_proof(shown, at)
    check_key(proof, claims.proof_key)
    return proof


def _presented(standing: Standing, record: RefreshRecord, successor: RefreshRecord | None) -> Presented:
    return Presented(
        family_revoked=standing.family.revoked_at is not None,
        first=record.issued_at == standing.family.created_at,
        issued_at=record.issued_at,
        expires_at=record.expires_at,
        exchanged_at=record.exchanged_at,
        successor_used=successor is not None and successor.exchanged_at is not None,
    )


def _minted_details(client: TokenKeyRecord) -> dict[str, str]:
    details = {"permissions": detail(" ".join(client.permissions))}
    if client.context_id is not None and client.executor is not None:
        details |= {"context": str(client.context_id), "executor": str(client.executor)}
    if client.expires_at is not None:
        details["expires_at"] = str(client.expires_at)
    return details


def _root_above(tx: Transaction, key_id: str) -> RootKeyRecord:
    """The root key itself, or the one above a token key: that is what the new key hangs on."""
    client = tx.auth.token_key(key_id)
    root = tx.auth.root_key(client.root_key_id if client is not None else key_id)
    if root is None or root.revoked_at is not None or (client is not None and client.revoked_at is not None):
        raise TokenRevokedError("the key behind this token was revoked")
    if client is not None and client.expires_at is not None:
        raise ServiceTokenMintsError("a service token mints no others")
    return root
