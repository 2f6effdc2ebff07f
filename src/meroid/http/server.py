"""Listening sockets and the server that runs in this process."""

import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from meroid import limits
from meroid.errors import ConflictError, InvalidInputError
from meroid.http.protocol import BoundedHttpProtocol, BoundedSocketProtocol

_log: Final = structlog.get_logger("meroid.http")
_BACKLOG: Final = 1024
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_SOCKET_MESSAGE: Final = 4 * 1024 * 1024  # bytes; twice a JSON body, for its text as an array of integers
_GRACE_S: Final = 10


class AddressInUseError(ConflictError):
    """Another process listens there."""

    code = "address_in_use"
    next_step = (
        "stop the other process, or choose another port: `server.listen` in config.toml, or `merod init --server-port`; "
        "for mero-auth `listen_addr`, or `--bind`"
    )


class AddressNotOursError(InvalidInputError):
    """This machine has no such address, or the port isn't ours to take."""

    code = "address_not_ours"
    next_step = (
        "give an address of this machine and a port above 1023: `server.listen` in config.toml, or `listen_addr`"
    )


def bind(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Listen on addresses (IP literal and port), all or none.

    Connections are held by the system from now on, until a server takes them. With several
    addresses and port 0, the first port that the system gives is used for all. An address
    whose family this machine lacks (such as `::1` without IPv6) is left out if another is there.

    Raises:
        AddressInUseError: another process listens on one of them.
        AddressNotOursError: one can't be bound for another reason.
    """
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    given = 0
    try:
        for host, port in addresses:
            try:
                sockets.append(_listen(host, port or given))
                given = given or sockets[-1].getsockname()[1]
            except OSError as problem:
                if problem.errno not in _ABSENT:
                    raise _refusal(host, port, problem) from None
                absent = problem
                _log.warning("address left out", host=host, why=problem.strerror)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    if not sockets:
        host, port = addresses[0] if addresses else ("", 0)
        raise _refusal(host, port, absent or OSError(errno.EADDRNOTAVAIL, "no address given"))
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _refusal(host: str, port: int, problem: OSError) -> AddressInUseError | AddressNotOursError:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if problem.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{where} is in use by another process")
    return AddressNotOursError(f"can't listen on {where}: {problem.strerror or 'not an IP address'}")


class HttpServer:
    """Serves an application on sockets from `bind`, until it is stopped.

    Stopping finishes requests that run (at most ten seconds), closes WebSockets with 1012 and
    then returns; the caller closes the application and the store after that.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        stopped_by: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        """`stopped_by`: the signals that stop it, a second one at once, if it runs in the main thread."""
        self._sockets = list(sockets)
        self._server = _Server(_config(app), stopped_by)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: IP address and port."""
        return [each.getsockname()[:2] for each in self._sockets]

    @property
    def ready(self) -> bool:
        """Whether it takes connections now."""
        return self._server.started and not self._server.should_exit

    def run(self) -> None:
        """Serve in this thread; signals stop it in the main thread."""
        self._server.run(sockets=self._sockets)

    def stop(self) -> None:
        """Ask it to stop; from any thread, returns at once."""
        self._server.should_exit = True


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        ws=BoundedSocketProtocol,
        ws_max_size=_SOCKET_MESSAGE,
        ws_per_message_deflate=False,  # some 300 kB for each connection, for events of a few hundred bytes
        lifespan="off",
        log_config=None,
        log_level="warning",  # below, Uvicorn logs the addresses of WebSockets with their tokens
        access_log=False,
        proxy_headers=False,  # `http.peers` decides whom to believe
        server_header=False,
        limit_concurrency=limits.HTTP_CONNECTIONS.value,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )


class _Server(uvicorn.Server):
    """Uvicorn's server; after a signal it returns instead of letting the signal end the process."""

    def __init__(self, config: uvicorn.Config, stopped_by: Sequence[signal.Signals]) -> None:
        super().__init__(config)
        self._stopped_by = stopped_by

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in self._stopped_by}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
