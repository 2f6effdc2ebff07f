"""What may be minted under a key: every rule that needs no store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, Permission, any_covers, binding, parse_permissions
from meroid.access.principal import Principal
from meroid.auth.node_binding import check_node, origin_of
from meroid.auth.tokens import new_id
from meroid.errors import ForbiddenError, InvalidInputError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.service.gate import OutsideBindingError
from meroid.service.ports.auth import TokenKeyRecord
from meroid.service.revoking import check_fresh

SHORTEST_SERVICE_S: Final = 60
LONGEST_SERVICE_S: Final = 365 * 24 * 3_600
NAME_CHARACTERS: Final = 64


class BadBindingError(InvalidInputError):
    """A token is bound to a context and an identity, or to neither."""

    code = "bad_binding"
    next_step = "send both context_id and context_identity, or leave out both"


class PermissionNotHeldError(InvalidInputError):
    """Nobody gives what they don't have."""

    code = "permission_not_held"
    next_step = "ask for permissions that your own token has"


class BadTokenNameError(InvalidInputError):
    """The name of a minted key is for people: it has to be one that they can read."""

    code = "bad_token_name"
    next_step = f"choose 1 to {NAME_CHARACTERS} printable characters"


class BadLifetimeError(InvalidInputError):
    """A service token lives for a while, and not for ever."""

    code = "bad_lifetime"
    next_step = "choose from a minute to a year"


class ServiceTokenMintsError(ForbiddenError):
    """What a service token minted would outlive it."""

    code = "service_token_mints"
    next_step = "log in, and mint it with that token"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedKey:
    """What is to be minted: with context and identity bound to them; with `expires_in_s` a service token.

    An empty `name` gets the one that the wire has.
    """

    permissions: Sequence[str]
    context_id: ContextId | None = None
    identity: PublicKey | None = None
    node_url: str | None = None
    name: str = ""
    expires_in_s: int | None = None


def draft_key(principal: Principal, wanted: WantedKey, at: int) -> TokenKeyRecord:
    """The token key that the caller may have; it hangs on the caller's own key.

    Raises:
        BadBindingError: only one of context and identity is given.
        BadPermissionError: a permission is malformed.
        BadTokenNameError, BadLifetimeError: as they say.
        PermissionNotHeldError: a permission that the caller doesn't hold.
        LoginNotFreshError: `admin` or a service token is asked for, and the log-in is older than five minutes.
        OutsideBindingError: the caller is bound, or has no key.
        WrongNodeError: the caller's token is for one node, and the new one is to be for another.
    """
    asked = parse_permissions(wanted.permissions)
    if principal.key_id is None or principal.is_limited:
        raise OutsideBindingError("only an unbound token of a key can mint others")
    bound = _binding(wanted.context_id, wanted.identity)
    for each in asked:
        if each.is_binding and each not in bound:
            raise BadBindingError(f"{each} is not the binding that context_id and context_identity name")
        if not each.is_binding and not any_covers(principal.held, each):
            raise PermissionNotHeldError(f"your token doesn't hold {each}")
    name = _name(wanted)
    expires_at = _end(wanted, at)
    if expires_at is not None:
        check_fresh(principal, "minting a service token", at)
    if ADMIN in asked:
        check_fresh(principal, "minting admin", at)
    return TokenKeyRecord(
        client_id=new_id(),
        root_key_id=principal.key_id,
        account_id=principal.account_id,
        name=name,
        permissions=tuple(str(each) for each in dict.fromkeys((*bound, *asked))),
        context_id=wanted.context_id,
        executor=wanted.identity,
        node_url=_node(principal, wanted),
        created_at=at,
        expires_at=expires_at,
    )


def _name(wanted: WantedKey) -> str:
    if not wanted.name:
        return f"Context Client - {wanted.context_id or ''} ({wanted.identity or ''})"
    if len(wanted.name) > NAME_CHARACTERS or not wanted.name.isprintable() or wanted.name.isspace():
        raise BadTokenNameError("the name is too long, or can't be printed")
    return wanted.name


def _end(wanted: WantedKey, at: int) -> int | None:
    if wanted.expires_in_s is None:
        return None
    if not SHORTEST_SERVICE_S <= wanted.expires_in_s <= LONGEST_SERVICE_S:
        raise BadLifetimeError(f"a service token lives {SHORTEST_SERVICE_S} to {LONGEST_SERVICE_S} seconds")
    return at + wanted.expires_in_s * 1000


def _binding(context_id: ContextId | None, identity: PublicKey | None) -> tuple[Permission, ...]:
    if context_id is not None and identity is not None:
        return (binding(context_id, identity),)
    if context_id is not None or identity is not None:
        raise BadBindingError("a token is bound to a context and an identity, or to neither")
    return ()


def _node(principal: Principal, wanted: WantedKey) -> str | None:
    """The origin that the new token is for; what a token for one node mints is for that node too."""
    asked = origin_of(wanted.node_url)
    if principal.node_url is None:
        return asked
    if asked is not None:
        check_node(principal.node_url, asked.partition("://")[2])
    return principal.node_url
