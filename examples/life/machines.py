"""The people of the story and their machines: a home each, and a real node that is started and always stopped."""

import collections
import contextlib
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from examples.life.narrator import typed

from meroid.client.token_cache import TokenCache

PROGRAMS: Final = Path(sys.executable).parent
READY_S: Final = 30.0
STOP_S: Final = 5.0
COMMAND_S: Final = 30.0
# Below the range from which the system takes ports for outgoing connections, so that none of these is taken meanwhile.
_PORTS: Final = range(20_000, 32_000)


class StoryError(Exception):
    """Something did not happen as the story says."""


class Machine:
    """One person's machine: home directory, node, and the environment in which its programs run."""

    def __init__(self, person: str, node: str, folder: Path) -> None:
        self.person = person
        self.node = node
        self.home = folder / person
        self.home.mkdir(mode=0o700)
        self.port = free_port()
        self.swarm_port = free_port()
        self._merod: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the node."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def nodes(self) -> Path:
        """Where this machine's node lives."""
        return self.home / ".calimero"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the caller's but the path: no configuration, no proxy, no colours leak in."""
        return {"HOME": str(self.home), "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}

    @property
    def log(self) -> Path:
        """What the node prints."""
        return self.home / "node.log"

    @property
    def tokens(self) -> TokenCache:
        """The token file that `meroctl` writes and the Python client reads."""
        return TokenCache(self.node, folder=self.home / ".merobox" / "auth_cache")

    @property
    def init_words(self) -> list[str]:
        """What makes the node after `merod --node-name NAME`."""
        words = ["init", "--auth-mode", "embedded", "--owner", self.person, "--owner-password-file", "password"]
        words += ["--server-host", "127.0.0.1", "--server-port", str(self.port)]
        words += ["--swarm-host", "127.0.0.1", "--swarm-port", str(self.swarm_port), "--no-mdns"]
        return words

    def begin_init(self) -> None:
        """Make the node and its first owner; it is found by nobody, and reachable from this machine only."""
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(16) + "\n")
        self._launch(*self.init_words)

    def finish_init(self) -> None:
        """Wait until the node is made."""
        try:
            done = self._merod is not None and self._merod.wait(READY_S) == 0
        except subprocess.TimeoutExpired:
            done = False
        if not done:
            raise StoryError(f"{self.node} could not be initialised")

    def begin_run(self) -> None:
        """Run the node."""
        self._launch("run")

    def finish_start(self) -> None:
        """Wait until the node answers."""
        until = time.monotonic() + READY_S
        while not self._is_ready():
            if self._merod is None or self._merod.poll() is not None:
                raise StoryError(f"{self.node} ended while it started")
            if time.monotonic() > until:
                raise StoryError(f"{self.node} did not answer within {READY_S:.0f} s")
            time.sleep(0.02)

    def begin_stop(self) -> None:
        """Ask the node to end."""
        if self._merod is not None:
            self._merod.terminate()

    def finish_stop(self) -> None:
        """Wait until the node has ended, and end it by force if it takes too long."""
        merod, self._merod = self._merod, None
        if merod is None:
            return
        try:
            merod.wait(STOP_S)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{self.node} did not end within {STOP_S:.0f} s; it is killed\n")
        finally:
            merod.kill()
            merod.wait()

    def run(self, program: str | Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine to its end."""
        try:
            return subprocess.run(
                [program, *words],
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StoryError(f"{Path(program).name} {typed(words)} did not end within {COMMAND_S:.0f} s") from None

    def log_tail(self, lines: int = 15) -> str:
        """The end of what the node printed."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as log:
                return "".join(collections.deque(log, lines))
        except FileNotFoundError:
            return ""

    def _launch(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self._merod = subprocess.Popen(
                [PROGRAMS / "merod", "--node-name", self.node, *words],
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # ctrl-C is for the story, which then stops the nodes in order
            )

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def machines(people: Iterable[tuple[str, str]]) -> Iterator[list[Machine]]:
    """Machines in a temporary folder; however it ends, their nodes are stopped and the folder is removed."""
    folder = Path(tempfile.mkdtemp(prefix="meroid-life-"))
    try:
        made = [Machine(person, node, folder) for person, node in people]
        try:
            yield made
        except BrokenPipeError:  # who reads the story has gone
            raise
        except Exception:
            sys.stderr.writelines(f"--- the end of {each.node}'s log\n{each.log_tail()}" for each in made)
            raise
        finally:
            stop(made)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop(running: Sequence[Machine]) -> None:
    """Stop nodes side by side."""
    for machine in running:
        machine.begin_stop()
    for machine in running:
        machine.finish_stop()


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses now."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
