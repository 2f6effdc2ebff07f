"""Permissions: what a token or key may do, and when one covers another.

The text form is part of stored records and of signed tokens as well as of the wire
(`wire/auth.md` §4.1), so its parser lives here and not in `wire`. It is strict: a missing
bracket, a surplus segment, an empty pair of brackets or an unknown name is refused, never
read as something wider.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from meroid.errors import InvalidInputError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey

Path = tuple[str, ...]

PERMISSION_TEXT_BYTES: Final = 512
PERMISSIONS_PER_LIST: Final = 64


class BadPermissionError(InvalidInputError):
    """The text is no permission that can be granted."""

    code = "bad_permission"
    next_step = "write it as category:action[id,executor,method] with a name of docs/auth.md"


def _forms() -> dict[Path, int]:
    """Every grantable name with the number of its parameters (`wire/auth.md` §4.1, and `blob:list`, `blob:get`)."""
    listed: dict[str, int] = {
        "admin": 0,
        "application": 0,
        "application:list": 1,
        "application:install": 1,
        "application:uninstall": 1,
        "package": 0,
        "package:list-packages": 1,
        "package:list-versions": 1,
        "package:get-latest-version": 1,
        "blob": 0,
        "blob:list": 0,
        "blob:get": 1,
        "blob:add": 0,
        "blob:add:stream": 0,
        "blob:add:file": 0,
        "blob:add:url": 0,
        "blob:remove": 1,
        "context": 2,
        "context:create": 1,
        "context:list": 1,
        "context:delete": 1,
        "context:leave": 2,
        "context:invite": 2,
        "context:execute": 3,
        "context:capabilities:grant": 1,
        "context:capabilities:revoke": 1,
        "context:application:update": 1,
        "context:alias": 0,
        "keys": 0,
        "keys:create": 0,
        "keys:list": 0,
        "keys:delete": 0,
        "keys:clients:list": 0,
        "keys:clients:delete": 0,
        "keys:permissions:get": 1,
        "keys:permissions:update": 1,
    }
    for verb in ("create", "list", "lookup", "delete"):
        for kind in ("context", "application", "identity"):
            listed[f"context:alias:{verb}:{kind}"] = 1
    return {tuple(name.split(":")): count for name, count in listed.items()}


FORMS: Final = _forms()
_SAME: Final[dict[Path, Path]] = {
    ("keys", "revoke"): ("keys", "delete"),
    ("keys", "clients"): ("keys", "clients", "list"),
    ("keys", "permissions"): ("keys", "permissions", "get"),
}
_UMBRELLAS: Final[frozenset[Path]] = frozenset(
    {("application",), ("package",), ("blob",), ("blob", "add"), ("context", "alias"), ("keys",)}
)
_BINDING: Final[Path] = ("context",)
_TEXT: Final = re.compile(r"([a-z-]+(?::[a-z-]+)*)(?:\[([^\[\]]+)\])?")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_.:@/+-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission; `None` in a place means any.

    `resource` is the first parameter (for `context:*` a context id or an application id, as
    rule 3 of `wire/auth.md` §4.5 has it), `user` a client key, `method` a method's name.
    """

    path: Path
    resource: str | None = None
    user: str | None = None
    method: str | None = None

    def __str__(self) -> str:
        given = [self.resource or "", self.user or "", self.method or ""]
        while given and not given[-1]:
            given.pop()
        name = ":".join(self.path)
        return f"{name}[{','.join(given)}]" if given else name

    @property
    def is_binding(self) -> bool:
        """True for `context[…]`, which grants nothing and limits everything."""
        return self.path == _BINDING

    def on(self, resource: str | None, *, user: str | None = None, method: str | None = None) -> "Permission":
        """The same permission on one thing."""
        return replace(self, resource=resource, user=user, method=method)


ADMIN: Final = Permission(path=("admin",))
CREATE_CONTEXT: Final = Permission(path=("context", "create"))
LIST_CONTEXTS: Final = Permission(path=("context", "list"))
DELETE_CONTEXT: Final = Permission(path=("context", "delete"))
EXECUTE: Final = Permission(path=("context", "execute"))
# Needs that nobody can hold by name; whoever may execute somewhere has them (rule 5).
NEW_IDENTITY: Final = Permission(path=("context", "identity"))
JOIN_CONTEXT: Final = Permission(path=("context", "join"))


@lru_cache(maxsize=4096)
def parse_permission(text: str) -> Permission:
    """Read a permission's text form.

    Raises:
        BadPermissionError: unknown name, wrong number of parameters, anything unclosed or surplus.
    """
    match = _TEXT.fullmatch(text) if len(text) <= PERMISSION_TEXT_BYTES else None
    if match is None:
        raise BadPermissionError("a permission is category:action, with parameters in one pair of brackets or none")
    written: Path = tuple(match[1].split(":"))
    path = _SAME.get(written, written)
    if path not in FORMS:
        raise BadPermissionError(f"there is no permission named {match[1][:64]}")
    parameters = _parameters(match[2], allowed=FORMS[path])
    permission = Permission(path=path, resource=parameters[0], user=parameters[1], method=parameters[2])
    if permission.is_binding and permission.resource is None:
        raise BadPermissionError("context alone grants nothing; name a context in brackets, or an action")
    return permission


def parse_permissions(texts: Sequence[str]) -> tuple[Permission, ...]:
    """Read a list of permissions, without repetitions, in its order.

    Raises:
        BadPermissionError: one of them is none, or there are more than `PERMISSIONS_PER_LIST`.
    """
    if len(texts) > PERMISSIONS_PER_LIST:
        raise BadPermissionError(f"a list has at most {PERMISSIONS_PER_LIST} permissions")
    return tuple(dict.fromkeys(parse_permission(text) for text in texts))


def binding(context_id: ContextId, executor: PublicKey) -> Permission:
    """The permission text that carries a token's binding on the wire (`wire/auth.md` K7)."""
    return Permission(path=_BINDING, resource=str(context_id), user=str(executor))


def covers(held: Permission, needed: Permission) -> bool:
    """True if whoever has `held` has `needed`: a partial order (`wire/auth.md` §4.3 and §4.5).

    A global permission covers each specific one, never the reverse. `context:create` covers
    deleting in the same scope; `context:execute` covers reading, leaving and inviting in its
    scope, new identities and joining, and without a scope also blobs.
    """
    if held.path == ADMIN.path:
        return True
    return any(_subsumes(each, needed) for each in _with_implied(held))


def any_covers(held: Iterable[Permission], needed: Permission) -> bool:
    """True if one of the held permissions covers the needed one; an empty list covers nothing."""
    return any(covers(each, needed) for each in held)


def narrow(held: Sequence[Permission], asked: Sequence[Permission]) -> tuple[Permission, ...]:
    """What both lists grant; never more than either.

    A binding in either list stays, because it limits.
    """
    if tuple(held) == tuple(asked):
        return tuple(held)
    bindings = [each for each in (*held, *asked) if each.is_binding]
    grants_held = [each for each in held if not each.is_binding]
    grants_asked = [each for each in asked if not each.is_binding]
    common = [each for each in grants_asked if any_covers(grants_held, each)]
    common += [each for each in grants_held if any_covers(grants_asked, each)]
    return tuple(dict.fromkeys((*bindings, *common)))


def _parameters(text: str | None, *, allowed: int) -> tuple[str | None, str | None, str | None]:
    if text is None:
        return None, None, None
    given = [part.strip(" ") for part in text.split(",")]
    if given[-1] == "" and len(given) > 1:  # the wire prints `list[a,]`
        given.pop()
    if len(given) > allowed:
        raise BadPermissionError(f"this permission takes at most {allowed} parameters")
    if not any(given):
        raise BadPermissionError("empty brackets would mean everything; leave them out or name one thing")
    if any(part and not _PARAMETER.fullmatch(part) for part in given):
        raise BadPermissionError("a parameter has 1 to 128 letters, digits or any of _ . : @ / + -")
    first, second, third = (part or None for part in (*given, "", "", "")[:3])
    return first, second, third


def _subsumes(held: Permission, needed: Permission) -> bool:
    if held.path in _UMBRELLAS and needed.path[: len(held.path)] == held.path:
        return True
    return (
        held.path == needed.path
        and held.resource in {None, needed.resource}
        and held.user in {None, needed.user}
        and held.method in {None, needed.method}
    )


@lru_cache(maxsize=4096)
def _with_implied(held: Permission) -> tuple[Permission, ...]:
    """The permission and those that rules 4 and 5 of `wire/auth.md` §4.5 add to it."""
    if held.path == CREATE_CONTEXT.path:
        return held, DELETE_CONTEXT.on(held.resource)
    if held.path != EXECUTE.path:
        return (held,)
    reading = LIST_CONTEXTS.on(held.resource)
    if held.method is not None:  # one method is no right to bring in others
        return held, reading
    implied = [held, reading, NEW_IDENTITY, JOIN_CONTEXT]
    implied += [Permission(path=("context", verb), resource=held.resource, user=held.user) for verb in _MEMBER_VERBS]
    if held.resource is None and held.user is None:
        implied += [Permission(path=path) for path in _CONTEXT_BLOBS]
    return tuple(implied)


_MEMBER_VERBS: Final = ("leave", "invite")
_CONTEXT_BLOBS: Final[tuple[Path, ...]] = (("blob", "list"), ("blob", "get"), ("blob", "add"), ("blob", "remove"))
