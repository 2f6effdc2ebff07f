"""Nodes as processes of their own, spoken to only as anybody outside can: HTTP, `meroctl`, WebSocket.

`Merod` is one node in a home of its own, on ports of 127.0.0.1. What it wrote to its outputs is in
`log`. Once it is stopped, `opened` gives its store to a test that plays who has the disk.
"""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests import told_secrets
from tests.servers import Got
from websockets.sync.client import ClientConnection, connect

from meroid.app import Node, Vaulted, open_vaulted
from meroid.config import load_settings

START_S: Final = 30
STOP_S: Final = 20
COMMAND_S: Final = 60
_PORTS: Final = (20_000, 32_000)
"""Below the ports that the system gives to outgoing connections, so none of those takes one in between."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Name and password of a node's first owner."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def first(self) -> Any:
        """The first line of its standard output, as JSON."""
        return json.loads(self.out.splitlines()[0])


class Merod:
    """One node: `merod init` once, then `merod run` as often as it is started.

    Args:
        name: name of the node.
        folder: where its home and that of the person at it lie.
        owner: the first owner, which makes it a node in embedded mode; without one it is in proxy mode.
        neighbours: nodes to stay connected to, so that it finds them again after a restart.
    """

    def __init__(
        self, name: str, folder: Path, *, owner: Owner | None = None, neighbours: Sequence["Merod"] = ()
    ) -> None:
        self.name = name
        self.owner = owner
        self.port, self.swarm_port = free_port(), free_port()
        self.token = ""
        self._folder = folder
        self._neighbours = [neighbour.endpoint for neighbour in neighbours]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """Its address for other nodes."""
        return f"tcp/127.0.0.1:{self.swarm_port}"

    @property
    def home(self) -> Path:
        """Where all nodes of this person live."""
        return self._folder / "nodes"

    @property
    def person(self) -> Path:
        """The home directory of the person at the node."""
        return self._folder / "person"

    @property
    def log(self) -> str:
        """What it wrote to standard output and error."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its process and of the person's commands: nothing of ours but the search paths."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.person),
            "CALIMERO_HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.person / ".config"),
            "LANG": "C.UTF-8",
        }
        return told_secrets.watched(environment)

    @property
    def places(self) -> list[str]:
        """The flags that say where it listens and which nodes it stays connected to."""
        arguments = ["--server-host", "127.0.0.1", "--server-port", str(self.port), "--no-mdns"]
        arguments += ["--swarm-host", "127.0.0.1", "--swarm-port", str(self.swarm_port)]
        return [*arguments, "--boot-nodes", *self._neighbours] if self._neighbours else arguments

    def merod(self, *arguments: str, typed: str = "", ends_with: int | None = 0) -> Ran:
        """Run a command of `merod` on this node's machine; `typed` comes over standard input."""
        self.person.mkdir(parents=True, exist_ok=True)
        line = [_script("merod"), "--node-name", self.name, *arguments]
        done = subprocess.run(
            line, env=self.environment, capture_output=True, text=True, timeout=COMMAND_S, check=False, input=typed
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert ends_with in {None, ran.code}, f"merod {' '.join(arguments)} ended with {ran}"
        return ran

    def begin_init(self) -> Callable[[], None]:
        """Start `merod init`; call what is returned to wait for it."""
        self.person.mkdir(parents=True, exist_ok=True)
        arguments = self.places
        if self.owner is not None:
            told_secrets.note(self.owner.password)
            password = self.person / "password"
            password.write_text(self.owner.password + "\n", "utf-8")
            password.chmod(0o600)
            arguments += ["--auth-mode", "embedded", "--owner", self.owner.name, "--owner-password-file", str(password)]
        process = self._spawn("init", *arguments)

        def finish() -> None:
            code = process.wait(START_S)
            assert code == 0, f"merod init of {self.name} ended with {code}:\n{self.log}"

        return finish

    def begin_start(self) -> Callable[[], None]:
        """Start `merod run`; call what is returned to wait until it answers."""
        assert not self.running, f"{self.name} runs already"
        self._process = self._spawn("run")
        return self._until_alive

    def begin_stop(self) -> Callable[[], None]:
        """Ask it to end, as a service manager does; call what is returned to wait for it."""
        process = self._process
        if process is None:
            return lambda: None
        process.terminate()

        def finish() -> None:
            try:
                code = process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{self.name} didn't stop within {STOP_S} s:\n{self.log}") from None
            self._process = None
            assert code == 0, f"{self.name} ended with {code}:\n{self.log}"

        return finish

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, token: str = ""
    ) -> Got:
        """One request, with the person's token where none is given; a body that isn't bytes is sent as JSON."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token or self.token:
            sent["Authorization"] = f"Bearer {token or self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def data(self, method: str, path: str, body: Any = None) -> Any:
        """The `data` of an answer that must be a good one."""
        got = self.ask(method, path, body)
        assert got.status == 200, f"{method} {path} at {self.name}: {got.status} {got.text}"
        return got.json["data"]

    def execute(self, context_id: str, executor: str, method: str, *, token: str = "", **arguments: Any) -> Any:
        """The answer to a JSON-RPC call, good or bad."""
        params = {"contextId": context_id, "method": method, "argsJson": arguments, "executorPublicKey": executor}
        body = {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": params}
        got = self.ask("POST", "/jsonrpc", body, token=token)
        assert got.status == 200, f"call of {method} at {self.name}: {got.status} {got.code} {got.text}"
        return got.json

    def call(self, context_id: str, executor: str, method: str, **arguments: Any) -> Any:
        """What a method returned that must succeed."""
        answer = self.execute(context_id, executor, method, **arguments)
        assert "result" in answer, f"call of {method} at {self.name}: {answer}"
        return answer["result"]["output"]

    def meroctl(
        self,
        *arguments: str,
        program: str = "meroctl",
        ends_with: int | None = 0,
        typed: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command of the person at this node; `ends_with` is the exit code that it must have.

        `typed` is its standard input, which is no terminal; `environment` is added to the person's.
        """
        line = [_script(program), "--node", self.name, *arguments]
        done = subprocess.run(
            line,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            input=typed,
        )
        told_secrets.wrote(f"{program} {arguments[0]}", done.stdout, may_show_invitations=True)
        told_secrets.wrote(f"{program} {arguments[0]} (stderr)", done.stderr)
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert ends_with in {None, ran.code}, f"{program} {' '.join(arguments)} ended with {ran}"
        return ran

    def log_in(self) -> str:
        """Log in as the owner; the access token is used from now on, and the person's commands keep their own."""
        assert self.owner is not None
        self.meroctl("login", "--username", self.owner.name, "--password-file", str(self.person / "password"))
        self.token = self.pair()["access_token"]
        return self.token

    def pair(self) -> Any:
        """A new log-in of the owner: access and refresh token."""
        assert self.owner is not None
        proof = {"username": self.owner.name, "password": self.owner.password}
        body = {"auth_method": "user_password", "public_key": self.owner.name, "client_name": self.url}
        return self.data("POST", "/auth/token", {**body, "timestamp": 0, "provider_data": proof})

    @contextlib.contextmanager
    def listening(self, *context_ids: str, token: str = "") -> Iterator["Listener"]:
        """A WebSocket that is subscribed to contexts."""
        bearer = token or self.token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        with connect(f"ws://127.0.0.1:{self.port}/ws", additional_headers=headers, proxy=None) as socket_:
            listener = Listener(socket_)
            answer = listener.subscribe(*context_ids)
            assert "result" in answer, f"subscription at {self.name}: {answer}"
            yield listener

    @contextlib.contextmanager
    def opened(self) -> Iterator[Node]:
        """Its services on its store, for who has the disk and the key store; only while it doesn't run."""
        with self.unlocked() as vaulted:
            yield Node(load_settings(self.home, self.name), vaulted)

    @contextlib.contextmanager
    def unlocked(self) -> Iterator[Vaulted]:
        """Its store and what opens the seeds in it."""
        assert not self.running, f"{self.name} still runs"
        vaulted = open_vaulted(load_settings(self.home, self.name), make=False)
        try:
            yield vaulted
        finally:
            vaulted.store.close()

    def stored(self) -> tuple[int, int]:
        """Something that changes whenever the node commits: size and time of its database's log."""
        log = (self.home / self.name / "data" / "node.db-wal").stat()
        return log.st_size, log.st_mtime_ns

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        line = [*_die_with_parent(), _script("merod"), "--node-name", self.name, *arguments]
        told_secrets.watch_log(self._log)
        with self._log.open("ab") as log:
            return subprocess.Popen(line, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _until_alive(self) -> None:
        until = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/health/live").status == 200:
                    return
            assert self.running, f"{self.name} ended while it started:\n{self.log}"
            assert time.monotonic() < until, f"{self.name} didn't answer within {START_S} s:\n{self.log}"
            time.sleep(0.02)


class Listener:
    """A client of `/ws`."""

    def __init__(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        self._number = 0

    def subscribe(self, *context_ids: str) -> Any:
        """Ask for the events of contexts; the answer."""
        self._number += 1
        frame = {"id": self._number, "method": "subscribe", "params": {"contextIds": list(context_ids)}}
        self._socket.send(json.dumps(frame))
        return self.until(lambda answer: answer["id"] == self._number)

    def until(self, wanted: Callable[[Any], bool], within_s: float = 10.0) -> Any:
        """The next frame that is wanted; those before it are dropped."""
        end = time.monotonic() + within_s
        while True:
            frame = json.loads(self._socket.recv(max(0.0, end - time.monotonic())))
            if wanted(frame):
                return frame

    def rest(self, for_s: float) -> list[Any]:
        """All frames that come within a time."""
        frames = []
        end = time.monotonic() + for_s
        with contextlib.suppress(TimeoutError):
            while True:
                frames.append(json.loads(self._socket.recv(max(0.0, end - time.monotonic()))))
        return frames


def initialise(*nodes: Merod) -> None:
    """Make nodes, all at the same time."""
    for finish in [node.begin_init() for node in nodes]:
        finish()


def start(*nodes: Merod) -> None:
    """Start nodes, all at the same time, and wait until each answers."""
    for finish in [node.begin_start() for node in nodes]:
        finish()


def stop(*nodes: Merod) -> None:
    """Stop nodes, all at the same time; one that doesn't run is left alone."""
    for finish in [node.begin_stop() for node in nodes]:
        finish()


@contextlib.contextmanager
def stopped(*nodes: Merod) -> Iterator[None]:
    """Nodes that don't run within the block, and do after it."""
    stop(*nodes)
    try:
        yield
    finally:
        start(*nodes)


def eventually(holds: Callable[[], object], what: str, within_s: float = 30.0) -> float:
    """Wait until something holds; how long it took, in seconds."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() < begin + within_s, f"within {within_s} s it never came to hold that {what}"
        time.sleep(0.01)
    return time.monotonic() - begin


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    low, high = _PORTS
    while True:
        port = low + secrets.randbelow(high - low)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _script(name: str) -> str:
    """A command of the environment that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def _die_with_parent() -> list[str]:
    """Where the system can: no node outlives a test run that was killed."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "TERM", "--"] if program else []
