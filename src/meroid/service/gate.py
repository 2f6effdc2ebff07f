"""The one gate for every door: a bearer token becomes a principal, and a principal may or may not."""

from meroid.access.decide import (
    NOT_YOUR_IDENTITY,
    OUTSIDE_BINDING,
    PERMISSION_DENIED,
    Allowed,
    Denied,
    Resource,
    decide,
)
from meroid.access.permissions import LIST_CONTEXTS, Permission
from meroid.access.principal import Principal
from meroid.auth.dpop import NOTHING_SHOWN, Shown
from meroid.auth.jws import InvalidTokenError
from meroid.auth.remembered import REMEMBERED_TOKENS, Remembered, digest_of
from meroid.auth.tokens import (
    AccessClaims,
    MissingTokenError,
    TokenExpiredError,
    TokenRevokedError,
    check_expiry,
)
from meroid.errors import ForbiddenError
from meroid.service.admitted import Admitted
from meroid.service.live import check_live, granted_to
from meroid.service.ports.auth import Standing
from meroid.service.ports.store import Store
from meroid.service.possession import Possession
from meroid.service.signing import SigningKeys

__all__ = [
    "Gate",
    "InvalidTokenError",
    "MissingTokenError",
    "NotYourIdentityError",
    "OutsideBindingError",
    "PermissionDeniedError",
    "TokenExpiredError",
    "TokenRevokedError",
]


class PermissionDeniedError(ForbiddenError):
    """The token doesn't hold the permission that this needs."""

    code = PERMISSION_DENIED
    next_step = "log in with a key that holds it, or ask the owner of the node for it"


class OutsideBindingError(PermissionDeniedError):
    """The token is bound to another context or identity."""

    code = OUTSIDE_BINDING
    next_step = "use a token of that context and identity"


class NotYourIdentityError(PermissionDeniedError):
    """The identity that is to act belongs to another account."""

    code = NOT_YOUR_IDENTITY
    next_step = "act as an identity of your own account"


_ERRORS: dict[str, type[PermissionDeniedError]] = {
    each.code: each for each in (PermissionDeniedError, OutsideBindingError, NotYourIdentityError)
}


class Gate:
    """Admits tokens against the live records, and authorises principals.

    What it found about a token is remembered with the version of the store that it asked for before, and holds while
    that stays the same: whatever any process commits is seen at the next request. Its signature holds as long as the
    signing keys are the same.
    """

    def __init__(self, store: Store, keys: SigningKeys) -> None:
        self._store = store
        self._keys = keys
        self._possession = Possession(store)
        self._admitted: Remembered[Admitted] = Remembered(REMEMBERED_TOKENS)

    def admit(self, bearer: str | None, at: int, shown: Shown = NOTHING_SHOWN) -> Principal:
        """The principal of an access token; raises as `look_up`."""
        return self.look_up(bearer, at, shown).principal

    def look_up(self, bearer: str | None, at: int, shown: Shown = NOTHING_SHOWN) -> Admitted:
        """All that is known about an access token that is good now; `shown` proves the key that it may be bound to.

        Raises:
            MissingTokenError: there is none.
            InvalidTokenError: malformed, not of this service, or its key is gone.
            TokenExpiredError: past its time.
            TokenRevokedError: its key, root key, log-in or membership ended.
            ProofRequiredError, ProofUnjudgedError, BadProofError: it is bound to a key that isn't proved.
        """
        if not bearer:
            raise MissingTokenError("no token was sent")
        found = self._judged(bearer, at)
        proof_key = found.principal.proof_key
        if proof_key is not None:  # for each request anew: a proof is good for one
            self._possession.check(proof_key, shown, bearer, at)
        return found

    def _judged(self, bearer: str, at: int) -> Admitted:
        version = self._store.version()
        verifier = self._keys.verifier(at, version)
        digest = digest_of(bearer)
        known = self._admitted.get(digest)
        if known is not None and known.verifier is not verifier:
            known = None
        if known is not None and known.version == version:
            known.check_time(at)
            return known
        claims = verifier.access(bearer) if known is None else known.claims  # no signature is verified twice
        check_expiry(claims, at)
        standing = self._store.read(lambda tx: tx.auth.standing(claims.subject, claims.family_id))
        if standing is None:
            raise InvalidTokenError("the key behind this token isn't here")
        check_live(standing, at)
        found = Admitted(
            claims=claims,
            principal=_principal(claims, standing),
            key_ends_at=None if standing.client is None else standing.client.expires_at,
            version=version,
            verifier=verifier,
        )
        self._admitted.put(digest, found)
        return found

    def authorise(self, principal: Principal, needed: Permission, resource: Resource) -> None:
        """Refuse what the principal may not do.

        Raises:
            PermissionDeniedError: it may not; the class says why.
        """
        match decide(principal, needed, resource):
            case Denied(code, reason):
                raise _ERRORS[code](reason)
            case Allowed():
                return

    def sees(self, principal: Principal, resource: Resource) -> bool:
        """True if a context belongs into this principal's lists and subscriptions."""
        return isinstance(decide(principal, LIST_CONTEXTS, resource), Allowed)


def _principal(claims: AccessClaims, standing: Standing) -> Principal:
    client = standing.client
    bound_context = client.context_id if client is not None else None
    bound_executor = client.executor if client is not None else None
    account = None if bound_context is not None else standing.root.account_id
    if (claims.context_id, claims.executor, claims.account_id) != (bound_context, bound_executor, account):
        raise InvalidTokenError("the token's binding is not that of its key")
    if claims.proof_key != standing.family.proof_key:
        raise InvalidTokenError("the token is not bound to the key of its log-in")
    return Principal(
        subject=claims.subject,
        account_id=standing.root.account_id,
        key_id=standing.family.key_id,
        held=granted_to(standing, claims.permissions),
        bound_context=bound_context,
        bound_executor=bound_executor,
        fresh_login_at=standing.family.logged_in_at,
        family_id=standing.family.family_id,
        node_url=claims.node_url,
        proof_key=standing.family.proof_key,
    )
