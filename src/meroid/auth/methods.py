"""What a way to log in must offer; each is one file here and one line where the node is put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from meroid.auth.challenge import Challenge
from meroid.errors import ConflictError, InvalidInputError, ThrottledError, UnauthenticatedError
from meroid.ids import AccountId


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


class MethodUnsuitedError(ConflictError):
    """This root key can't do what is asked of it, by its kind."""

    code = "method_unsuited"
    next_step = "use a root key of another kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """What a caller sends to prove who it is; `provider_data` is the method's own.

    `challenge` is the one that the proof answers, checked already; methods that need none get none. `address` is the
    group of addresses that it comes from, empty where none is known.
    """

    method: str
    public_key: str
    provider_data: Mapping[str, object]
    challenge: Challenge | None = None
    address: str = ""

    def __repr__(self) -> str:  # provider_data holds a password
        return f"LoginAttempt(method={self.method!r})"

    def answered(self) -> Challenge:
        """The challenge that the proof answers.

        Raises:
            BadProviderDataError: there is none.
        """
        if self.challenge is None:
            raise BadProviderDataError("this method needs a challenge, and there is none")
        return self.challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLogin:
    """A proof that held.

    `identifier` names the root key within the method. `verifier` is what later log-ins are checked
    against: set for a new root key, and when the stored one is to be replaced. `opens` is set where
    the proof shows by itself which account it opens, bound or not.
    """

    identifier: str
    verifier: str | None = None
    opens: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """For which account a root key is to be made, and how.

    `claims` is true for the log-in that makes the first owner of an empty node: its proof is that of a
    log-in. `lenient` waives the least length of a password.
    """

    account_id: AccountId
    claims: bool = False
    lenient: bool = False


class LoginMethod(Protocol):
    """One way to log in."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str:
        """What callers see as the type: `credentials`, `wallet`, `key` or `passkey`."""
        ...

    @property
    def description(self) -> str: ...
    @property
    def needs_host(self) -> bool:
        """True if who signs relies on the host name in the challenge, so that it has to be one of the node's."""
        ...

    def shown(self) -> Mapping[str, object]:
        """What callers are told about it before they log in."""
        ...

    def options(self, challenge: Challenge) -> Mapping[str, object] | None:
        """What a client's own calls take besides the challenge itself; nothing for most methods."""
        ...

    def label(self, identifier: str, verifier: str | None) -> str:
        """What a person knows a root key by."""
        ...

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The identifier that is claimed, not yet proven; nothing if this isn't the attempt's method.

        Raises:
            BadProviderDataError: fields are missing or malformed.
        """
        ...

    def challenge_in(self, attempt: LoginAttempt) -> str | None:
        """The text of the challenge that the attempt answers; nothing if this method has none.

        Raises:
            BadProviderDataError: it is missing.
        """
        ...

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the proof against a root key's verifier, with the same work when there is none.

        May ask elsewhere and take time; never call it inside a transaction.

        Raises:
            WrongCredentialsError: it doesn't hold; leaves of it say more where that helps no stranger.
            UnavailableError, ThrottledError: it can't be checked now.
        """
        ...

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Check a proof for a root key that is to be made; raises as `verify`, and more.

        Raises:
            InvalidInputError: it is too weak, or not for this account.
        """
        ...


def text_field(attempt: LoginAttempt, field: str, *, longest: int) -> str:
    """A field of `provider_data` that must be a text.

    Raises:
        BadProviderDataError: missing, empty, too long, or no Unicode text.
    """
    value = attempt.provider_data.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise BadProviderDataError(f"provider_data.{field} is a text of 1 to {longest} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadProviderDataError(f"provider_data.{field} is not valid Unicode") from None
    return value


def optional_text_field(attempt: LoginAttempt, field: str, *, longest: int) -> str | None:
    """A field of `provider_data` that may be missing, null or empty.

    Raises:
        BadProviderDataError: of another type, too long, or no Unicode text.
    """
    if attempt.provider_data.get(field) in (None, ""):
        return None
    return text_field(attempt, field, longest=longest)
