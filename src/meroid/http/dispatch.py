"""The inner application: route, body, one hop into a worker thread, answer (ASGI 3)."""

import asyncio
import contextlib
import re
import secrets
import traceback
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from meroid.access.principal import Principal
from meroid.clock import Clock
from meroid.errors import MeroidError
from meroid.http.body import ClientGoneError, read_body
from meroid.http.exchange import ApiRequest, ApiResponse, Written
from meroid.http.guard import Guard, Watch, bearer_of, split_query_token
from meroid.http.peers import Proxies
from meroid.http.routes import SOCKET, Endpoint, Match, Public, RouteTable, SocketEndpoint
from meroid.http.workers import Workers
from meroid.wire.envelope import Envelope
from meroid.wire.faults import InternalFaultError, NoSuchPathError

_log: Final = structlog.get_logger("meroid.http")
_REFUSE_SOCKET: Final = "websocket.http.response"
_BODY_AHEAD: Final = frozenset({"content-length", "transfer-encoding"})
_UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # RFC 9110 §5.5; ends of lines are counted


@dataclass(slots=True, kw_only=True, repr=False, eq=False)
class _Pending:
    """A request that was routed, not yet admitted."""

    request: ApiRequest
    bearer: str | None


class Dispatcher:
    """Routes requests to handlers; every way through it ends in an answer."""

    def __init__(
        self,
        table: RouteTable,
        guard: Guard,
        workers: Workers,
        clock: Clock,
        proxies: Proxies,
        *,
        watch: Watch | None = None,
    ) -> None:
        """`watch` is told of refusals to known callers."""
        self._watch = watch
        self._table = table
        self._guard = guard
        self._workers = workers
        self._clock = clock
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    def at_once(self, scope: Scope) -> Written | None:
        """The answer of an inline route to a request without query and body; nothing if it has to go the long way.

        It is the same that the long way gives, without a task and messages around it. `scope` needs no decoded path.
        """
        match = self._table.inline(scope["method"], scope["raw_path"])
        if match is None:
            return None
        endpoint, scheme = match.endpoint, scope["scheme"]
        scope["path"], scope["query_string"] = endpoint.path, b""
        try:
            pending = self._pending(scope, match, b"")
            if not _BODY_AHEAD.isdisjoint(pending.request.headers):
                return None
            response = self._run(endpoint, pending)
            return response.written.get(scheme) or _write(response, endpoint.path, scheme)
        except Exception:  # noqa: BLE001 - the long way reports it
            return None

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except ClientGoneError:
            return
        await _send_response(response, scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> ApiResponse:
        envelope, guarded = Envelope.NODE, False
        try:
            match = self._table.find(scope["method"], scope["raw_path"])
            endpoint = _endpoint(match)
            envelope, guarded = endpoint.envelope, not isinstance(endpoint.needs, Public)
            body = await read_body(scope, receive, endpoint.body_limit)
            pending = self._pending(scope, match, body)
            if endpoint.inline:
                return self._run(endpoint, pending)
            return await self._workers.run(lambda: self._run(endpoint, pending))
        except MeroidError as error:
            return ApiResponse.refusal(error, envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort: nothing reaches the client but a request id
            return ApiResponse.refusal(_report(scope["path"]), envelope)

    def _run(self, endpoint: Endpoint, pending: _Pending) -> ApiResponse:
        """Admit and handle; in a worker thread."""
        request, guarded = pending.request, not isinstance(endpoint.needs, Public)
        try:
            request = self._admitted(endpoint, pending)
        except MeroidError as error:
            return ApiResponse.refusal(error, endpoint.envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort, as above
            return ApiResponse.refusal(_report(request.path), endpoint.envelope)
        try:
            return endpoint.handler(request)
        except MeroidError as error:
            self._tell(error, endpoint, request, request.caller)
            if error.code == MeroidError.code:
                error = _report(request.path)
            return ApiResponse.refusal(error, endpoint.envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort, as above
            return ApiResponse.refusal(_report(request.path), endpoint.envelope)

    def _admitted(self, endpoint: Endpoint | SocketEndpoint, pending: _Pending) -> ApiRequest:
        """The request with its caller; in a worker thread."""
        if isinstance(endpoint.needs, Public):
            return pending.request
        request, caller = pending.request, None
        try:
            caller = self._guard.admit(endpoint.needs, pending.bearer, request.peer, request.at)
            self._guard.authorise(caller, endpoint.needs, request.params)
        except MeroidError as error:
            self._tell(error, endpoint, request, caller)
            raise
        return replace(request, caller=caller)

    def _tell(
        self, error: MeroidError, endpoint: Endpoint | SocketEndpoint, request: ApiRequest, caller: Principal | None
    ) -> None:
        if self._watch is not None:
            self._watch.refused(error, caller, request.peer, endpoint.path, request.at)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            match = self._table.find(SOCKET, scope["raw_path"])
            endpoint = _socket_endpoint(match)
            pending = self._pending(scope, match, b"")
            scope["query_string"] = pending.request.query_string.encode("latin-1")
            request = await self._workers.run(lambda: self._admitted(endpoint, pending))
        except MeroidError as error:
            await refuse_socket(ApiResponse.refusal(error, Envelope.NODE, guarded=True), scope, send)
            return
        except Exception:  # noqa: BLE001 - the last resort, as above
            await refuse_socket(ApiResponse.refusal(_report(scope["path"]), Envelope.NODE), scope, send)
            return
        await _converse(endpoint, socket, request)

    def _pending(self, scope: Scope, match: Match, body: bytes) -> _Pending:
        headers, forwarded_for = _headers(scope["headers"])
        client = scope.get("client")
        query, token = scope["query_string"].decode("latin-1"), None
        if match.endpoint.query_token:
            query, token = split_query_token(query)
        request = ApiRequest(
            method="GET" if scope.get("method") == "HEAD" else scope.get("method", "GET"),
            path=scope["path"],
            params=match.params,
            query_string=query,
            headers=headers,
            body=body,
            find_peer=partial(self._proxies.peer, client[0] if client else "", headers, forwarded_for),
            at=self._clock.now_ms(),
        )
        judged_here = not isinstance(match.endpoint.needs, Public)
        return _Pending(request=request, bearer=bearer_of(headers.get("authorization"), token) if judged_here else None)


async def _converse(endpoint: SocketEndpoint, socket: WebSocket, request: ApiRequest) -> None:
    try:
        await endpoint.handler(socket, request)
    except WebSocketDisconnect:
        return
    except Exception:  # noqa: BLE001 - the last resort, as above
        fault = _report(request.path)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
            await socket.close(code=1011, reason=f"internal {fault.request_id}")


def _endpoint(match: Match) -> Endpoint:
    if isinstance(match.endpoint, Endpoint):
        return match.endpoint
    raise NoSuchPathError("this path takes WebSocket connections only")


def _socket_endpoint(match: Match) -> SocketEndpoint:
    if isinstance(match.endpoint, SocketEndpoint):
        return match.endpoint
    raise NoSuchPathError("this path takes no WebSocket connections")


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[str]]:
    """Headers by lower-case name, the first of each; and all values of `X-Forwarded-For`."""
    headers: dict[str, str] = {}
    forwarded_for: list[str] = []
    for name, value in raw:
        text = value.decode("latin-1")
        headers.setdefault(name.decode("latin-1"), text)
        if name == b"x-forwarded-for":
            forwarded_for.append(text)
    return headers, forwarded_for


def _report(path: str) -> InternalFaultError:
    """Log the exception that is being handled, under a new request id."""
    request_id = secrets.token_hex(8)
    # The text only: renderers that print local variables would print tokens and passwords.
    _log.error("request failed", request_id=request_id, path=path, exception=traceback.format_exc())
    return InternalFaultError(request_id)


def _write(response: ApiResponse, path: str, scheme: str) -> Written | None:
    """A whole answer as bytes, kept with it; nothing for a stream, or a header that can't be sent."""
    if not isinstance(response.body, bytes):
        return None
    headers = _whole_headers(response, path, scheme, len(response.body))
    head = b"".join([b"%b: %b\r\n" % header for header in headers])
    if _UNSENDABLE.search(head) or not head.count(b"\r") == head.count(b"\n") == len(headers):
        return None
    written = response.written[scheme] = Written(response.status, b"%b\r\n%b" % (head, response.body))
    return written


def _whole_headers(response: ApiResponse, path: str, scheme: str, length: int) -> list[tuple[bytes, bytes]]:
    headers = response.raw_headers() + _protective(path, scheme, response)
    headers.append((b"content-length", str(length).encode("ascii")))
    return headers


async def _send_response(response: ApiResponse, scope: Scope, receive: Receive, send: Send) -> None:
    path, scheme = scope["path"], scope.get("scheme", "http")
    if isinstance(response.body, bytes):
        headers = _whole_headers(response, path, scheme, len(response.body))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
        return
    headers = response.raw_headers() + _protective(path, scheme, response)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    await _send_stream(response.body, receive, send)


async def _send_stream(stream: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send pieces until the stream ends or the client goes."""

    async def pump() -> None:
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = {asyncio.create_task(pump()), asyncio.create_task(gone())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _protective(path: str, scheme: str, response: ApiResponse) -> list[tuple[bytes, bytes]]:
    """Headers that keep answers out of caches, frames and guesses; what the handler set wins."""
    wanted = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    if path.startswith(("/auth/", "/admin/")):
        wanted += [
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        ]
        if scheme == "https":
            wanted.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    own = {name.lower() for name, _ in response.headers}
    return [(name, value) for name, value in wanted if name.decode("ascii") not in own]


async def refuse_socket(response: ApiResponse, scope: Scope, send: Send) -> None:
    """Answer a WebSocket upgrade with an HTTP refusal instead."""
    body: Any = response.body
    if _REFUSE_SOCKET not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [*response.raw_headers(), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": f"{_REFUSE_SOCKET}.start", "status": response.status, "headers": headers})
    await send({"type": f"{_REFUSE_SOCKET}.body", "body": body})
