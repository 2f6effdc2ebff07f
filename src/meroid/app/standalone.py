"""The auth service alone: made, prepared, and served by one process or by several."""

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from meroid.app.auth import AuthServices
from meroid.app.supervisor import Supervisor, Worker
from meroid.app.tls import tls_listener
from meroid.app.vaulted import Vaulted, unlock
from meroid.auth.methods import LoginAttempt
from meroid.clock import Clock, SystemClock
from meroid.config import StandaloneSettings
from meroid.config.log_lines import logs_requests
from meroid.custody.starting import take_store_key
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.guard import Guard
from meroid.http.health_api import supervisor_endpoints
from meroid.http.metrics_api import MetricsApi
from meroid.http.routes import Endpoint, SocketEndpoint
from meroid.http.server import HttpServer, bind
from meroid.keys.signer import Ask, Secret
from meroid.store.lock import FileLock


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A service that is about to answer; `setup_code` is there while nobody owns it."""

    settings: StandaloneSettings
    addresses: tuple[tuple[str, int], ...]
    setup_code: Secret | None


class AuthService:
    """All of the auth service on its store: what one process of it answers with."""

    def __init__(
        self,
        settings: StandaloneSettings,
        vaulted: Vaulted,
        clock: Clock | None = None,
        *,
        tally_folder: Path | None = None,
    ) -> None:
        """`tally_folder` is where the workers of one service count together (`http.tally`)."""
        self.store = vaulted.store
        self.clock: Clock = clock or SystemClock()
        self.auth = AuthServices(settings, vaulted, holds_client_keys=False)
        guard = Guard(self.auth.gate)
        self._metrics = MetricsApi(
            guard=guard,
            counts=self.auth.audit.counts,
            tally=lambda: self.application.tally,
            wide_open=settings.auth.metrics_open,
        )
        self.application = HttpApplication(
            self._endpoints(),
            guard=guard,
            clock=self.clock,
            tally_folder=tally_folder,
            watch=self.auth.watch,
            settings=HttpSettings(
                allowed_origins=settings.allowed_origins,
                any_origin=settings.any_origin,
                allowed_hosts=settings.allowed_hosts,
                trusted_proxies=settings.trusted_proxies,
                node_host=settings.auth.node_host,
                logs_all=logs_requests(),
            ),
        )

    def _endpoints(self) -> list[Endpoint | SocketEndpoint]:
        health = self.auth.health(self.clock.now_ms())
        return [
            *supervisor_endpoints(health),
            *self.auth.endpoints(health),
            *self._metrics.endpoints(embedded=True),
        ]

    def prepare(self) -> None:
        """Make what it can't be without, and bring the key logs in line."""
        self.auth.prepare(self.clock.now_ms())
        self.auth.settle_logs()

    def serve(self, server: HttpServer, *, keeps_house: bool) -> None:
        """Answer until the server is stopped; one process of a service keeps house for all."""
        recurring = [self.auth.recording, *([self.auth.housekeeping(self.clock.now_ms)] if keeps_house else [])]
        for each in recurring:
            each.start()
        try:
            server.run()
        finally:
            self.application.close()
            for each in recurring:
                each.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def initialise_auth(settings: StandaloneSettings, owner: tuple[str, str] | None, ask: Ask | None = None) -> None:
    """Make store key, database, account and signing key where they aren't there, and the first owner if one is named.

    `owner` is a user name and a password.

    Raises:
        OwnerExistsError: there is one.
        MeroidError: as `take_store_key` and `SqliteStore` say.
    """
    service = AuthService(settings, unlock(settings, *take_store_key(settings, make=True, ask=ask)))
    try:
        service.prepare()
        if owner is not None:
            name, password = owner
            proof = {"username": name, "password": password}
            attempt = LoginAttempt(method="user_password", public_key=name, provider_data=proof)
            service.auth.login.create_owner(attempt, service.clock.now_ms())
    finally:
        service.close()


def run_auth(settings: StandaloneSettings, announce: Callable[[Beginning], None], ask: Ask | None = None) -> None:
    """Run until a signal; the sockets are bound first, and requests wait until everything is ready.

    What isn't there yet is made. With several workers this process takes the store key and holds the lock of the
    database and the sockets; the workers are its forks and have them from it.

    Raises:
        MeroidError: an address is taken, a certificate can't serve, the store or the key store doesn't open.
    """
    tls_listener(settings.tls)  # a certificate that can't serve ends the start before anything is made or said
    with contextlib.ExitStack() as stack:
        sockets = bind(settings.listen)
        for each in sockets:
            stack.callback(each.close)
        settings = stack.enter_context(_with_home(settings))
        key, lock = take_store_key(settings, make=True, ask=ask)
        stack.callback(lock.release)
        announce(_begin(settings, sockets, key, lock))
        if settings.workers == 1:
            _serve_alone(settings, sockets, key, lock)
        else:
            counts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mero-auth-counts-")))
            Supervisor(
                settings.workers, lambda worker: _serve_among(settings, sockets, key, lock, worker, counts)
            ).run()


@contextlib.contextmanager
def _with_home(settings: StandaloneSettings) -> Iterator[StandaloneSettings]:
    if not settings.temporary:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="mero-auth-") as directory:
        yield replace(settings, home=Path(directory))


def _begin(settings: StandaloneSettings, sockets: Sequence[socket.socket], key: Secret, lock: FileLock) -> Beginning:
    """Prepare the store and close it again: no connection to it may be open where a process forks."""
    service = AuthService(settings, unlock(settings, key, lock.share()))
    try:
        service.prepare()
        code = service.auth.renew_setup_code()
    finally:
        service.application.close()
        service.close()
    addresses = tuple((str(host), int(port)) for host, port in (each.getsockname()[:2] for each in sockets))
    return Beginning(settings=settings, addresses=addresses, setup_code=code)


def _serve_alone(settings: StandaloneSettings, sockets: Sequence[socket.socket], key: Secret, lock: FileLock) -> None:
    service = AuthService(settings, unlock(settings, key, lock.share()))
    try:
        service.serve(HttpServer(service.application, sockets, tls_listener(settings.tls)), keeps_house=True)
    finally:
        service.close()


def _serve_among(
    settings: StandaloneSettings,
    sockets: Sequence[socket.socket],
    key: Secret,
    lock: FileLock,
    worker: Worker,
    counts: Path,
) -> None:
    service = AuthService(settings, unlock(settings, key, lock.share()), tally_folder=counts)
    try:
        server = HttpServer(service.application, sockets, tls_listener(settings.tls), stopped_by=worker.stopped_by)
        worker.when_orphaned(server.stop)
        service.serve(server, keeps_house=worker.number == 0)
    finally:
        service.close()
