"""What a token's records say now: whether it still holds, and what it grants."""

from collections.abc import Sequence

from meroid.access.permissions import Permission, narrow, parse_permission
from meroid.auth.tokens import TokenRevokedError
from meroid.service.ports.auth import Standing


def check_live(standing: Standing) -> None:
    """Refuse a token whose log-in, key or root key was revoked.

    Raises:
        TokenRevokedError: one of them was.
    """
    if standing.root.revoked_at is not None:
        raise TokenRevokedError("the root key behind this token was revoked")
    if standing.client is not None and standing.client.revoked_at is not None:
        raise TokenRevokedError("the key behind this token was revoked")
    if standing.family.revoked_at is not None:
        raise TokenRevokedError("the log-in behind this token was ended")


def granted(standing: Standing) -> tuple[Permission, ...]:
    """What key, root key and the narrowing asked for at log-in grant together."""
    held = parsed(standing.root.permissions)
    if standing.client is not None:
        held = narrow(held, parsed(standing.client.permissions))
    if standing.family.narrowed_to is not None:
        held = narrow(held, parsed(standing.family.narrowed_to))
    return held


def parsed(texts: Sequence[str]) -> tuple[Permission, ...]:
    """Stored permissions as values."""
    return tuple(parse_permission(text) for text in texts)
