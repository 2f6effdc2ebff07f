"""Sockets are bound first; the server stops as asked, by call and by signal."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from meroid.http.server import AddressInUseError, AddressNotOursError, HttpServer, bind


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


def is_ready(server: HttpServer) -> bool:
    return server.ready


def test_a_port_in_use_is_refused_with_its_code_and_nothing_stays_bound() -> None:
    (taken,) = bind([("127.0.0.1", 0)])
    port = taken.getsockname()[1]
    with pytest.raises(AddressInUseError) as refused:
        bind([("::1", port), ("127.0.0.1", port)])
    assert refused.value.code == "address_in_use"
    assert str(port) in refused.value.reason
    assert "server.listen" in refused.value.next_step
    taken.close()
    for each in bind([("127.0.0.1", port)]):
        each.close()


@pytest.mark.parametrize("host", ["203.0.113.7", "nonsense.invalid", "::zz"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(AddressNotOursError):
        bind([(host, 0)])
    with pytest.raises(AddressNotOursError):
        bind([])


def test_with_port_zero_all_addresses_share_the_port() -> None:
    sockets = bind([("127.0.0.1", 0), ("::1", 0)])
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


def test_a_connection_made_before_the_server_runs_is_held_and_answered() -> None:
    server = HttpServer(hello, bind([("127.0.0.1", 0), ("::1", 0)]))
    with socket.create_connection(server.addresses[0], timeout=10) as early:
        early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert not is_ready(server)
        thread = threading.Thread(target=server.run)
        thread.start()
        assert early.recv(100).startswith(b"HTTP/1.1 200")
        assert is_ready(server)
    with socket.create_connection(server.addresses[-1], timeout=10) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200")
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


PROGRAM = """
import sys
from meroid.http.server import HttpServer, bind
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hi"})
server = HttpServer(app, bind([("127.0.0.1", 0)]))
print(server.addresses[0][1], flush=True)
server.run()
print("stopped well", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_the_program_goes_on_to_close(number: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environment, cwd=Path.cwd()
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    process.send_signal(number)
    started = time.monotonic()
    assert process.communicate(timeout=20)[0] == "stopped well\n"
    assert process.returncode == 0
    assert time.monotonic() - started < 5
