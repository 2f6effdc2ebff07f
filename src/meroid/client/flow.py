"""How a request is authorised, as a procedure without I/O: what it needs done, it yields.

1. Load the tokens; without any, send the request bare.
2. If the access token has ended, renew first; a refusal here isn't final (clocks differ).
3. Send with the bearer. Refused as expired: renew once, send again with the *new* header. A refused
   request never ran, so repeating it is safe.
4. Refused for another reason: send again only if someone else has put other tokens there meanwhile.

Renewing happens under the lock of the token store: who comes second finds the new pair and sends nothing.
"""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from meroid.client.exchange import Request, Response, json_request, refusal_of
from meroid.client.failures import RefusedError, SignInNeededError
from meroid.client.tokens import TokenPair, tokens_in

_NEVER_WITH_BEARER = ("admin-api/health", "auth/token", "auth/link", "auth/refresh", "auth/logout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this request; answer with its response."""

    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Answer with the kept tokens, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Keep these tokens."""

    tokens: TokenPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Run `renewed` under the store's lock; answer with its pair."""

    seen: TokenPair


Step = Send | Load | Save | Renew


class SessionEndedError(SignInNeededError):
    """The node refuses to renew the tokens."""

    code = "session_ended"

    def __init__(self, refusal: RefusedError) -> None:
        super().__init__(f"the session has ended: {refusal.reason}")
        self.refusal = refusal.refusal


class NoRefreshTokenError(SignInNeededError):
    """The access token has ended, and nothing is there to renew it with."""

    code = "no_refresh_token"


def authorised(request: Request, *, at_ms: int) -> Generator[Step, Any, Response]:
    """Send a request with the kept tokens, as the module says.

    Args:
        request: without a bearer.
        at_ms: now, milliseconds since the epoch.

    Raises:
        SessionEndedError: the tokens can't be renewed.
        NoRefreshTokenError: the access token ended and there is no refresh token.
    """
    tokens: TokenPair | None = None if request.path.startswith(_NEVER_WITH_BEARER) else (yield Load())
    if tokens is None:
        return (yield Send(request=request))  # type: ignore[no-any-return]
    renewed_already = False
    if tokens.refresh_token is not None and tokens.ends_by(at_ms / 1000):
        renewed_already = True
        with suppress(SessionEndedError):  # the node may still take the token; if not, it says so below
            tokens = yield Renew(seen=tokens)
    assert tokens is not None  # noqa: S101 - for the type checker
    response: Response = yield Send(request=request.with_bearer(tokens.access_token))
    if response.status != 401:
        return response
    if renewed_already or not _says_expired(response):
        current: TokenPair | None = yield Load()
        if current is None or current.access_token == tokens.access_token:
            return response
    else:
        current = yield Renew(seen=tokens)
        assert current is not None  # noqa: S101 - for the type checker
    return (yield Send(request=request.with_bearer(current.access_token)))  # type: ignore[no-any-return]


def renewed(seen: TokenPair) -> Generator[Step, Any, TokenPair]:
    """The pair that follows `seen`; run while holding the store's lock.

    Raises:
        SessionEndedError: the node refuses.
        NoRefreshTokenError: nothing is there to renew with.
        NodeFailedError: the node failed; the old pair may still work later.
    """
    current: TokenPair | None = yield Load()
    if current is None:
        raise NoRefreshTokenError("the tokens were removed meanwhile")
    if current.access_token != seen.access_token:
        return current
    if current.refresh_token is None:
        raise NoRefreshTokenError("no refresh token available for authentication")
    body = {"access_token": current.access_token, "refresh_token": current.refresh_token}
    response: Response = yield Send(request=json_request("POST", "auth/refresh", body))
    if response.status in {400, 401, 403, 404, 422}:
        raise SessionEndedError(refusal_of(response))
    fresh = tokens_in(response)
    yield Save(tokens=fresh)
    return fresh


def _says_expired(response: Response) -> bool:
    # The guard of the original node gives no reason at all; then renewing is the only way to find out.
    return response.auth_error in {"token_expired", ""}
