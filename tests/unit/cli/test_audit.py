"""`meroctl audit list|export|verify` against a real server; the table letter by letter."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Meroctl
from tests.wire_server import WireServer, said

from meroid.account.audit import Action, Actor, AuditEvent, AuditHead, chain
from meroid.account.audit_statement import STATEMENT_TYPE, statement_claims
from meroid.auth.jws import SigningKey
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.wire.audit import event_data

GOLDEN = Path(__file__).parents[2] / "golden"
AT = 1_800_000_000_000
OWNER = Actor(account_id=AccountId(b"o" * 32), key_id="0123456789abcdef0123456789abcdef", address="203.0.113.7")
EVENTS = [
    AuditEvent(at=AT, action=Action.SIGNING_KEY_CREATE, target="kid"),
    AuditEvent(at=AT + 1000, action=Action.LOGIN, by=OWNER, method="user_password", target="f" * 32),
    AuditEvent(
        at=AT + 2000,
        action=Action.LOGIN,
        by=Actor(address="2001:db8::1"),
        outcome="wrong_credentials",
        method="user_password",
        target="login:" + "ab" * 32,
        left_out=41,
    ),
    AuditEvent(
        at=AT + 3000, action=Action.REQUEST, by=OWNER, outcome="permission_denied", details={"route": "/admin/keys"}
    ),
]
LATEST, PAGE = "limit=50&latest=true", "after=0&limit=4"
KEY = SigningKey("kid-1", Secret(b"s" * 32))
OTHER = SigningKey("kid-1", Secret(b"t" * 32))


def listed() -> tuple[list[dict[str, Any]], AuditHead]:
    head, found = AuditHead(), []
    for each in EVENTS:
        chained = chain(head, each)
        head = chained.head
        data = event_data(chained)
        found.append({name: getattr(data, name) for name in data.__struct_fields__})
    return found, head


def key_set(key: SigningKey) -> dict[str, Any]:
    from meroid.auth.jwks import key_set as made  # noqa: PLC0415
    from meroid.auth.jws import VerifyingKey  # noqa: PLC0415

    return dict(made([VerifyingKey(key.kid, key.public)]))


def statement(head: AuditHead) -> str:
    return KEY.state(json.dumps(statement_claims("mero-auth", head, AT)).encode(), STATEMENT_TYPE)


@pytest.fixture
def node(server: WireServer) -> WireServer:
    found, head = listed()
    for query in (LATEST, PAGE):
        server.on("GET", f"/admin/audit?{query}", said({"data": {"events": found, "next": None}, "error": None}))
    ended = {"count": head.count, "head": head.digest.hex(), "statement": statement(head)}
    server.on("GET", "/admin/audit/head", said({"data": ended, "error": None}))
    server.on("GET", "/auth/jwks.json", said(key_set(KEY)))
    return server


@pytest.fixture
def file(meroctl: Meroctl, node: WireServer, home: Path) -> Path:
    out = home / "trail.jsonl"
    assert meroctl("audit", "export", "--out", str(out)).status == 0
    return out


def test_the_table(meroctl: Meroctl, node: WireServer) -> None:
    assert meroctl("audit", "list").out == (GOLDEN / "audit_list.txt").read_text("utf-8")


def test_json_is_what_the_node_said(meroctl: Meroctl, node: WireServer) -> None:
    assert json.loads(meroctl("audit", "list", "--json").out)["data"]["events"] == listed()[0]


def test_no_events(meroctl: Meroctl, server: WireServer) -> None:
    query = "action=logout&since=1767225600000&until=1893499200000&limit=7&latest=true"
    server.on("GET", f"/admin/audit?{query}", said({"data": {"events": [], "next": None}, "error": None}))
    words = ["--action", "logout", "--since", "2026-01-01", "--until", "2030-01-01T12:00", "-n", "7"]
    assert meroctl("audit", "list", *words).out == "No events found\n"


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--limit", "0"], ["--limit", "1001"]])
def test_arguments_that_make_no_sense(meroctl: Meroctl, node: WireServer, words: list[str]) -> None:
    done = meroctl("audit", "list", *words)
    assert done.status == 1
    assert "[bad_argument]" in done.err


def test_an_export_is_verified_without_a_node(meroctl: Meroctl, file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    done = meroctl("audit", "verify", str(file))
    assert (done.status, done.out) == (0, (GOLDEN / "audit_verify.txt").read_text("utf-8"))
    again = meroctl("audit", "export", "--out", str(file))
    assert (again.status, "is there already" in again.err) == (1, True)


def test_the_keys_of_another_node_dont_verify_it(meroctl: Meroctl, file: Path, home: Path) -> None:
    keys = home / "jwks.json"
    keys.write_text(json.dumps(key_set(OTHER)))
    done = meroctl("audit", "verify", str(file), "--jwks", str(keys))
    assert (done.status, "[audit_bad_statement]" in done.err) == (1, True)
    keys.write_text(json.dumps(key_set(KEY)))
    assert meroctl("audit", "verify", str(file), "--jwks", str(keys)).status == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys":5}', '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"*"}]}'])
def test_a_file_of_keys_that_is_none(meroctl: Meroctl, file: Path, home: Path, content: str) -> None:
    keys = home / "jwks.json"
    keys.write_text(content)
    assert meroctl("audit", "verify", str(file), "--jwks", str(keys)).status == 1


def test_every_single_change_of_a_byte_is_found(meroctl: Meroctl, file: Path) -> None:
    data = file.read_bytes()
    for place in range(0, data.rindex(b'{"statement"'), 37):
        changed = bytearray(data)
        changed[place] ^= 1
        file.write_bytes(changed)
        assert meroctl("audit", "verify", str(file)).status == 1, place
    file.write_bytes(data)
    assert meroctl("audit", "verify", str(file)).status == 0


def test_the_trail_of_the_node_is_verified_as_it_is_now(meroctl: Meroctl, node: WireServer, file: Path) -> None:
    assert meroctl("audit", "verify", "--since-head", str(file)).status == 0
    found, _ = listed()
    node.on("GET", f"/admin/audit?{PAGE}", said({"data": {"events": [found[0] | {"at": 1}, *found[1:]], "next": None}}))
    done = meroctl("audit", "verify")
    assert (done.status, "event 1 " in done.err, "[audit_broken]" in done.err) == (1, True, True)
