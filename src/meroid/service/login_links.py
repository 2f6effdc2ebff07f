"""Log-in links: how the owner lets more people onto a node, and back into their accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meroid import limits
from meroid.access.permissions import ADMIN, Permission, any_covers
from meroid.access.principal import Principal
from meroid.account.audit import Action, Actor, AuditEvent
from meroid.auth.login_code import WrongLoginCodeError, login_code_hash, new_login_code, parse_login_code
from meroid.auth.sign_up import SignUpRules
from meroid.auth.throttle import Failures, check_throttle, login_digest
from meroid.auth.tokens import new_id
from meroid.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnauthenticatedError
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.service.accounts import AccountNotFoundError, NotTheOwnerError
from meroid.service.auditing import actor_of
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.keyring import DraftedAccount, KeyRing
from meroid.service.ports.accounts import AccountRecord
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.login_links import LinkKind, LoginLinkRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.proofs import count_failure
from meroid.service.revoking import check_fresh

SHORTEST_MS: Final = 10 * 60_000
LONGEST_MS: Final = 30 * 24 * 3_600_000
DEFAULT_MS: Final = 7 * 24 * 3_600_000
_KEEP_MS: Final = 30 * 24 * 3_600_000  # a code that was used says so for so long after its end
_INVITE: Final = Permission(path=("context", "invite"))


class LoginCodeUsedError(UnauthenticatedError):
    """Somebody has redeemed this code."""

    code = "login_code_used"
    next_step = "log in with the root key that was chosen then; if it wasn't you, tell the owner of the node at once"


class LoginCodeExpiredError(UnauthenticatedError):
    """The time of this code is over."""

    code = "login_code_expired"
    next_step = "ask for another link"


class LoginCodeWithdrawnError(UnauthenticatedError):
    """This code was withdrawn, or who made it was disabled."""

    code = "login_code_withdrawn"
    next_step = "ask for another link"


class LoginLinkNotFoundError(NotFoundError):
    """There is no such open link, or it isn't the caller's."""

    code = "login_link_not_found"
    next_step = "see the open ones: meroctl account links"


class TooManyLinksError(ConflictError):
    """Too many links of this account wait to be redeemed."""

    code = "too_many_login_links"
    next_step = "withdraw one that nobody needs: meroctl account links"


class TooManyAccountsError(ConflictError):
    """The node keeps as many accounts as it may."""

    code = "too_many_accounts"
    next_step = "the owner of the node may raise auth.max_accounts"


class BadLinkLifetimeError(InvalidInputError):
    """A log-in link lives for a while, and not for long."""

    code = "bad_link_lifetime"
    next_step = "choose from 10 minutes to 30 days"


class BadLabelError(InvalidInputError):
    """The label of an account is for people: it has to be one that they can read."""

    code = "bad_label"
    next_step = f"choose 1 to {limits.ACCOUNT_LABEL.value} printable characters, or none"


class OwnLinkError(ForbiddenError):
    """Whoever got hold of such a link would own the node."""

    code = "owner_link"
    next_step = "the owner's password is set anew with another root key, or with the recovery words"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLink:
    """A new link with its code, which is shown once."""

    record: LoginLinkRecord
    code: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLink:
    """What the holder of a code is told before redeeming it; `usernames` are those whose password it sets anew."""

    record: LoginLinkRecord
    usernames: tuple[str, ...]


class LoginLinkService:
    """Making, listing and withdrawing log-in links; `service.newcomers` redeems them."""

    def __init__(self, store: Store, keys: KeyRing, rules: SignUpRules) -> None:
        self._store = store
        self._keys = keys
        self._rules = rules

    def invite(self, principal: Principal, label: str, valid_for_ms: int, at: int) -> MadeLink:
        """A link for a new account. The owner's is there at once; that of anybody else comes with its redemption.

        Raises:
            LoginNotFreshError: the log-in is older than five minutes.
            NotTheOwnerError: sign-up is closed, and the caller doesn't own the node.
            PermissionDeniedError, OutsideBindingError: the caller's token reaches less.
            BadLabelError, BadLinkLifetimeError: as they say.
            TooManyLinksError, TooManyAccountsError: there are enough.
        """
        _check_token(principal, at)
        made = _draft(principal, LinkKind.NEW, _label(label), valid_for_ms, at)
        drafted = self._keys.draft_account(owner=False, at=at, label=made.record.label)

        def work(tx: Transaction) -> MadeLink:
            if not _is_owner(tx, principal):
                if not self._rules.everybody_invites:
                    raise NotTheOwnerError("only the owner of this node makes accounts")
                _check_holds(principal, _INVITE)
                check_room(tx, self._rules)
                return _keep(tx, principal, made, None, limits.LOGIN_LINKS_OF_GUEST)
            _check_holds(principal, ADMIN)
            account = store_drafted(tx, drafted, self._rules, actor_of(principal))
            return _keep(tx, principal, made, account, limits.LOGIN_LINKS)

        return self._store.write(work)

    def reset(self, principal: Principal, account_id: AccountId, valid_for_ms: int, at: int) -> MadeLink:
        """A link for an account that is there: for another root key, or a forgotten password.

        Raises:
            LoginNotFreshError: the log-in is older than five minutes.
            NotTheOwnerError, AccountNotFoundError: as they say.
            OwnLinkError: it is the node's own account.
            BadLinkLifetimeError, TooManyLinksError: as they say.
        """
        _check_token(principal, at)
        made = _draft(principal, LinkKind.RESET, "", valid_for_ms, at)

        def work(tx: Transaction) -> MadeLink:
            if not _is_owner(tx, principal):
                raise NotTheOwnerError("this account doesn't own the node")
            _check_holds(principal, ADMIN)
            account = tx.accounts.get(account_id)
            if account is None:
                raise AccountNotFoundError(f"there is no account {account_id} on this node")
            if account.owner:
                raise OwnLinkError("nobody gets a link into the account that owns the node")
            return _keep(tx, principal, made, account, limits.LOGIN_LINKS)

        return self._store.write(work)

    def list(self, principal: Principal, at: int) -> Sequence[LoginLinkRecord]:
        """The open links: all of them for the owner with `admin`, otherwise one's own.

        Raises:
            OutsideBindingError, PermissionDeniedError: the caller's token makes none.
        """
        _check_reach(principal)

        def work(tx: Transaction) -> Sequence[LoginLinkRecord]:
            everything = _is_owner(tx, principal) and any_covers(principal.held, ADMIN)
            return tx.login_links.open(at=at, made_by=None if everything else principal.account_id)

        return self._store.read(work)

    def withdraw(self, principal: Principal, link_id: str, at: int) -> int:
        """Let a link open nothing any more; the time, ms.

        Raises:
            LoginLinkNotFoundError: no open link of the caller's, or for the owner of anybody's.
            OutsideBindingError, PermissionDeniedError: the caller's token makes none.
        """
        _check_reach(principal)

        def work(tx: Transaction) -> int:
            everything = _is_owner(tx, principal) and any_covers(principal.held, ADMIN)
            link = tx.login_links.get(link_id)
            known = link is not None and (everything or link.made_by == principal.account_id)
            if link is None or not known or not tx.login_links.withdraw(link_id, at=at):
                raise LoginLinkNotFoundError("there is no such open link")
            tx.audit.append(link_event(Action.LINK_WITHDRAW, link, actor_of(principal), at))
            return at

        return self._store.write(work)

    def see(self, text: str, address: str, at: int) -> SeenLink:
        """What a code is for, for who holds it; `address` as `auth.throttle.address_group` gives it.

        Raises:
            LoginThrottledError: too many wrong codes from this address.
            UnauthenticatedError: as `find_open`.
        """
        link = find_open(self._store, text, address, at)
        names = self._store.read(lambda tx: usernames(tx, link.account_id))
        return SeenLink(record=link, usernames=names if link.kind is LinkKind.RESET else ())


def find_open(store: Store, text: str, address: str, at: int) -> LoginLinkRecord:
    """The open link of a code; wrong ones are counted against the address.

    Raises:
        LoginThrottledError: too many wrong ones.
        WrongLoginCodeError, LoginCodeUsedError, LoginCodeExpiredError, LoginCodeWithdrawnError: as they say.
    """
    digest = login_digest("login_code", address)
    check_throttle(store.read(lambda tx: _failures(tx, digest, address)), at)
    code = parse_login_code(text)
    code_hash = None if code is None else login_code_hash(code)
    link = None if code_hash is None else store.read(lambda tx: tx.login_links.find(code_hash))
    if link is None:

        def count(tx: Transaction) -> Failures:
            before = _failures(tx, digest, address)
            count_failure(tx, digest, address, at)
            return before

        check_throttle(store.write(count), at)
        raise WrongLoginCodeError("this node has made no such code")
    store.read(lambda tx: check_open(tx, link, at))
    return link


def check_open(tx: Transaction, link: LoginLinkRecord, at: int) -> None:
    """Refuse a link that can't be redeemed any more.

    Raises:
        LoginCodeUsedError, LoginCodeWithdrawnError, LoginCodeExpiredError: as they say.
    """
    if link.used_at is not None:
        raise LoginCodeUsedError("this link was used before")
    maker = tx.accounts.get(link.made_by)
    if link.withdrawn_at is not None or maker is None or maker.disabled_at is not None:
        raise LoginCodeWithdrawnError("this link was withdrawn")
    if not link.is_open(at):
        raise LoginCodeExpiredError("the time of this link is over")


def check_room(tx: Transaction, rules: SignUpRules) -> None:
    """Refuse one more account where there are enough.

    Raises:
        TooManyAccountsError: there are.
    """
    if tx.accounts.count() >= rules.max_accounts:
        raise TooManyAccountsError(f"this node keeps {rules.max_accounts} accounts at most")


def store_drafted(tx: Transaction, drafted: DraftedAccount, rules: SignUpRules, by: Actor) -> AccountRecord:
    """Store a new account, if there is room for it; raises as `check_room`."""
    check_room(tx, rules)
    return drafted.store(tx, by)


def live_root_keys(tx: Transaction, account_id: AccountId) -> list[RootKeyRecord]:
    """The root keys that open an account now, oldest first."""
    return [each for each in tx.auth.root_keys(account_id) if each.revoked_at is None]


def usernames(tx: Transaction, account_id: AccountId | None) -> tuple[str, ...]:
    """The user names that open an account."""
    known = [] if account_id is None else live_root_keys(tx, account_id)
    return tuple(each.identifier for each in known if each.method == "user_password")


def _draft(principal: Principal, kind: LinkKind, label: str, valid_for_ms: int, at: int) -> MadeLink:
    if not SHORTEST_MS <= valid_for_ms <= LONGEST_MS:
        raise BadLinkLifetimeError("a log-in link lives from 10 minutes to 30 days")
    code = new_login_code()
    record = LoginLinkRecord(
        link_id=new_id(),
        code_hash=login_code_hash(code),
        kind=kind,
        account_id=None,
        label=label,
        made_by=principal.account_id,
        created_at=at,
        expires_at=at + valid_for_ms,
    )
    return MadeLink(record=record, code=code)


def _keep(
    tx: Transaction, principal: Principal, made: MadeLink, account: AccountRecord | None, most: limits.Limit
) -> MadeLink:
    link = made.record
    tx.login_links.forget(expired_before=link.created_at - _KEEP_MS)
    if len(tx.login_links.open(at=link.created_at, made_by=link.made_by)) >= most.value:
        raise TooManyLinksError(f"{most.value} links of this account are open")
    if account is not None:
        link = replace(link, account_id=account.account_id, label=account.label)
    tx.login_links.add(link)
    tx.audit.append(link_event(Action.LINK_CREATE, link, actor_of(principal), link.created_at))
    return replace(made, record=link)


def link_event(action: Action, link: LoginLinkRecord, by: Actor, at: int) -> AuditEvent:
    """What was done with a link; its id opens nothing."""
    details = {"kind": link.kind.value}
    if link.account_id is not None:
        details["account"] = str(link.account_id)
    return AuditEvent(at=at, action=action, by=by, target=link.link_id, details=details)


def _check_reach(principal: Principal) -> None:
    if principal.is_limited:
        raise OutsideBindingError("this token acts in one context, and an account is more")
    _check_holds(principal, _INVITE)  # `admin` covers it


def _check_token(principal: Principal, at: int) -> None:
    if principal.is_limited:
        raise OutsideBindingError("this token acts in one context, and an account is more")
    check_fresh(principal, "making a log-in link", at)


def _check_holds(principal: Principal, needed: Permission) -> None:
    if not any_covers(principal.held, needed):
        raise PermissionDeniedError(f"this token doesn't hold {needed}")


def _is_owner(tx: Transaction, principal: Principal) -> bool:
    owner = tx.accounts.owner()
    return owner is not None and owner.account_id == principal.account_id


def _label(text: str) -> str:
    if len(text) > limits.ACCOUNT_LABEL.value or not text.isprintable() or (text and text.isspace()):
        raise BadLabelError("the label is too long, or can't be printed")
    return text


def _failures(tx: Transaction, digest: bytes, address: str) -> Failures:
    here = tx.auth.attempts(digest, address)
    if here is None:
        return Failures()
    return Failures(here=here.failures, last_here=here.last_failed_at)
