"""`meroctl logout`: the node is told first, and the tokens are forgotten whatever it says."""

from pathlib import Path

import pytest
from tests.unit.cli.conftest import Meroctl, sent
from tests.unit.cli.test_root_keys import file, pair_for
from tests.wire_server import WireServer, said

from meroid.client.token_cache import TokenCache


@pytest.fixture
def logged_in(run: Meroctl, server: WireServer, home: Path) -> Meroctl:
    server.on("GET", "/auth/providers", said({"data": {"providers": [], "count": 0, "setup_required": False}}))
    server.on("POST", "/auth/token", pair_for())
    run("node", "add", "n1", server.url)
    done = run("--node", "n1", "login", "--username", "ann", "--password-file", file(home, "pw", "secret"))
    assert done.status == 0, done.err
    return lambda *words: run("--node", "n1", *words)


def test_the_node_is_told_before_the_tokens_are_forgotten(logged_in: Meroctl, server: WireServer) -> None:
    server.on("POST", "/auth/logout", said({"data": {"success": True, "message": "Logged out"}, "error": None}))
    kept = TokenCache("n1").load()
    assert kept is not None

    done = logged_in("logout")

    assert (done.status, done.out, done.err) == (0, "[INFO] logged out\n", "")
    asked = sent(server, "/auth/logout")
    assert asked.headers["authorization"] == f"Bearer {kept.access_token}"
    assert asked.json == {"refresh_token": "r"}
    assert TokenCache("n1").load() is None

    before = len(server.asked)
    assert logged_in("logout").out == "[INFO] there were no tokens for this node\n"
    assert len(server.asked) == before


@pytest.mark.parametrize(("status", "told"), [(401, False), (404, True), (500, True)])
def test_what_the_node_answers_changes_nothing_here(
    logged_in: Meroctl, server: WireServer, *, status: int, told: bool
) -> None:
    server.on("POST", "/auth/logout", said({"error": "no", "code": "c"}, status=status))
    done = logged_in("logout")
    assert (done.status, done.out) == (0, "[INFO] logged out\n")
    assert ("warning: the node was not told" in done.err) is told
    assert TokenCache("n1").load() is None


def test_a_node_that_is_not_there_is_named(logged_in: Meroctl, run: Meroctl, home: Path) -> None:
    registry = home / ".config" / "calimero" / "meroctl" / "nodes.toml"
    text = registry.read_text()
    address = next(line for line in text.splitlines() if "http://" in line).split('"')[1]
    registry.write_text(text.replace(address, "http://127.0.0.1:9"))
    cache = TokenCache("n1")
    kept = cache.load()
    assert kept is not None
    cache.save(kept, facts={"node_url": "http://127.0.0.1:9"})
    done = run("--node", "n1", "logout")
    assert (done.status, done.out) == (0, "[INFO] logged out\n")
    assert "warning: the node was not told" in done.err
    assert TokenCache("n1").load() is None
