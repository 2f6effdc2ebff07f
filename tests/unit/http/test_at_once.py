"""What is answered at once is answered as on the long way, and nobody gets ahead of others by it."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import AuthWorld, auth_world
from tests.servers import Running, running
from tests.unit.http.conftest import Serve, Table

from meroid.clock import SystemClock
from meroid.http.application import HttpApplication
from meroid.http.auth_api import AuthApi
from meroid.http.exchange import ApiRequest, ApiResponse, Written
from meroid.http.guard import Guard
from meroid.http.health_api import Health, health_endpoints
from meroid.http.routes import Endpoint, Public


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthWorld]:
    with auth_world(tmp_path_factory.mktemp("at-once")) as made:
        yield made


@pytest.fixture(scope="module")
def app(world: AuthWorld) -> Iterator[HttpApplication]:
    health = Health(probe_store=lambda: None, started_at=0)
    api = AuthApi(login=world.login, tokens=world.tokens, gate=world.gate, health=health)
    made = HttpApplication([*api.endpoints(), *health_endpoints(health)], guard=Guard(world.gate), clock=SystemClock())
    yield made
    made.close()


@pytest.fixture(scope="module")
def service(app: HttpApplication) -> Iterator[Running]:
    with running(app) as served:
        yield served


def exchanged(port: int, head: str, more: str = "") -> list[str]:
    """The lines of the answer to a request that is written as given, without the date."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{head}\r\nHost: localhost\r\n{more}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received or not _complete(received):
            piece = connection.recv(65_536)
            if not piece:
                break
            received += piece
    head_of, _, body = received.partition(b"\r\n\r\n")
    lines = [each for each in head_of.decode().split("\r\n") if not each.startswith(("date:", "connection:"))]
    return [*lines, body.decode()]


def _complete(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")), None)
    return length is not None and len(body) >= int(length.split(b":")[1])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["good", "none", "garbage", "refresh", "in the query"])
def test_both_ways_give_the_same(
    world: AuthWorld, app: HttpApplication, service: Running, method: str, token: str
) -> None:
    pair = world.log_in(at=SystemClock().now_ms())
    sent = {
        "good": f"Authorization: Bearer {pair.access}\r\n",
        "none": "",
        "garbage": "Authorization: Bearer x.y.z\r\n",
        "refresh": f"Authorization: Bearer {pair.refresh}\r\n",
        "in the query": f"X-Forwarded-Uri: /x?token={pair.access}\r\n",
    }[token]
    at_once = exchanged(service.port, f"{method} /auth/validate HTTP/1.1", sent)
    closing = exchanged(service.port, f"{method} /auth/validate HTTP/1.1", f"{sent}Connection: close\r\n")
    spelled = exchanged(service.port, f"{method} /auth/%76alidate HTTP/1.1", sent)
    with_body = exchanged(service.port, f"{method} /auth/validate HTTP/1.1", f"{sent}Content-Length: 0\r\n")
    assert at_once == closing == spelled == with_body
    assert at_once[0] == ("HTTP/1.1 200 OK" if token in {"good", "in the query"} else "HTTP/1.1 401 Unauthorized")


def test_an_answer_is_at_once_only_where_nothing_changes_it(app: HttpApplication) -> None:
    def answer(method: str = "GET", path: bytes = b"/health/live", *headers: tuple[bytes, bytes]) -> Written | None:
        return app.at_once(
            {"type": "http", "method": method, "raw_path": path, "scheme": "http", "headers": [*headers]}
        )

    assert answer() is not None
    assert answer("HEAD") is None
    assert answer("OPTIONS") is None
    assert answer("GET", b"/health/live?x") is None
    assert answer("GET", b"/auth/providers") is None
    assert answer("GET", b"/health/live", (b"origin", b"https://app.example")) is None
    assert answer("GET", b"/health/live", (b"content-length", b"1")) is None
    assert answer("GET", b"/health/live", (b"transfer-encoding", b"chunked")) is None


def test_in_proxy_mode_nothing_is(serve: Serve, table: Table) -> None:
    node = serve(proxy=True)
    assert node.ask("GET", "/inline", headers={"Host": "evil.example"}).status == 403
    assert node.ask("GET", "/inline").status == 200


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\x00b", "a\x7fb"])
def test_a_header_that_cannot_be_sent_goes_the_long_way_and_fails_there(value: str, tmp_path: Path) -> None:
    endpoint = Endpoint(
        "GET", "/bad", lambda _: ApiResponse(body=b"", headers=(("x-odd", value),)), Public("a test"), inline=True
    )
    with auth_world(tmp_path) as world:
        app = HttpApplication([endpoint], guard=Guard(world.gate), clock=SystemClock())
        scope = {"type": "http", "method": "GET", "raw_path": b"/bad", "scheme": "http", "headers": []}
        assert app.at_once(scope) is None
        app.close()


def test_requests_that_come_together_are_answered_in_their_order(world: AuthWorld, service: Running) -> None:
    token = world.log_in(at=SystemClock().now_ms()).access
    one = "GET /auth/validate HTTP/1.1\r\nHost: localhost\r\n"
    pieces = [
        one + "\r\n",
        one + f"Authorization: Bearer {token}\r\n\r\n",
        "GET /auth/providers HTTP/1.1\r\nHost: localhost\r\n\r\n",
        one + "\r\n",
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall("".join(pieces).encode())
            received = b""
            while received.count(b"HTTP/1.1 ") < len(pieces) or not received.endswith(b'"alive"}'):
                received += connection.recv(65_536)
            statuses = [int(each[:3]) for each in received.split(b"HTTP/1.1 ")[1:]]
            assert statuses == [401, 200, 200, 401, 200]


def test_a_request_in_small_pieces_is_answered(world: AuthWorld, service: Running) -> None:
    token = world.log_in(at=SystemClock().now_ms()).access
    request = f"GET /auth/validate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for at in range(0, len(request), 100):
                connection.sendall(request[at : at + 100])
            received = b""
            while not _complete(received):
                received += connection.recv(65_536)
            assert received.startswith(b"HTTP/1.1 200 ")
            assert json.loads(received.partition(b"\r\n\r\n")[2]) == {"data": "", "error": None}


def test_what_follows_an_answer_at_once_in_the_same_piece_has_all_the_time_it_needs(tmp_path: Path) -> None:
    def slow(_: ApiRequest) -> ApiResponse:
        time.sleep(0.6)
        return ApiResponse(body=b"done")

    with auth_world(tmp_path) as world:
        routes = [
            *health_endpoints(Health(probe_store=lambda: None, started_at=0)),
            Endpoint("GET", "/slow", slow, Public("a test")),
        ]
        app = HttpApplication(routes, guard=Guard(world.gate), clock=SystemClock())
        with running(app) as served:
            served.server._server.config.timeout_keep_alive = 0.2  # type: ignore[assignment]
            both = b"".join(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % each for each in (b"/health/live", b"/slow")
            )
            assert served.raw(both, linger=True, wait=5).endswith(b"done")
        app.close()
