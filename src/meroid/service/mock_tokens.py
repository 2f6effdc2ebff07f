"""Tokens for the development of apps, without anybody logging in (`wire/auth.md` §2.6).

They act for an account of their own, never for a person's, end within a day, and all at once when
the switch is turned off. Their root key makes no owner and logs nobody in.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from meroid.access.permissions import ADMIN, parse_permissions
from meroid.account.audit import NOBODY, Action, Actor, AuditEvent
from meroid.auth.first_owner import Peer, is_direct
from meroid.auth.tokens import AccessClaims, RefreshClaims, new_id, new_token_id
from meroid.errors import NotFoundError, UnauthenticatedError
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.service.keyring import KeyRing
from meroid.service.ports.auth import (
    MOCK_METHOD,
    FamilyRecord,
    RefreshRecord,
    RootKeyRecord,
    TokenKeyRecord,
)
from meroid.service.ports.store import Store, Transaction
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenPair

LONGEST_S: Final = 24 * 3_600
_IDENTIFIER: Final = "mock"
_ACCOUNT: Final = "mock_account"


class NoMockTokensError(NotFoundError):
    """Mock tokens are off, or this caller isn't on the machine itself."""

    code = "mock_tokens_off"
    next_step = "log in; for development alone, see docs/auth.md, Mock tokens"


class MockSecretNeededError(UnauthenticatedError):
    """Mock tokens are on, and the header `Authorization` isn't their secret."""

    code = "mock_secret_needed"
    next_step = "send development.mock_auth_header_value as it stands in the header Authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMock:
    """What is asked for; lifetimes in seconds, `None` for the longest."""

    client_name: str
    permissions: Sequence[str]
    access_s: int | None
    refresh_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MockToken:
    """A pair with the id of its key."""

    pair: TokenPair
    key_id: str


class MockTokenService:
    """Makes mock tokens while there is a secret for it; otherwise ends those that are left."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        signing: SigningKeys,
        secret: Secret | None,
        *,
        settle: Callable[[Transaction, AccountId], object] = lambda _tx, _account: None,
    ) -> None:
        """`settle` brings an account's key log in line with its root keys, in the transaction that changed them."""
        self._store = store
        self._keys = keys
        self._signing = signing
        self._secret = secret
        self._settle = settle

    def check(self, authorization: str, peer: Peer) -> None:
        """Return if this caller may have a mock token.

        Raises:
            NoMockTokensError: they are off, or the caller isn't directly on the machine.
            MockSecretNeededError: `authorization` isn't the secret.
        """
        if self._secret is None or not is_direct(peer):
            raise NoMockTokensError("there is no such endpoint")
        if not hmac.compare_digest(self._secret.reveal(), authorization.encode("utf-8", "surrogatepass")):
            raise MockSecretNeededError("the secret of mock tokens is missing or wrong")

    def mint(self, wanted: WantedMock, at: int) -> MockToken:
        """Mint a pair, after `check`.

        Raises:
            BadPermissionError: a permission is malformed.
        """
        permissions = tuple(str(each) for each in parse_permissions(wanted.permissions))
        access_end = at + _lifetime_ms(wanted.access_s)
        family_id = new_id()
        refresh = RefreshRecord(
            jti=new_token_id(family_id),
            family_id=family_id,
            issued_at=at,
            expires_at=at + _lifetime_ms(wanted.refresh_s),
        )

        def work(tx: Transaction) -> TokenKeyRecord:
            root = self._root(tx, at)
            key = TokenKeyRecord(
                client_id=f"mock_{new_id()}",
                root_key_id=root.key_id,
                account_id=root.account_id,
                name=_name(wanted.client_name),
                permissions=permissions,
                context_id=None,
                executor=None,
                node_url=None,
                created_at=at,
                expires_at=max(access_end, refresh.expires_at),
            )
            family = FamilyRecord(
                family_id=family_id, key_id=key.client_id, narrowed_to=None, logged_in_at=None, created_at=at
            )
            tx.auth.add_token_key(key)
            tx.auth.open_family(family, refresh)
            by = Actor(account_id=root.account_id, key_id=root.key_id)
            minted = AuditEvent(at=at, action=Action.TOKEN_MINT, by=by, method=MOCK_METHOD, target=key.client_id)
            tx.audit.append(minted)
            return key

        key = self._store.write(work)
        return MockToken(pair=self._pair(key, refresh, access_end), key_id=key.client_id)

    def _pair(self, key: TokenKeyRecord, refresh: RefreshRecord, access_end: int) -> TokenPair:
        issuer = self._signing.issuer(key.created_at)
        access = AccessClaims(
            subject=key.client_id,
            family_id=refresh.family_id,
            token_id=new_token_id(refresh.family_id),
            permissions=key.permissions,
            issued_at=key.created_at // 1000,
            expires_at=access_end // 1000,
            account_id=key.account_id,
        )
        renewal = RefreshClaims(
            subject=key.client_id,
            family_id=refresh.family_id,
            token_id=refresh.jti,
            issued_at=refresh.issued_at // 1000,
            expires_at=refresh.expires_at // 1000,
        )
        return TokenPair(access=issuer.access(access), refresh=issuer.refresh(renewal))

    def end_if_off(self, at: int) -> None:
        """Where mock tokens are off, let none that was made before open anything."""
        if self._secret is not None:
            return
        root = self._store.read(lambda tx: tx.auth.find_root_key(MOCK_METHOD, _IDENTIFIER))
        if root is None:
            return

        def work(tx: Transaction) -> None:
            tx.auth.revoke_root_key(root.key_id, at=at)
            ended = AuditEvent(at=at, action=Action.ROOT_KEY_REMOVE, method=MOCK_METHOD, target=root.key_id)
            tx.audit.append(ended)
            self._settle(tx, root.account_id)

        self._store.write(work)

    def _root(self, tx: Transaction, at: int) -> RootKeyRecord:
        """The root key above all mock tokens, with an account of its own."""
        known = tx.auth.find_root_key(MOCK_METHOD, _IDENTIFIER)
        if known is not None:
            return known
        root = RootKeyRecord(
            key_id=new_id(),
            account_id=self._account(tx, at),
            method=MOCK_METHOD,
            identifier=_IDENTIFIER,
            verifier=None,
            permissions=(str(ADMIN),),
            created_at=at,
        )
        tx.auth.add_root_key(root)
        tx.audit.append(AuditEvent(at=at, action=Action.ROOT_KEY_BIND, method=MOCK_METHOD, target=root.key_id))
        self._settle(tx, root.account_id)
        return root

    def _account(self, tx: Transaction, at: int) -> AccountId:
        text = tx.auth.setting(_ACCOUNT)
        if text is not None:
            return AccountId.parse(text)
        account = self._keys.draft_account(owner=False, at=at, label=_IDENTIFIER).store(tx, NOBODY)
        tx.auth.put_setting(_ACCOUNT, str(account.account_id))
        return account.account_id


def _lifetime_ms(seconds: int | None) -> int:
    return 1000 * (LONGEST_S if seconds is None else min(seconds, LONGEST_S))


def _name(text: str) -> str:
    return f"Mock - {''.join(each for each in text if each.isprintable())[:56]}"
