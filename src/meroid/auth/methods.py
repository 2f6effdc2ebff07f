"""What a way to log in must offer; each is one file here and one line where the node is put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from meroid.errors import InvalidInputError, ThrottledError, UnauthenticatedError


class WrongCredentialsError(UnauthenticatedError):
    """The proof doesn't open an account here; says nothing about which part is wrong."""

    code = "wrong_credentials"
    next_step = "check name and password, or set a new password with another root key"


class BadProviderDataError(InvalidInputError):
    """The method's own fields are missing, of the wrong type, or out of bounds."""

    code = "bad_provider_data"
    next_step = "send the fields that this method needs"


class MethodBusyError(ThrottledError):
    """More checks at once than this machine has memory for."""

    code = "login_busy"
    next_step = "try again in a second"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """What a caller sends to prove who it is; `provider_data` is the method's own."""

    method: str
    public_key: str
    provider_data: Mapping[str, object]

    def __repr__(self) -> str:  # provider_data holds a password
        return f"LoginAttempt(method={self.method!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLogin:
    """A proof that held.

    `identifier` names the root key within the method. `verifier` is what later log-ins are checked
    against: set for a new root key, and when the stored one is to be replaced.
    """

    identifier: str
    verifier: str | None = None


class LoginMethod(Protocol):
    """One way to log in."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str:
        """`credentials` or `wallet`."""
        ...

    @property
    def description(self) -> str: ...
    def identify(self, attempt: LoginAttempt) -> str | None:
        """The identifier that is claimed, not yet proven; nothing if this isn't the attempt's method.

        Raises:
            BadProviderDataError: fields are missing or malformed.
        """
        ...

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the proof against a root key's verifier, with the same work when there is none.

        Raises:
            WrongCredentialsError: it doesn't hold.
        """
        ...

    def enrol(self, attempt: LoginAttempt, *, lenient: bool) -> VerifiedLogin:
        """Check a proof for a root key that is to be made; `lenient` waives the least length.

        Raises:
            WrongCredentialsError: it doesn't hold.
            InvalidInputError: it is too weak.
        """
        ...
