"""The inner application: route, body, one hop into a worker thread, answer (ASGI 3)."""

import asyncio
import contextlib
import re
import secrets
import time
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
from meroid.http.guard import Guard, Watch, bearer_of, split_query
from meroid.http.peers import Proxies
from meroid.http.presented import HTTP_SCHEMES, Addresses, may_write
from meroid.http.protection import protective
from meroid.http.routes import SOCKET, Endpoint, Match, Public, RouteTable, SocketEndpoint
from meroid.http.tally import NO_ROUTE, Tally
from meroid.http.workers import Workers
from meroid.wire.envelope import Envelope
from meroid.wire.faults import InternalFaultError, NoSuchPathError

_log: Final = structlog.get_logger("meroid.http")
_BAD_REQUEST: Final = 400
_FAULT: Final = 500
_CALLER: Final = "meroid.caller"
_REFUSE_SOCKET: Final = "websocket.http.response"
_OF_PROXIES: Final = (b"x-forwarded-", b"x-original-")
_BODY_AHEAD: Final = frozenset({"content-length", "transfer-encoding"})
_UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # RFC 9110 §5.5; ends of lines are counted


@dataclass(slots=True, kw_only=True, repr=False, eq=False)
class _Pending:
    """A request that was routed, not yet admitted."""

    request: ApiRequest
    bearer: str | None
    scope: Scope


class Dispatcher:
    """Routes requests to handlers; every way through it ends in an answer."""

    def __init__(
        self,
        table: RouteTable,
        guard: Guard,
        workers: Workers,
        clock: Clock,
        proxies: Proxies,
        addresses: Addresses,
        *,
        watch: Watch | None = None,
        tally: Tally | None = None,
        logs_all: bool = False,
    ) -> None:
        """`watch` is told of refusals to known callers; `tally` counts requests; with `logs_all` each has a line."""
        self._watch = watch
        self._tally = tally or Tally([])
        self._logs_all = logs_all
        self._table = table
        self._guard = guard
        self._workers = workers
        self._clock = clock
        self._proxies = proxies
        self._addresses = addresses

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
        endpoint, began = match.endpoint, time.perf_counter_ns()
        scope["path"], scope["query_string"] = endpoint.path, b""
        try:
            pending = self._pending(scope, match, b"")
            if not _BODY_AHEAD.isdisjoint(pending.request.headers) or may_write(pending.request.headers):
                return None
            response, scheme = self._run(endpoint, pending), scope["scheme"]
            written = response.written.get(scheme) or _write(response, endpoint.path, scheme)
        except Exception:  # noqa: BLE001 - the long way reports it
            return None
        if written is not None:
            self._note(scope, endpoint.path, response, began)
        return written

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter_ns()
        try:
            route, response = await self._respond(scope, receive)
        except ClientGoneError:
            return
        self._note(scope, route, response, began)
        await _send_response(response, scope, receive, send)

    def _note(self, scope: Scope, route: str, response: ApiResponse, began: int) -> None:
        """Count an answer, and log it if it is a refusal."""
        taken_ns = time.perf_counter_ns() - began
        self._tally.count(route, response.status, taken_ns, response.headers)
        if response.status >= _BAD_REQUEST or self._logs_all:
            _log_request(scope, route, response, taken_ns)

    async def _respond(self, scope: Scope, receive: Receive) -> tuple[str, ApiResponse]:
        """The pattern of the route, and the answer."""
        route, envelope, guarded = NO_ROUTE, Envelope.NODE, False
        try:
            match = self._table.find(scope["method"], scope["raw_path"])
            endpoint = _endpoint(match)
            route, envelope, guarded = endpoint.path, endpoint.envelope, not isinstance(endpoint.needs, Public)
            body = await read_body(scope, receive, endpoint.body_limit)
            pending = self._pending(scope, match, body)
            if endpoint.inline and not may_write(pending.request.headers):
                return route, self._run(endpoint, pending)
            return route, await self._workers.run(lambda: self._run(endpoint, pending))
        except MeroidError as error:
            return route, ApiResponse.refusal(error, envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort: nothing reaches the client but a request id
            return route, ApiResponse.refusal(_report(route), envelope)

    def _run(self, endpoint: Endpoint, pending: _Pending) -> ApiResponse:
        """Admit and handle; in a worker thread."""
        request, guarded = pending.request, not isinstance(endpoint.needs, Public)
        try:
            request = self._admitted(endpoint, pending)
        except MeroidError as error:
            return ApiResponse.refusal(error, endpoint.envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort, as above
            return ApiResponse.refusal(_report(endpoint.path), endpoint.envelope)
        try:
            return endpoint.handler(request)
        except MeroidError as error:
            self._tell(error, endpoint, request, request.caller)
            if error.code == MeroidError.code:
                error = _report(endpoint.path)
            return ApiResponse.refusal(error, endpoint.envelope, guarded=guarded)
        except Exception:  # noqa: BLE001 - the last resort, as above
            return ApiResponse.refusal(_report(endpoint.path), endpoint.envelope)

    def _admitted(self, endpoint: Endpoint | SocketEndpoint, pending: _Pending) -> ApiRequest:
        """The request with its caller; in a worker thread."""
        if isinstance(endpoint.needs, Public):
            return pending.request
        request, caller = pending.request, None
        try:
            caller = pending.scope[_CALLER] = self._guard.admit(
                endpoint.needs, pending.bearer, request.peer, request.at, request.shown
            )
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
            await refuse_socket(ApiResponse.refusal(_report(SOCKET), Envelope.NODE), scope, send)
            return
        await _converse(endpoint, socket, request)

    def _pending(self, scope: Scope, match: Match, body: bytes) -> _Pending:
        headers, forwarded_for = _headers(scope["headers"])
        address = (scope.get("client") or ("",))[0]
        if self._proxies.says_https(address, headers):
            scope["scheme"] = "https"
        query, token, proof = scope["query_string"].decode("latin-1"), None, None
        if match.endpoint.query_token:
            query, token = split_query(query, "token")
            query, proof = split_query(query, "dpop")
        version = scope.get("http_version", "1.1")
        find_peer = partial(self._proxies.peer, address, headers, forwarded_for, http_version=version)
        request = ApiRequest(
            method="GET" if scope.get("method") == "HEAD" else scope.get("method", "GET"),
            path=scope["path"],
            params=match.params,
            query_string=query,
            headers=headers,
            body=body,
            find_peer=find_peer,
            at=self._clock.now_ms(),
            scheme=HTTP_SCHEMES.get(scope.get("scheme", "http"), "http"),
            shown=self._addresses.shown(scope, headers, find_peer, proof),
        )
        judged_here = not isinstance(match.endpoint.needs, Public)
        bearer = bearer_of(headers.get("authorization"), token) if judged_here else None
        return _Pending(request=request, bearer=bearer, scope=scope)


async def _converse(endpoint: SocketEndpoint, socket: WebSocket, request: ApiRequest) -> None:
    try:
        await endpoint.handler(socket, request)
    except WebSocketDisconnect:
        return
    except Exception:  # noqa: BLE001 - the last resort, as above
        fault = _report(endpoint.path)
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
    """Headers by lower-case name, the first of each; and all values of `X-Forwarded-For`.

    Of what proxies say the last of each counts: one that adds its line leaves the client's own in front of it.
    """
    headers: dict[str, str] = {}
    forwarded_for: list[str] = []
    for name, value in raw:
        text = value.decode("latin-1")
        if name.startswith(_OF_PROXIES):
            headers[name.decode("latin-1")] = text
            if name == b"x-forwarded-for":
                forwarded_for.append(text)
        else:
            headers.setdefault(name.decode("latin-1"), text)
    return headers, forwarded_for


def _log_request(scope: Scope, route: str, response: ApiResponse, taken_ns: int) -> None:
    """One line for a request: refusals at info, others at debug; faults have had theirs. Never a raw path or query."""
    if response.status >= _FAULT:
        return
    refused = response.status >= _BAD_REQUEST
    caller: Principal | None = scope.get(_CALLER)
    line = {"method": scope["method"], "route": route, "status": response.status, "ms": taken_ns // 1_000 / 1000}
    if refused:
        line["code"] = next((value for name, value in response.headers if name == "X-Meroid-Code"), "")
    if caller is not None:
        line |= {"account": str(caller.account_id), "key": caller.key_id, "address": caller.address}
    if refused:
        _log.info("request refused", **line)
    else:
        _log.debug("request", **line)


def _report(route: str) -> InternalFaultError:
    """Log the exception that is being handled, under a new request id."""
    request_id = secrets.token_hex(8)
    # The text only: renderers that print local variables would print tokens and passwords.
    _log.error("request failed", request_id=request_id, route=route, exception=traceback.format_exc())
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
    length_header = (b"content-length", str(length).encode("ascii"))
    return [*response.raw_headers(), *protective(path, scheme, response), length_header]


async def _send_response(response: ApiResponse, scope: Scope, receive: Receive, send: Send) -> None:
    path, scheme = scope["path"], scope.get("scheme", "http")
    if isinstance(response.body, bytes):
        headers = _whole_headers(response, path, scheme, len(response.body))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
        return
    headers = [*response.raw_headers(), *protective(path, scheme, response)]
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


async def refuse_socket(response: ApiResponse, scope: Scope, send: Send) -> None:
    """Answer a WebSocket upgrade with an HTTP refusal instead."""
    body: Any = response.body
    if _REFUSE_SOCKET not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [*response.raw_headers(), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": f"{_REFUSE_SOCKET}.start", "status": response.status, "headers": headers})
    await send({"type": f"{_REFUSE_SOCKET}.body", "body": body})
