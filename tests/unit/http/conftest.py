"""A small route table over a hand-written gate, served for real."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import msgspec
import pytest
from starlette.websockets import WebSocket
from tests.servers import Running, running

from meroid.access.decide import Resource
from meroid.access.permissions import ADMIN, EXECUTE, LIST_CONTEXTS, Permission, any_covers
from meroid.access.principal import Principal
from meroid.clock import SystemClock
from meroid.errors import ConflictError, ForbiddenError, NotFoundError, ThrottledError, UnauthenticatedError
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.guard import Guard
from meroid.http.routes import Endpoint, Public, Requires, SignedIn, SocketEndpoint, in_context
from meroid.http.workers import Workers
from meroid.ids import AccountId, ContextId
from meroid.wire.envelope import Envelope

OPEN = Public("a test")


class TokenProblemError(UnauthenticatedError):
    def __init__(self, code: str) -> None:
        super().__init__(f"the token is no good: {code}")
        self.code = code  # type: ignore[misc]


class DeniedError(ForbiddenError):
    code = "permission_denied"


class FixedGate:
    """Three tokens, as the real gate would judge them."""

    def admit(self, bearer: str | None, at: int) -> Principal:
        held: dict[str, tuple[Permission, ...]] = {"admin": (ADMIN,), "lister": (LIST_CONTEXTS,), "doer": (EXECUTE,)}
        if bearer is None:
            raise TokenProblemError("missing_token")
        if bearer not in held:
            raise TokenProblemError(bearer if bearer in {"token_expired", "token_revoked"} else "invalid_token")
        return Principal(subject=bearer, account_id=AccountId(bytes(32)), key_id="k", held=held[bearer])

    def authorise(self, principal: Principal, needed: Permission, resource: Resource) -> None:
        if not any_covers(principal.held, needed.on(str(resource.context) if resource.context else None)):
            raise DeniedError(f"this token doesn't hold {needed}")


class Item(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    count: int
    tags: list[str] | None = None


class Table:
    """Handlers of the test routes; `gate` holds back `/slow`."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.streams_closed = threading.Event()

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        return [
            Endpoint("GET POST", "/open", self.echo, OPEN),
            Endpoint("POST", "/item", self.item, OPEN),
            Endpoint("POST", "/auth/item", self.item, OPEN, envelope=Envelope.AUTH),
            Endpoint("POST", "/big", self.size, OPEN, body_limit=5_000_000),
            Endpoint("GET", "/nothing", lambda _: ApiResponse.data(None), OPEN),
            Endpoint("GET", "/contexts/{context_id}", self.context, OPEN),
            Endpoint("GET", "/contexts/mine", lambda _: ApiResponse.data("mine"), OPEN),
            Endpoint("PUT", "/contexts/{context_id}", self.context, OPEN),
            Endpoint("GET", "/raise/{what}", self.fail, OPEN),
            Endpoint("GET", "/auth/raise/{what}", self.fail, OPEN, envelope=Envelope.AUTH),
            Endpoint("GET", "/slow", self.slow, OPEN),
            Endpoint("GET", "/inline", lambda _: ApiResponse.data("inline"), OPEN, inline=True),
            Endpoint("GET", "/stream", lambda _: ApiResponse(body=self.ticks(), content_type="text/plain"), OPEN),
            Endpoint("GET", "/signed", self.who, SignedIn()),
            Endpoint("GET", "/admin/signed", self.who, SignedIn(), envelope=Envelope.AUTH),
            Endpoint("GET", "/guarded/raise/{what}", self.fail, SignedIn()),
            Endpoint("GET", "/listed", self.who, Requires(LIST_CONTEXTS)),
            Endpoint("GET", "/executed", self.who, Requires(EXECUTE)),
            Endpoint("GET", "/listed/{context_id}", self.who, Requires(LIST_CONTEXTS, in_context())),
            Endpoint("GET", "/sse", self.echo, SignedIn(), query_token=True),
            SocketEndpoint("/ws", self.socket, SignedIn()),
            SocketEndpoint("/ws/broken", self.broken, OPEN),
            SocketEndpoint("/ws/echo", self.echo_socket, OPEN),
        ]

    def echo(self, request: ApiRequest) -> ApiResponse:
        peer = request.peer
        return ApiResponse.data(
            {
                "method": request.method,
                "query": request.query(),
                "address": peer.address,
                "forwarded": peer.forwarded,
                "viaProxy": peer.via_proxy,
                "at": request.at,
                "body": len(request.body),
            }
        )

    def item(self, request: ApiRequest) -> ApiResponse:
        item = request.json(Item)
        return ApiResponse.data({"name": item.name, "count": item.count})

    def size(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse.data(len(request.body))

    def context(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse.data(str(request.id_param("context_id", ContextId)))

    def who(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse.data(request.principal.subject)

    def fail(self, request: ApiRequest) -> ApiResponse:
        problems: dict[str, Exception] = {
            "missing": NotFoundError("no such thing"),
            "clash": ConflictError("taken already"),
            "often": ThrottledError("too often", retry_after_s=7),
            "unauthenticated": TokenProblemError("token_expired"),
            "bug": ZeroDivisionError("secret detail"),
            "deep": RecursionError("secret detail"),
        }
        raise problems[request.params["what"]]

    def slow(self, request: ApiRequest) -> ApiResponse:
        self.held.wait(20)
        return ApiResponse.data(None)

    async def ticks(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            self.streams_closed.set()

    async def socket(self, socket: WebSocket, request: ApiRequest) -> None:
        await socket.accept()
        await socket.send_json({"subject": request.principal.subject, "query": str(socket.url.query)})
        await socket.close()

    async def broken(self, socket: WebSocket, request: ApiRequest) -> None:
        await socket.accept()
        raise ZeroDivisionError("secret detail")

    async def echo_socket(self, socket: WebSocket, request: ApiRequest) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())


Serve = Callable[..., Running]


@pytest.fixture
def table() -> Table:
    return Table()


@contextmanager
def serving(table: Table) -> Iterator[Serve]:
    """Start the table with settings of choice; everything stops at the end."""
    with ExitStack() as stack:

        def start(*, proxy: bool = False, workers: Workers | None = None, **settings: Any) -> Running:
            owner = Principal.node(AccountId(bytes(32)))
            guard = Guard(FixedGate(), own_principal=(lambda: owner) if proxy else None)
            app = HttpApplication(
                table.endpoints(), guard=guard, clock=SystemClock(), settings=HttpSettings(**settings), workers=workers
            )
            stack.callback(app.close)
            return stack.enter_context(running(app))

        yield start
        table.held.set()


@pytest.fixture
def serve(table: Table) -> Iterator[Serve]:
    with serving(table) as start:
        yield start


@pytest.fixture(scope="module")
def node() -> Iterator[Running]:
    """One server in embedded mode for a whole module."""
    with serving(Table()) as start:
        yield start()
