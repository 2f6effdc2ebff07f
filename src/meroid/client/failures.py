"""What can go wrong between a client and a node, one class per thing a caller does differently.

- RefusedError: the node answered and refused; carries status, text, code and next step
  - RequestInvalidError, TokenRefusedError, RequestForbiddenError, ResourceNotFoundError,
    RequestConflictError, RequestThrottledError, NodeFailedError: by status
    - RouteMissingError: by the code, where it isn't the thing but the route that is missing
- NodeUnreachableError, NodeTimeoutError, TlsFailedError: no answer came
- NotANodeError: an answer came, but not one of a node (HTML, half an answer, another shape)
- BadAddressError: the text is no address of a node
- SignInNeededError: there is no token to go on with
- BadClientFileError, ClientFileBusyError: a token or registry file is corrupt, unusable or held
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a node said when it refused.

    Attributes:
        status: HTTP status.
        phrase: the status in words.
        text: the server's `error` text; empty when it sent none.
        code: the server's stable code; empty when it sent none.
        next_step: the server's advice; empty when it sent none.
        retry_after_s: seconds the server asks to wait.
    """

    status: int
    phrase: str
    text: str = ""
    code: str = ""
    next_step: str = ""
    retry_after_s: int = 1


class RefusedError(MeroidError):
    """The node answered, and refused.

    Attributes:
        refusal: the facts of the answer.
        server_code: the node's stable code, or this class's when it sent none.
    """

    code = "refused"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            refusal.text or f"the node answered {refusal.status} {refusal.phrase}".rstrip(),
            next_step=refusal.next_step or None,
        )
        self.refusal = refusal
        self.server_code = refusal.code or self.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.refusal.status


class RequestInvalidError(RefusedError, InvalidInputError):
    """The node found the request malformed (400, 405, 413, 415, 422)."""

    code = "request_invalid"


class TokenRefusedError(RefusedError, UnauthenticatedError):
    """The node wants a token, or another one (401)."""

    code = "token_refused"


class RequestForbiddenError(RefusedError, ForbiddenError):
    """The node knows who asks and says no (403)."""

    code = "request_forbidden"


class ResourceNotFoundError(RefusedError, NotFoundError):
    """The node has no such thing, or no such route (404)."""

    code = "resource_not_found"


class RouteMissingError(ResourceNotFoundError):
    """The node doesn't have this yet: no such route, or not with this method (404, 405)."""

    code = "route_missing"
    next_step = (
        "use a node of a version that has it; the auth service alone (mero-auth) has accounts and tokens, and no contexts "
        "or applications; if no command works, check the base address"
    )

    def __init__(self, refusal: Refusal) -> None:
        MeroidError.__init__(self, "this node doesn't have that yet")
        self.refusal = refusal
        self.server_code = refusal.code or self.code


class RequestConflictError(RefusedError, ConflictError):
    """It clashes with what the node has (409)."""

    code = "request_conflict"


class RequestThrottledError(RefusedError, ThrottledError):
    """Too much or too often (429)."""

    code = "request_throttled"

    def __init__(self, refusal: Refusal) -> None:
        MeroidError.__init__(self, refusal.text or "the node asks to slow down", next_step=refusal.next_step or None)
        self.refusal = refusal
        self.server_code = refusal.code or self.code
        self.retry_after_s = refusal.retry_after_s


class NodeFailedError(RefusedError, UnavailableError):
    """The node, or a proxy before it, failed (5xx)."""

    code = "node_failed"
    next_step = "try again in a moment, then look into the log of the node"


_BY_STATUS: dict[int, type[RefusedError]] = {
    401: TokenRefusedError,
    403: RequestForbiddenError,
    404: ResourceNotFoundError,
    409: RequestConflictError,
    429: RequestThrottledError,
}


_NO_ROUTE = frozenset({(404, "no_such_path"), (405, "wrong_method")})


def refused(refusal: Refusal) -> RefusedError:
    """The error for a refusal, chosen by its status, and where the route is missing by its code."""
    if (refusal.status, refusal.code) in _NO_ROUTE:
        return RouteMissingError(refusal)
    if refusal.status >= 500:
        return NodeFailedError(refusal)
    return _BY_STATUS.get(refusal.status, RequestInvalidError)(refusal)


class NodeUnreachableError(UnavailableError):
    """No connection, or it broke before an answer came."""

    code = "node_unreachable"
    next_step = "check the address, and that the node runs"


class NodeTimeoutError(UnavailableError):
    """The node didn't answer in time."""

    code = "node_timeout"
    next_step = "try again; if it stays so, look into the log of the node"


class TlsFailedError(UnavailableError):
    """The other end speaks no TLS, or its certificate isn't trusted."""

    code = "tls_failed"
    next_step = "check the certificate, or whether the address should begin with http://"


class NotANodeError(UnavailableError):
    """An answer came that no node gives: HTML, half an answer, or another shape."""

    code = "not_a_node"
    next_step = "check the address: it must be the base address of a node"


class BadAddressError(InvalidInputError):
    """The text is no address of a node."""

    code = "bad_address"
    next_step = "give it as http://HOST:PORT or https://HOST"


class SignInNeededError(UnauthenticatedError):
    """There is no token to go on with: none was kept, or it can't be refreshed."""

    code = "sign_in_needed"
    next_step = "log in: meroctl --node NAME login"


class BadClientFileError(InvalidInputError):
    """A token or registry file is corrupt or can't be used."""

    code = "bad_client_file"
    next_step = "repair or remove the file"


class ClientFileBusyError(UnavailableError):
    """Another process holds a token or registry file for too long."""

    code = "client_file_busy"
    next_step = "wait for the other program, or end it"


def code_of(error: MeroidError) -> str:
    """The stable code of an error: the node's own where it sent one."""
    return error.server_code if isinstance(error, RefusedError) else error.code
