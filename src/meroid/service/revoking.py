"""Revoking root keys and token keys: one guarded path, whichever route asks."""

from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, Permission, any_covers
from meroid.access.principal import Principal
from meroid.account.audit import Action, AuditEvent
from meroid.errors import ConflictError, ForbiddenError, NotFoundError
from meroid.ids import AccountId
from meroid.service.auditing import actor_of
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.live import parsed
from meroid.service.ports.auth import RootKeyRecord, TokenKeyRecord
from meroid.service.ports.store import Transaction

_REVOKE_KEYS: Final = Permission(path=("keys", "delete"))
_REVOKE_CLIENTS: Final = Permission(path=("keys", "clients", "delete"))


class LoginNotFreshError(ForbiddenError):
    """This needs a log-in of the last five minutes."""

    code = "login_not_fresh"
    next_step = "log in again and repeat the request within five minutes"


class KeyNotFoundError(NotFoundError):
    """There is no such key, or it was revoked before."""

    code = "key_not_found"
    next_step = "list the keys and take an id from there"


class LastRootKeyError(ConflictError):
    """Without this root key nobody could open the account any more."""

    code = "last_root_key"
    next_step = "add another root key first, or repeat it with force=true"


class LastAdminKeyError(ConflictError):
    """Without it nobody could administer the node any more."""

    code = "last_admin_key"
    next_step = "give another root key of your account admin first; a removal may also be forced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A key that was revoked. `minted` counts the token keys that end with a root key.

    `lost` says, after the last root key of an account, what nobody can get at any more; otherwise empty.
    """

    key_id: str
    revoked_at: int
    minted: int = 0
    lost: str | None = None


def check_fresh(principal: Principal, what: str, at: int) -> None:
    """Refuse what a log-in older than five minutes may not do.

    Raises:
        LoginNotFreshError: it is older.
    """
    if not principal.is_fresh(at):
        raise LoginNotFreshError(f"{what} needs a log-in of the last five minutes")


def check_root_keys(tx: Transaction, principal: Principal, needed: Permission) -> None:
    """Refuse what concerns root keys to who may not keep them: see `may_keep_root_keys`.

    Raises:
        OutsideBindingError: the token acts in one context.
        PermissionDeniedError: neither holds.
    """
    if principal.is_bound:
        raise OutsideBindingError("this token acts in one context, and root keys are of the account")
    if not may_keep_root_keys(tx, principal, needed):
        raise PermissionDeniedError(f"this token doesn't hold {needed}")


def may_keep_root_keys(tx: Transaction, principal: Principal, needed: Permission) -> bool:
    """True if a token holds the permission, or comes from a log-in and holds all that any root key of its account does.

    Whatever an account may on this node, its root keys are its person's; a log-in or root key that may less isn't.
    """
    if principal.is_limited:
        return False
    if any_covers(principal.held, needed):
        return True
    if principal.key_id is None or tx.auth.root_key(principal.key_id) is None:
        return False
    live = (each for each in tx.auth.root_keys(principal.account_id) if each.revoked_at is None)
    return all(any_covers(principal.held, held) for each in live for held in parsed(each.permissions))


def visible_key(tx: Transaction, principal: Principal, key_id: str) -> RootKeyRecord | TokenKeyRecord:
    """A live key of the caller's account; unbound `admin` finds those of other accounts too.

    Raises:
        KeyNotFoundError: unknown, revoked before, or not the caller's to see.
    """
    record = tx.auth.root_key(key_id) or tx.auth.token_key(key_id)
    everything = not principal.is_limited and any_covers(principal.held, ADMIN)
    known = record is not None and (everything or record.account_id == principal.account_id)
    if record is None or not known or record.revoked_at is not None:
        raise KeyNotFoundError("there is no such key, or it was revoked before")
    return record


def revoke_key(tx: Transaction, principal: Principal, key_id: str, at: int, *, force: bool = False) -> Revoked:
    """Revoke a key with all that hangs on it.

    A key may revoke itself.

    Raises:
        KeyNotFoundError: as `visible_key`.
        PermissionDeniedError: the caller may not.
        LoginNotFreshError: a root key, and the log-in is older than five minutes.
        LastRootKeyError, LastAdminKeyError: the account has no other (with `admin`), and nothing is forced.
    """
    record = visible_key(tx, principal, key_id)
    needed = _REVOKE_KEYS if isinstance(record, RootKeyRecord) else _REVOKE_CLIENTS
    if key_id != principal.key_id:
        check_root_keys(tx, principal, needed)
    if not isinstance(record, RootKeyRecord):
        tx.auth.revoke_token_key(key_id, at=at)
        tx.audit.append(AuditEvent(at=at, action=Action.TOKEN_REVOKE, by=actor_of(principal), target=key_id))
        return Revoked(key_id=key_id, revoked_at=at)
    check_fresh(principal, "revoking a root key", at)
    revoked = _revoke_root(tx, record, at, force=force)
    event = AuditEvent(
        at=at,
        action=Action.ROOT_KEY_REMOVE,
        by=actor_of(principal),
        method=record.method,
        target=key_id,
        details={"account": str(record.account_id), "minted_keys": str(revoked.minted), "forced": str(force).lower()},
    )
    tx.audit.append(event)
    return revoked


def check_other_admin_key(tx: Transaction, root: RootKeyRecord) -> None:
    """Refuse that the owner of the node loses the last root key with `admin`.

    Raises:
        LastAdminKeyError: this root key is it.
    """
    account = tx.accounts.get(root.account_id)
    if account is None or not account.owner or not _is_admin(root):
        return
    others = (each for each in tx.auth.root_keys(root.account_id) if each.key_id != root.key_id)
    if not any(each.revoked_at is None and _is_admin(each) for each in others):
        raise LastAdminKeyError("this is the last root key of the node's owner that holds admin")


def _revoke_root(tx: Transaction, root: RootKeyRecord, at: int, *, force: bool) -> Revoked:
    others = [each for each in tx.auth.root_keys(root.account_id) if each.key_id != root.key_id]
    last = all(each.revoked_at is not None for each in others)
    lost = _lost(tx, root.account_id) if last else None
    if lost is not None and not force:
        raise LastRootKeyError(f"this is the last root key of its account; without it {lost}")
    if not force:
        check_other_admin_key(tx, root)
    minted = tx.auth.token_keys(root.account_id)
    ended = [each for each in minted if each.root_key_id == root.key_id and each.revoked_at is None]
    tx.auth.revoke_root_key(root.key_id, at=at)
    return Revoked(key_id=root.key_id, revoked_at=at, minted=len(ended), lost=lost)


def _lost(tx: Transaction, account_id: AccountId) -> str:
    keys = tx.accounts.client_keys(account_id=account_id)
    contexts = len({each.context_id for each in keys if each.context_id is not None})
    return f"only the account's recovery words open it here, and its {contexts} contexts with it"


def _is_admin(root: RootKeyRecord) -> bool:
    return ADMIN in parsed(root.permissions)
