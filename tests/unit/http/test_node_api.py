"""Every node route and status, exactly as the wire has it (`wire/node.md` §1 and §2), in both auth modes."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import base58
import pytest
from tests.kv_store import kv_store_bytecode
from tests.node_world import eventually
from tests.served_node import Member, ServedNode, network, served_node
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

UNKNOWN = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"  # 32 bytes of 1
NULL = b'{"data":null}'


@pytest.fixture(scope="module", params=["proxy", "embedded"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedNode, ...]]:
    folder = tmp_path_factory.mktemp(request.param)
    with (
        network() as joined,
        served_node(folder, joined, mode=request.param, name="one") as one,
        served_node(folder, joined, mode=request.param, name="two") as two,
    ):
        yield one, two


@pytest.fixture(scope="module")
def node(pair: tuple[ServedNode, ...]) -> ServedNode:
    return pair[0]


@pytest.fixture(scope="module")
def other(pair: tuple[ServedNode, ...]) -> ServedNode:
    return pair[1]


@pytest.fixture(scope="module")
def application(node: ServedNode) -> str:
    return node.install(kv_store_bytecode())


@pytest.fixture(scope="module")
def home(node: ServedNode, application: str) -> Member:
    """A context of the first node."""
    return node.create(application)


def listen(node: ServedNode) -> ClientConnection:
    headers = {"Authorization": f"Bearer {node.token}"} if node.token else {}
    made: ClientConnection = connect(f"ws://127.0.0.1:{node.server.port}/ws", additional_headers=headers)
    return made


def said(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(timeout=10))


# --- service ---


def test_health_and_is_authed_say_alive(node: ServedNode) -> None:
    for path in ("health", "is-authed"):
        assert node.ask("GET", path).body == b'{"data":{"status":"alive"}}'


def test_peers_is_a_bare_count(node: ServedNode) -> None:
    assert set(node.ask("GET", "peers").json) == {"count"}
    assert node.ask("GET", "peers").json["count"] >= 0


def test_without_a_token_a_guarded_route_is_401_in_embedded_mode_only(node: ServedNode) -> None:
    for method, path in (("GET", "contexts"), ("GET", "peers"), ("POST", "identity/context"), ("POST", "/jsonrpc")):
        got = node.ask(method, path, token="", body=None if method == "GET" else {})
        if node.mode == "embedded":
            assert (got.status, got.code, got.headers["x-auth-error"]) == (401, "missing_token", "missing_token")
            assert got.json["error"]
        else:
            assert got.status in {200, 422}


def test_the_auth_routes_are_there_in_embedded_mode_only(node: ServedNode) -> None:
    assert node.ask("GET", "/auth/providers").status == (200 if node.mode == "embedded" else 404)


# --- applications ---


def test_an_installed_application_is_listed_and_shown_in_the_shape_of_the_wire(
    node: ServedNode, application: str
) -> None:
    assert base58.b58decode(application)
    shown = node.data("GET", f"applications/{application}")["application"]
    assert set(shown) == {"id", "blob", "size", "source", "metadata"}
    assert set(shown["blob"]) == {"bytecode", "compiled"}
    assert shown["id"] == application
    assert shown["size"] == len(kv_store_bytecode())
    assert shown["metadata"] == []
    assert str(node.folder) not in json.dumps(shown)
    assert shown in node.data("GET", "applications")["apps"]


def test_metadata_is_an_array_of_integers_both_ways(node: ServedNode) -> None:
    path = node.folder / "module.wasm"
    path.write_bytes(kv_store_bytecode())
    body = {"path": str(path), "metadata": [0, 127, 255], "package": "x", "version": None}
    made = node.data("POST", "install-dev-application", body)["applicationId"]
    assert node.data("GET", f"applications/{made}")["application"]["metadata"] == [0, 127, 255]


def test_an_absent_application_is_200_with_null(node: ServedNode) -> None:
    assert node.ask("GET", f"applications/{UNKNOWN}").body == b'{"data":{"application":null}}'


def test_uninstalling_gives_the_id_even_when_it_was_not_there(node: ServedNode) -> None:
    path = node.folder / "module.wasm"
    path.write_bytes(kv_store_bytecode())
    made = node.data("POST", "install-dev-application", {"path": str(path), "metadata": [9]})["applicationId"]
    for each in (made, made, UNKNOWN):
        assert node.ask("DELETE", f"applications/{each}").json == {"data": {"applicationId": each}}
    assert node.data("GET", f"applications/{made}") == {"application": None}


def test_only_a_direct_caller_on_this_machine_installs_from_a_path(node: ServedNode) -> None:
    body = {"path": "/dev/null", "metadata": []}
    for header in ("X-Forwarded-For", "Forwarded", "Via"):
        got = node.ask("POST", "install-dev-application", body, {header: "127.0.0.1"})
        assert (got.status, got.code) == (403, "local_only")


# --- contexts ---


def test_a_context_is_made_listed_and_shown_in_the_shape_of_the_wire(
    node: ServedNode, application: str, home: Member
) -> None:
    shown = node.data("GET", f"contexts/{home.context}")
    assert set(shown) == {"id", "applicationId", "rootHash", "dagHeads"}
    assert (shown["id"], shown["applicationId"]) == (home.context, application)
    assert len(base58.b58decode(shown["rootHash"])) == 32
    assert all(len(head) == 32 and all(0 <= byte < 256 for byte in head) for head in shown["dagHeads"])
    assert shown in node.data("GET", "contexts")["contexts"]


def test_a_seed_makes_one_context_for_each_founder(node: ServedNode, application: str) -> None:
    node.create(application, contextSeed="8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR")
    body = {
        "protocol": "near",
        "applicationId": application,
        "initializationParams": [],
        "contextSeed": "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR",
    }
    before = len(node.data("GET", "contexts")["contexts"])
    got = node.ask("POST", "contexts", body)
    assert (got.status, got.code) == (409, "context_seed_used")
    assert len(node.data("GET", "contexts")["contexts"]) == before


def test_an_unknown_context_is_404_context_not_found(node: ServedNode) -> None:
    for path in ("", "/identities", "/identities-owned", "/members"):
        got = node.ask("GET", f"contexts/{UNKNOWN}{path}")
        assert (got.status, got.code) == (404, "context_not_found")
        assert got.headers["content-type"] == "application/json"
        assert got.json["error"] == "Context not found"
    assert node.ask("POST", f"contexts/sync/{UNKNOWN}").json["error"] == "Context not found"


def test_a_context_of_an_unknown_application_is_404(node: ServedNode) -> None:
    got = node.ask("POST", "contexts", {"protocol": "near", "applicationId": UNKNOWN, "initializationParams": []})
    assert (got.status, got.code) == (404, "application_not_found")


def test_identities_are_listed_whole_and_owned(node: ServedNode, other: ServedNode, application: str) -> None:
    one = node.create(application)
    two = node.admit(other, one)
    assert sorted(node.data("GET", f"contexts/{one.context}/identities")["identities"]) == sorted([one.key, two.key])
    assert node.data("GET", f"contexts/{one.context}/identities-owned") == {"identities": [one.key]}
    assert other.data("GET", f"contexts/{one.context}/identities-owned") == {"identities": [two.key]}
    members = {each["publicKey"]: each for each in other.data("GET", f"contexts/{one.context}/members")["members"]}
    assert set(members) == {one.key, two.key}
    assert set(members[two.key]) == {"publicKey", "capabilities", "rank", "owned"}
    assert members[two.key]["owned"] is True
    assert members[one.key]["owned"] is False
    assert set(members[two.key]["capabilities"]) == {"Read", "Write"}


def test_sync_takes_no_body_or_null_and_answers_null(node: ServedNode, home: Member) -> None:
    for body in (None, b"null", b""):
        assert node.ask("POST", "contexts/sync", body).body == NULL
        assert node.ask("POST", f"contexts/sync/{home.context}", body).body == NULL


# --- identities, invitations, joining ---


def test_a_new_identity_ignores_its_body(other: ServedNode) -> None:
    for body in (b"null", b"{}", b"nonsense"):
        got = other.ask("POST", "identity/context", body)
        assert got.status == 200
        assert len(base58.b58decode(got.json["data"]["publicKey"])) == 32


def test_an_invitation_is_the_base58_text_of_the_wire(node: ServedNode, home: Member) -> None:
    invitee = node.identity()
    body = {"contextId": home.context, "inviterId": home.key, "inviteeId": invitee}
    raw = base58.b58decode(node.data("POST", "contexts/invite", body))
    assert base58.b58encode(raw[:32]).decode() == home.context
    assert base58.b58encode(raw[32:64]).decode() == invitee
    texts = []
    rest = raw[64:]
    while rest:
        length = int.from_bytes(rest[:4], "little")
        texts.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert texts[1] == "meroid"
    assert len(texts) == 3
    assert texts[2].startswith("m1.")


def test_a_member_cannot_be_invited_again(node: ServedNode, home: Member) -> None:
    body = {"contextId": home.context, "inviterId": home.key, "inviteeId": home.key}
    got = node.ask("POST", "contexts/invite", body)
    assert (got.status, got.code) == (403, "already_member")


def test_inviting_in_an_unknown_context_or_as_a_stranger_is_refused(node: ServedNode, home: Member) -> None:
    invitee = node.identity()
    for inviter, context, status, code in (
        (home.key, UNKNOWN, 404, "context_not_found"),
        (UNKNOWN, home.context, 403, "not_your_identity"),
    ):
        for path, more in (("invite", {"inviteeId": invitee}), ("invite_by_open_invitation", {"validForBlocks": 5})):
            got = node.ask("POST", f"contexts/{path}", {"contextId": context, "inviterId": inviter, **more})
            assert (got.status, got.code) == (status, code)


def test_an_open_invitation_has_the_shape_of_the_wire_and_lets_several_in(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    founder = node.create(application)
    body = {"contextId": founder.context, "inviterId": founder.key, "validForBlocks": 3600}
    made = node.data("POST", "contexts/invite_by_open_invitation", body)
    assert set(made) == {"invitation", "inviter_signature"}
    inner = made["invitation"]
    assert set(inner) == {
        "inviter_identity",
        "context_id",
        "expiration_height",
        "secret_salt",
        "protocol",
        "network",
        "contract_id",
    }
    assert inner["inviter_identity"] == list(base58.b58decode(founder.key))
    assert inner["context_id"] == list(base58.b58decode(founder.context))
    assert inner["expiration_height"] == 999_999_999 + 3600
    assert len(inner["secret_salt"]) == 32
    assert bytes.fromhex(made["inviter_signature"])
    for _ in range(2):
        key = other.identity()
        joined = other.data("POST", "contexts/join_by_open_invitation", {"invitation": made, "newMemberPublicKey": key})
        assert joined == {"contextId": founder.context, "memberPublicKey": key}
    assert len(other.data("GET", f"contexts/{founder.context}/identities-owned")["identities"]) == 2


def test_an_identity_is_rotated_to_its_next_key(node: ServedNode, application: str) -> None:
    mine = node.create(application)
    path = f"contexts/{mine.context}/identities/rotate"

    following = node.data("POST", path, {"identity": mine.key})["publicKey"]

    assert node.data("GET", f"contexts/{mine.context}/identities") == {"identities": [following]}
    again = node.ask("POST", path, {"identity": mine.key})
    assert (again.status, again.code) == (403, "key_rotated")
    stranger = node.ask("POST", path, {"identity": node.identity()})
    assert (stranger.status, stranger.code) == (403, "not_a_member")


def test_joining_with_somebody_elses_invitation_is_refused(node: ServedNode, other: ServedNode, home: Member) -> None:
    body = {"contextId": home.context, "inviterId": home.key, "inviteeId": node.identity()}
    payload = node.data("POST", "contexts/invite", body)
    got = other.ask("POST", "contexts/join", {"invitationPayload": payload})
    assert (got.status, got.code) == (403, "wrong_invitee")
    assert payload not in got.text


def test_an_expired_open_invitation_is_refused(node: ServedNode, other: ServedNode, home: Member) -> None:
    body = {"contextId": home.context, "inviterId": home.key, "validForBlocks": 0}
    made = node.data("POST", "contexts/invite_by_open_invitation", body)
    key = other.identity()
    got = other.ask("POST", "contexts/join_by_open_invitation", {"invitation": made, "newMemberPublicKey": key})
    assert (got.status, got.code) == (400, "invitation_expired")


def test_an_identity_of_another_context_cannot_join(node: ServedNode, other: ServedNode, application: str) -> None:
    one, two = node.create(application), node.create(application)
    taken = node.admit(other, one)
    body = {"contextId": two.context, "inviterId": two.key, "inviteeId": taken.key}
    payload = node.data("POST", "contexts/invite", body)
    got = other.ask("POST", "contexts/join", {"invitationPayload": payload})
    assert (got.status, got.code) == (409, "identity_bound")


# --- capabilities ---


def capabilities(node: ServedNode, member: Member, key: str) -> set[str]:
    members = node.data("GET", f"contexts/{member.context}/members")["members"]
    return next(set(each["capabilities"]) for each in members if each["publicKey"] == key)


def test_capabilities_take_both_body_forms_and_answer_data_null(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    founder = node.create(application)
    laptop = node.admit(other, founder)
    path = f"contexts/{founder.context}/capabilities"
    pairs = [[laptop.key, "ManageMembers"]]
    for body in (pairs, {"capabilities": pairs, "signer_id": founder.key}):
        assert node.ask("POST", f"{path}/grant", body).body == NULL
        assert node.ask("POST", f"{path}/grant", body).body == NULL  # what is there already stays
        assert capabilities(node, founder, laptop.key) == {"Read", "Write", "Invite", "ManageMembers"}
        assert node.ask("POST", f"{path}/revoke", body).body == NULL
        assert capabilities(node, founder, laptop.key) == {"Read", "Write"}


def test_a_name_for_several_capabilities_takes_those_that_are_there(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    founder = node.create(application)
    laptop = node.admit(other, founder)
    path = f"contexts/{founder.context}/capabilities"
    node.data("POST", f"{path}/grant", [[laptop.key, "ManageMembers"]])
    node.data("POST", f"{path}/revoke", [[laptop.key, "Invite"]])
    assert capabilities(node, founder, laptop.key) == {"Read", "Write", "ManageMembers"}
    assert node.ask("POST", f"{path}/revoke", [[laptop.key, "ManageMembers"]]).body == NULL
    assert capabilities(node, founder, laptop.key) == {"Read", "Write"}
    got = node.ask("POST", f"{path}/revoke", [[laptop.key, "ManageMembers"]])
    assert (got.status, got.code) == (403, "target_lacks_capability")


def test_capabilities_refuse_unknown_names_members_and_signers(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    founder = node.create(application)
    laptop = node.admit(other, founder)
    before = node.stored(founder.context)
    path = f"contexts/{founder.context}/capabilities"
    cases: list[tuple[str, Any, int, str]] = [
        ("grant", [[laptop.key, "Everything"]], 400, "unknown_capability"),
        ("grant", [[laptop.key, "Member"]], 400, "unknown_capability"),
        ("revoke", [[laptop.key, "manage_members"]], 400, "unknown_capability"),
        ("grant", [[UNKNOWN, "Read"]], 403, "target_not_a_member"),
        ("revoke", [[UNKNOWN, "Read"]], 403, "target_not_a_member"),
        ("revoke", [[UNKNOWN, "Member"]], 403, "target_not_a_member"),
        ("grant", [[laptop.key, "Proxy"], [UNKNOWN, "Read"]], 403, "target_not_a_member"),
        ("revoke", [[laptop.key, "Write"], [laptop.key, "Member"], [UNKNOWN, "Read"]], 403, "target_not_a_member"),
        ("revoke", [[laptop.key, "Write"], [laptop.key, "Proxy"]], 403, "target_lacks_capability"),
        ("grant", {"capabilities": [[laptop.key, "Proxy"]], "signer_id": UNKNOWN}, 403, "not_your_identity"),
        ("grant", {"capabilities": [[laptop.key, "Proxy"]], "signer_id": laptop.key}, 403, "not_your_identity"),
    ]
    for verb, body, status, code in cases:
        got = node.ask("POST", f"{path}/{verb}", body)
        assert (got.status, got.code) == (status, code), (verb, body, got.text)
    got = other.ask("POST", f"{path}/grant", [[laptop.key, "Proxy"]])
    assert (got.status, got.code) == (403, "lacks_capability")
    got = node.ask("POST", f"contexts/{UNKNOWN}/capabilities/grant", [[laptop.key, "Proxy"]])
    assert (got.status, got.code) == (404, "context_not_found")
    assert node.stored(founder.context) == before


def test_a_request_may_say_a_thing_twice(node: ServedNode, other: ServedNode, application: str) -> None:
    founder = node.create(application)
    laptop, phone = node.admit(other, founder), node.admit(other, founder)
    path = f"contexts/{founder.context}/capabilities"
    pairs = [[laptop.key, "Proxy"], [laptop.key, "Propose"], [phone.key, "Read"], [laptop.key, "Proxy"]]
    assert node.ask("POST", f"{path}/grant", pairs).body == NULL
    assert capabilities(node, founder, laptop.key) == {"Read", "Write", "Proxy"}
    pairs = [[phone.key, "Read"], [laptop.key, "Member"], [phone.key, "Read"], [laptop.key, "Write"]]
    assert node.ask("POST", f"{path}/revoke", pairs).body == NULL
    assert capabilities(node, founder, phone.key) == {"Write"}
    assert laptop.key not in node.data("GET", f"contexts/{founder.context}/identities")["identities"]


def test_what_a_manager_takes_from_itself_comes_last(node: ServedNode, other: ServedNode, application: str) -> None:
    founder = node.create(application)
    laptop, phone = node.admit(other, founder), node.admit(other, founder)
    path = f"contexts/{founder.context}/capabilities"
    node.data("POST", f"{path}/grant", [[laptop.key, "ManageMembers"]])
    pairs = [[founder.key, "ManageMembers"], [phone.key, "Write"]]
    assert node.ask("POST", f"{path}/revoke", pairs).body == NULL
    assert capabilities(node, founder, phone.key) == {"Read"}
    assert "ManageMembers" not in capabilities(node, founder, founder.key)


def test_a_membership_ends_by_revoking_member(node: ServedNode, other: ServedNode, application: str) -> None:
    founder = node.create(application)
    laptop = node.admit(other, founder)
    path = f"contexts/{founder.context}/capabilities/revoke"
    assert node.ask("POST", path, [[laptop.key, "Member"]]).body == NULL
    assert node.data("GET", f"contexts/{founder.context}/identities")["identities"] == [founder.key]

    def cut_off() -> bool:
        answer = other.call(laptop, "get", {"key": "a"}).json
        return "error" in answer and answer["error"]["meroid"]["code"] == "membership_ended"

    eventually(cut_off)
    answer = other.call(laptop, "get", {"key": "a"}).json["error"]
    assert answer["type"] == "Unauthorized"
    assert answer["data"] == {"context_id": laptop.context, "public_key": laptop.key}


# --- aliases ---


@pytest.mark.parametrize(
    ("scope", "field"), [("context", "contextId"), ("application", "applicationId"), ("identity", "identity")]
)
def test_aliases_of_each_scope_live_as_the_wire_has_them(
    node: ServedNode, home: Member, scope: str, field: str
) -> None:
    inside = f"/{home.context}" if scope == "identity" else ""
    name = "Jürgens Büro / №1"
    quoted = "J%C3%BCrgens%20B%C3%BCro%20%2F%20%E2%84%961"
    create = f"alias/create/{scope}{inside}"
    lookup, delete = (f"alias/{verb}/{scope}{inside}/{quoted}" for verb in ("lookup", "delete"))
    listing = f"alias/list/{scope}{inside}"

    assert node.ask("POST", lookup, b"null").body == b'{"data":{"value":null}}'
    assert node.ask("POST", create, {"alias": name, field: UNKNOWN}).body == NULL
    got = node.ask("POST", create, {"alias": name, field: UNKNOWN})
    assert (got.status, got.code) == (409, "alias_exists")
    assert got.json["error"] == "alias already exists"
    assert node.ask("POST", lookup).json == {"data": {"value": UNKNOWN}}
    assert node.data("GET", listing) == {name: UNKNOWN}
    for _ in range(2):
        assert node.ask("POST", delete, b"null").body == NULL  # also when it is gone
    assert node.data("GET", listing) == {}


def test_an_identity_alias_belongs_to_its_context(node: ServedNode, home: Member, application: str) -> None:
    second = node.create(application)
    node.data("POST", f"alias/create/identity/{home.context}", {"alias": "me", "identity": home.key})
    assert node.data("POST", f"alias/lookup/identity/{second.context}/me") == {"value": None}
    assert node.data("GET", f"alias/list/identity/{second.context}") == {}
    node.data("POST", f"alias/delete/identity/{home.context}/me")


# --- JSON-RPC ---


def test_a_call_changes_state_and_another_reads_it(node: ServedNode, home: Member) -> None:
    got = node.call(home, "set", {"key": "a", "value": "1"})
    assert got.status == 200
    assert got.json == {"jsonrpc": "2.0", "id": 1, "result": {"output": None}}
    assert node.call(home, "get", {"key": "a"}).json["result"] == {"output": "1"}


@pytest.mark.parametrize("request_id", [None, 0, 7, 2**63, 2**64 - 1, "", "abc", "ü"])
def test_the_id_of_a_call_comes_back(node: ServedNode, home: Member, request_id: Any) -> None:
    params = {"contextId": home.context, "executorPublicKey": home.key, "method": "entries", "argsJson": {}}
    body = {"jsonrpc": "2.0", "id": request_id, "method": "execute", "params": params}
    got = node.ask("POST", "/jsonrpc", body).json
    assert got["id"] == request_id
    assert "result" in got


def test_failures_of_calls_are_200_with_type_and_data(node: ServedNode, home: Member) -> None:
    stranger = Member(context=home.context, key=UNKNOWN)
    idle = Member(context=home.context, key=node.identity())
    nowhere = Member(context=UNKNOWN, key=home.key)
    unauthorized = {"context_id": home.context, "public_key": UNKNOWN}
    cases: list[tuple[Member, str, dict[str, Any], str, Any, str]] = [
        (nowhere, "get", {}, "ContextNotFound", None, "context_not_found"),
        (stranger, "get", {}, "Unauthorized", unauthorized, "not_your_identity"),
        (idle, "get", {}, "Unauthorized", {**unauthorized, "public_key": idle.key}, "not_a_member"),
        (home, "nope", {}, "FunctionCallError", 'method "nope" not found', "function_call_failed"),
        (home, "get", {"substitute": ["x"]}, "AliasResolutionFailed", {"alias": "x"}, "alias_unresolved"),
    ]
    for member, method, more, kind, data, code in cases:
        got = node.call(member, method, {"key": "a"}, **more)
        assert got.status == 200
        assert set(got.json) == {"jsonrpc", "id", "error"}
        error = got.json["error"]
        assert (error["type"], error.get("data"), error["meroid"]["code"]) == (kind, data, code)
        assert set(error["meroid"]) == {"code", "reason", "next"}
        assert got.code == code


def test_an_error_of_the_application_is_its_bytes_in_decimal(node: ServedNode, home: Member) -> None:
    error = node.call(home, "set", {"key": "a"}).json["error"]
    assert error["type"] == "FunctionCallError"
    listed = error["data"].removeprefix("the method call returned an error: ")
    assert json.loads(bytes(json.loads(listed)))["kind"]


def test_names_are_substituted_by_the_keys_they_stand_for(node: ServedNode, home: Member) -> None:
    node.data("POST", f"alias/create/identity/{home.context}", {"alias": "founder", "identity": home.key})
    arguments = {"key": "{founder}", "value": f"{{founder}} and {{{UNKNOWN}}} and {{other}}"}
    got = node.call(home, "set", arguments, substitute=["founder", UNKNOWN])
    assert "result" in got.json
    expected = f"{home.key} and {UNKNOWN} and {{other}}"
    assert node.call(home, "get", {"key": home.key}).json["result"]["output"] == expected
    node.data("POST", f"alias/delete/identity/{home.context}/founder")


# --- WebSocket ---


def test_a_subscription_is_echoed_and_hears_of_changes(node: ServedNode, home: Member) -> None:
    with listen(node) as connection:
        connection.send(json.dumps({"id": 5, "method": "subscribe", "params": {"contextIds": [home.context]}}))
        assert said(connection) == {"id": 5, "result": {"contextIds": [home.context]}}
        node.call(home, "set", {"key": "w", "value": "1"})
        event = said(connection)
        assert event["id"] is None
        assert set(event["result"]) == {"contextId", "type", "data"}
        assert (event["result"]["contextId"], event["result"]["type"]) == (home.context, "StateMutation")
        data = event["result"]["data"]
        assert data["newRoot"] == node.data("GET", f"contexts/{home.context}")["rootHash"]
        assert set(data["events"][0]) == {"kind", "data", "handler"}
        assert all(isinstance(byte, int) for byte in data["events"][0]["data"])

        connection.send(json.dumps({"id": None, "method": "unsubscribe", "params": {"contextIds": [home.context]}}))
        assert said(connection) == {"id": None, "result": {"contextIds": [home.context]}}
        node.call(home, "set", {"key": "w", "value": "2"})
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.3)


def test_only_readers_subscribe(node: ServedNode, other: ServedNode, home: Member) -> None:
    for listener, context in ((node, UNKNOWN), (other, home.context)):
        with listen(listener) as connection:
            connection.send(json.dumps({"id": 1, "method": "subscribe", "params": {"contextIds": [context]}}))
            answer = said(connection)
            assert answer["id"] == 1
            assert answer["error"]["type"] == "Unauthorized"
            assert answer["error"]["meroid"]["code"] == "not_a_reader"


def test_a_subscription_ends_with_the_membership_and_says_so(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    founder = node.create(application)
    laptop = node.admit(other, founder)
    with listen(other) as connection:
        connection.send(json.dumps({"id": 1, "method": "subscribe", "params": {"contextIds": [laptop.context]}}))
        said(connection)
        node.call(founder, "set", {"key": "a", "value": "1"})
        assert said(connection)["result"]["type"] == "StateMutation"
        node.data("POST", f"contexts/{founder.context}/capabilities/revoke", [[laptop.key, "Member"]])
        ended = said(connection)
        assert ended["id"] is None
        assert ended["error"]["meroid"]["code"] == "membership_ended"
        node.call(founder, "set", {"key": "a", "value": "2"})
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.3)


def test_an_upgrade_without_a_token_is_401_in_embedded_mode(node: ServedNode) -> None:
    if node.mode == "proxy":
        with listen(node) as connection:
            assert connection.ping().wait(5)
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{node.server.port}/ws")
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["X-Auth-Error"] == "missing_token"


def test_a_token_in_the_query_is_taken_for_an_upgrade(node: ServedNode) -> None:
    with connect(f"ws://127.0.0.1:{node.server.port}/ws?token={node.token}") as connection:
        connection.send(json.dumps({"id": 1, "method": "unsubscribe", "params": {"contextIds": []}}))
        assert said(connection) == {"id": 1, "result": {"contextIds": []}}


def test_a_plain_request_for_the_socket_is_refused(node: ServedNode) -> None:
    assert node.ask("GET", "/ws").status in {400, 404, 426}


# --- what every answer has ---


@pytest.mark.parametrize(
    "path", ["contexts/", "context", "applications/x/y", "/jsonrpc/", "/admin-api", "alias/create"]
)
def test_an_unknown_path_is_404_with_an_empty_body(node: ServedNode, path: str) -> None:
    got = node.ask("GET", path)
    assert (got.status, got.body, got.code) == (404, b"", "no_such_path")


def test_a_wrong_method_is_405_with_allow(node: ServedNode) -> None:
    for method, path in (("PUT", "contexts"), ("DELETE", "peers"), ("PUT", "/jsonrpc")):
        got = node.ask(method, path)
        assert (got.status, got.body) == (405, b"")
        assert got.headers["allow"]


def test_a_path_parameter_that_is_no_id_is_400_plain_text(node: ServedNode, home: Member) -> None:
    for method, path in (
        ("GET", "contexts/nonsense"),
        ("GET", f"contexts/{home.context}111/identities"),
        ("GET", f"contexts/{home.context}%0A"),
        ("GET", "contexts/1/identities-owned"),
        ("POST", "contexts/sync/nonsense"),
        ("POST", "contexts/nonsense/capabilities/grant"),
        ("GET", "applications/nonsense"),
        ("DELETE", "applications/nonsense"),
        ("GET", "alias/list/identity/nonsense"),
        ("POST", "alias/lookup/identity/nonsense/name"),
    ):
        got = node.ask(method, path, {} if method == "POST" else None)
        assert (got.status, got.code) == (400, "bad_path"), path
        assert got.headers["content-type"].startswith("text/plain")
        assert got.text.startswith("Invalid URL:")


def test_a_socket_that_is_torn_down_harms_nobody(node: ServedNode) -> None:
    with listen(node) as connection:
        connection.socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=5)
    assert node.ask("GET", "health").status == 200
