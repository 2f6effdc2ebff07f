"""`meroctl` run in this process, with a home of its own and a real server to talk to."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.key_stores import bus, keychain, token
from tests.wire_server import Asked, WireServer, said, wire_server

from meroid.cli.meroctl import main

__all__ = ["bus", "keychain", "token"]  # fixtures

CONTEXT = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
MEMBER = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR"
FOUNDER = "CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8"
APPLICATION = "GgBaCs3NCBuZN12kCJgAW63ydqohFkHEdfdEXBPzLHq"


class Run(NamedTuple):
    """What one run gave."""

    status: int
    out: str
    err: str


Meroctl = Callable[..., Run]


@pytest.fixture
def server() -> Iterator[WireServer]:
    with wire_server() as running:
        aliases = {
            "context": {"demo": CONTEXT},
            "application": {"kv": APPLICATION},
            f"identity/{CONTEXT}": {"laptop": MEMBER, "founder": FOUNDER},
        }
        for scope, known in aliases.items():
            running.on("GET", f"/admin-api/alias/list/{scope}", said({"data": known}))
            running.on("POST", f"/admin-api/alias/create/{scope}", said({"data": None}))
            for name in ("default", "home", "new", "taken"):
                running.on("POST", f"/admin-api/alias/lookup/{scope}/{name}", said({"data": {"value": None}}))
            for name, value in known.items():
                running.on("POST", f"/admin-api/alias/lookup/{scope}/{name}", said({"data": {"value": value}}))
                running.on("POST", f"/admin-api/alias/delete/{scope}/{name}", said({"data": None}))
        keys = said({"data": {"identities": [MEMBER, FOUNDER]}})
        running.on("GET", f"/admin-api/contexts/{CONTEXT}/identities", keys)
        owned = said({"data": {"identities": [FOUNDER]}})
        running.on("GET", f"/admin-api/contexts/{CONTEXT}/identities-owned", owned)
        context = {"id": CONTEXT, "applicationId": APPLICATION, "rootHash": MEMBER}
        running.on("GET", "/admin-api/contexts", said({"data": {"contexts": [context]}}))
        running.on("GET", f"/admin-api/contexts/{CONTEXT}", said({"data": context}))
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.delenv("CALIMERO_HOME", raising=False)
    return tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Meroctl:
    """Run with these words; wrong arguments give 2, as from a shell."""

    def run_words(*words: str) -> Run:
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        return Run(status, out, err)

    assert home.is_dir()
    return run_words


@pytest.fixture
def meroctl(run: Meroctl, server: WireServer) -> Meroctl:
    """Run against the server."""
    return lambda *words: run("--api", server.url, *words)


def sent(server: WireServer, path: str) -> Asked:
    """The last request to this path."""
    return next(asked for asked in reversed(server.asked) if asked.path == path)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
