"""A real HTTP server that gives the answers a test prepared, and remembers what it was asked."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server gives back; `raw` bytes replace everything, and end the connection."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Rule = Callable[[Asked], Answer]


def said(value: object, status: int = 200, **headers: str) -> Answer:
    """A JSON answer; header names are given with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status=status, body=json.dumps(value).encode(), headers={"Content-Type": "application/json", **named})


class WireServer:
    """Rules by method and path; what no rule answers is a 404 with an empty body, as on a node."""

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str], Rule] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self._lock = threading.Lock()
        self.url = ""

    def on(self, method: str, path: str, answer: Answer | Rule) -> None:
        """Answer these requests so."""
        self.rules[(method, path)] = answer if callable(answer) else lambda _: answer

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
        rule = self.rules.get((asked.method, asked.path))
        return rule(asked) if rule is not None else Answer(status=404)

    def count_connection(self) -> None:
        with self._lock:
            self.connections += 1


@contextmanager
def wire_server() -> Iterator[WireServer]:
    """A server on a free port of the loopback interface."""
    server = WireServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.count_connection()

        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(method=self.command, path=self.path, headers=headers, body=self.rfile.read(size))
            answer = server.answer(asked)
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Threads(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no fault of the server."""

    listener = Threads(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def unsigned_jwt(**claims: object) -> str:
    """A token with these claims, whose signature nobody checks."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"
