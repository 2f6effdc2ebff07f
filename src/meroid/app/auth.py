"""The auth service on one store, put together: the same in a node and alone (`design.md` §5)."""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Final

from meroid.app.recurring import Recurring
from meroid.app.vaulted import Vaulted
from meroid.auth.account_key import HardwareKeyLogin, RecoveryPhraseLogin
from meroid.auth.methods import LoginMethod
from meroid.auth.near_wallet import NearNetwork, NearWalletLogin
from meroid.auth.passkey import PasskeyLogin
from meroid.auth.password import PasswordLogin
from meroid.auth.setup_code import show_setup_code
from meroid.auth.throttle import KEEP_ATTEMPTS_MS
from meroid.auth.tokens import LEEWAY_S
from meroid.chain.near_rpc import NearRpc
from meroid.config import AuthSettings, ServiceSettings
from meroid.http.auth_api import AuthApi
from meroid.http.health_api import Health
from meroid.http.keys_api import KeysApi
from meroid.http.peers import is_loopback_name
from meroid.http.routes import Endpoint, SocketEndpoint
from meroid.http.token_keys_api import TokenKeysApi
from meroid.http.watch import AuditWatch
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.service.account_state import AccountStates
from meroid.service.auditing import Refusals
from meroid.service.challenges import ChallengeService
from meroid.service.gate import Gate
from meroid.service.key_logs import KeyLogs
from meroid.service.key_permissions import KeyPermissionService
from meroid.service.keyring import KeyRing
from meroid.service.login import LoginService
from meroid.service.proofs import Proofs
from meroid.service.root_keys import RootKeyService
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenService

_RECORD_EVERY_S: Final = 0.5  # how late the audit trail may be with what was refused
_KEEP_HOUSE_EVERY_S: Final = 600.0


def token_signing_keys(vaulted: Vaulted, settings: AuthSettings) -> SigningKeys:
    """The keys that sign the tokens of a service."""
    overlap_ms = max(settings.refresh_s, settings.access_s) * 1000
    return SigningKeys(
        vaulted.store, vaulted.box, issuer=settings.issuer, audience=settings.issuer, overlap_ms=overlap_ms
    )


class AuthServices:
    """Log-ins, root keys, tokens and the gate, before anything listens.

    `check_member` raises if a client key is no member of a context; without it that isn't asked. With
    `holds_client_keys` false no token is bound to one: it can't be known here whose it is.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        vaulted: Vaulted,
        *,
        check_member: Callable[[ContextId, PublicKey], object] | None = None,
        holds_client_keys: bool = True,
    ) -> None:
        self.store = vaulted.store
        self.keys = KeyRing(self.store, vaulted.seeds)
        self.key_logs = KeyLogs(self.store, self.keys)
        self._setup_code_file = settings.setup_code_file
        self._own_hosts = frozenset(each.lower() for each in settings.allowed_hosts)
        auth, settle = settings.auth, self.key_logs.settle
        signing = token_signing_keys(vaulted, auth)
        self.tokens = TokenService(
            self.store,
            signing,
            access_ms=auth.access_s * 1000,
            refresh_ms=auth.refresh_s * 1000,
            check_member=check_member,
            holds_client_keys=holds_client_keys,
            settle=settle,
        )
        challenges = ChallengeService(self.store, signing, is_own_host=self._is_own_host)
        proofs = Proofs(self.store, self._methods(auth), challenges)
        self.refusals = Refusals(self.store)
        self.watch = AuditWatch(self.refusals)
        self.recording = Recurring("meroid-audit", _RECORD_EVERY_S, self.refusals.write)
        self.login = LoginService(
            self.store, self.tokens, proofs, self._drop_setup_code, refusals=self.refusals, settle=settle
        )
        self.root_keys = RootKeyService(self.store, proofs, settle=settle)
        self.key_permissions = KeyPermissionService(self.store)
        self.gate = Gate(self.store, signing)

    def endpoints(self, health: Health) -> list[Endpoint | SocketEndpoint]:
        """The routes of `/auth/*` and `/admin/*`."""
        return [
            *AuthApi(login=self.login, tokens=self.tokens, gate=self.gate, health=health, watch=self.watch).endpoints(),
            *KeysApi(login=self.login, root_keys=self.root_keys).endpoints(),
            *TokenKeysApi(keys=self.key_permissions).endpoints(),
        ]

    def prepare(self, at: int) -> AccountId:
        """Make what the service can't be without, an owner and a key that signs tokens; forget what has ended."""
        owner = self.store.read(lambda tx: tx.accounts.owner())
        if owner is None:
            owner = self.keys.create_account(owner=True, at=at)
        self.tokens.ensure_signing_key(at)
        self.forget_ended(at)
        return owner.account_id

    def housekeeping(self, now: Callable[[], int]) -> Recurring:
        """What forgets now and then; of several processes on one store, one starts it."""
        return Recurring("meroid-house", _KEEP_HOUSE_EVERY_S, lambda: self.forget_ended(now()))

    def forget_ended(self, at: int) -> None:
        """Forget what has ended and is asked for no more: tokens, signing keys, failed attempts, challenges."""
        self.tokens.forget_expired(at)
        self.store.write(lambda tx: tx.auth.forget_attempts(before=at - KEEP_ATTEMPTS_MS))
        self.store.write(lambda tx: tx.auth.forget_challenges(expired_before=at - LEEWAY_S * 1000))

    def settle_logs(self) -> None:
        """Bring every account's key log in line with its records."""
        for account in self.store.read(lambda tx: tx.accounts.list()):
            self.store.write(partial(self.key_logs.settle, account_id=account.account_id))

    def renew_setup_code(self) -> Secret | None:
        """A new set-up code as a person types it (ASCII), also in its file, 0600; nothing once there is an owner."""
        raw = self.login.renew_setup_code()
        if raw is None:
            self._drop_setup_code()
            return None
        code = Secret(show_setup_code(raw).encode("ascii"))
        descriptor = os.open(self._setup_code_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(code.reveal() + b"\n")
        return code

    def _methods(self, auth: AuthSettings) -> list[LoginMethod]:
        near = auth.near
        shown = NearNetwork(
            network=near.network, rpc_url=near.rpc or "", wallet_url=near.wallet_url, recipient=near.recipient
        )
        known: list[LoginMethod] = [
            PasswordLogin(),
            NearWalletLogin(NearRpc(near.rpc) if near.rpc is not None else None, shown),
            RecoveryPhraseLogin(AccountStates(self.store)),
            HardwareKeyLogin(),
            *([PasskeyLogin()] if find_spec("webauthn") else []),  # the extra `passkey`
        ]
        return [each for each in known if each.name not in auth.methods_off]

    def _is_own_host(self, name: str) -> bool:
        return is_loopback_name(name) or name in self._own_hosts

    def _drop_setup_code(self) -> None:
        """Remove the file of the set-up code, which opens nothing any more; a failure must not fail a log-in."""
        with contextlib.suppress(OSError):
            self._setup_code_file.unlink(missing_ok=True)
