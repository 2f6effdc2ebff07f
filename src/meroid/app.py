"""The composition root: the only place that knows every class."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

import structlog

from meroid.access.principal import Principal
from meroid.auth.account_key import HardwareKeyLogin, RecoveryPhraseLogin
from meroid.auth.methods import LoginMethod
from meroid.auth.near_wallet import NearNetwork, NearWalletLogin
from meroid.auth.passkey import PasskeyLogin
from meroid.auth.password import PasswordLogin
from meroid.auth.setup_code import show_setup_code
from meroid.chain.near_rpc import NearRpc
from meroid.clock import Clock, SystemClock
from meroid.config import Settings
from meroid.custody.starting import take_store_key
from meroid.errors import MeroidError
from meroid.http.accounts_api import AccountsApi
from meroid.http.aliases_api import AliasesApi
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.applications_api import ApplicationsApi
from meroid.http.auth_api import AuthApi
from meroid.http.contexts_api import ContextsApi
from meroid.http.events_api import EventsApi
from meroid.http.guard import Guard
from meroid.http.health_api import Health, health_endpoints
from meroid.http.jsonrpc_api import JsonRpcApi
from meroid.http.keys_api import KeysApi
from meroid.http.links_api import LinksApi
from meroid.http.peers import is_loopback_name
from meroid.http.routes import Endpoint, SocketEndpoint
from meroid.http.server import HttpServer, bind
from meroid.http.token_keys_api import TokenKeysApi
from meroid.ids import AccountId, ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Ask, Secret
from meroid.ledger.capability import Capability
from meroid.ledger.operation import VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.runtime.wasm import WasmRuntime
from meroid.service.account_state import AccountStates
from meroid.service.accounts import AccountService
from meroid.service.aliases import AliasService
from meroid.service.applications import ApplicationService
from meroid.service.authorship import Authorship, member_of
from meroid.service.backups import BackupService
from meroid.service.challenges import ChallengeService
from meroid.service.contexts import ContextService
from meroid.service.entry import Entry
from meroid.service.execution import ExecutionService
from meroid.service.feed import EventFeed
from meroid.service.gate import Gate
from meroid.service.intake import Intake
from meroid.service.joining import JoiningService
from meroid.service.key_logs import KeyLogs
from meroid.service.key_permissions import KeyPermissionService
from meroid.service.keyring import KeyRing
from meroid.service.link_codes import LinkOffers
from meroid.service.linking import LinkingService
from meroid.service.login import LoginService
from meroid.service.ports.transport import Transport
from meroid.service.projection import Projector
from meroid.service.proofs import Proofs
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService, Told
from meroid.service.returning import ReturnService
from meroid.service.root_keys import RootKeyService
from meroid.service.rotation import RotationService
from meroid.service.serving import PeerServer
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenService
from meroid.store.sqlite import SqliteStore
from meroid.sync.zenoh_transport import ZenohTransport
from meroid.vault.home_mark import HomeMark, count_start, renew_mark
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault

_HOME_MARK: Final = "home_mark"
_log: Final = structlog.get_logger("meroid.node")


@dataclass(frozen=True, slots=True)
class Vaulted:
    """What opens with the store key."""

    store: SqliteStore
    seeds: SeedVault
    box: SecretBox


def open_vaulted(settings: Settings, *, make: bool, ask: Ask | None = None) -> Vaulted:
    """Open the store with the key from the key store; `make` makes both where there are none yet.

    What was interrupted is finished first: a rotation of the store key, a move of it.

    Args:
        settings: those of the node.
        make: make key and database of a new node.
        ask: asks a person for the PIN of a token.

    Raises:
        MeroidError: as `take_store_key` and `SqliteStore` say.
    """
    key, lock = take_store_key(settings, make=make, ask=ask)
    seeds = SeedVault(key)
    return Vaulted(SqliteStore(settings.database, seeds.database_key(), lock=lock), seeds, SecretBox(key))


def token_signing_keys(vaulted: Vaulted) -> SigningKeys:
    """The keys that sign the tokens of a node."""
    return SigningKeys(vaulted.store, vaulted.box, issuer="meroid", audience="meroid")


class Node:
    """All services of one node on its store, before anything listens."""

    def __init__(self, settings: Settings, vaulted: Vaulted, clock: Clock | None = None) -> None:
        self.settings = settings
        self.store = vaulted.store
        self.clock: Clock = clock or SystemClock()
        self.keys = KeyRing(self.store, vaulted.seeds)
        self.key_logs = KeyLogs(self.store, self.keys)
        self.backups = BackupService(self.store, self.keys)
        signing = token_signing_keys(vaulted)
        self.replicas = Replicas(self.store)
        self.tokens = TokenService(self.store, signing, check_member=self._check_member, settle=self.key_logs.settle)
        challenges = ChallengeService(self.store, signing, is_own_host=self._is_own_host)
        near = settings.near
        shown = NearNetwork(
            network=near.network, rpc_url=near.rpc or "", wallet_url=near.wallet_url, recipient=near.recipient
        )
        methods: list[LoginMethod] = [
            PasswordLogin(),
            NearWalletLogin(NearRpc(near.rpc) if near.rpc is not None else None, shown),
            RecoveryPhraseLogin(AccountStates(self.store)),
            HardwareKeyLogin(),
            *([PasskeyLogin()] if find_spec("webauthn") else []),  # the extra `passkey`
        ]
        proofs = Proofs(self.store, methods, challenges)
        self.login = LoginService(self.store, self.tokens, proofs, self._drop_setup_code, settle=self.key_logs.settle)
        self.root_keys = RootKeyService(self.store, proofs, settle=self.key_logs.settle)
        self.gate = Gate(self.store, signing)

    def prepare(self) -> AccountId:
        """Make what a node can't be without, its own account and a key that signs tokens; forget tokens that ended."""
        at = self.clock.now_ms()
        owner = self.store.read(lambda tx: tx.accounts.owner())
        if owner is None:
            owner = self.keys.create_account(owner=True, at=at)
        self._recognise_home(at)
        for account in self.store.read(lambda tx: tx.accounts.list()):
            self._settle_log(account.account_id)
        self.tokens.ensure_signing_key(at)
        self.tokens.forget_expired(at)
        return owner.account_id

    def _is_own_host(self, name: str) -> bool:
        return is_loopback_name(name) or name in {each.lower() for each in self.settings.allowed_hosts}

    def _recognise_home(self, at: int) -> None:
        """A home that was copied or put back is another device from now on, and its client keys are restored ones."""
        home = self.settings.home
        known = self.store.read(lambda tx: tx.auth.setting(_HOME_MARK))
        remembered = None if known is None else HomeMark.parse(known)
        if remembered is not None and remembered.is_of(home):
            mark = replace(remembered, starts=remembered.starts + 1, starts_born=None)
        else:
            mark = replace(renew_mark(home), starts_born=None)
            if remembered is not None:
                _log.warning("this home was copied or put back; its keys rotate before they sign")
                self.backups.become_new_device(at)
        self._remember(mark)
        self._remember(count_start(home, mark.starts))

    def _remember(self, mark: HomeMark) -> None:
        self.store.write(lambda tx: tx.auth.put_setting(_HOME_MARK, mark.encoded))

    def _settle_log(self, account_id: AccountId) -> None:
        self.store.write(lambda tx: self.key_logs.settle(tx, account_id))

    def _check_member(self, context_id: ContextId, key: PublicKey) -> None:
        member_of(self.replicas.get(context_id), key, needs=Capability.READ)

    def renew_setup_code(self) -> Secret | None:
        """A new set-up code as a person types it (ASCII), also in its file, 0600; nothing once there is an owner."""
        raw = self.login.renew_setup_code()
        path = self.settings.setup_code_file
        if raw is None:
            self._drop_setup_code()
            return None
        code = Secret(show_setup_code(raw).encode("ascii"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(code.reveal() + b"\n")
        return code

    def _drop_setup_code(self) -> None:
        """Remove the file of the set-up code, which opens nothing any more; a failure must not fail a log-in."""
        with contextlib.suppress(OSError):
            self.settings.setup_code_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class RunningNode:
    """A node with everything that it does for callers and for other nodes; `transport` carries the latter."""

    def __init__(self, node: Node, own_account: AccountId, transport: Transport) -> None:
        self.node = node
        self.transport = transport
        store, keys, clock = node.store, node.keys, node.clock
        runtime = WasmRuntime()
        self.feed = EventFeed()
        self.replicas = node.replicas
        intake = Intake(store, self.replicas, keys, Projector(runtime), self.feed, _alarm, _void)
        authorship = Authorship(intake, keys, self._announce)
        self.applications = ApplicationService(store, runtime)
        offers = LinkOffers()
        server = PeerServer(store, intake, authorship, offers, transport, clock)
        self.replication = ReplicationService(
            store,
            self.replicas,
            keys,
            intake,
            self.applications,
            server,
            offers,
            transport,
            clock,
            Told(synced=self._synced, trouble=_trouble),
        )
        self.contexts = ContextService(store, self.replicas, keys, runtime, authorship, self.replication)
        self.execution = ExecutionService(store, self.replicas, keys, runtime, intake, authorship, self._announce)
        entry = Entry(store, self.replicas, keys, self.replication, transport, clock)
        self.joining = JoiningService(self.replicas, keys, authorship, entry, transport)
        self.linking = LinkingService(
            store, self.replicas, keys, authorship, self.contexts, entry, self.replication, offers, transport
        )
        self.rotation = RotationService(store, self.replicas, keys, authorship)
        self.returning = ReturnService(
            store, self.replicas, keys, entry, self.replication, self.rotation, transport, clock, _trouble
        )
        self.accounts = AccountService(store, keys, node.key_logs, self.replicas)
        self.application = self._serve(own_account)

    def _serve(self, own_account: AccountId) -> HttpApplication:
        """What answers over HTTP; in proxy mode everybody who reaches it acts for the node's own account."""
        settings = self.node.settings
        embedded = settings.auth_mode == "embedded"
        own_principal: Callable[[], Principal] = lambda: Principal.node(own_account)  # noqa: E731  # named by its use
        return HttpApplication(
            self._endpoints(embedded=embedded),
            guard=Guard(self.node.gate, own_principal=None if embedded else own_principal),
            clock=self.node.clock,
            settings=HttpSettings(
                allowed_origins=settings.allowed_origins,
                allowed_hosts=settings.allowed_hosts,
                trusted_proxies=settings.trusted_proxies,
            ),
        )

    def _endpoints(self, *, embedded: bool) -> list[Endpoint | SocketEndpoint]:
        """All routes of the node; those of log-ins where it has its own."""
        node, gate, store = self.node, self.node.gate, self.node.store
        aliases = AliasService(store)
        started_at = node.clock.now_ms()
        health = Health(probe_store=lambda: store.read(lambda tx: tx.accounts.owner()), started_at=started_at)
        days = node.settings.rotate_after_days
        endpoints = [
            *health_endpoints(health),
            *ContextsApi(contexts=self.contexts, joining=self.joining, rotation=self.rotation, gate=gate).endpoints(),
            *LinksApi(linking=self.linking, contexts=self.contexts, gate=gate).endpoints(),
            *ApplicationsApi(applications=self.applications, peers=self.transport.peers).endpoints(),
            *AccountsApi(accounts=self.accounts, returning=self.returning, rotate_after_days=days).endpoints(),
            *AliasesApi(aliases=aliases).endpoints(),
            *JsonRpcApi(execution=self.execution, contexts=self.contexts, aliases=aliases, gate=gate).endpoints(),
            *EventsApi(feed=self.feed, contexts=self.contexts, gate=gate).endpoints(),
        ]
        if embedded:
            endpoints += AuthApi(login=node.login, tokens=node.tokens, gate=gate, health=health).endpoints()
            endpoints += KeysApi(login=node.login, root_keys=node.root_keys).endpoints()
            endpoints += TokenKeysApi(keys=KeyPermissionService(store)).endpoints()
        return endpoints

    def start(self) -> None:
        """Take part in every stored context, and look for those of restored keys."""
        self.replication.start()
        self.returning.start()

    def _synced(self, replica: Replica) -> None:
        self.returning.synced(replica)  # as below

    def _announce(self, replica: Replica, operations: tuple[VerifiedOperation, ...]) -> None:
        self.replication.announce(replica, operations)  # made after what calls it: the two need each other

    def close(self) -> None:
        """Finish what handlers still do, then leave the other nodes; the store is closed after that."""
        self.application.close()
        self.transport.close()
        self.returning.close()
        self.replication.close()


def run_node(settings: Settings, announce: Callable[[Node], None], ask: Ask | None = None) -> None:
    """Run until a signal; the sockets are bound first, and requests wait until everything is ready.

    `ask` asks a person for the PIN of a token.

    Raises:
        MeroidError: an address is taken, the store or the key store doesn't open.
    """
    with contextlib.ExitStack() as stack:
        sockets = bind(settings.listen)
        for each in sockets:
            stack.callback(each.close)
        node = Node(settings, open_vaulted(settings, make=False, ask=ask))
        stack.callback(node.close)
        transport = ZenohTransport(
            listen=[_endpoint(address) for address in settings.swarm],
            connect=settings.bootstrap,
            local_discovery=settings.namespace,
        )
        running = RunningNode(node, node.prepare(), transport)
        stack.callback(running.close)
        running.start()
        announce(node)
        HttpServer(running.application, sockets).run()


def initialise_node(settings: Settings, ask: Ask | None = None) -> Node:
    """Make store key, database, account and signing key of a new node; the caller closes it."""
    node = Node(settings, open_vaulted(settings, make=True, ask=ask))
    node.prepare()
    return node


def _endpoint(address: tuple[str, int]) -> str:
    host, port = address
    return f"tcp/[{host}]:{port}" if ":" in host else f"tcp/{host}:{port}"


def _alarm(replica: Replica, operation_id: OperationId) -> None:
    _log.error(
        "a delta could not be applied as its author did", context=str(replica.context_id), operation=str(operation_id)
    )


def _void(replica: Replica, operation_id: OperationId, verdict: Verdict) -> None:
    because = None if verdict.because is None else str(verdict.because)
    _log.info(
        "operation void",
        context=str(replica.context_id),
        operation=str(operation_id),
        code=verdict.code,
        because=because,
    )


def _trouble(what: str, error: MeroidError) -> None:
    _log.info(what, code=error.code, reason=error.reason)
