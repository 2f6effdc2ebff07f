"""What a token's records say now: whether it still holds, and what it grants."""

from collections.abc import Sequence
from functools import lru_cache

from meroid.access.permissions import Permission, narrow, parse_permission
from meroid.auth.tokens import TokenExpiredError, TokenRevokedError
from meroid.errors import ForbiddenError
from meroid.ids import AccountId
from meroid.service.ports.auth import Standing, TokenKeyRecord
from meroid.service.ports.store import Transaction


class AccountDisabledError(ForbiddenError):
    """The owner of the node has disabled this account; told to who has proved to hold one of its root keys."""

    code = "account_disabled"
    next_step = "ask the owner of the node to enable it"


def check_enabled(tx: Transaction, account_id: AccountId) -> None:
    """Refuse to begin anything for an account that is disabled.

    Raises:
        AccountDisabledError: it is.
    """
    account = tx.accounts.get(account_id)
    if account is not None and account.disabled_at is not None:
        raise AccountDisabledError("this account is disabled on this node")


def check_live(standing: Standing, at: int) -> None:
    """Refuse a token whose log-in, key or root key was revoked, or whose key is past its time.

    Raises:
        TokenRevokedError: one of them was.
        TokenExpiredError: the key has expired.
    """
    of = (standing.root.account_id, standing.family.key_id)
    if standing.root.revoked_at is not None:
        raise TokenRevokedError("the root key behind this token was revoked", of=of)
    if standing.client is not None and standing.client.revoked_at is not None:
        raise TokenRevokedError("the key behind this token was revoked", of=of)
    if standing.family.revoked_at is not None:
        raise TokenRevokedError("the log-in behind this token was ended", of=of)
    if standing.client is not None and has_expired(standing.client, at):
        raise TokenExpiredError("the key behind this token has expired")


def has_expired(key: TokenKeyRecord, at: int) -> bool:
    """True if a token key is past its time."""
    return key.expires_at is not None and at >= key.expires_at


def granted(standing: Standing) -> tuple[Permission, ...]:
    """What key, root key and the narrowing asked for at log-in grant together."""
    return narrowed(*_lists(standing))


def granted_to(standing: Standing, permissions: tuple[str, ...]) -> tuple[Permission, ...]:
    """The same for a token that says what it may do itself."""
    return narrowed(*_lists(standing), permissions)


def _lists(standing: Standing) -> list[tuple[str, ...]]:
    lists = [standing.root.permissions]
    if standing.client is not None:
        lists.append(standing.client.permissions)
    if standing.family.narrowed_to is not None:
        lists.append(standing.family.narrowed_to)
    return lists


@lru_cache(maxsize=1024)
def narrowed(*lists: tuple[str, ...]) -> tuple[Permission, ...]:
    """What several lists of stored permissions grant together; the same few come again and again."""
    held = parsed(lists[0])
    for each in lists[1:]:
        held = narrow(held, parsed(each))
    return held


def parsed(texts: Sequence[str]) -> tuple[Permission, ...]:
    """Stored permissions as values."""
    return tuple(parse_permission(text) for text in texts)
