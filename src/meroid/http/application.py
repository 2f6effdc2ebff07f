"""The whole HTTP surface: rules in front, routes behind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from meroid.clock import Clock
from meroid.http.cors import Cors
from meroid.http.dispatch import Dispatcher
from meroid.http.exchange import Written
from meroid.http.guard import Guard, Watch
from meroid.http.hosts import Hosts
from meroid.http.openapi import openapi_endpoint
from meroid.http.peers import Proxies
from meroid.http.presented import Addresses
from meroid.http.routes import Endpoint, RouteTable, SocketEndpoint
from meroid.http.tally import Tally
from meroid.http.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Who may reach the node over HTTP.

    Attributes:
        allowed_origins: origins of web pages, exact; none means every one in embedded mode and
            only those on loopback in proxy mode.
        any_origin: whether every origin may in embedded mode where none is named.
        allowed_hosts: host names of this service beside the loopback ones: in proxy mode it answers to no others,
            and under no others it judges proofs of keys.
        trusted_proxies: addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Host` are believed.
        node_host: the host that tokens for one node are compared with, in the place of the one that a request names.
        logs_all: whether requests that went well have a line in the log too.
    """

    allowed_origins: Sequence[str] = ()
    any_origin: bool = True
    allowed_hosts: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    node_host: str | None = None
    logs_all: bool = False


class HttpApplication:
    """An ASGI application; `close` ends its worker threads after the server has stopped."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint | SocketEndpoint],
        *,
        guard: Guard,
        clock: Clock,
        settings: HttpSettings | None = None,
        workers: Workers | None = None,
        watch: Watch | None = None,
        tally_folder: Path | None = None,
    ) -> None:
        """Put it together; `tally_folder` is where the workers of one service count together (`Tally`).

        Raises:
            UndeclaredRouteError: a route doesn't say what it needs, or two clash.
        """
        chosen = settings or HttpSettings()
        self._workers = workers or Workers()
        routes = [*endpoints]
        self.table = RouteTable([*routes, openapi_endpoint(routes)])
        proxies = Proxies(chosen.trusted_proxies, node_host=chosen.node_host)
        addresses = Addresses(chosen.allowed_hosts)
        self.tally = Tally([each.path for each in self.table.endpoints], tally_folder)
        self._strict = guard.trusts_everybody
        self._inner = Dispatcher(
            self.table,
            guard,
            self._workers,
            clock,
            proxies,
            addresses,
            watch=watch,
            tally=self.tally,
            logs_all=chosen.logs_all,
        )
        self._cors = Cors(
            self._inner,
            origins=chosen.allowed_origins,
            any_origin=chosen.any_origin and not self._strict,
            strict=self._strict,
        )
        self._app: ASGIApp = Hosts(self._cors, allowed=chosen.allowed_hosts) if self._strict else self._cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        await self._app(scope, receive, send)

    def at_once(self, scope: Scope) -> Written | None:
        """The answer to a request that nothing has to wait for, where a server can take it without a task.

        Nothing if it has to go the long way, which gives the same answer: in proxy mode all requests do.
        """
        if self._strict or not self._cors.lets_through(scope):
            return None
        return self._inner.at_once(scope)

    def close(self) -> None:
        """Finish what handlers still do and end the worker threads."""
        self._workers.close()
