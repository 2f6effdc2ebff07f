"""A node with everything that it does for callers and for other nodes, and its life in a process."""

import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from meroid.access.principal import Principal
from meroid.app.node import Node
from meroid.app.tls import tls_listener
from meroid.app.vaulted import open_vaulted
from meroid.config import Settings
from meroid.config.log_lines import logs_requests
from meroid.errors import MeroidError
from meroid.http.accounts_api import AccountsApi
from meroid.http.aliases_api import AliasesApi
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.applications_api import ApplicationsApi
from meroid.http.contexts_api import ContextsApi
from meroid.http.events_api import EventsApi
from meroid.http.guard import Guard
from meroid.http.health_api import health_endpoints
from meroid.http.jsonrpc_api import JsonRpcApi
from meroid.http.links_api import LinksApi
from meroid.http.metrics_api import MetricsApi
from meroid.http.routes import Endpoint, SocketEndpoint
from meroid.http.server import HttpServer, bind
from meroid.ids import AccountId, OperationId
from meroid.keys.signer import Ask
from meroid.ledger.operation import VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.runtime.wasm import WasmRuntime
from meroid.service.accounts import AccountService
from meroid.service.aliases import AliasService
from meroid.service.applications import ApplicationService
from meroid.service.authorship import Authorship
from meroid.service.contexts import ContextService
from meroid.service.entry import Entry
from meroid.service.execution import ExecutionService
from meroid.service.feed import EventFeed
from meroid.service.intake import Intake
from meroid.service.joining import JoiningService
from meroid.service.link_codes import LinkOffers
from meroid.service.linking import LinkingService
from meroid.service.ports.transport import Transport
from meroid.service.projection import Projector
from meroid.service.replica import Replica
from meroid.service.replication import ReplicationService, Told
from meroid.service.returning import ReturnService
from meroid.service.rotation import RotationService
from meroid.service.serving import PeerServer
from meroid.sync.zenoh_transport import ZenohTransport

_log: Final = structlog.get_logger("meroid.node")


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
        self.housekeeping = node.auth.housekeeping(clock.now_ms)
        self.application = self._serve(own_account)

    def _serve(self, own_account: AccountId) -> HttpApplication:
        """What answers over HTTP; in proxy mode everybody who reaches it acts for the node's own account."""
        settings = self.node.settings
        embedded = settings.auth_mode == "embedded"
        own_principal: Callable[[], Principal] = lambda: Principal.node(own_account)  # noqa: E731  # named by its use
        guard = Guard(self.node.gate, own_principal=None if embedded else own_principal)
        metrics = MetricsApi(
            guard=guard,
            counts=self.node.auth.audit.counts,
            tally=lambda: self.application.tally,
            wide_open=settings.auth.metrics_open,
        )
        return HttpApplication(
            [*self._endpoints(embedded=embedded), *metrics.endpoints(embedded=embedded)],
            guard=guard,
            clock=self.node.clock,
            watch=self.node.auth.watch,
            settings=HttpSettings(
                allowed_origins=settings.allowed_origins,
                allowed_hosts=settings.allowed_hosts,
                trusted_proxies=settings.trusted_proxies,
                node_host=settings.auth.node_host,
                logs_all=logs_requests(),
            ),
        )

    def _endpoints(self, *, embedded: bool) -> list[Endpoint | SocketEndpoint]:
        """All routes of the node; those of log-ins where it has its own."""
        node, gate, store = self.node, self.node.gate, self.node.store
        aliases = AliasService(store)
        started_at = node.clock.now_ms()
        health = node.auth.health(started_at)
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
            endpoints += node.auth.endpoints(health)
        return endpoints

    def start(self) -> None:
        """Take part in every stored context, and look for those of restored keys."""
        self.replication.start()
        self.returning.start()
        self.node.auth.recording.start()
        self.housekeeping.start()

    def _synced(self, replica: Replica) -> None:
        self.returning.synced(replica)  # as below

    def _announce(self, replica: Replica, operations: tuple[VerifiedOperation, ...]) -> None:
        self.replication.announce(replica, operations)  # made after what calls it: the two need each other

    def close(self) -> None:
        """Finish what handlers still do, then leave the other nodes; the store is closed after that."""
        self.application.close()
        self.node.auth.recording.close()
        self.housekeeping.close()
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
        tls = tls_listener(settings.tls)
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
        HttpServer(running.application, sockets, tls).run()


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
