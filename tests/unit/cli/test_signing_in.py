"""Logging in, being somebody and logging out, as the commands do it."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import FOUNDER, Meroctl, Terminal
from tests.wire_server import Answer, Asked, WireServer, said, unsigned_jwt

from meroid.client.token_cache import TokenCache


class SignInNode:
    """A node that knows one user."""

    def __init__(self, server: WireServer) -> None:
        self.token = unsigned_jwt(sub="key-1", exp=4_000_000_000, account_id=FOUNDER)
        self.asked: Any = None
        server.on("POST", "/auth/token", self._token)
        server.on("GET", "/auth/validate", self._validate)

    def _token(self, asked: Asked) -> Answer:
        self.asked = asked.json
        if asked.json["provider_data"]["password"] != "s3cret":
            return said({"data": None, "error": "Authentication failed: Invalid username or password"}, 401)
        return said({"data": {"access_token": self.token, "refresh_token": "r", "error": None}, "error": None})

    def _validate(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return said({"data": None, "error": "no token"}, 401, X_Auth_Error="missing_token")
        return said({"data": "", "error": None}, X_Auth_User="key-1", X_Auth_Permissions="admin,keys")


def test_log_in_who_am_i_log_out(server: WireServer, run: Meroctl, home: Path) -> None:
    node = SignInNode(server)
    password = home / "password"
    password.write_text("s3cret\n")
    run("node", "add", "n1", server.url)

    done = run("--node", "n1", "login", "--username", "ann", "--password-file", str(password))

    assert done.status == 0, done.err
    assert "s3cret" not in done.out + done.err
    assert node.asked["auth_method"] == "user_password"
    assert node.asked["public_key"] == "ann"
    assert node.asked["client_name"] == server.url
    assert isinstance(node.asked["timestamp"], int)
    assert node.asked["provider_data"] == {"username": "ann", "password": "s3cret"}
    kept = TokenCache("n1").load()
    assert kept is not None
    assert kept.access_token == node.token
    registry = home / ".config" / "calimero" / "meroctl" / "nodes.toml"
    assert node.token in registry.read_text()
    assert registry.stat().st_mode & 0o777 == 0o600

    who = run("--node", "n1", "--output-format", "json", "whoami")
    assert json.loads(who.out) == {
        "node": "n1",
        "username": "ann",
        "user": "key-1",
        "account_id": FOUNDER,
        "permissions": ["admin", "keys"],
        "expires_at": 4_000_000_000,
        "bound_to_key": None,
    }
    assert "2096-10-02T07:06:40Z" in run("--node", "n1", "whoami").out

    assert run("--node", "n1", "logout").out == "[INFO] logged out\n"
    assert TokenCache("n1").load() is None
    assert node.token not in registry.read_text()
    assert run("--node", "n1", "whoami").status == 1


@pytest.fixture
def unowned(server: WireServer) -> SignInNode:
    node = SignInNode(server)
    server.on("GET", "/auth/providers", said({"data": {"providers": [], "count": 0, "setup_required": True}}))
    return node


def test_on_a_terminal_the_first_owner_types_the_password_twice(
    unowned: SignInNode, server: WireServer, run: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("node", "add", "n1", server.url)
    typed = ["s3cret", "s3crte", "s3cret", "s3cret", "s3cret"]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("meroid.cli.meroctl.secret_input.is_interactive", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: typed.pop(0))

    slipped = run("--node", "n1", "login", "--username", "ann")
    assert slipped.status == 1
    assert "the two passwords are not the same" in slipped.err
    assert unowned.asked is None

    done = run("--node", "n1", "login", "--username", "ann")
    assert done.status == 0, done.err
    assert "This node has no owner yet" in done.err
    assert "you are the owner of n1 now" in done.out

    again = run("--node", "n1", "login", "--username", "ann")  # there is a token: no first log-in
    assert again.status == 0, again.err
    assert "owner" not in again.out + again.err
    assert typed == []


def test_without_a_terminal_the_first_owner_is_told_in_json(
    unowned: SignInNode, server: WireServer, run: Meroctl, home: Path
) -> None:
    (home / "password").write_text("s3cret\n")

    done = run(
        "--api", server.url, "--output-format", "json",
        "login", "--username", "ann", "--password-file", str(home / "password"),
    )  # fmt: skip

    assert json.loads(done.out)["owner"] is True
    assert unowned.asked["provider_data"] == {"username": "ann", "password": "s3cret"}


def test_a_wrong_password_keeps_nothing(server: WireServer, run: Meroctl, monkeypatch: pytest.MonkeyPatch) -> None:
    SignInNode(server)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"guess\n")))

    done = run("--api", server.url, "login", "--username", "ann", "--password-file", "-")

    assert done.status == 1
    assert "Invalid username or password" in done.err
    assert "guess" not in done.err
    assert TokenCache(server.url + "/").load() is None


def test_without_a_terminal_nothing_is_prompted(
    server: WireServer, run: Meroctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    for words in (["login"], ["login", "--username", "ann"]):
        done = run("--api", server.url, *words)
        assert done.status == 1
        assert "no terminal" in done.err
    assert server.asked == []
