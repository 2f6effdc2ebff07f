"""Errors: real exceptions below the builtins that callers of this API catch.

- ClientError (RuntimeError)
  - NetworkError: no answer; RequestTimeoutError: none in time
  - RequestFailedError: the node refused; AccessDeniedError: 403
  - AuthenticationError: 401 that can't be cured
  - AnswerError: the answer hasn't the expected shape
  - StorageError: the token file can't be used
  - BadInputError: an argument that isn't an id can't be used
- InvalidIdError, InvalidUrlError (ValueError)
"""

from typing import NoReturn

from meroid.client.failures import (
    BadClientFileError,
    ClientFileBusyError,
    NodeTimeoutError,
    NotANodeError,
    RefusedError,
    RequestForbiddenError,
    SignInNeededError,
    TokenRefusedError,
    code_of,
)
from meroid.errors import MeroidError


class ClientError(RuntimeError):
    """A call that failed.

    Attributes:
        error_type: `Network`, `Authentication`, `Storage` or `Internal`.
        message: what happened.
        status: HTTP status, where the node answered.
        code: stable code of the refusal; empty where there is none.
        body: the server's text; empty where it sent none.
        next_step: what to do about it; empty where nobody said.
    """

    status: int | None = None
    code: str = ""
    body: str = ""
    next_step: str = ""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(error_type, message)
        self.error_type = error_type
        self.message = message

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}"


class _RaisedError(ClientError):
    """What this package raises itself; its text begins as callers know it."""

    kind = "Internal"

    def __init__(self, message: str) -> None:
        super().__init__(self.kind, message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,), self.__dict__

    def __str__(self) -> str:
        return f"Client error: {self.message}"


class NetworkError(_RaisedError):
    """The node couldn't be reached, or the connection broke."""

    kind = "Network"


class RequestTimeoutError(NetworkError):
    """The node didn't answer in time."""


class RequestFailedError(_RaisedError):
    """The node answered, and refused; see `status`, `code`, `body`."""

    kind = "Network"


class AccessDeniedError(RequestFailedError):
    """The node knows who asks and says no (403)."""

    kind = "Authentication"


class AuthenticationError(_RaisedError):
    """A token is needed, and there is none that works."""

    kind = "Authentication"


class AnswerError(_RaisedError):
    """The answer hasn't the shape that was expected."""


class StorageError(_RaisedError):
    """The token file can't be read or written."""

    kind = "Storage"


class BadInputError(_RaisedError):
    """An argument can't be used."""


class InvalidIdError(ValueError):
    """The text isn't base58 of 32 bytes."""


class InvalidUrlError(ValueError):
    """The text isn't the address of a node."""


_DENIED = "Access denied. Your authentication may not have sufficient permissions."
_NO_REFRESH = "No refresh token available for authentication"


def raise_client_error(error: MeroidError) -> NoReturn:
    """Raise the error of this API that stands for one of meroid's."""
    raised = _translated(error)
    raised.code = code_of(error)
    raised.next_step = error.next_step
    if isinstance(error, RefusedError):
        raised.status = error.status
        raised.body = error.refusal.text
    raised.add_note(f"{error.reason} [{raised.code}]; {raised.next_step}")
    raise raised from error


def _translated(error: MeroidError) -> ClientError:
    match error:
        case RequestForbiddenError():
            return AccessDeniedError(_DENIED)
        case TokenRefusedError():
            why = error.refusal.code
            said = "" if why in {"", "missing_token", "token_expired"} else f" ({why})"
            return AuthenticationError(f"Authentication failed{said}: {_NO_REFRESH}")
        case SignInNeededError():
            return AuthenticationError(f"Authentication failed: {error.reason}: {_NO_REFRESH}")
        case RefusedError():
            phrase = f"{error.status} {error.refusal.phrase}".rstrip()
            return RequestFailedError(f"Request failed with status: {phrase}")
        case NodeTimeoutError():
            return RequestTimeoutError(error.reason)
        case NotANodeError():
            return AnswerError(error.reason)
        case BadClientFileError() | ClientFileBusyError():
            return StorageError(error.reason)
        case _:
            return NetworkError(error.reason)
