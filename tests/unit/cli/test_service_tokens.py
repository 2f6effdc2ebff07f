"""`meroctl token create|list|revoke`, and `MEROID_TOKEN`, against a real server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import CONTEXT, FOUNDER, MEMBER, Meroctl, sent
from tests.unit.cli.test_root_keys import file, pair_for
from tests.wire_server import Answer, WireServer, said

from meroid.client.token_cache import TokenCache

GOLDEN = Path(__file__).parents[2] / "golden"
KEY = "f" * 32
ROOT = "0" * 32
ENDS = 4_000_000_000
TOKEN = "header.claims.signature"
MADE = {"access_token": TOKEN, "refresh_token": None, "client_id": KEY, "expires_at": ENDS, "error": None}


def minted(number: int, **changes: Any) -> dict[str, Any]:
    shown = {
        "client_id": f"{number:032x}",
        "root_key_id": ROOT,
        "name": f"job {number}",
        "permissions": ["context:list"],
        "created_at": int(time.time()) - 3 * 86_400,
        "revoked_at": None,
        "expires_at": ENDS,
        "is_valid": True,
    }
    return shown | changes


def listed(*keys: dict[str, Any]) -> Answer:
    return said({"data": list(keys), "error": None})


@pytest.fixture
def node(server: WireServer, monkeypatch: pytest.MonkeyPatch) -> WireServer:
    monkeypatch.delenv("MEROID_TOKEN", raising=False)
    server.on("POST", "/admin/client-key", said({"data": MADE, "error": None}))
    server.on("GET", "/admin/keys/clients", listed(minted(1), minted(2, is_valid=False), minted(3, client_id=KEY)))
    removed = {"message": "Client key revoked successfully", "revoked_at": 1}
    server.on("DELETE", f"/admin/keys/{ROOT}/clients/{KEY}", said({"data": removed, "error": None}))
    return server


def test_a_token_is_shown_once_and_nothing_else_on_standard_output(meroctl: Meroctl, node: WireServer) -> None:
    done = meroctl("token", "create", "backup job", "--permission", "context:list", "--permission", "blob")
    assert (done.status, done.out) == (0, f"{TOKEN}\n")
    assert done.err == f"This is shown once. Its id is {KEY}, and it ends on 2096-10-02.\n"
    assert sent(node, "/admin/client-key").json == {
        "name": "backup job",
        "expires_in": 30 * 86_400,
        "permissions": ["context:list", "blob"],
    }
    as_json = meroctl("--output-format", "json", "token", "create", "x", "--permission", "blob", "--valid-for", "12h")
    assert json.loads(as_json.out)["data"]["access_token"] == TOKEN
    assert sent(node, "/admin/client-key").json["expires_in"] == 43_200


def test_a_token_for_a_context_acts_there_as_one_identity(meroctl: Meroctl, node: WireServer) -> None:
    assert meroctl("token", "create", "bot", "--context", "demo").status == 0
    body = {"name": "bot", "expires_in": 30 * 86_400, "context_id": CONTEXT, "context_identity": FOUNDER}
    assert sent(node, "/admin/client-key").json == body | {"permissions": ["context:execute"]}
    words = ("token", "create", "bot", "-c", "demo", "--as", "laptop", "--permission", "context:list")
    assert meroctl(*words).status == 0
    assert sent(node, "/admin/client-key").json == body | {
        "context_identity": MEMBER,
        "permissions": ["context:list"],
    }


def test_a_token_goes_into_a_private_new_file(meroctl: Meroctl, node: WireServer, home: Path) -> None:
    out = home / "token"
    done = meroctl("token", "create", "x", "--permission", "blob", "--out", str(out))
    assert (done.status, TOKEN in done.out + done.err) == (0, False)
    assert (out.read_text(), out.stat().st_mode & 0o777) == (f"{TOKEN}\n", 0o600)
    before = len(node.asked)
    again = meroctl("token", "create", "x", "--permission", "blob", "--out", str(out))
    assert (again.status, "file_problem" in again.err, len(node.asked)) == (1, True, before)


def test_a_token_that_can_not_be_written_is_revoked(meroctl: Meroctl, node: WireServer, home: Path) -> None:
    done = meroctl("token", "create", "x", "--permission", "blob", "--out", str(home / "none" / "token"))
    assert (done.status, "file_problem" in done.err, TOKEN in done.out + done.err) == (1, True, False)
    assert node.paths()[-1] == f"DELETE /admin/keys/{ROOT}/clients/{KEY}"


@pytest.mark.parametrize(
    "words",
    [
        ("create", "x"),
        ("create", "x", "--as", "laptop", "--permission", "blob"),
        ("create", "x", "--permission", "blob", "--valid-for", "soon"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_sent(
    meroctl: Meroctl, node: WireServer, words: tuple[str, ...]
) -> None:
    done = meroctl("token", *words)
    assert (done.status, "bad_argument" in done.err, node.asked) == (1, True, [])


def test_an_old_log_in_is_told_to_log_in_again(meroctl: Meroctl, node: WireServer) -> None:
    refusal = {"data": None, "error": "old", "code": "login_not_fresh", "next": "n"}
    node.on("POST", "/admin/client-key", said(refusal, status=403))
    done = meroctl("token", "create", "x", "--permission", "blob")
    assert (done.status, "advice: log in: meroctl" in done.err) == (1, True)


def test_only_a_valid_minted_key_is_revoked(meroctl: Meroctl, node: WireServer) -> None:
    assert meroctl("token", "revoke", KEY).status == 0
    for other in (f"{2:032x}", ROOT, "unknown"):
        done = meroctl("token", "revoke", other)
        assert (done.status, "no_such_token" in done.err) == (1, True)
    assert sum(path.startswith("DELETE") for path in node.paths()) == 1


def test_a_token_is_revoked_by_its_name_where_it_is_the_only_one(meroctl: Meroctl, node: WireServer) -> None:
    twins = (minted(4, name="twin"), minted(5, name="twin"))
    ended = minted(2, name="nightly", is_valid=False)
    node.on("GET", "/admin/keys/clients", listed(ended, minted(3, client_id=KEY, name="nightly"), *twins))
    assert meroctl("token", "revoke", "nightly").status == 0
    assert node.paths()[-1] == f"DELETE /admin/keys/{ROOT}/clients/{KEY}"
    done = meroctl("token", "revoke", "twin")
    assert (done.status, "token_name_shared" in done.err) == (1, True)
    assert sum(path.startswith("DELETE") for path in node.paths()) == 1


# MEROID_TOKEN


def test_the_token_of_the_environment_is_sent_and_never_kept(
    meroctl: Meroctl, node: WireServer, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("MEROID_TOKEN", f"{TOKEN}\n")
    assert meroctl("context", "ls").status == 0
    assert sent(node, "/admin-api/contexts").headers["authorization"] == f"Bearer {TOKEN}"
    assert all(TOKEN not in path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


def test_it_leads_over_kept_tokens_and_log_out_leaves_it_alone(
    run: Meroctl, node: WireServer, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    node.on("GET", "/auth/providers", said({"data": {"providers": [], "count": 0, "setup_required": False}}))
    node.on("POST", "/auth/token", pair_for())
    node.on("POST", "/auth/logout", said({"data": {"success": True}}))
    run("node", "add", "n1", node.url)
    run("--node", "n1", "login", "--username", "ann", "--password-file", file(home, "pw", "secret"))
    kept = TokenCache("n1").load()
    assert kept is not None

    monkeypatch.setenv("MEROID_TOKEN", TOKEN)
    run("--node", "n1", "context", "ls")
    refused = run("--node", "n1", "login", "--username", "ann", "--password-file", file(home, "pw", "secret"))
    run("--node", "n1", "logout")

    assert sent(node, "/admin-api/contexts").headers["authorization"] == f"Bearer {TOKEN}"
    assert (refused.status, "unset MEROID_TOKEN" in refused.err) == (1, True)
    assert sent(node, "/auth/logout").headers["authorization"] == f"Bearer {kept.access_token}"
    assert TokenCache("n1").load() is None


def test_what_is_no_token_is_refused_without_showing_it(
    meroctl: Meroctl, node: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEROID_TOKEN", "se cret")
    done = meroctl("context", "ls")
    assert (done.status, "MEROID_TOKEN" in done.err, "se cret" in done.err, node.asked) == (1, True, False, [])


def test_one_that_ended_is_named_in_the_advice(
    meroctl: Meroctl, node: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEROID_TOKEN", TOKEN)
    ended = said({"error": "over", "code": "token_expired", "next": "n"}, status=401, X_Auth_Error="token_expired")
    node.on("GET", "/admin-api/contexts", ended)
    done = meroctl("context", "ls")
    assert (done.status, "advice: set MEROID_TOKEN" in done.err, TOKEN in done.err) == (1, True, False)


TABLES: list[tuple[str, list[str], Callable[[], Answer]]] = [
    ("token_list", ["token", "list"], lambda: listed(minted(1), minted(2, is_valid=False), minted(3, expires_at=None))),
    (
        "token_list_all",
        ["token", "ls", "--all"],
        lambda: listed(minted(1, permissions=["context:list", "blob"]), minted(2, is_valid=False)),
    ),
    ("token_list_empty", ["token", "list"], listed),
    ("token_create", ["token", "create", "job", "--permission", "blob", "--out", "token"], listed),
    ("token_revoke", ["token", "revoke", KEY], lambda: listed(minted(3, client_id=KEY))),
]


@pytest.mark.parametrize(("name", "words", "answer"), TABLES, ids=[case[0] for case in TABLES])
def test_a_table_is_drawn_letter_by_letter(
    name: str,
    words: list[str],
    answer: Callable[[], Answer],
    meroctl: Meroctl,
    node: WireServer,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    node.on("GET", "/admin/keys/clients", answer())
    done = meroctl(*words)
    assert (done.status, done.err) == (0, "")
    assert done.out == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
