"""The transport against a real server: pooling, bounds, and every way in which an answer can fail to come."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.wire_server import Answer, Asked, WireServer, said, wire_server

from meroid.client.address import NodeAddress
from meroid.client.exchange import Request
from meroid.client.failures import (
    NodeTimeoutError,
    NodeUnreachableError,
    NotANodeError,
    TlsFailedError,
    code_of,
)
from meroid.client.node import NodeClient
from meroid.client.transport import HttpTransport
from meroid.errors import MeroidError
from meroid.limits import Limit

HEALTH = Request(method="GET", path="admin-api/health")


@pytest.fixture
def server() -> Iterator[WireServer]:
    with wire_server() as running:
        yield running


def _transport(server: WireServer, **options: float) -> HttpTransport:
    return HttpTransport(NodeAddress.parse(server.url), **options)


def test_requests_in_a_row_share_one_connection(server: WireServer) -> None:
    server.on("GET", "/admin-api/health", said({"data": {"status": "alive"}}))
    transport = _transport(server)

    answers = [transport.send(HEALTH) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5
    assert server.connections == 1
    transport.close()


def test_threads_share_a_transport(server: WireServer) -> None:
    server.on("POST", "/jsonrpc", lambda asked: Answer(body=asked.body))
    transport = _transport(server)

    def ask(number: int) -> bytes:
        return transport.send(Request(method="POST", path="jsonrpc", body=str(number).encode())).body

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(200)))

    assert answers == [str(number).encode() for number in range(200)]
    assert server.connections <= 16
    transport.close()


def test_a_connection_that_the_server_closed_while_idle_is_replaced_even_for_a_post(server: WireServer) -> None:
    server.on("POST", "/jsonrpc", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    transport = _transport(server)
    post = Request(method="POST", path="jsonrpc", body=b"null")
    transport.send(post)
    threading.Event().wait(0.05)  # the server's close arrives

    assert transport.send(post).body == b"{}"
    assert server.connections == 2


def test_a_path_prefix_of_the_address_is_kept(server: WireServer) -> None:
    server.on("GET", "/behind/a/proxy/admin-api/peers", said({"count": 3}))

    assert NodeClient(server.url + "/behind/a/proxy/").get("admin-api/peers") == {"count": 3}


def test_an_answer_above_the_bound_is_refused_before_and_while_it_is_read(server: WireServer) -> None:
    small = Limit("test", 100, "bytes", "a test")
    server.on("GET", "/announced", Answer(body=b"x" * 101))
    server.on("GET", "/unannounced", Answer(raw=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 101))
    transport = _transport(server)

    for path in ("announced", "unannounced"):
        with pytest.raises(NotANodeError, match="more than 100 bytes"):
            transport.send(Request(method="GET", path=path), limit=small)


@pytest.mark.parametrize(
    ("raw", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", NotANodeError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", NotANodeError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", NotANodeError),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", NotANodeError),
        (b"", NodeUnreachableError),
    ],
)
def test_half_an_answer_is_named_as_such(server: WireServer, raw: bytes, failure: type[MeroidError]) -> None:
    server.on("GET", "/admin-api/health", Answer(raw=raw))

    with pytest.raises(failure) as caught:
        _transport(server).send(HEALTH)

    assert caught.value.next_step


def test_a_server_that_says_nothing_runs_into_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = NodeAddress.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(NodeTimeoutError, match="in time"):
            HttpTransport(address, timeout_s=0.1).send(HEALTH)


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(NodeUnreachableError, match="nothing listens") as caught:
        HttpTransport(NodeAddress.parse(f"http://127.0.0.1:{port}")).send(HEALTH)

    assert code_of(caught.value) == "node_unreachable"


def test_an_unknown_host_is_unreachable() -> None:
    with pytest.raises(NodeUnreachableError, match="no host"):
        HttpTransport(NodeAddress.parse("http://nowhere.invalid")).send(HEALTH)


def test_https_to_a_server_without_tls_says_so(server: WireServer) -> None:
    address = NodeAddress.parse(server.url.replace("http:", "https:"))

    with pytest.raises(TlsFailedError) as caught:
        HttpTransport(address, timeout_s=5).send(HEALTH)

    assert "http://" in caught.value.next_step


def test_a_page_instead_of_json_is_no_node(server: WireServer) -> None:
    page = Answer(body=b"<html>hello</html>", headers={"Content-Type": "text/html"})
    server.on("GET", "/admin-api/contexts", page)

    with pytest.raises(NotANodeError, match="a web page"):
        NodeClient(server.url).get("admin-api/contexts")


def test_a_redirect_is_not_followed(server: WireServer) -> None:
    server.on("GET", "/admin-api/contexts", Answer(status=302, headers={"Location": "https://other.example/"}))

    with pytest.raises(NotANodeError, match=r"redirect .302. to 'https://other\.example/'"):
        NodeClient(server.url).get("admin-api/contexts")


def test_json_that_is_nested_too_deeply_is_no_answer(server: WireServer) -> None:
    server.on("GET", "/admin-api/contexts", Answer(body=b"[" * 200_000))

    with pytest.raises(NotANodeError):
        NodeClient(server.url).get("admin-api/contexts")


def test_a_get_is_repeated_when_its_idle_connection_breaks_and_a_post_is_not(server: WireServer) -> None:
    calls: list[str] = []

    def break_second(asked: Asked) -> Answer:
        calls.append(asked.method)
        return Answer(raw=b"") if len(calls) == 2 else said({"data": None})

    for method in ("GET", "POST"):
        calls.clear()
        server.on(method, "/x", break_second)
        transport = _transport(server)
        request = Request(method=method, path="x", body=None if method == "GET" else b"null")
        transport.send(request)
        if method == "GET":
            assert transport.send(request).status == 200
        else:
            with pytest.raises(NodeUnreachableError):
                transport.send(request)
