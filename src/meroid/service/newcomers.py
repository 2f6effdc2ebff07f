"""People who come onto a node, or back: redeeming a log-in link, and signing up by oneself.

Either ends in a log-in, in the one transaction that binds the root key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from meroid.account.audit import Action, Actor, AuditEvent
from meroid.auth.account_key import NotThisAccountError
from meroid.auth.methods import BadProviderDataError, Enrolment, VerifiedLogin
from meroid.auth.sign_up import WINDOW_MS, SignUp, SignUpRules, sign_up_wait_ms
from meroid.auth.tokens import new_id
from meroid.errors import ConflictError, ForbiddenError, ThrottledError
from meroid.ids import AccountId
from meroid.service.challenges import use_challenge
from meroid.service.keyring import KeyRing
from meroid.service.login_links import (
    LoginCodeUsedError,
    check_open,
    check_room,
    find_open,
    link_event,
    live_root_keys,
    store_drafted,
    usernames,
)
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.login_links import LinkKind, LoginLinkRecord
from meroid.service.ports.store import Store, Transaction
from meroid.service.proofs import Claim
from meroid.service.root_keys import RootKeyExistsError

CODE_FIELD: Final = "login_code"
SIGN_UP_FIELD: Final = "sign_up"
NOT_AN_OWNERS: Final = ("context:create", "context:list", "context:execute", "context:invite", "blob")
"""What a root key of another account than the node's own may do (design §5)."""
_CREDENTIALS: Final = "credentials"
_LONGEST_CODE: Final = 4096

T = TypeVar("T")


class SignUpClosedError(ForbiddenError):
    """Nobody makes an account on this node for themselves."""

    code = "sign_up_closed"
    next_step = "ask the owner of the node for a log-in link, or log in without sign_up"


class SignUpThrottledError(ThrottledError):
    """Too many accounts were made from this address within an hour."""

    code = "sign_up_throttled"
    next_step = "wait as long as Retry-After says, or ask the owner of the node for a log-in link"


class OtherUserNameError(ConflictError):
    """The account has a user name, and the link sets the password of that one anew."""

    code = "other_user_name"
    next_step = "send the user name that POST /auth/link tells for this code"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redeemed:
    """A link with the proof that redeems it, and the address that it came from."""

    link: LoginLinkRecord
    claim: Claim
    verified: VerifiedLogin
    address: str | None


class Newcomers:
    """Redeems log-in links, and makes accounts for those who sign up."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        rules: SignUpRules,
        *,
        settle: Callable[[Transaction, AccountId], object] = lambda _tx, _account: None,
    ) -> None:
        """`settle` brings an account's key log in line with its root keys, in the transaction that changed them."""
        self._store = store
        self._keys = keys
        self._settle = settle
        self.rules = rules

    def redeem(
        self, claim: Claim, code: str, at: int, *, address: str | None, start: Callable[[Transaction, RootKeyRecord], T]
    ) -> T:
        """Bind the proven root key to the account of a link, or set its password anew; then `start` its log-in.

        Raises:
            MeroidError: as `find_open`, and as the method refuses a new root key.
            RootKeyExistsError: this login opens another account.
            OtherUserNameError: the account has another user name.
            TooManyAccountsError: redeeming it would make one more.
        """
        link = find_open(self._store, code, claim.address, at)
        drafted = self._keys.draft_account(owner=False, at=at, label=link.label) if link.account_id is None else None
        account_id = link.account_id if drafted is None else drafted.record.account_id
        assert account_id is not None  # noqa: S101 - for the type checker
        verified = claim.method.enrol(claim.attempt, Enrolment(account_id=account_id, claims=True))

        def work(tx: Transaction) -> T:
            current = tx.login_links.get(link.link_id)
            if current is not None:
                check_open(tx, current, at)
            if drafted is not None:
                store_drafted(tx, drafted, self.rules, Actor(address=address))
            use_challenge(tx, claim.attempt.challenge, at)
            redeemed = _Redeemed(
                link=replace(link, account_id=account_id), claim=claim, verified=verified, address=address
            )
            root = _bind(tx, redeemed, account_id, at)
            if not tx.login_links.use(link.link_id, account_id, at=at):
                raise LoginCodeUsedError("this link was used before")
            tx.audit.append(link_event(Action.LINK_USE, redeemed.link, _actor(root, address), at))
            tx.auth.record_success(claim.digest, claim.address, at=at)
            self._settle(tx, account_id)
            return start(tx, root)

        return self._store.write(work)

    def sign_up(
        self, claim: Claim, at: int, *, address: str | None, start: Callable[[Transaction, RootKeyRecord], T]
    ) -> T | None:
        """Make an account for who proves a root key that opens none here, and `start` its log-in.

        Nothing where it opens one: then this is a log-in like any other.

        Raises:
            SignUpClosedError: the policy isn't `open`.
            SignUpThrottledError, TooManyAccountsError: as they say.
            MeroidError: as the method refuses a new root key.
        """
        if self.rules.policy is not SignUp.OPEN:
            raise SignUpClosedError("nobody signs up by themselves on this node")
        if not self._store.read(lambda tx: self._is_new(tx, claim, at)):
            return None
        drafted = self._keys.draft_account(owner=False, at=at)
        try:
            enrolment = Enrolment(account_id=drafted.record.account_id, claims=True)
            verified = claim.method.enrol(claim.attempt, enrolment)
        except NotThisAccountError:
            return None  # recovery words are those of the one account that they give

        def work(tx: Transaction) -> T | None:
            if not self._is_new(tx, claim, at):
                return None
            account = store_drafted(tx, drafted, self.rules, Actor(address=address))
            use_challenge(tx, claim.attempt.challenge, at)
            tx.login_links.forget_sign_ups(before=at - WINDOW_MS)
            tx.login_links.note_sign_up(claim.address, at=at)
            root = _new_root(account.account_id, claim, verified, NOT_AN_OWNERS, at)
            tx.auth.add_root_key(root)
            tx.audit.append(_root_event(Action.ROOT_KEY_BIND, root, address, at))
            tx.auth.record_success(claim.digest, claim.address, at=at)
            self._settle(tx, account.account_id)
            return start(tx, root)

        return self._store.write(work)

    def _is_new(self, tx: Transaction, claim: Claim, at: int) -> bool:
        """Whether this login opens nothing yet and may make an account now."""
        if tx.auth.find_root_key(claim.method.name, claim.identifier) is not None:
            return False
        made_at = tuple(tx.login_links.sign_ups(claim.address, since=at - WINDOW_MS))
        wait = sign_up_wait_ms(self.rules, made_at, at)
        if wait > 0:
            raise SignUpThrottledError("too many accounts were made from here", retry_after_s=-(-wait // 1000))
        check_room(tx, self.rules)
        return True


def asks_to_sign_up(provider_data: Mapping[str, object]) -> bool:
    """Whether a log-in may make an account.

    Raises:
        BadProviderDataError: the flag is no truth value.
    """
    flag = provider_data.get(SIGN_UP_FIELD, False)
    if not isinstance(flag, bool):
        raise BadProviderDataError(f"provider_data.{SIGN_UP_FIELD} is true or false")
    return flag


def login_code_in(provider_data: Mapping[str, object]) -> str | None:
    """The code of a log-in link beside a proof; nothing if there is none.

    Raises:
        BadProviderDataError: it is no text of a fitting length.
    """
    code = provider_data.get(CODE_FIELD)
    if code is None:
        return None
    if not isinstance(code, str) or not 0 < len(code) <= _LONGEST_CODE:
        raise BadProviderDataError(f"provider_data.{CODE_FIELD} is a text of 1 to {_LONGEST_CODE} characters")
    return code


def _bind(tx: Transaction, redeemed: _Redeemed, account_id: AccountId, at: int) -> RootKeyRecord:
    link, claim, verified = redeemed.link, redeemed.claim, redeemed.verified
    known = tx.auth.find_root_key(claim.method.name, claim.identifier)
    if known is not None:
        if known.account_id != account_id or link.kind is not LinkKind.RESET:
            raise RootKeyExistsError(
                "this login opens an account here already",
                next_step="take another name or key; the link can still be used",
            )
        if claim.method.kind == _CREDENTIALS:
            tx.auth.replace_verifier(known.key_id, old=known.verifier, new=verified.verifier, at=at)
            ended = tx.auth.end_families(known.key_id, but=None, at=at)
            event = _root_event(Action.PASSWORD_CHANGE, known, redeemed.address, at)
            tx.audit.append(replace(event, details={"ended": str(ended), "link": link.link_id}))
        tx.auth.touch_root_key(known.key_id, at=at)
        return known
    if claim.method.kind == _CREDENTIALS and usernames(tx, account_id):
        raise OtherUserNameError("this account has another user name")
    others = live_root_keys(tx, account_id)
    root = _new_root(account_id, claim, verified, others[-1].permissions if others else NOT_AN_OWNERS, at)
    tx.auth.add_root_key(root)
    tx.audit.append(_root_event(Action.ROOT_KEY_BIND, root, redeemed.address, at))
    return root


def _actor(root: RootKeyRecord, address: str | None) -> Actor:
    return Actor(account_id=root.account_id, key_id=root.key_id, address=address)


def _root_event(action: Action, root: RootKeyRecord, address: str | None, at: int) -> AuditEvent:
    return AuditEvent(at=at, action=action, by=_actor(root, address), method=root.method, target=root.key_id)


def _new_root(
    account_id: AccountId, claim: Claim, verified: VerifiedLogin, permissions: tuple[str, ...], at: int
) -> RootKeyRecord:
    return RootKeyRecord(
        key_id=new_id(),
        account_id=account_id,
        method=claim.method.name,
        identifier=claim.identifier,
        verifier=verified.verifier,
        permissions=permissions,
        created_at=at,
        last_used_at=at,
    )
