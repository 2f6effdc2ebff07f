"""A real node in a process of its own, and a caller that keeps its connection open."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_OWNER: Final = "bench"
_PASSWORD: Final = "a password for a bench"
_READY_S: Final = 30.0


class Caller:
    """Asks one node over one connection."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of an answer; anything but 200 raises."""
        self._connection.request(method, path, body=body, headers=self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {content.decode()}")
        return content

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # JSON
        """The same for JSON; what is in `data`."""
        content = self.send(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(content)["data"]

    def install(self, bytecode: bytes, folder: Path) -> str:
        """Install an application from a file; its id."""
        file = folder / "application.wasm"
        file.write_bytes(bytecode)
        body = {"path": str(file), "metadata": []}
        return str(self.ask("POST", "/admin-api/install-dev-application", body)["applicationId"])

    def create(self, application_id: str) -> "RemoteContext":
        """Make a context."""
        body = {"protocol": "near", "applicationId": application_id, "initializationParams": []}
        made = self.ask("POST", "/admin-api/contexts", body)
        return RemoteContext(made["contextId"], made["memberPublicKey"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class RemoteContext:
    """A context of a node, with the identity that acts in it."""

    def __init__(self, context_id: str, executor: str) -> None:
        self.context_id = context_id
        self.executor = executor

    def request(self, method: str, **arguments: object) -> bytes:
        """The body of a call over JSON-RPC."""
        params = {
            "contextId": self.context_id,
            "method": method,
            "argsJson": arguments,
            "executorPublicKey": self.executor,
        }
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "execute", "params": params}).encode()

    def call(self, caller: Caller, request: bytes) -> bytes:
        """Call; a failure inside the answer raises."""
        answer = caller.send("POST", "/jsonrpc", request)
        if b'"error"' in answer:
            raise RuntimeError(answer.decode())
        return answer


class NodeProcess:
    """`merod run` with embedded auth and an owner, in a temporary home; gone at the end of the block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="meroid-bench-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environ |= {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        merod = Path(sys.executable).with_name("merod")
        self._command = [str(merod), "--home", str(self.folder), "--node-name", "bench"]

    def __enter__(self) -> Self:
        self.initialise()
        self.start()
        self.await_answer()
        self.token = self._log_in()
        return self

    def initialise(self) -> None:
        """`merod init`."""
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        init = ["init", "--auth-mode", "embedded", "--no-mdns", "--server-host", "127.0.0.1"]
        init += ["--server-port", str(self.port), "--swarm-host", "127.0.0.1", "--swarm-port", str(free_port())]
        init += ["--owner", _OWNER, "--owner-password-file", str(password)]
        subprocess.run([*self._command, *init], env=self._environ, stdout=subprocess.DEVNULL, check=True, timeout=60)

    def start(self) -> None:
        """`merod run`, without waiting."""
        self._process = subprocess.Popen(
            [*self._command, "run"], env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def await_answer(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + _READY_S
        while True:
            caller = Caller(self.port)
            try:
                caller.send("GET", "/health/live")
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.002)
            else:
                return
            finally:
                caller.close()

    def stop(self) -> None:
        """Stop it; the home stays."""
        self._process.terminate()
        self._process.wait(30)

    def remove(self) -> None:
        """Remove its home."""
        self._folder.cleanup()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.remove()

    def caller(self) -> Caller:
        """A caller with a connection and the owner's token."""
        return Caller(self.port, self.token)

    def _log_in(self) -> str:
        caller = Caller(self.port)
        body = {
            "auth_method": "user_password",
            "public_key": _OWNER,
            "client_name": "bench",
            "timestamp": 0,
            "provider_data": {"username": _OWNER, "password": _PASSWORD},
        }
        try:
            return str(caller.ask("POST", "/auth/token", body)["access_token"])
        finally:
            caller.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
