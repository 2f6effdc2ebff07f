"""P13, on a real process: what happened is exported and verified without the node; what is changed in it is found.

Refusals over HTTP carry a stable code, a reason and a next step.
"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.processes import Merod, Owner, eventually, initialise, start, stop, stopped

OWNER = Owner("petra", "a password of petra's")
TYPED_AS_NAME = "a-password-in-the-wrong-field"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Merod]:
    made = Merod("audited-node", tmp_path, owner=OWNER)
    initialise(made)
    start(made)
    yield made
    stop(made)
    assert "Traceback" not in made.log, made.log


def log_in(node: Merod, name: str, password: str) -> Any:
    body = {"auth_method": "user_password", "public_key": name, "client_name": "x", "timestamp": 0}
    return node.ask("POST", "/auth/token", {**body, "provider_data": {"username": name, "password": password}})


def tampered(lines: list[str], number: int, **changes: Any) -> str:
    event = json.loads(lines[number - 1]) | changes
    return "".join([*lines[: number - 1], json.dumps(event, separators=(",", ":")) + "\n", *lines[number:]])


def test_what_happened_is_verified_with_the_node_stopped_and_every_change_is_named(node: Merod, tmp_path: Path) -> None:
    early, late, keys = tmp_path / "early.jsonl", tmp_path / "late.jsonl", tmp_path / "jwks.json"
    pair = act(node, early)
    keys.write_bytes(node.ask("GET", "/auth/jwks.json").body)
    assert str(late) in node.meroctl("audit", "export", "--out", str(late)).out
    assert stat.S_IMODE(late.stat().st_mode) == 0o600
    node.meroctl("audit", "export", "--out", str(late), ends_with=1)

    with stopped(node):
        done = node.meroctl("--output-format", "json", "audit", "verify", str(late), "--jwks", str(keys)).first
        lines = late.read_text("utf-8").splitlines(keepends=True)
        assert done["events"] == len(lines) - 1
        assert done["keys_from"] == "file"
        node.meroctl("audit", "verify", str(late), "--since-head", str(early))
        node.meroctl("audit", "verify", str(late), "--since-head", f"{done['events']}:{done['head']}")
        tells_all_and_no_secret(lines, pair)
        names_every_change(node, lines, tmp_path / "copy.jsonl")
        shortened = node.meroctl("audit", "verify", str(early), "--since-head", str(late), ends_with=1).err
        assert "audit_truncated" in shortened

    node.meroctl("audit", "verify", "--since-head", str(late))


def act(node: Merod, early: Path) -> Any:
    """What is to be found in the trail, with an export in the middle; the pair of tokens of the log-in."""
    node.log_in()
    assert log_in(node, OWNER.name, "a wrong one").code == "wrong_credentials"
    assert log_in(node, TYPED_AS_NAME, "x" * 12).code == "wrong_credentials"
    pair = node.pair()
    fresh = node.data("POST", "/auth/refresh", {name: pair[name] for name in ("access_token", "refresh_token")})
    minted = node.data("POST", "/admin/client-key", {"permissions": ["context:list"]})
    assert node.ask("GET", "/admin/keys", token=minted["access_token"]).code == "permission_denied"
    node.meroctl("audit", "export", "--out", str(early))
    node.ask("POST", "/auth/logout", {"refresh_token": fresh["refresh_token"]}, token=fresh["access_token"])
    assert "permission_denied" in until_listed(node, "permission_denied")
    return pair


def tells_all_and_no_secret(lines: list[str], pair: Any) -> None:
    outcomes = [(each["action"], each["outcome"]) for each in map(json.loads, lines[:-1])]
    for expected in [
        ("owner.claim", "ok"),
        ("login", "ok"),
        ("login", "wrong_credentials"),
        ("token.refresh", "ok"),
        ("token.mint", "ok"),
        ("request", "permission_denied"),
        ("logout", "ok"),
    ]:
        assert expected in outcomes
    text = "".join(lines)
    told = [OWNER.password, TYPED_AS_NAME, *(part for each in pair.values() if each for part in each.split("."))]
    assert [each for each in told if len(each) > 8 and each in text and each not in header(lines)] == []


def names_every_change(node: Merod, lines: list[str], copy: Path) -> None:
    middle = len(lines) // 2
    for changed, says in [
        (tampered(lines, middle, outcome="ok", address="192.0.2.1"), f"event {middle} "),
        ("".join([*lines[: middle - 1], *lines[middle:]]), f"event {middle} is missing"),
        ("".join([*lines[:-2], lines[-1]]), f"{len(lines) - 1} events, and here are {len(lines) - 2}"),
        ("".join(lines[:-1]), "no signed end"),
        (lines[0][: len(lines[0]) // 2] + "\n" + "".join(lines[1:]), "line 1"),
    ]:
        copy.write_text(changed, "utf-8")
        refused = node.meroctl("audit", "verify", str(copy), ends_with=1).err
        assert says in refused, refused
        assert "audit_" in refused


def header(lines: list[str]) -> str:
    """The first part of the signed end, which every token of the same key begins with in part."""
    return str(json.loads(lines[-1])["statement"].split(".")[0])


def until_listed(node: Merod, wanted: str) -> str:
    """What is listed, once the refusals that are written together are there."""
    eventually(lambda: wanted in node.meroctl("audit", "list", "--outcome", "refused").out, f"{wanted} is listed")
    return node.meroctl("audit", "list", "--outcome", "refused").out


def test_every_refusal_says_what_why_and_what_next(node: Merod) -> None:
    asked = [
        ("GET", "/nowhere", None, ""),
        ("PUT", "/auth/token", None, ""),
        ("POST", "/auth/token", b"{", ""),
        ("POST", "/auth/token", {"auth_method": 5}, ""),
        ("POST", "/auth/refresh", {"access_token": "a", "refresh_token": "b"}, ""),
        ("POST", "/auth/logout", {}, ""),
        ("GET", "/auth/challenge?method=nothing", None, ""),
        ("GET", "/admin/keys", None, ""),
        ("GET", "/admin/keys", None, "nonsense"),
        ("GET", "/admin/audit?limit=x", None, node.pair()["access_token"]),
        ("GET", "/admin-api/contexts/x", None, node.pair()["access_token"]),
        ("DELETE", "/admin/keys/nothing", None, node.pair()["access_token"]),
    ]
    for method, path, body, token in asked:
        got = node.ask(method, path, body, token=token)
        assert 400 <= got.status < 500, (method, path, got.status)
        told = got.json if got.text.startswith("{") else {}
        assert got.headers["x-meroid-code"] == got.code, (method, path)
        if told:
            assert told["code"] == got.code
            assert told["reason"]
            assert told["next"]
