"""Requests over HTTP/1.1: keep-alive connections per origin, time-outs, bounded answers, thread-safe."""

import http.client
import select
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable

from meroid.client.address import NodeAddress
from meroid.client.exchange import Request, Response
from meroid.client.failures import (
    BadAddressError,
    NodeTimeoutError,
    NodeUnreachableError,
    NotANodeError,
    TlsFailedError,
)
from meroid.errors import MeroidError
from meroid.limits import Limit

ANSWER_BYTES = Limit(
    "answer", 16 * 1024 * 1024, "bytes", "more than any list or call result that fits a screen or a log"
)
BLOB_BYTES = Limit("blob_in_memory", 256 * 1024 * 1024, "bytes", "a blob that is handed over as one value")
DEFAULT_TIMEOUT_S = 30.0

_CHUNK = 64 * 1024
_IDLE_S = 4.0  # servers close an idle connection after five seconds; sooner, a POST never meets a closing one
_KEPT = 32  # idle connections per origin
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class HttpTransport:
    """Sends requests to one node; many threads may share it."""

    def __init__(self, address: NodeAddress, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._idle: deque[tuple[http.client.HTTPConnection, float]] = deque(maxlen=_KEPT)
        self._open = _connector(address, timeout_s)
        weakref.finalize(self, _close_all, self._idle)  # callers of the older API never close anything

    def send(self, request: Request, *, limit: Limit = ANSWER_BYTES) -> Response:
        """Send a request and read the whole answer.

        A connection that was closed while idle is replaced once, for methods that may be repeated.

        Raises:
            NodeUnreachableError: no connection, or it broke.
            NodeTimeoutError: no answer within the time-out.
            TlsFailedError: TLS can't be set up.
            NotANodeError: the answer isn't HTTP, is cut short or is larger than `limit`.
        """
        kept = self._kept()
        if kept is not None:
            try:
                return self._exchange(kept, request, limit)
            except NodeUnreachableError:
                if request.method not in _REPEATABLE:
                    raise
        return self._exchange(self._open(), request, limit)

    def close(self) -> None:
        """Close the idle connections."""
        _close_all(self._idle)

    def _kept(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _IDLE_S and _is_quiet(connection):
                return connection
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request, limit: Limit) -> Response:
        try:
            response, reusable = _talk(
                connection, f"{self.address.prefix}/{request.path}", request, limit, self._timeout_s
            )
        except BaseException as error:
            connection.close()
            failure = _failure(error, self.address)
            if failure is None:
                raise
            raise failure from error
        if reusable and len(self._idle) < _KEPT:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        return response


def _close_all(idle: deque[tuple[http.client.HTTPConnection, float]]) -> None:
    while idle:
        idle.pop()[0].close()


def _talk(
    connection: http.client.HTTPConnection, target: str, request: Request, limit: Limit, timeout_s: float
) -> tuple[Response, bool]:
    deadline = time.monotonic() + timeout_s
    connection.request(request.method, target, body=request.body, headers=dict(request.headers))
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = _read(answer, limit, deadline)
    response = Response(status=answer.status, phrase=answer.reason, headers=headers, body=body)
    return response, not answer.will_close


def _read(answer: http.client.HTTPResponse, limit: Limit, deadline: float) -> bytes:
    if answer.length is not None and answer.length > limit.value:
        raise NotANodeError(f"the answer has more than {limit.value} {limit.unit}")
    parts: list[bytes] = []
    size = 0
    while chunk := answer.read(_CHUNK):
        size += len(chunk)
        if size > limit.value:
            raise NotANodeError(f"the answer has more than {limit.value} {limit.unit}")
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(chunk)
    if answer.length:  # http.client ends quietly when a body is shorter than announced
        raise http.client.IncompleteRead(b"")
    return b"".join(parts)


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection has nothing to read; readable means closed, or out of step."""
    sock: socket.socket | None = connection.sock
    if sock is None:
        return False
    try:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False


def _connector(address: NodeAddress, timeout_s: float) -> Callable[[], http.client.HTTPConnection]:
    if address.scheme == "http":
        return lambda: http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    import ssl  # noqa: PLC0415 - the trust store is loaded only where https is spoken

    trust = ssl.create_default_context()
    return lambda: http.client.HTTPSConnection(address.host, address.port, timeout=timeout_s, context=trust)


def _failure(error: BaseException, address: NodeAddress) -> MeroidError | None:
    """The error of ours that an error of the transport stands for; None for what isn't one."""
    place = address.origin
    if isinstance(error, TimeoutError):
        return NodeTimeoutError(f"no answer from {place} in time")
    if isinstance(error, socket.gaierror):
        return NodeUnreachableError(f"there is no host {address.host!r}")
    if isinstance(error, ConnectionRefusedError):
        return NodeUnreachableError(f"nothing listens at {place}")
    if isinstance(error, UnicodeError):
        return BadAddressError(f"{address.host!r} is no host name")
    if isinstance(error, http.client.RemoteDisconnected):
        return NodeUnreachableError(f"{place} closed the connection without an answer")
    if isinstance(error, http.client.HTTPException):
        return NotANodeError(f"{place} gave half an answer, or none in HTTP")
    if isinstance(error, OSError):
        if type(error).__module__ == "ssl":
            return TlsFailedError(
                f"no TLS with {place}: {getattr(error, 'verify_message', '') or error.strerror or error}"
            )
        return NodeUnreachableError(f"the connection to {place} failed: {error.strerror or type(error).__name__}")
    return None
