"""Access and refresh tokens: what they say, minting and verifying them.

A token's `jti` is `<family>.<unique>`: it names the log-in that it comes from, so that ending
one log-in ends its access tokens too. A bound token's `sub` is an id made for that client key,
and it names no account.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from meroid.access.permissions import parse_permission
from meroid.account.audit import AuditHead
from meroid.account.audit_statement import STATEMENT_TYPE, statement_claims
from meroid.auth.challenge import Challenge, encode_claims, new_challenge_claims, read_challenge
from meroid.auth.dpop import is_thumbprint
from meroid.auth.jws import InvalidTokenError, SigningKey, VerifyingKey, parse_object, parse_token
from meroid.auth.node_binding import origin_of
from meroid.auth.revocations import FEED_LIFETIME_S, Feed, sign_feed
from meroid.errors import InvalidInputError, UnauthenticatedError
from meroid.ids import AccountId, BadIdError, ContextId
from meroid.keys.public import PublicKey

ACCESS_LIFETIME_MS: Final = 3_600_000
REFRESH_LIFETIME_MS: Final = 30 * 24 * 3_600_000
LEEWAY_S: Final = 60
ID_BYTES: Final = 16

_UNSAFE_FOR_ATOB: Final = frozenset(">?~")
_LONGEST_STRING: Final = 1024
_GREATEST_TIME_S: Final = 2**53


class MissingTokenError(UnauthenticatedError):
    """No token was sent."""

    code = "missing_token"
    next_step = "log in and send the access token as a bearer"


class TokenExpiredError(UnauthenticatedError):
    """The access token is past its time."""

    code = "token_expired"
    next_step = "refresh it, or log in again"


class TokenRevokedError(UnauthenticatedError):
    """The key, log-in or membership behind the token has ended."""

    code = "token_revoked"
    next_step = "log in again; if that fails, ask the owner of the node"

    def __init__(self, reason: str, *, of: tuple[AccountId, str] | None = None) -> None:
        """`of` is account and key of the token, for the audit trail."""
        super().__init__(reason)
        self.of = of


class UnsafeClaimError(InvalidInputError):
    """A claim has characters that the JavaScript client can't decode."""

    code = "unsafe_claim"
    next_step = "use printable ASCII without > ? ~"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What an access token says. Times in seconds, as RFC 7519 has them.

    `account_id` is set in unbound tokens, `context_id` and `executor` in bound ones. `node_url` is the origin of the
    node that it is for, if it is for one. `proof_key` is the thumbprint of the key that has to be proved beside the
    token (`cnf.jkt`, RFC 9449), if there is one.
    """

    subject: str
    family_id: str
    token_id: str
    permissions: tuple[str, ...]
    issued_at: int
    expires_at: int
    account_id: AccountId | None = None
    context_id: ContextId | None = None
    executor: PublicKey | None = None
    node_url: str | None = None
    proof_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshClaims:
    """What a refresh token says; `token_id` is the whole `jti`, `proof_key` as in `AccessClaims`."""

    subject: str
    family_id: str
    token_id: str
    issued_at: int
    expires_at: int
    node_url: str | None = None
    proof_key: str | None = None


def new_id() -> str:
    """A random id of 128 bits, lower-case hex."""
    return secrets.token_hex(ID_BYTES)


def new_token_id(family_id: str) -> str:
    """A `jti` within a family."""
    return f"{family_id}.{new_id()}"


class TokenIssuer:
    """Mints tokens with one signing key."""

    def __init__(self, key: SigningKey, *, issuer: str, audience: str) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience

    def access(self, claims: AccessClaims) -> str:
        """Mint an access token.

        Raises:
            UnsafeClaimError: a string that plain `atob` would break on.
        """
        payload = self._common("access", claims) | {"permissions": list(claims.permissions)}
        if claims.context_id is not None and claims.executor is not None:
            executor = str(claims.executor)
            payload |= {"context_id": str(claims.context_id)}
            payload |= {"context_identity": executor, "executor_public_key": executor}
        else:
            payload |= {"account_id": str(claims.account_id)}
        return self._key.sign(_encode(payload))

    def refresh(self, claims: RefreshClaims) -> str:
        """Mint a refresh token; the same claims give the same token."""
        return self._key.sign(_encode(self._common("refresh", claims)))

    def challenge(self, method: str, audience: str, at: int) -> Challenge:
        """Make a challenge; `at` in ms."""
        claims = new_challenge_claims(method, audience, issuer=self._issuer, at=at)
        return read_challenge(self._key.sign(encode_claims(claims)), claims, issuer=self._issuer)

    def audit_statement(self, head: AuditHead, at: int) -> str:
        """Say where the audit trail ends; `at` in ms. No token: its type is another."""
        return self._key.state(_encode(statement_claims(self._issuer, head, at)), STATEMENT_TYPE)

    def revocations(
        self, keys: Mapping[str, int], logins: Mapping[str, int], *, since: int | None, issued_at: int
    ) -> str:
        """Sign what has ended; times in seconds."""
        feed = Feed(
            issuer=self._issuer,
            issued_at=issued_at,
            expires_at=issued_at + FEED_LIFETIME_S,
            keys=keys,
            logins=logins,
            since=since,
        )
        return sign_feed(feed, self._key)

    def _common(self, token_type: str, claims: AccessClaims | RefreshClaims) -> dict[str, object]:
        bound = {"cnf": {"jkt": claims.proof_key}} if claims.proof_key is not None else {}
        node = {} if claims.node_url is None else {"node_url": claims.node_url}
        return {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": claims.subject,
            "exp": claims.expires_at,
            "iat": claims.issued_at,
            "jti": claims.token_id,
            "token_type": token_type,
            **node,
            **bound,
        }


class TokenVerifier:
    """Verifies tokens against a fixed set of keys."""

    def __init__(self, keys: Mapping[str, VerifyingKey], *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def access(self, token: str) -> AccessClaims:
        """The claims of an access token that this service signed, expired or not.

        Raises:
            InvalidTokenError: anything wrong with it but its time.
        """
        claims = self._verify(token)
        if not isinstance(claims, AccessClaims):
            raise InvalidTokenError("this is a refresh token, not an access token")
        return claims

    def refresh(self, token: str) -> RefreshClaims:
        """The claims of a refresh token that this service signed, expired or not.

        Raises:
            InvalidTokenError: anything wrong with it but its time.
        """
        claims = self._verify(token)
        if not isinstance(claims, RefreshClaims):
            raise InvalidTokenError("this is an access token, not a refresh token")
        return claims

    def challenge(self, text: str) -> Challenge:
        """A challenge that this service made, ended or not.

        Raises:
            BadChallengeError, InvalidTokenError: it is none.
        """
        return read_challenge(text, self._signed_fields(text), issuer=self._issuer)

    def _verify(self, token: str) -> AccessClaims | RefreshClaims:
        fields = self._signed_fields(token)
        if fields.get("iss") != self._issuer or fields.get("aud") != self._audience:
            raise InvalidTokenError("the token was made by or for another service")
        match fields.get("token_type"):
            case "access":
                return _read_access(fields)
            case "refresh":
                return _read_refresh(fields)
            case _:
                raise InvalidTokenError("the token has no known type")

    def _signed_fields(self, token: str) -> dict[str, object]:
        parsed = parse_token(token)
        key = self._keys.get(parsed.kid)
        if key is None:
            raise InvalidTokenError("the token names a signing key that is not in use")
        return parse_object(key.verify(parsed))


def check_expiry(claims: AccessClaims | RefreshClaims, at: int) -> None:
    """Refuse a token past its time; clocks may differ by `LEEWAY_S`. `at` in ms.

    Raises:
        TokenExpiredError: it is past its time.
    """
    if at // 1000 > claims.expires_at + LEEWAY_S:
        raise TokenExpiredError("the token has expired")


def _encode(payload: Mapping[str, object]) -> bytes:
    for value in payload.values():
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and not _survives_atob(text):
                raise UnsafeClaimError("a claim has characters that some clients can't decode")
    return json.dumps(payload, separators=(",", ":")).encode("ascii")


def _survives_atob(text: str) -> bool:
    """True if base64url of the text never has `-` or `_`.

    A six-bit group of 62 or 63 needs a byte above 0x7e, or `>`, `?` or `~` in third place.
    """
    return text.isascii() and text.isprintable() and not _UNSAFE_FOR_ATOB.intersection(text)


def _read_access(fields: Mapping[str, object]) -> AccessClaims:
    bound = [fields.get(name) for name in ("context_id", "context_identity", "executor_public_key")]
    account = fields.get("account_id")
    if (account is None) == all(each is None for each in bound) or bound[1] != bound[2]:
        raise InvalidTokenError("the token is neither bound to one context nor to an account")
    try:
        return AccessClaims(
            subject=_string(fields, "sub"),
            family_id=_family_id(fields),
            token_id=_string(fields, "jti"),
            permissions=_permissions(fields),
            issued_at=_time(fields, "iat"),
            expires_at=_time(fields, "exp"),
            account_id=None if account is None else AccountId.parse(_id_text(account)),
            context_id=None if account is not None else ContextId.parse(_id_text(bound[0])),
            executor=None if account is not None else PublicKey.parse(_id_text(bound[1])),
            node_url=_node_url(fields),
            proof_key=_proof_key(fields),
        )
    except BadIdError:
        raise InvalidTokenError("the token has a malformed id") from None


def _read_refresh(fields: Mapping[str, object]) -> RefreshClaims:
    return RefreshClaims(
        subject=_string(fields, "sub"),
        family_id=_family_id(fields),
        token_id=_string(fields, "jti"),
        issued_at=_time(fields, "iat"),
        expires_at=_time(fields, "exp"),
        node_url=_node_url(fields),
        proof_key=_proof_key(fields),
    )


def _family_id(fields: Mapping[str, object]) -> str:
    family_id, dot, _ = _string(fields, "jti").partition(".")
    if not dot:
        raise InvalidTokenError("the token's id names no log-in")
    return family_id


def _node_url(fields: Mapping[str, object]) -> str | None:
    value = fields.get("node_url")
    if value is None:
        return None
    if not isinstance(value, str) or origin_of(value) != value:
        raise InvalidTokenError("the token's node_url is no origin")
    return value


def _permissions(fields: Mapping[str, object]) -> tuple[str, ...]:
    listed = fields.get("permissions")
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise InvalidTokenError("the token's permissions are not a list of texts")
    try:
        return _canonical(tuple(listed))
    except InvalidInputError:
        raise InvalidTokenError("the token has an unknown permission") from None


@lru_cache(maxsize=1024)  # the same few lists come again and again
def _canonical(permissions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(parse_permission(text)) for text in permissions)


def _proof_key(fields: Mapping[str, object]) -> str | None:
    """A confirmation that can't be read is refused: the token would count as one that everybody may use."""
    if "cnf" not in fields:
        return None
    match fields["cnf"]:
        case {"jkt": str() as key, **more} if not more and is_thumbprint(key):
            return key
        case _:
            raise InvalidTokenError("the token is bound to a key in a way that is not known here")


def _id_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _string(fields: Mapping[str, object], name: Literal["sub", "jti"]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_STRING:
        raise InvalidTokenError(f"the token's {name} is missing or no text")
    return value


def _time(fields: Mapping[str, object], name: Literal["iat", "exp"]) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _GREATEST_TIME_S:
        raise InvalidTokenError(f"the token's {name} is missing or no time")
    return value
