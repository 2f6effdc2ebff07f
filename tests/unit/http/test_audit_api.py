"""The audit trail over HTTP: who sees what of it, pages, its signed end, and refusals; on the whole node."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.served_node import ServedNode, network, served_node
from tests.unit.http.test_node_permissions import _other_account

from meroid.account.audit import AuditHead, verify_chain
from meroid.account.audit_statement import read_key_set, read_statement
from meroid.client.tokens import claims_of
from meroid.wire.audit import export_line, parse_line


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as made:
        yield made


def events(node: ServedNode, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
    node.node.auth.refusals.write()
    got = node.ask("GET", f"/admin/audit?latest=true&{query}", token=token)
    assert got.status == 200, got.text
    return list(got.json["data"]["events"])


def test_it_begins_with_the_node_and_goes_on_with_what_is_done(node: ServedNode) -> None:
    token = node.mint("context:list")
    known = events(node)
    assert [each["action"] for each in known][:4] == ["account.create", "signing_key.create", "owner.claim", "login"]
    assert [each["seq"] for each in known] == list(range(1, len(known) + 1))
    minted = known[-1]
    assert (minted["action"], minted["outcome"], minted["address"]) == ("token.mint", "ok", "127.0.0.1")
    assert (minted["target"], minted["key"]) == (claims_of(token)["sub"], claims_of(node.token)["sub"])


def test_pages_and_filters(node: ServedNode) -> None:
    whole = events(node)
    first = node.data("GET", "/admin/audit?limit=2")
    assert ([each["seq"] for each in first["events"]], first["next"]) == ([1, 2], 2)
    second = node.data("GET", f"/admin/audit?limit=1000&after={first['next']}")
    assert first["events"] + second["events"] == whole
    assert second["next"] is None
    assert {each["action"] for each in events(node, "action=token")} <= {"token.mint", "token.refresh", "token.revoke"}
    assert events(node, f"until={whole[0]['at']}") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "latest=true&after=-1",
        "after=99999999999999999999",
        "since=1.5",
        "until=",
        "action=%00",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(node: ServedNode, query: str) -> None:
    got = node.ask("GET", f"/admin/audit?{query}")
    assert (got.status, got.code) == (400, "bad_filter")


def test_an_account_that_is_none_is_refused(node: ServedNode) -> None:
    assert node.ask("GET", "/admin/audit?account=0OIl").status == 400


def test_the_signed_end_verifies_with_the_published_keys_and_is_no_token(node: ServedNode) -> None:
    ended = node.data("GET", "/admin/audit/head")
    lines = [parse_line(export_line(each).encode()) for each in events(node, "limit=1000")[: ended["count"]]]
    head = verify_chain(lines)  # type: ignore[arg-type]
    said = read_statement(ended["statement"], read_key_set(node.ask("GET", "/auth/jwks.json").json))
    assert said.head == head == AuditHead(count=ended["count"], digest=bytes.fromhex(ended["head"]))
    got = node.ask("GET", "is-authed", token=ended["statement"])
    assert (got.status, got.code) == (401, "invalid_token")


def test_others_see_what_their_own_account_did_and_nothing_more(node: ServedNode) -> None:
    other = _other_account(node)
    seen = events(node, token=other)
    assert {each["account"] for each in seen} == {claims_of(other)["account_id"]}
    assert [each["action"] for each in seen] == ["login"]
    own = claims_of(node.token)["account_id"]
    for path in (f"/admin/audit?account={own}", "/admin/audit/head"):
        got = node.ask("GET", path, token=other)
        assert (got.status, got.code) == (403, "permission_denied")


def test_a_minted_token_needs_a_permission_for_it(node: ServedNode) -> None:
    got = node.ask("GET", "/admin/audit", token=node.mint("context:list"))
    assert (got.status, got.code) == (403, "permission_denied")
    assert events(node, token=node.mint("keys:list"))


def test_refusals_of_known_keys_are_recorded_and_those_of_strangers_are_not(node: ServedNode) -> None:
    narrow = node.mint("context:list")
    for _ in range(3):
        assert node.ask("GET", "/admin/keys", token=narrow).status == 403
    denied = events(node)[-1]
    assert (denied["action"], denied["outcome"]) == ("request", "permission_denied")
    assert (denied["key"], denied["left_out"]) == (claims_of(narrow)["sub"], 2)
    assert denied["details"] == {"route": "/admin/keys"}

    node.data("POST", "/admin/revoke", {"client_id": claims_of(narrow)["sub"]})
    for path in ("/auth/validate", "/admin-api/contexts"):
        assert node.ask("GET", path, token=narrow).status == 401
    revoked = events(node)[-1]
    assert (revoked["outcome"], revoked["key"], revoked["left_out"]) == ("token_revoked", claims_of(narrow)["sub"], 1)

    before = events(node)
    for token in ("nonsense", "a.b.c", ""):
        assert node.ask("GET", "/auth/validate", token=token).status == 401
    assert events(node) == before


def test_judging_a_token_never_waits_for_the_store_to_be_written(node: ServedNode) -> None:
    revoked = node.mint("context:list")
    node.data("POST", "/admin/revoke", {"client_id": claims_of(revoked)["sub"]})
    commits = node.node.store.commits
    for token in (node.token, revoked, "nonsense") * 5:
        node.ask("GET", "/auth/validate", token=token)
    node.node.auth.refusals.write()
    assert node.node.store.commits <= commits + 2, "at most those that write refusals together"
