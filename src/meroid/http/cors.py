"""Which web pages may call the node (Fetch standard, CORS protocol); plain ASGI."""

from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meroid.errors import ForbiddenError
from meroid.http.dispatch import refuse_socket
from meroid.http.exchange import ApiResponse
from meroid.http.peers import is_loopback_name, origin_host
from meroid.wire.envelope import Envelope
from meroid.wire.faults import EXPOSED_HEADERS

_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS: Final = (
    b"Authorization, Content-Type, Accept, Range, Last-Event-ID, X-SSE-Session-ID, DPoP, "
    b"X-Requested-With, *"
)  # a wildcard alone doesn't cover Authorization
_EXPOSED: Final = ", ".join(EXPOSED_HEADERS).encode("ascii")
_MAX_AGE: Final = b"600"


class OriginRefusedError(ForbiddenError):
    """Pages of this origin may not call a node in proxy mode."""

    code = "origin_refused"
    next_step = "open the page from this machine, or add its origin to server.allowed_origins"


class Cors:
    """Adds CORS headers and answers preflights; credentials are never allowed, tokens travel in headers.

    `origins` are exact (`https://app.example`); with none given, every origin may read answers if `any_origin`. With
    `strict` (proxy mode, where reaching the node is being its owner) only pages from loopback and
    from `origins` are let through at all, WebSocket upgrades too.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Sequence[str] = (), any_origin: bool = True, strict: bool = False
    ) -> None:
        self._app = app
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._strict = strict
        self._anyone = any_origin and not strict and not self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        origin = origins[0].decode("latin-1") if origins else None
        if origin is not None and self._strict and (len(origins) > 1 or not self._allows(origin)):
            await _refuse(scope, send)
        elif scope["type"] == "http" and scope["method"] == "OPTIONS":
            await self._preflight(scope, origin, send)
        elif origin is None or scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, self._labelled(origin, send))

    def lets_through(self, scope: Scope) -> bool:
        """Whether it does nothing to a request and its answer: no page asks."""
        return scope["method"] != "OPTIONS" and b"origin" not in dict(scope["headers"])

    def _allows(self, origin: str) -> bool:
        if self._anyone:
            return True
        if origin.lower() in self._origins:
            return True
        host = origin_host(origin) if self._strict else None
        return host is not None and is_loopback_name(host)

    def _origin_headers(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        if self._anyone:
            return [(b"access-control-allow-origin", b"*")]
        vary = [(b"vary", b"Origin")]
        if origin is None or not self._allows(origin):
            return vary
        return [(b"access-control-allow-origin", origin.encode("latin-1")), *vary]

    def _labelled(self, origin: str, send: Send) -> Send:
        added = [*self._origin_headers(origin), (b"access-control-expose-headers", _EXPOSED)]

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        return labelled

    async def _preflight(self, scope: Scope, origin: str | None, send: Send) -> None:
        headers = self._origin_headers(origin)
        headers += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", _MAX_AGE),
            (b"content-length", b"0"),
        ]
        asks_private = any(name == b"access-control-request-private-network" for name, _ in scope["headers"])
        if asks_private and origin is not None and self._allows(origin):
            headers.append((b"access-control-allow-private-network", b"true"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, send: Send) -> None:
    error = OriginRefusedError("pages of this origin may not call this node")
    await send_refusal(ApiResponse.refusal(error, Envelope.NODE), scope, send)


async def send_refusal(response: ApiResponse, scope: Scope, send: Send) -> None:
    """Answer before the application sees the request; `response` has its body whole."""
    if scope["type"] != "http":
        await refuse_socket(response, scope, send)
        return
    body = response.body if isinstance(response.body, bytes) else b""
    headers = [*response.raw_headers(), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
