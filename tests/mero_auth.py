"""The auth service alone as a process with its workers, spoken to over HTTP only, each request on a new connection."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests import told_secrets
from tests.processes import COMMAND_S, START_S, STOP_S, Owner, Ran, free_port
from tests.servers import Got

OWNER: Final = Owner("olga", "correct horse battery")


class MeroAuth:
    """One auth service in a folder of its own: started, killed and started again as often as a test wants."""

    def __init__(self, folder: Path, *, workers: int, owner: Owner | None = OWNER) -> None:
        self.folder = folder
        self.workers = workers
        self.owner = owner
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._still: list[int] = []

    @property
    def log(self) -> str:
        """What it wrote to standard output and error."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def pids(self) -> dict[int, int]:
        """The process of each worker, as the service last said."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return {line["worker"]: line["pid"] for line in lines if line["event"] == "a worker starts"}

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of ours but the search path."""
        return told_secrets.watched({"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)})

    def command(self, *arguments: str, ends_with: int = 0, environment: Mapping[str, str] | None = None) -> Ran:
        """Run a command of `mero-auth` in its folder."""
        done = subprocess.run(
            [_SCRIPT, *arguments], env={**self.environment, **(environment or {})}, cwd=self.folder,
            capture_output=True, text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert ran.code == ends_with, f"mero-auth {' '.join(arguments)} ended with {ran}"
        return ran

    def initialise(self) -> None:
        """`mero-auth init`, with the owner where there is one."""
        arguments = []
        if self.owner is not None:
            told_secrets.note(self.owner.password)
            password = self.folder / "password"
            password.write_text(self.owner.password + "\n", "utf-8")
            password.chmod(0o600)
            arguments = ["--owner", self.owner.name, "--owner-password-file", str(password)]
        self.command("--bind", f"127.0.0.1:{self.port}", "--workers", str(self.workers), "init", *arguments)

    def start(self) -> None:
        """Start it and wait until it answers; it leads a process group of its own."""
        told_secrets.watch_log(self._log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_SCRIPT, "-c", "auth.toml"], env=self.environment, cwd=self.folder, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + START_S
        while not self.answers():
            assert self._process.poll() is None, f"it ended while it started:\n{self.log}"
            assert time.monotonic() < until, f"it didn't answer within {START_S} s:\n{self.log}"
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether it answers now."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/health/ready").status == 200
        return False

    def stop(self) -> None:
        """Ask it to end, as a service manager does; it ends well, and its workers with it."""
        if self._process is None:
            return
        self._process.terminate()
        code = self._process.wait(STOP_S)
        self._process = None
        assert code == 0, f"it ended with {code}:\n{self.log}"

    def kill_all(self) -> None:
        """Kill the service and every worker at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def kill_parent(self) -> None:
        """Kill the process that looks after the workers, and only that."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    @contextlib.contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """Within the block this worker alone answers: the others stand still and take no connection."""
        self._still = [pid for number, pid in self.pids.items() if number != worker]
        self._signal_still(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_still(signal.SIGCONT)
            self._still = []

    def _signal_still(self, number: signal.Signals) -> None:
        for pid in self._still:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> Got:
        """One request on a connection of its own.

        A worker that was made to stand still may have been about to commit, and holds the database then; it may end that.
        """
        got = self._ask_once(method, path, body, token)
        while self._still and got.code == "store_busy":
            self._signal_still(signal.SIGCONT)
            time.sleep(0.1)
            self._signal_still(signal.SIGSTOP)
            got = self._ask_once(method, path, body, token)
        return got

    def _ask_once(self, method: str, path: str, body: Any, token: str) -> Got:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def log_in(self, owner: Owner | None = None) -> Any:
        """A new log-in: access and refresh token."""
        got = self.try_log_in(owner or self.owner or OWNER)
        assert got.status == 200, f"log-in: {got.status} {got.text}"
        return got.json["data"]

    def try_log_in(self, owner: Owner) -> Got:
        """The answer to a log-in, good or bad."""
        proof = {"username": owner.name, "password": owner.password}
        body = {"auth_method": "user_password", "public_key": owner.name, "client_name": "", "timestamp": 0}
        return self.ask("POST", "/auth/token", {**body, "client_name": "test", "provider_data": proof})

    def mint(self, token: str) -> Any:
        """A pair of a new token key."""
        got = self.ask("POST", "/admin/client-key", {"permissions": ["context:list"]}, token=token)
        assert got.status == 200, f"mint: {got.status} {got.text}"
        return got.json["data"]

    @property
    def _log(self) -> Path:
        return self.folder / "mero-auth.log"


_SCRIPT: Final = str(Path(sysconfig.get_path("scripts")) / "mero-auth")
