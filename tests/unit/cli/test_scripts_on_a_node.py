"""A script's token from its making to its end, with `meroctl` on a real node."""

from pathlib import Path

import pytest
from tests.served_node import PASSWORD, network, served_node
from tests.unit.cli.conftest import Meroctl


def test_a_token_is_made_used_listed_and_revoked(
    run: Meroctl, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEROID_TOKEN", raising=False)
    password, out = home / "password", home / "token"
    password.write_text(PASSWORD)
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as node:
        at = ("--api", f"http://127.0.0.1:{node.server.port}")
        assert run(*at, "login", "--username", "alice", "--password-file", str(password)).status == 0
        done = run(*at, "token", "create", "backup", "--permission", "context:list", "--out", str(out))
        assert done.status == 0, done.err

        monkeypatch.setenv("MEROID_TOKEN", out.read_text())
        assert run(*at, "context", "ls").status == 0
        assert "context:list" in run(*at, "whoami").out
        assert "permission_denied" in run(*at, "app", "ls").err
        assert run(*at, "token", "create", "x", "--permission", "context:list").status == 1
        monkeypatch.delenv("MEROID_TOKEN")

        (line,) = [each for each in run(*at, "token", "list").out.splitlines() if "backup" in each]
        assert run(*at, "token", "revoke", line.split("|")[1].strip()).status == 0
        monkeypatch.setenv("MEROID_TOKEN", out.read_text())
        ended = run(*at, "context", "ls")
        assert (ended.status, "token_revoked" in ended.err, "MEROID_TOKEN" in ended.err) == (1, True, True)

        monkeypatch.delenv("MEROID_TOKEN")
        assert (run(*at, "logout").out, run(*at, "context", "ls").status) == ("[INFO] logged out\n", 1)
