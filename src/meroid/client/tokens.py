"""Tokens as a client holds them: opaque texts, an expiry read from the claims, and where they are kept."""

import base64
import binascii
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, Self

from meroid.client.exchange import Response, decode_json
from meroid.client.failures import BadClientFileError, NotANodeError

_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and, where there is one, the token that renews it.

    Attributes:
        access_token: sent as bearer.
        refresh_token: spent once, for a new pair.
        expires_at: Unix seconds when the access token ends, where known.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None

    @classmethod
    def checked(cls, access_token: object, refresh_token: object = None, expires_at: object = None) -> Self:
        """A pair from values of outside; an expiry that is missing is read from the token.

        Raises:
            BadClientFileError: a token isn't printable ASCII without spaces.
        """
        access = _token(access_token)
        return cls(
            access_token=access,
            refresh_token=None if refresh_token in {None, ""} else _token(refresh_token),
            expires_at=expires_at if type(expires_at) is int else expiry_of(access),
        )

    def ends_by(self, at_s: float) -> bool:
        """Whether the access token is known to have ended at that time (Unix seconds)."""
        return self.expires_at is not None and at_s >= self.expires_at


class TokenStore(Protocol):
    """A place that keeps the tokens for one node."""

    def load(self) -> TokenPair | None:
        """The tokens, or None where there are none."""
        ...

    def save(self, tokens: TokenPair) -> None:
        """Keep these instead of those."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep every other thread and process from renewing meanwhile."""
        ...


def expiry_of(access_token: str) -> int | None:
    """The `exp` claim of a JWT, not verified; None where it has none or is no JWT."""
    claims = claims_of(access_token)
    expiry = claims.get("exp")
    return int(expiry) if isinstance(expiry, int | float) and not isinstance(expiry, bool) else None


def claims_of(access_token: str) -> dict[str, object]:
    """The claims of a JWT for show only, not verified; empty where it is no JWT."""
    parts = access_token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def tokens_in(response: Response) -> TokenPair:
    """The pair in an answer of `/auth/token` or `/auth/refresh`, under `data` or at top level.

    Raises:
        RefusedError: the status isn't a success.
        NotANodeError: there are no tokens in it.
    """
    body = decode_json(response)
    data = body.get("data") if isinstance(body, dict) and isinstance(body.get("data"), dict) else body
    if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
        raise NotANodeError("the answer to the log-in holds no token")
    try:
        return TokenPair.checked(data["access_token"], data.get("refresh_token"))
    except BadClientFileError:
        raise NotANodeError("the answer to the log-in holds a token of another kind") from None


def _token(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise BadClientFileError("a token is printable ASCII without spaces", next_step="log in again")
    if not 0 < len(value) <= _LONGEST:
        raise BadClientFileError(f"a token has 1 to {_LONGEST} characters", next_step="log in again")
    return value
