"""What the chain is asked about a NEAR account, and what its answers mean for a log-in."""

import re
from enum import Enum
from typing import Final, Protocol

from meroid.auth.methods import BadProviderDataError, WrongCredentialsError
from meroid.errors import ThrottledError, UnavailableError
from meroid.keys.public import PublicKey

# Account ids: lower-case words joined by single separators, 2 to 64 characters (NEP-448's grammar).
_ACCOUNT_ID: Final = re.compile(r"(?=.{2,64}\Z)[a-z0-9]+(?:[-_.][a-z0-9]+)*", re.ASCII)
_IMPLICIT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class AccessKey(Enum):
    """What a key may do for a NEAR account."""

    FULL_ACCESS = "full access"
    FUNCTION_CALL = "function call"
    UNKNOWN = "no key of this account"


class NearAccounts(Protocol):
    """Asks the chain; calls take time and never belong into a transaction."""

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        """What this key may do for that account now; an account that isn't there has no keys.

        Raises:
            NearUnreachableError: no answer, or none that can be understood.
            NearRateLimitedError: the endpoint asks to slow down.
        """
        ...


class NearUnreachableError(UnavailableError):
    """The NEAR endpoint gives no answer, so nobody can say whether the key belongs to the account."""

    code = "near_unreachable"
    next_step = "try again in a moment; if it stays so, the owner of the node checks auth.near.rpc"


class NearNotConfiguredError(UnavailableError):
    """The node knows no NEAR endpoint, so only accounts whose name is their key can log in."""

    code = "near_not_configured"
    next_step = "the owner of the node sets auth.near.rpc in config.toml"


class NearRateLimitedError(ThrottledError):
    """The NEAR endpoint, or this node before it, has too many questions at once."""

    code = "near_rate_limited"
    next_step = "wait as long as Retry-After says and try again"


class NearKeyUnknownError(WrongCredentialsError):
    """The key that signed is none of this NEAR account on this network."""

    code = "near_key_unknown"
    next_step = "sign with a key of this account, in a wallet on the network that /auth/providers names"


class NearFunctionCallKeyError(WrongCredentialsError):
    """The key that signed may call functions only; NEP-413 wants one with full access."""

    code = "near_function_call_key"
    next_step = "sign with the wallet itself, not with a key that it gave to an application"


def parse_near_account(text: str) -> str:
    """Check the form of a NEAR account id.

    Raises:
        BadProviderDataError: it can't be one.
    """
    if not _ACCOUNT_ID.fullmatch(text):
        raise BadProviderDataError("provider_data.wallet_address is no NEAR account id")
    return text


def is_implicit_for(account_id: str, key: PublicKey) -> bool:
    """True if the account's name is this key in hex: such an account begins with this key and no other."""
    return _IMPLICIT.fullmatch(account_id) is not None and account_id == bytes(key).hex()


def check_full_access(accounts: NearAccounts | None, account_id: str, key: PublicKey) -> None:
    """Refuse a key that isn't a full-access key of the account; an implicit account's own key is taken offline.

    Raises:
        NearKeyUnknownError, NearFunctionCallKeyError: it isn't.
        NearNotConfiguredError: there is nobody to ask.
        NearUnreachableError, NearRateLimitedError: it can't be asked now.
    """
    if is_implicit_for(account_id, key):
        return
    if accounts is None:
        raise NearNotConfiguredError("this node has no NEAR endpoint to ask about named accounts")
    match accounts.access_key(account_id, key):
        case AccessKey.FULL_ACCESS:
            return
        case AccessKey.FUNCTION_CALL:
            raise NearFunctionCallKeyError("the key may only call functions for this account")
        case AccessKey.UNKNOWN:
            raise NearKeyUnknownError("the key is none of this NEAR account")
