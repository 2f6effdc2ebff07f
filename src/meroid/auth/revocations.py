"""The feed of revocations: what has ended of the tokens that may still be alive, as a short-lived signed list.

A JWS of type `revocations+jwt`, so it never counts as a token. Claims: `iss`, `iat`, `exp`; `keys` maps a token's
`sub` to when that key ended, `logins` maps the part of a token's `jti` before the dot to when that log-in ended
(Unix seconds, whole minutes); `since` where earlier endings are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meroid.auth.jws import InvalidTokenError, SigningKey, VerifyingKey
from meroid.keys.jose import compact_json, decode_base64url, json_object, split_compact
from meroid.keys.public import BadSignatureError, verify_signature

FEED_TYPE: Final = "revocations+jwt"
FEED_LIFETIME_S: Final = 120
FEED_STEP_S: Final = 10
"""How long the same text is signed for, if nothing ends meanwhile: so answers can be cached."""
_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What has ended; times in seconds. `since` is set where earlier endings are left out."""

    issuer: str
    issued_at: int
    expires_at: int
    keys: Mapping[str, int]
    logins: Mapping[str, int]
    since: int | None = None

    def ends(self, subject: str, family_id: str) -> bool:
        """True if a token of this `sub` and log-in has ended."""
        return subject in self.keys or family_id in self.logins


def whole_minute(ms: int) -> int:
    """A time as the feed shows it, seconds: whoever compares two entries learns no order within the minute."""
    return ms // 1000 // _MINUTE_S * _MINUTE_S


def sign_feed(feed: Feed, key: SigningKey) -> str:
    """The feed as a compact JWS; the same feed gives the same text."""
    claims: dict[str, object] = {
        "iss": feed.issuer,
        "iat": feed.issued_at,
        "exp": feed.expires_at,
        "keys": dict(sorted(feed.keys.items())),
        "logins": dict(sorted(feed.logins.items())),
    }
    if feed.since is not None:
        claims["since"] = feed.since
    return key.state(compact_json(claims), FEED_TYPE)


def read_feed(text: str, keys: Mapping[str, VerifyingKey], *, issuer: str) -> Feed:
    """A feed that one of these keys signed (by `kid`), fresh or not.

    Raises:
        InvalidTokenError: it is none of this issuer.
    """
    try:
        parts = split_compact(text, most=len(text))
        header, claims = json_object(decode_base64url(parts.header)), json_object(parts.payload)
    except ValueError as problem:
        raise InvalidTokenError(f"this is no feed of revocations: {problem}") from None
    key = keys.get(str(header.get("kid")))
    if key is None or header != {"alg": "EdDSA", "typ": FEED_TYPE, "kid": key.kid}:
        raise InvalidTokenError("this is no feed of revocations, or its key isn't known")
    try:
        verify_signature(key.public, parts.signed, parts.signature)
    except BadSignatureError:
        raise InvalidTokenError("the signature of the feed doesn't hold") from None
    return _read(claims, issuer)


def _read(claims: Mapping[str, object], issuer: str) -> Feed:
    match claims:
        case {"iss": str() as said, "iat": int() as issued_at, "exp": int() as expires_at} if said == issuer:
            return Feed(
                issuer=said,
                issued_at=issued_at,
                expires_at=expires_at,
                keys=_times(claims.get("keys")),
                logins=_times(claims.get("logins")),
                since=since if isinstance(since := claims.get("since"), int) else None,
            )
        case _:
            raise InvalidTokenError("the feed is of another issuer, or says no time")


def _times(value: object) -> dict[str, int]:
    if not isinstance(value, dict) or not all(isinstance(each, int) for each in value.values()):
        raise InvalidTokenError("the feed's lists are malformed")
    return value
