"""Slow, half and surplus requests, and stopping."""

import hashlib
import socket
import threading
import time

import pytest
from tests.servers import Running
from tests.unit.http.conftest import Serve, Table
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from meroid import limits
from meroid.http.workers import Workers


def test_half_requests_do_not_hold_up_others(serve: Serve) -> None:
    node = serve()
    held = []
    for data in (b"GET /nothing HTT", b"POST /item HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", b""):
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", node.port))
            connection.sendall(data)
            held.append(connection)
    started = time.monotonic()
    assert node.ask("GET", "/nothing").status == 200
    assert time.monotonic() - started < 2
    for connection in held:
        connection.close()
    assert node.ask("GET", "/nothing").status == 200


def test_a_head_that_never_ends_is_cut_off(serve: Serve) -> None:
    node = serve()
    answer = node.raw(b"GET /nothing HTTP/1.1\r\nX: " + b"a" * (2_000_000), linger=True, wait=5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    many = b"".join(b"X-%d: y\r\n" % n for n in range(20_000))
    answer = node.raw(b"GET /nothing HTTP/1.1\r\n" + many + b"\r\n", linger=True, wait=5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert node.ask("GET", "/nothing", headers={"X": "a" * 60_000}).status == 200


def test_a_slow_head_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_HEAD_TIME", limits.HTTP_HEAD_TIME._replace(value=1))
    node = serve()
    started = time.monotonic()
    assert node.raw(b"GET /nothing HT", linger=True, wait=8) == b""
    assert time.monotonic() - started < 5


def test_a_slow_body_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_TIME", limits.HTTP_BODY_TIME._replace(value=1))
    head = b"POST /item HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"
    answer = serve().raw(head, linger=True, wait=8)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"x-meroid-code: body_too_slow" in answer


def test_a_client_that_leaves_in_the_body_harms_nobody(serve: Serve) -> None:
    node = serve()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.sendall(b"POST /item HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
    assert node.ask("GET", "/nothing").status == 200


def test_with_all_threads_busy_and_the_queue_full_it_is_503_busy(serve: Serve, table: Table) -> None:
    node = serve(workers=Workers(threads=2, queue=1))
    waiting = [threading.Thread(target=node.ask, args=("GET", "/slow")) for _ in range(3)]
    for each in waiting:
        each.start()
    time.sleep(0.3)
    got = node.ask("GET", "/nothing")
    assert (got.status, got.code) == (503, "busy")
    assert got.headers["retry-after"] == "1"
    assert node.ask("GET", "/inline").status == 200  # the loop itself is free
    table.held.set()
    for each in waiting:
        each.join()
    assert node.ask("GET", "/nothing").status == 200


def test_a_stream_ends_when_the_client_goes(serve: Serve, table: Table) -> None:
    node = serve()
    with socket.create_connection(("127.0.0.1", node.port), timeout=5) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        while b"tick" not in connection.recv(65536):
            pass
    assert table.streams_closed.wait(5)


def test_stopping_finishes_what_runs(serve: Serve, table: Table) -> None:
    node: Running = serve()
    got: list[int] = []
    asking = threading.Thread(target=lambda: got.append(node.ask("GET", "/slow").status))
    asking.start()
    time.sleep(0.2)
    node.server.stop()
    time.sleep(0.2)
    table.held.set()
    asking.join()
    assert got == [200]


def test_stopping_closes_sockets_as_going_away_and_coming_back(serve: Serve) -> None:
    node = serve()
    with connect(f"ws://127.0.0.1:{node.port}/ws/echo") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
        node.server.stop()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_random_bytes_never_hurt_the_next_caller(serve: Serve) -> None:
    node = serve()
    for seed in range(200):
        noise = hashlib.shake_128(bytes([seed])).digest(300)
        start = [b"", b"GET /open?", b"POST /item HTTP/1.1\r\nHost: a\r\n", b"GET /contexts/"][seed % 4]
        answer = node.raw(start + noise + b"\r\n\r\n", wait=2)
        assert not answer.startswith(b"HTTP/1.1 5")
    assert node.ask("GET", "/nothing").status == 200


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    answer = serve().raw(
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /inline HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        linger=True,
    )
    assert answer.index(b"null") < answer.index(b"inline")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_http_is_400_and_closed(serve: Serve, data: bytes) -> None:
    answer = serve().raw(data, wait=3)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
