"""Refusals on the wire: which status and which headers each error class gets."""

from collections.abc import Mapping
from typing import Final

from meroid.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    MeroidError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)
from meroid.wire.json_body import BodyError, BodyTooLargeError

CODE_HEADER: Final = "X-Meroid-Code"
REASON_HEADER: Final = "X-Auth-Error"

EXPOSED_HEADERS: Final = (
    REASON_HEADER,
    "X-Auth-User",
    "X-Auth-Permissions",
    CODE_HEADER,
    "X-SSE-Session-ID",
    "X-Blob-ID",
    "X-Blob-Hash",
    "X-Blob-Size",
    "X-Blob-MIME-Type",
    "Retry-After",
    "Content-Range",
    "Content-Disposition",
    "WWW-Authenticate",
)
"""What a browser lets a page of another origin read; a header that clients look at stands here."""

_REASONS: Final = frozenset({"missing_token", "token_expired", "invalid_token", "token_revoked", "invalid_node"})


_PROOF_CODES: Final = frozenset({"bad_dpop_proof", "proof_required", "proof_unjudged"})
_PROOF_CHALLENGE: Final = 'DPoP error="invalid_dpop_proof", algs="EdDSA ES256"'  # RFC 9449 §7.1


class NoSuchPathError(NotFoundError):
    """No route has this path; trailing slashes count."""

    code = "no_such_path"
    next_step = "check the path; trailing slashes count"


class WrongMethodError(InvalidInputError):
    """The path is there, but not with this method; `allowed` lists those it has."""

    code = "wrong_method"
    next_step = "use a method that the Allow header lists"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path takes {allowed}")
        self.allowed = allowed


class BadPathError(InvalidInputError):
    """A part of the path or query isn't of its kind."""

    code = "bad_path"
    next_step = "correct the named part of the address"


class SlowBodyError(InvalidInputError):
    """The body didn't arrive within the time."""

    code = "body_too_slow"
    next_step = "send the body without pauses"


class InternalFaultError(MeroidError):
    """Something broke that is no fault of the caller; the log has it under the request id."""

    code = "internal"
    next_step = "try again; if it stays, report it with the request id"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"the node failed at this request ({request_id})")
        self.request_id = request_id


_STATUS: Final[Mapping[type[MeroidError], int]] = {
    BodyTooLargeError: 413,
    SlowBodyError: 408,
    WrongMethodError: 405,
    InvalidInputError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    ThrottledError: 429,
    UnavailableError: 503,
    MeroidError: 500,
}
"""Nearest class wins."""


def status_of(error: MeroidError | type[MeroidError]) -> int:
    """The HTTP status of a refusal, or of all of a class."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, BodyError):
        return kind.status
    return next(_STATUS[each] for each in kind.__mro__ if each in _STATUS)


def headers_of(error: MeroidError, *, guarded: bool) -> list[tuple[str, str]]:
    """The headers of a refusal.

    `guarded` is false on `/auth/token` and `/auth/refresh`: there `X-Auth-Error` makes the existing
    JavaScript client hang or wipe its storage (`wire/auth.md` K4), except for `invalid_node`.
    """
    headers = [(CODE_HEADER, error.code)]
    reason = _auth_reason(error)
    if reason and (guarded or reason == "invalid_node"):
        headers.append((REASON_HEADER, reason))
    if error.code in _PROOF_CODES:
        headers.append(("WWW-Authenticate", _PROOF_CHALLENGE))
    elif isinstance(error, UnauthenticatedError) and guarded:
        headers.append(("WWW-Authenticate", "Bearer"))
    if isinstance(error, ThrottledError):
        headers.append(("Retry-After", str(max(1, error.retry_after_s))))
    elif isinstance(error, UnavailableError):
        headers.append(("Retry-After", "1"))
    elif isinstance(error, WrongMethodError):
        headers.append(("Allow", error.allowed))
    return headers


def _auth_reason(error: MeroidError) -> str | None:
    """The value of `X-Auth-Error`: clients know five of them, and `permission_denied` beside.

    A missing proof has its own: `invalid_token` would make a client throw a good token away.
    """
    if error.code in _REASONS or error.code in _PROOF_CODES:
        return error.code
    if isinstance(error, UnauthenticatedError):
        return "invalid_token"
    return "permission_denied" if isinstance(error, ForbiddenError) else None
