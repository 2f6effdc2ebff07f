"""A real nginx on loopback that runs the example as it stands, but for ports and paths; and a service behind it.

It has a folder of its own for all that it writes, and ends with the block that it is opened in.
"""

import contextlib
import http.client
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests import told_secrets
from tests.processes import free_port
from tests.servers import Loopback

EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "nginx" / "meroid.conf"
PROGRAM: Final = "/usr/sbin/nginx"
AUTH_PLACE: Final = "127.0.0.1:2528"
SERVICE_PLACE: Final = "127.0.0.1:9000"
LISTEN_PLACE: Final = "listen 8080;"
LOGS_PLACE: Final = "/var/log/nginx/"

_FRAME: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/start.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/meroid.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """A request as the service behind saw it; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """A plain service: it answers everything, and keeps what reached it."""

    port: int
    reached: list[Reached] = field(default_factory=list)


@contextlib.contextmanager
def plain_service() -> Iterator[Service]:
    """Serve until the block ends."""
    reached: list[Reached] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reached.append(Reached(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            status = 500 if self.path.startswith("/broken") else 200
            if self.headers.get("Upgrade") == "websocket":
                status = 101
            self.send_response(status)
            self.send_header("Access-Control-Allow-Origin", "https://its-own.example")
            self.send_header("X-Auth-Error", "made_up")
            if status == 101:
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.end_headers()
                self.wfile.write(b"switched")
                self.close_connection = True
                return
            body = b"the service"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_OPTIONS = do_PUT = answer  # noqa: N815  # the names that the library calls

        def log_message(self, *_: Any) -> None:
            """Nothing: `reached` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="service")
    thread.start()
    try:
        yield Service(server.server_address[1], reached)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@dataclass(frozen=True, slots=True)
class Nginx(Loopback):
    """A running nginx."""

    port: int
    folder: Path

    @property
    def written(self) -> str:
        """All of its logs."""
        return "".join(each.read_text("utf-8", "replace") for each in sorted(self.folder.glob("*.log")))


def substituted(text: str, places: Mapping[str, str]) -> str:
    """The example with other ports and paths; every place must be in it."""
    for place, here in places.items():
        assert place in text, f"the example doesn't say {place!r} any more"
        text = text.replace(place, here)
    return text


@contextlib.contextmanager
def nginx(folder: Path, *, auth_port: int, service_port: int) -> Iterator[Nginx]:
    """Run the example in front of a service, until the block ends."""
    folder.mkdir()
    port = free_port()
    example = substituted(
        EXAMPLE.read_text("utf-8"),
        {
            AUTH_PLACE: f"127.0.0.1:{auth_port}",
            SERVICE_PLACE: f"127.0.0.1:{service_port}",
            LISTEN_PLACE: f"listen 127.0.0.1:{port};",
            LOGS_PLACE: f"{folder}/",
        },
    )
    (folder / "meroid.conf").write_text(example, "utf-8")
    (folder / "nginx.conf").write_text(_FRAME.format(folder=folder), "utf-8")
    for name in ("meroid-access.log", "meroid-error.log", "start.log"):
        told_secrets.watch_log(folder / name)
    line = [PROGRAM, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    running = Nginx(port, folder)
    try:
        _until_answering(running, process)
        yield running
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _until_answering(running: Nginx, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            running.ask("OPTIONS", "/")
            return
        assert process.poll() is None, f"nginx ended: {process.communicate()[0].decode()}\n{running.written}"
        assert time.monotonic() < until, "nginx doesn't answer"
        time.sleep(0.05)
