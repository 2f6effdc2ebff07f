"""Token keys as their owners see them, and what keys grant: listed, revoked, and changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import (
    ADMIN,
    PERMISSIONS_PER_LIST,
    BadPermissionError,
    Permission,
    any_covers,
    parse_permissions,
)
from meroid.access.principal import Principal
from meroid.account.audit import Action, AuditEvent, detail
from meroid.errors import InvalidInputError
from meroid.service.auditing import actor_of
from meroid.service.gate import PermissionDeniedError
from meroid.service.live import has_expired, parsed
from meroid.service.minting import PermissionNotHeldError
from meroid.service.ports.auth import RootKeyRecord, TokenKeyRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.revoking import (
    KeyNotFoundError,
    check_fresh,
    check_other_admin_key,
    check_root_keys,
    revoke_key,
    visible_key,
)

_LIST: Final = Permission(path=("keys", "clients", "list"))
_GET: Final = Permission(path=("keys", "permissions", "get"))
_UPDATE: Final = Permission(path=("keys", "permissions", "update"))


class WrongRootKeyError(InvalidInputError):
    """The minted key hangs on another root key."""

    code = "wrong_root_key"
    next_step = "take root_key_id from GET /admin/keys/clients"


class LastPermissionError(InvalidInputError):
    """A key that grants nothing is a revoked one."""

    code = "last_permission"
    next_step = "leave it at least one permission, or revoke the key"


class BindingStaysError(InvalidInputError):
    """What a key is bound to is decided when it is minted."""

    code = "binding_stays"
    next_step = "mint another token with POST /admin/client-key, and revoke this key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTokenKey:
    """A token key, and whether its tokens are accepted now."""

    record: TokenKeyRecord
    is_valid: bool


class KeyPermissionService:
    """What a person does with the keys below the root keys, and with what all of them grant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, principal: Principal, *, everybody: bool, at: int) -> Sequence[ListedTokenKey]:
        """Token keys of the caller's account, or with `everybody` of all, revoked ones included, oldest first.

        Raises:
            PermissionDeniedError: all are asked for without `admin`, or the token isn't for keys.
        """
        if everybody and not any_covers(principal.held, ADMIN):
            raise PermissionDeniedError("the keys of other accounts need admin")
        account = None if everybody else principal.account_id

        def work(tx: Transaction) -> Sequence[ListedTokenKey]:
            check_root_keys(tx, principal, _LIST)
            live = {each.key_id for each in tx.auth.root_keys(account) if each.revoked_at is None}
            silent = tx.auth.silent_token_keys(account)

            def is_valid(key: TokenKeyRecord) -> bool:
                ended = key.revoked_at is not None or key.client_id in silent or has_expired(key, at)
                return not ended and key.root_key_id in live

            return [ListedTokenKey(record=each, is_valid=is_valid(each)) for each in tx.auth.token_keys(account)]

        return self._store.read(work)

    def remove(self, principal: Principal, root_key_id: str, client_id: str, at: int) -> int:
        """Revoke a token key under the root key that is named; the time, ms.

        Raises:
            KeyNotFoundError: no such token key, or revoked before.
            WrongRootKeyError: it hangs on another root key.
            PermissionDeniedError: the caller may not.
        """

        def work(tx: Transaction) -> int:
            key = visible_key(tx, principal, client_id)
            if not isinstance(key, TokenKeyRecord):
                raise KeyNotFoundError("this is no minted key")
            if key.root_key_id != root_key_id:
                raise WrongRootKeyError("the minted key hangs on another root key")
            return revoke_key(tx, principal, client_id, at).revoked_at

        return self._store.write(work)

    def permissions(self, principal: Principal, key_id: str) -> tuple[str, ...]:
        """What a root key or token key grants.

        Raises:
            KeyNotFoundError: as `visible_key`.
            PermissionDeniedError: the caller may not ask.
        """
        _check_holds(principal, _GET.on(key_id))
        return self._store.read(lambda tx: visible_key(tx, principal, key_id)).permissions

    def change(
        self, principal: Principal, key_id: str, *, add: Sequence[str], remove: Sequence[str], at: int
    ) -> tuple[str, ...]:
        """Take permissions from a key, then give it others; what it grants from the next request on.

        Tokens that exist lose at once what their key loses. What it gains, they have after a refresh.

        Raises:
            BadPermissionError: one is malformed, or the key would have too many.
            BindingStaysError: one is a binding.
            PermissionDeniedError: the caller may not change this key.
            KeyNotFoundError: as `visible_key`.
            LastPermissionError: the key would grant nothing.
            PermissionNotHeldError: the caller, or the root key above, doesn't hold what is added.
            LoginNotFreshError: a root key, or one that gains something, and the log-in is older than five minutes.
            LastAdminKeyError: it takes `admin` from the last root key of the node's owner that holds it.
        """
        added, removed = parse_permissions(add), parse_permissions(remove)
        if any(each.is_binding for each in (*added, *removed)):
            raise BindingStaysError("a binding is neither added nor removed")
        _check_holds(principal, _UPDATE.on(key_id))
        return self._store.write(lambda tx: _change(tx, principal, key_id, added, removed, at))


def _change(
    tx: Transaction,
    principal: Principal,
    key_id: str,
    added: Sequence[Permission],
    removed: Sequence[Permission],
    at: int,
) -> tuple[str, ...]:
    key = visible_key(tx, principal, key_id)
    before = parsed(key.permissions)
    after = tuple(dict.fromkeys((*(each for each in before if each not in removed), *added)))
    if all(each.is_binding for each in after):
        raise LastPermissionError("the key would grant nothing")
    if len(after) > PERMISSIONS_PER_LIST:
        raise BadPermissionError(f"a key has at most {PERMISSIONS_PER_LIST} permissions")
    if set(after) == set(before):
        return key.permissions
    gained = [each for each in after if not any_covers(before, each) and not each.is_binding]
    _check_may_give(tx, principal, key, gained)
    if isinstance(key, RootKeyRecord) or gained:
        check_fresh(principal, "changing what this key may do", at)
    texts = tuple(str(each) for each in after)
    if isinstance(key, TokenKeyRecord):
        tx.auth.set_token_permissions(key_id, texts)
    else:
        if ADMIN not in after:
            check_other_admin_key(tx, key)
        tx.auth.set_root_permissions(key_id, texts)
    changed = {
        "added": [each for each in texts if each not in key.permissions],
        "removed": [each for each in key.permissions if each not in texts],
    }
    event = AuditEvent(
        at=at,
        action=Action.PERMISSIONS_CHANGE,
        by=actor_of(principal),
        target=key_id,
        details={name: detail(" ".join(each)) for name, each in changed.items()},
    )
    tx.audit.append(event)
    return texts


def _check_may_give(
    tx: Transaction, principal: Principal, key: RootKeyRecord | TokenKeyRecord, gained: Sequence[Permission]
) -> None:
    for each in gained:
        if not any_covers(principal.held, each):
            raise PermissionNotHeldError(f"your token doesn't hold {each}")
    if isinstance(key, RootKeyRecord):
        return
    root = tx.auth.root_key(key.root_key_id)
    above = parsed(root.permissions) if root is not None and root.revoked_at is None else ()
    for each in gained:
        if not any_covers(above, each):
            raise PermissionNotHeldError(f"the root key above doesn't hold {each}")


def _check_holds(principal: Principal, needed: Permission) -> None:
    if principal.is_limited or not any_covers(principal.held, needed):
        raise PermissionDeniedError(f"this token doesn't hold {':'.join(needed.path)} for this key")
