"""The composition root: the only place that knows every class."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from meroid.access.principal import Principal
from meroid.auth.password import PasswordLogin
from meroid.auth.setup_code import show_setup_code
from meroid.clock import Clock, SystemClock
from meroid.config import Settings
from meroid.errors import MeroidError
from meroid.http.aliases_api import AliasesApi
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.applications_api import ApplicationsApi
from meroid.http.auth_api import AuthApi
from meroid.http.contexts_api import ContextsApi
from meroid.http.events_api import EventsApi
from meroid.http.guard import Guard
from meroid.http.health_api import Health, health_endpoints
from meroid.http.jsonrpc_api import JsonRpcApi
from meroid.http.links_api import LinksApi
from meroid.http.server import HttpServer, bind
from meroid.ids import AccountId, ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.ledger.capability import Capability
from meroid.ledger.operation import VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.runtime.wasm import WasmRuntime
from meroid.service.aliases import AliasService
from meroid.service.applications import ApplicationService
from meroid.service.authorship import Authorship, member_of
from meroid.service.contexts import ContextService
from meroid.service.entry import Entry
from meroid.service.execution import ExecutionService
from meroid.service.feed import EventFeed
from meroid.service.gate import Gate
from meroid.service.intake import Intake
from meroid.service.joining import JoiningService
from meroid.service.keyring import KeyRing
from meroid.service.link_codes import LinkOffers
from meroid.service.linking import LinkingService
from meroid.service.login import LoginService
from meroid.service.ports.transport import Transport
from meroid.service.projection import Projector
from meroid.service.replica import Replica, Replicas
from meroid.service.replication import ReplicationService
from meroid.service.rotation import RotationService
from meroid.service.serving import PeerServer
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenService
from meroid.store.sqlite import SqliteStore
from meroid.sync.zenoh_transport import ZenohTransport
from meroid.vault.key_store import make_store_key
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault
from meroid.vault.store_keys import open_secret_store

_log: Final = structlog.get_logger("meroid.node")


@dataclass(frozen=True, slots=True)
class Vaulted:
    """What opens with the store key."""

    store: SqliteStore
    seeds: SeedVault
    box: SecretBox


def open_vaulted(settings: Settings, *, make: bool) -> Vaulted:
    """Open the store with the key from the key store; `make` makes both where there are none yet."""
    key_store = open_secret_store(settings.key_store, settings.home)
    key = key_store.load()
    if key is None:
        if not make:
            raise MeroidError("the key store holds no key", next_step="initialise the node: `merod init`")
        key = make_store_key()
        key_store.save(key)
    settings.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    seeds = SeedVault(key)
    return Vaulted(SqliteStore(settings.database, seeds.database_key()), seeds, SecretBox(key))


class Node:
    """All services of one node on its store, before anything listens."""

    def __init__(self, settings: Settings, vaulted: Vaulted, clock: Clock | None = None) -> None:
        self.settings = settings
        self.store = vaulted.store
        self.clock: Clock = clock or SystemClock()
        self.keys = KeyRing(self.store, vaulted.seeds)
        signing = SigningKeys(self.store, vaulted.box, issuer="meroid", audience="meroid")
        self.replicas = Replicas(self.store)
        self.tokens = TokenService(self.store, signing, check_member=self._check_member)
        self.login = LoginService(self.store, self.tokens, [PasswordLogin()], self._drop_setup_code)
        self.gate = Gate(self.store, signing)

    def prepare(self) -> AccountId:
        """Make what a node can't be without, its own account and a key that signs tokens; forget tokens that ended."""
        at = self.clock.now_ms()
        owner = self.store.read(lambda tx: tx.accounts.owner())
        if owner is None:
            owner = self.keys.create_account(owner=True, at=at)
        self.tokens.ensure_signing_key(at)
        self.tokens.forget_expired(at)
        return owner.account_id

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
        settings, store, keys, clock = node.settings, node.store, node.keys, node.clock
        runtime = WasmRuntime()
        self.feed = EventFeed()
        self.replicas = node.replicas
        intake = Intake(store, self.replicas, keys, Projector(runtime), self.feed, _alarm, _void)
        authorship = Authorship(intake, self._announce)
        self.applications = ApplicationService(store, runtime)
        offers = LinkOffers()
        server = PeerServer(store, intake, authorship, offers, clock)
        self.replication = ReplicationService(
            store, self.replicas, keys, intake, self.applications, server, offers, transport, clock, _trouble
        )
        self.contexts = ContextService(store, self.replicas, keys, runtime, authorship, self.replication)
        self.execution = ExecutionService(store, self.replicas, keys, runtime, intake, authorship, self._announce)
        entry = Entry(store, self.replicas, keys, self.replication, transport, clock)
        self.joining = JoiningService(self.replicas, keys, authorship, entry, transport)
        self.linking = LinkingService(
            store, self.replicas, keys, authorship, self.contexts, entry, self.replication, offers, transport
        )
        self.rotation = RotationService(store, self.replicas, keys, authorship)
        aliases = AliasService(store)
        health = Health(probe_store=lambda: store.read(lambda tx: tx.accounts.owner()), started_at=clock.now_ms())
        gate = node.gate
        endpoints = [
            *health_endpoints(health),
            *ContextsApi(contexts=self.contexts, joining=self.joining, rotation=self.rotation, gate=gate).endpoints(),
            *LinksApi(linking=self.linking, contexts=self.contexts, gate=gate).endpoints(),
            *ApplicationsApi(applications=self.applications, peers=transport.peers).endpoints(),
            *AliasesApi(aliases=aliases).endpoints(),
            *JsonRpcApi(execution=self.execution, contexts=self.contexts, aliases=aliases, gate=gate).endpoints(),
            *EventsApi(feed=self.feed, contexts=self.contexts, gate=gate).endpoints(),
        ]
        own_principal: Callable[[], Principal] | None = None
        if settings.auth_mode == "embedded":
            endpoints += AuthApi(login=node.login, tokens=node.tokens, gate=gate, health=health).endpoints()
        else:
            own_principal = lambda: Principal.node(own_account)  # noqa: E731  # one line, and named by the parameter
        self.application = HttpApplication(
            endpoints,
            guard=Guard(gate, own_principal=own_principal),
            clock=clock,
            settings=HttpSettings(
                allowed_origins=settings.allowed_origins,
                allowed_hosts=settings.allowed_hosts,
                trusted_proxies=settings.trusted_proxies,
            ),
        )

    def _announce(self, replica: Replica, operations: tuple[VerifiedOperation, ...]) -> None:
        self.replication.announce(replica, operations)  # made after what calls it: the two need each other

    def close(self) -> None:
        """Finish what handlers still do, then leave the other nodes; the store is closed after that."""
        self.application.close()
        self.transport.close()
        self.replication.close()


def run_node(settings: Settings, announce: Callable[[Node], None]) -> None:
    """Run until a signal; the sockets are bound first, and requests wait until everything is ready.

    Raises:
        MeroidError: an address is taken, the store or the key store doesn't open.
    """
    with contextlib.ExitStack() as stack:
        sockets = bind(settings.listen)
        for each in sockets:
            stack.callback(each.close)
        node = Node(settings, open_vaulted(settings, make=False))
        stack.callback(node.close)
        transport = ZenohTransport(
            listen=[_endpoint(address) for address in settings.swarm],
            connect=settings.bootstrap,
            local_discovery=settings.namespace,
        )
        running = RunningNode(node, node.prepare(), transport)
        stack.callback(running.close)
        running.replication.start()
        announce(node)
        HttpServer(running.application, sockets).run()


def initialise_node(settings: Settings) -> Node:
    """Make store key, database, account and signing key of a new node; the caller closes it."""
    node = Node(settings, open_vaulted(settings, make=True))
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
