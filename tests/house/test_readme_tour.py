"""The tour in the README is true: its commands are typed as they stand there, and answer what stands there."""

import ast
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kv_store import kv_store_bytecode

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
SCRIPT = re.compile(r"```python\n(.*?)```", re.DOTALL)
AN_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,}…?")


def steps() -> list[tuple[str, str]]:
    """Each command with what it prints, without the one that sets the environment."""
    readme = (ROOT / "README.md").read_text("utf-8")
    typed = [step for block in BLOCK.findall(readme) for step in re.split(r"^\$ ", block, flags=re.M)[1:]]
    pairs = [step.split("\n", 1) for step in typed]
    return [(command, answer) for command, answer in pairs if not command.startswith("export ")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Terminal:
    """Types commands on a terminal of their own, and answers what they ask."""

    def __init__(self, home: Path) -> None:
        self.ports = {port: str(free_port()) for port in ("2528", "2529", "2428", "2429")}
        programs = Path(sys.executable).parent
        self.environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "CALIMERO_HOME": str(home / "nodes"),
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
        }
        self.seen: dict[str, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []

    def type(self, command: str) -> str:
        """What a command prints; ports and words in capitals are put in, and out of the answer again."""
        for name, value in {**self.ports, **self.seen}.items():
            command = re.sub(rf"\b{name}\b", value, command)
        if " init " in command:
            command += " --no-mdns --swarm-host 127.0.0.1"
        printed = self._on_terminal(command)
        for pattern, name in ((r"application '(\w+)'", "APPLICATION"), (r"Invitation: (\w+)", "INVITATION")):
            if found := re.search(pattern, printed):
                self.seen[name] = found[1]
        if found := re.search(r"generated context identity \| (\w+)", printed):
            self.seen["PUBLIC_KEY"] = found[1]
        for name, value in self.ports.items():
            printed = printed.replace(value, name)
        return printed

    def start(self, name: str) -> None:
        """Run a node beside."""
        node = subprocess.Popen(
            ["merod", "--node-name", name, "run"],
            env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.running.append(node)
        assert node.stdout is not None
        assert b"answers on" in node.stdout.readline()

    def close(self) -> None:
        for node in self.running:
            node.terminate()
        for node in self.running:
            node.communicate(timeout=30)

    def _on_terminal(self, command: str) -> str:
        answers = {b"Password: ": PASSWORD, b"Password again: ": PASSWORD, b"[y/N] ": "y"}
        ours, theirs = pty.openpty()
        program = subprocess.Popen(
            ["sh", "-c", command],
            cwd=ROOT, env=self.environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        printed = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how a terminal says on Linux that the other side has gone
                break
            printed += piece
            for question, answer in answers.items():
                if printed.endswith(question):
                    os.write(ours, answer.encode() + b"\n")
        os.close(ours)
        program.wait(timeout=10)
        return printed.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    """Without what differs from run to run: ids, and with them the width of columns."""
    text = AN_ID.sub("ID", text)
    return re.sub(r"[ ]+", " ", re.sub(r"([-=─═])\1+", r"\1", text)).replace(" \n", "\n").strip()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="types on a terminal as Linux has it")
def test_the_tour_of_the_readme_answers_what_stands_there(terminal: Terminal) -> None:
    kv_store_bytecode()  # builds the sample application where it isn't yet
    terminal.type("merod --node-name node1 init --auth-mode embedded --server-port 2528 --swarm-port 2428")
    terminal.start("node1")

    for command, told in steps():
        printed = terminal.type(command)
        assert plain(printed) == plain(told), command
        if "node2 init" in command:
            terminal.start("node2")
    [script] = SCRIPT.findall((ROOT / "README.md").read_text("utf-8"))
    contexts = ast.literal_eval(terminal.type(f"python -c '{script}'").strip())["data"]["contexts"]
    assert [set(context) for context in contexts] == [{"applicationId", "id", "rootHash"}]
