"""`meroctl account create|link|links|withdraw-link`, `login --code-file` and `--sign-up`, against a real server."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import APPLICATION, Meroctl, sent
from tests.unit.cli.test_root_keys import pair_for
from tests.wire_server import WireServer, said

GOLDEN = Path(__file__).parents[2] / "golden"
ENDS = 4_000_000_000
CODE = "c" * 22
ID = "1" * 32


@pytest.fixture
def node(server: WireServer) -> WireServer:
    link = f"{server.url}/auth/login#code={CODE}"
    made = {"link_id": ID, "kind": "new", "account_id": APPLICATION, "label": "Bob", "code": CODE, "link": link}
    server.on("POST", "/admin/accounts", said({"data": made | {"expires_at": ENDS}, "error": None}))
    server.on("POST", f"/admin/accounts/{APPLICATION}/link", said({"data": made | {"expires_at": ENDS}, "error": None}))
    listed = [
        {"link_id": ID, "kind": "new", "account_id": None, "label": "Bob", "expires_at": ENDS},
        {"link_id": "2" * 32, "kind": "reset", "account_id": APPLICATION, "label": "", "expires_at": ENDS},
    ]
    server.on("GET", "/admin/links", said({"data": listed, "error": None}))
    server.on("DELETE", f"/admin/links/{ID}", said({"data": {"link_id": ID}, "error": None}))
    server.on("GET", "/auth/providers", said({"data": {"providers": [], "setup_required": False}, "error": None}))
    server.on("POST", "/auth/link", said({"data": {"kind": "reset", "usernames": ["bob"]}, "error": None}))
    server.on("POST", "/auth/token", pair_for())
    return server


def password_file(home: Path) -> str:
    path = home / "password"
    path.write_text("a good password\n")
    return str(path)


def test_a_link_is_shown_once_with_what_to_do(meroctl: Meroctl, node: WireServer) -> None:
    done = meroctl("account", "create", "--name", "Bob", "--valid-for", "1h")
    assert done.out == f"{node.url}/auth/login#code={CODE}\n"
    assert (GOLDEN / "account_create_told.txt").read_text("utf-8") == done.err
    assert sent(node, "/admin/accounts").json == {"label": "Bob", "valid_for": 3600}
    as_json = meroctl("--output-format", "json", "account", "link", APPLICATION)
    assert json.loads(as_json.out)["data"]["code"] == CODE
    assert as_json.err == ""
    assert sent(node, f"/admin/accounts/{APPLICATION}/link").json == {"valid_for": 7 * 86_400}


@pytest.mark.parametrize(
    ("name", "words"),
    [("account_links", ["account", "links"]), ("account_withdraw_link", ["account", "withdraw-link", ID])],
)
def test_the_tables_stand_as_in_the_golden_files(
    meroctl: Meroctl, node: WireServer, name: str, words: list[str]
) -> None:
    done = meroctl(*words)
    assert (done.status, done.out) == (0, (GOLDEN / f"{name}.txt").read_text("utf-8"))


@pytest.mark.parametrize("shown", [f"{{url}}/auth/login#code={CODE}\n", CODE])
def test_a_link_is_used_from_a_file_and_knows_the_name(
    meroctl: Meroctl, node: WireServer, home: Path, shown: str
) -> None:
    link = home / "link"
    link.write_text(shown.format(url=node.url))
    done = meroctl("login", "--code-file", str(link), "--password-file", password_file(home))
    assert done.status == 0, done.err
    proof = {"username": "bob", "password": "a good password", "login_code": CODE}
    assert sent(node, "/auth/token").json["provider_data"] == proof
    assert CODE not in done.out + done.err


def test_a_link_goes_to_no_other_node(meroctl: Meroctl, node: WireServer, home: Path) -> None:
    link = home / "link"
    link.write_text(f"http://elsewhere.example/auth/login#code={CODE}")
    done = meroctl("login", "--code-file", str(link), "--password-file", password_file(home))
    assert done.status == 1
    assert "--api http://elsewhere.example" in done.err
    assert CODE not in done.err
    assert not [each for each in node.asked if each.path in {"/auth/link", "/auth/token"}]


def test_a_link_isnt_taken_where_nobody_can_be_asked(meroctl: Meroctl, node: WireServer, home: Path) -> None:
    done = meroctl("login", "--code", "--password-file", password_file(home))
    assert (done.status, "--code-file" in done.err) == (1, True)
    both = meroctl("login", "--code-file", "-", "--password-file", "-")
    assert (both.status, "standard input" in both.err) == (1, True)


def test_signing_up_is_asked_for(meroctl: Meroctl, node: WireServer, home: Path) -> None:
    done = meroctl("login", "--sign-up", "--username", "bob", "--password-file", password_file(home))
    assert done.status == 0, done.err
    proof = {"username": "bob", "password": "a good password", "sign_up": True}
    assert sent(node, "/auth/token").json["provider_data"] == proof
