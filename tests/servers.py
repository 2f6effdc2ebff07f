"""A real server on a free port of 127.0.0.1, in a thread, for tests; and the plainest clients for it."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from meroid.http.server import HttpServer, bind
from meroid.http.tls import TlsListener


@dataclass(frozen=True, slots=True)
class Got:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.headers.get("x-meroid-code")


class Loopback:
    """The plainest client for whatever listens on a port of 127.0.0.1."""

    __slots__ = ()
    port: int

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, token: str = ""
    ) -> Got:
        """One request on a connection of its own; a body that isn't bytes is sent as JSON."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Running(Loopback):
    """A server that takes requests."""

    port: int
    server: HttpServer

    def raw(self, data: bytes, *, wait: float = 10, linger: bool = False) -> bytes:
        """Send bytes as they are and read until the server closes, or `wait` seconds pass without data."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            received = b""
            try:
                connection.sendall(data)
                if not linger:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionError):
                pass
            return received


@contextmanager
def running(app: ASGIApp, tls: TlsListener | None = None) -> Iterator[Running]:
    """Serve an application until the block ends; requests are taken from the first line on."""
    server = HttpServer(app, bind([("127.0.0.1", 0)]), tls)
    port = server.addresses[0][1]
    thread = threading.Thread(target=server.run, name="test-server")
    thread.start()
    try:
        yield Running(port, server)
    finally:
        server.stop()
        thread.join(timeout=15)
        assert not thread.is_alive(), "the server didn't stop"
