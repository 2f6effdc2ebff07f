"""The only authorisation decision: may this principal do that to this thing?

It knows tokens and keys. Whether a client key is a member with the needed capability is the
ledger's decision, made afterwards.
"""

from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import EXECUTE, LIST_CONTEXTS, Permission, any_covers, covers
from meroid.access.principal import Principal
from meroid.ids import AccountId, ApplicationId, ContextId
from meroid.keys.public import PublicKey

_FILTERED: Final = frozenset({LIST_CONTEXTS.path, ("application", "list")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a request touches, as far as it is known.

    `executor` is the client key that is to act, `executor_account` the account that it belongs
    to on this node. A list names nothing and is filtered afterwards.
    """

    context: ContextId | None = None
    application: ApplicationId | None = None
    executor: PublicKey | None = None
    executor_account: AccountId | None = None
    method: str | None = None

    @property
    def names_nothing(self) -> bool:
        """True if no single thing is meant."""
        return self == _NOTHING


_NOTHING: Final = Resource()


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may."""


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not; `code` is stable, `reason` one sentence for a person."""

    code: str
    reason: str


ALLOWED: Final = Allowed()
PERMISSION_DENIED: Final = "permission_denied"
OUTSIDE_BINDING: Final = "outside_binding"
NOT_YOUR_IDENTITY: Final = "not_your_identity"


def decide(principal: Principal, needed: Permission, resource: Resource) -> Allowed | Denied:
    """Decide by binding, then ownership of the executor, then permission; default is no.

    Without anything named in `resource`, the need for a list is met by holding it in any scope;
    the caller then shows only what `decide` allows one by one.
    """
    listing = resource.names_nothing and needed.path in _FILTERED
    if not listing and not _within_binding(principal, resource):
        return Denied(OUTSIDE_BINDING, "this token acts in one context as one identity, and this lies outside")
    if resource.executor_account is not None and resource.executor_account != principal.account_id:
        return Denied(NOT_YOUR_IDENTITY, "this identity belongs to another account")
    if listing and any(covers(each, needed.on(each.resource)) for each in principal.held):
        return ALLOWED
    if any(any_covers(principal.held, each) for each in _sufficient(needed, resource)):
        return ALLOWED
    return Denied(PERMISSION_DENIED, f"this token doesn't hold {needed}")


def _within_binding(principal: Principal, resource: Resource) -> bool:
    """Rule 6: a binding limits to its context and executor whatever else is held, `admin` too."""
    if principal.bound_context is not None and resource.context != principal.bound_context:
        return False
    if principal.bound_executor is not None and resource.executor not in {None, principal.bound_executor}:
        return False
    bindings = [each for each in principal.held if each.is_binding]
    return not bindings or any(_matches(each, resource) for each in bindings)


def _matches(limit: Permission, resource: Resource) -> bool:
    in_context = resource.context is not None and limit.resource == str(resource.context)
    return in_context and (limit.user is None or resource.executor is None or limit.user == str(resource.executor))


def _sufficient(needed: Permission, resource: Resource) -> list[Permission]:
    """Permissions of which any one is enough, the most specific first (rules 3 and 5)."""
    user = str(resource.executor) if resource.executor is not None else needed.user
    scopes = [str(each) for each in (resource.context, resource.application) if each is not None]
    match needed.path[0]:
        case "context":
            method = resource.method if needed.path == EXECUTE.path else None
            return [needed.on(scope, user=user, method=method) for scope in scopes] or [
                needed.on(needed.resource, user=user, method=method or needed.method)
            ]
        case "application" if resource.application is not None:
            return [needed.on(str(resource.application))]
        case "blob":  # blobs of a context belong to whoever may execute in it
            return [needed, *(EXECUTE.on(scope, user=user) for scope in scopes)]
        case _:
            return [needed]
