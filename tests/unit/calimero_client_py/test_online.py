"""The API against a real server: requests as the wire has them, results as callers index them, errors, tokens."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.wire_server import Answer, Asked, WireServer, said, unsigned_jwt, wire_server

from calimero.cli import cli
from calimero_client_py import (
    AccessDeniedError,
    AnswerError,
    AuthenticationError,
    Client,
    ClientError,
    NetworkError,
    RequestFailedError,
    RequestTimeoutError,
    StorageError,
    create_client,
    create_connection,
    get_token_cache_path,
)
from calimero_client_py.connection import ConnectionInfo
from meroid.client.token_cache import TokenCache
from meroid.client.tokens import TokenPair

ID = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
KEY = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR"
A = "/admin-api"
NULL = {"data": None}
APP = {
    "id": ID,
    "blob": {"bytecode": ID, "compiled": KEY},
    "size": 5,
    "source": "file:///a",
    "metadata": [123, 125],
}
CONTEXT = {"id": ID, "applicationId": KEY, "rootHash": ID}
JOINED = {"contextId": ID, "memberPublicKey": KEY}
BYTES = list(range(32))
OPEN = {
    "invitation": {
        "inviter_identity": BYTES,
        "context_id": BYTES,
        "expiration_height": 7,
        "secret_salt": BYTES,
        "protocol": "near",
        "network": "local",
        "contract_id": "c",
    },
    "inviter_signature": "ab",
}
PROPOSAL = {"id": ID, "author_id": KEY, "actions": [{"scope": "DeleteProposal", "params": {}}]}
APPROVED = {"data": {"proposal_id": ID, "num_approvals": 1}}
NO_BODY = object()
IN_CONTEXT = f"{A}/contexts/{ID}"
INSTALL = {"metadata": [123, 125], "package": None, "version": None}


@pytest.fixture
def server() -> Iterator[WireServer]:
    with wire_server() as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(server: WireServer) -> Client:
    return create_client(create_connection(server.url))


Call = Callable[[Client], Any]
CASES: list[tuple[Call, str, str, Any, Any, Any]] = [
    # call, method, path, body sent, answer, result (None: the answer itself)
    (lambda c: c.get_application(ID), "GET", f"{A}/applications/{ID}", NO_BODY, {"data": {"application": APP}}, None),
    (
        lambda c: c.get_application(app_id=ID),
        "GET",
        f"{A}/applications/{ID}",
        NO_BODY,
        {"data": {}},
        {"data": {"application": None}},
    ),
    (lambda c: c.list_applications(), "GET", f"{A}/applications", NO_BODY, {"data": {"apps": [APP]}}, None),
    (
        lambda c: c.install_application("http://a/x.wasm", "00" * 31 + "01"),
        "POST",
        f"{A}/install-application",
        {"url": "http://a/x.wasm", "hash": "1" * 31 + "2", **INSTALL},
        {"data": {"applicationId": ID}},
        None,
    ),
    (
        lambda c: c.install_dev_application(path="/x", metadata=b""),
        "POST",
        f"{A}/install-dev-application",
        {"path": "/x", **INSTALL, "metadata": []},
        {"data": {"applicationId": ID}},
        None,
    ),
    (
        lambda c: c.uninstall_application(ID),
        "DELETE",
        f"{A}/applications/{ID}",
        NO_BODY,
        {"data": {"applicationId": ID}},
        None,
    ),
    (lambda c: c.list_blobs(), "GET", f"{A}/blobs", NO_BODY, {"data": {"blobs": [{"blob_id": ID, "size": 1}]}}, None),
    (
        lambda c: c.delete_blob(ID),
        "DELETE",
        f"{A}/blobs/{ID}",
        NO_BODY,
        {"blob_id": ID, "deleted": True},
        None,
    ),
    (lambda c: c.get_peers_count(), "GET", f"{A}/peers", NO_BODY, {"count": 2}, None),
    (
        lambda c: c.generate_context_identity(),
        "POST",
        f"{A}/identity/context",
        None,
        {"data": {"publicKey": KEY}},
        None,
    ),
    (
        lambda c: c.create_context(application_id=ID, protocol="near", params='{"ä":1}'),
        "POST",
        f"{A}/contexts",
        {
            "protocol": "near",
            "applicationId": ID,
            "contextSeed": None,
            "initializationParams": list('{"ä":1}'.encode()),
        },
        {"data": {**JOINED, "surprise": 1}},
        {"data": JOINED},
    ),
    (lambda c: c.list_contexts(), "GET", f"{A}/contexts", NO_BODY, {"data": {"contexts": [CONTEXT]}}, None),
    (lambda c: c.get_context(ID), "GET", IN_CONTEXT, NO_BODY, {"data": {**CONTEXT, "dagHeads": [BYTES]}}, None),
    (
        lambda c: c.get_context(ID),
        "GET",
        IN_CONTEXT,
        NO_BODY,
        {"data": {**CONTEXT, "dagHeads": []}},
        {"data": CONTEXT},
    ),
    (lambda c: c.delete_context(ID), "DELETE", IN_CONTEXT, NO_BODY, {"data": {"isDeleted": False}}, None),
    (lambda c: c.get_context_storage(ID), "GET", f"{IN_CONTEXT}/storage", NO_BODY, {"data": {"sizeInBytes": 0}}, None),
    (
        lambda c: c.get_context_identities(ID),
        "GET",
        f"{IN_CONTEXT}/identities",
        NO_BODY,
        {"data": {"identities": [KEY]}},
        None,
    ),
    (lambda c: c.sync_context(ID), "POST", f"{A}/contexts/sync/{ID}", None, NULL, None),
    (lambda c: c.sync_all_contexts(), "POST", f"{A}/contexts/sync", None, NULL, None),
    (
        lambda c: c.update_context_application(ID, KEY, KEY),
        "POST",
        f"{IN_CONTEXT}/application",
        {"applicationId": KEY, "executorPublicKey": KEY},
        NULL,
        None,
    ),
    (
        lambda c: c.invite_to_context(context_id=ID, inviter_id=KEY, invitee_id=ID),
        "POST",
        f"{A}/contexts/invite",
        {"contextId": ID, "inviterId": KEY, "inviteeId": ID},
        {"data": "abc"},
        None,
    ),
    (
        lambda c: c.join_context(context_id=ID, invitee_id=KEY, invitation_payload="abc"),
        "POST",
        f"{A}/contexts/join",
        {"invitationPayload": "abc"},
        {"data": JOINED},
        None,
    ),
    (
        lambda c: c.invite_to_context_by_open_invitation(context_id=ID, inviter_id=KEY, valid_for_blocks=1000),
        "POST",
        f"{A}/contexts/invite_by_open_invitation",
        {"contextId": ID, "inviterId": KEY, "validForBlocks": 1000},
        {"data": OPEN},
        None,
    ),
    (
        lambda c: c.join_context_by_open_invitation(json.dumps({"data": OPEN}), KEY),
        "POST",
        f"{A}/contexts/join_by_open_invitation",
        {"invitation": OPEN, "newMemberPublicKey": KEY},
        NULL,
        None,
    ),
    (
        lambda c: c.execute_function(ID, "get", '{"key":"a"}', KEY),
        "POST",
        "/jsonrpc",
        {
            "jsonrpc": "2.0",
            "id": "1",
            "method": "execute",
            "params": {
                "contextId": ID,
                "method": "get",
                "argsJson": {"key": "a"},
                "executorPublicKey": KEY,
                "substitute": [],
            },
        },
        {"jsonrpc": "2.0", "id": "1", "result": {}, "error": None},
        {"jsonrpc": "2.0", "id": "1", "result": {"output": None}},
    ),
    (
        lambda c: c.grant_permissions(ID, json.dumps([[KEY, "Proxy"]])),
        "POST",
        f"{IN_CONTEXT}/capabilities/grant",
        [[KEY, "Proxy"]],
        NULL,
        None,
    ),
    (
        lambda c: c.revoke_permissions(ID, json.dumps([[KEY, "Proxy"]])),
        "POST",
        f"{IN_CONTEXT}/capabilities/revoke",
        [[KEY, "Proxy"]],
        None,
        NULL,
    ),
    (lambda c: c.list_proposals(ID), "POST", f"{IN_CONTEXT}/proposals", None, {"data": [PROPOSAL]}, None),
    (
        lambda c: c.list_proposals(context_id=ID, args='{"offset": 0, "limit": 100}'),
        "POST",
        f"{IN_CONTEXT}/proposals",
        {"offset": 0, "limit": 100},
        {"data": []},
        None,
    ),
    (
        lambda c: c.get_proposal(context_id=ID, proposal_id=KEY),
        "GET",
        f"{IN_CONTEXT}/proposals/{KEY}",
        NO_BODY,
        {"data": PROPOSAL},
        None,
    ),
    (
        lambda c: c.get_proposal_approvers(ID, KEY),
        "GET",
        f"{IN_CONTEXT}/proposals/{KEY}/approvals/users",
        NO_BODY,
        {"data": [KEY]},
        None,
    ),
    (
        lambda c: c.create_and_approve_proposal(ID, '{"signerId":"x"}'),
        "POST",
        f"{IN_CONTEXT}/proposals/create-and-approve",
        {"signerId": "x"},
        APPROVED,
        None,
    ),
    (
        lambda c: c.approve_proposal(ID, '{"signerId":"x"}'),
        "POST",
        f"{IN_CONTEXT}/proposals/approve",
        {"signerId": "x"},
        NULL,
        None,
    ),
    (
        lambda c: c.create_context_alias("a", ID),
        "POST",
        f"{A}/alias/create/context",
        {"alias": "a", "contextId": ID},
        NULL,
        None,
    ),
    (
        lambda c: c.create_context_identity_alias(ID, "a", KEY),
        "POST",
        f"{A}/alias/create/identity/{ID}",
        {"alias": "a", "identity": KEY},
        NULL,
        None,
    ),
    (
        lambda c: c.create_application_alias("a", ID),
        "POST",
        f"{A}/alias/create/application",
        {"alias": "a", "applicationId": ID},
        NULL,
        None,
    ),
    (
        lambda c: c.create_alias_generic("a", ID, "application"),
        "POST",
        f"{A}/alias/create/context",
        {"alias": "a", "contextId": ID},
        NULL,
        None,
    ),
    (lambda c: c.delete_context_alias("a b"), "POST", f"{A}/alias/delete/context/a%20b", None, NULL, None),
    (
        lambda c: c.delete_context_identity_alias("a", ID),
        "POST",
        f"{A}/alias/delete/identity/{ID}/a",
        None,
        NULL,
        None,
    ),
    (lambda c: c.delete_application_alias("a"), "POST", f"{A}/alias/delete/application/a", None, NULL, None),
    (lambda c: c.list_context_aliases(), "GET", f"{A}/alias/list/context", NO_BODY, {"data": {"a": ID}}, None),
    (
        lambda c: c.list_context_identity_aliases(ID),
        "GET",
        f"{A}/alias/list/identity/{ID}",
        NO_BODY,
        {"data": {"a": KEY}},
        None,
    ),
    (lambda c: c.list_application_aliases(), "GET", f"{A}/alias/list/application", NO_BODY, {"data": {}}, None),
    (
        lambda c: c.lookup_context_alias("a"),
        "POST",
        f"{A}/alias/lookup/context/a",
        None,
        {"data": {"value": ID}},
        None,
    ),
    (
        lambda c: c.lookup_context_identity_alias("a", ID),
        "POST",
        f"{A}/alias/lookup/identity/{ID}/a",
        None,
        {"data": {"value": None}},
        None,
    ),
    (
        lambda c: c.resolve_context_alias("a"),
        "POST",
        f"{A}/alias/lookup/context/a",
        None,
        {"data": {"value": ID}},
        {"kind": "Lookup", "data": {"data": {"value": ID}}},
    ),
    (
        lambda c: c.resolve_application_alias(ID),
        "POST",
        f"{A}/alias/lookup/application/{ID}",
        None,
        {"data": {"value": None}},
        {"kind": "Parsed", "data": ID},
    ),
    (
        lambda c: c.resolve_context_identity_alias("a", ID),
        "POST",
        f"{A}/alias/lookup/identity/{ID}/a",
        None,
        {"data": {"value": None}},
        {"alias": "a", "value": None},
    ),
]


@pytest.mark.parametrize(("call", "method", "path", "body", "answer", "result"), CASES)
def test_a_method_sends_the_request_and_gives_the_result_of_the_contract(
    call: Call, method: str, path: str, body: Any, answer: Any, result: Any, server: WireServer, client: Client
) -> None:
    server.on(method, path, said(answer))

    got = call(client)

    assert got == (answer if result is None else result)
    assert json.loads(json.dumps(got)) == got
    [asked] = server.asked
    assert "authorization" not in asked.headers
    if body is NO_BODY:
        assert asked.body == b""
    else:
        assert asked.json == body
        assert asked.headers["content-type"] == "application/json"


def test_keys_come_in_alphabetical_order(server: WireServer, client: Client) -> None:
    server.on("GET", f"{A}/contexts", said({"data": {"contexts": [CONTEXT]}}))

    assert list(client.list_contexts()["data"]["contexts"][0]) == ["applicationId", "id", "rootHash"]


def test_a_failed_call_is_a_result_with_error_and_without_result(server: WireServer, client: Client) -> None:
    error = {"type": "FunctionCallError", "data": 'method "x" not found'}
    server.on("POST", "/jsonrpc", said({"jsonrpc": "2.0", "id": "1", "error": error | {"surplus": 1}}))

    assert client.execute_function(ID, "x", "{}", KEY) == {"jsonrpc": "2.0", "id": "1", "error": error}


def test_the_code_and_the_next_step_of_a_failed_call_stand_beside_the_wires_fields(
    server: WireServer, client: Client
) -> None:
    meroid = {"code": "membership_ended", "reason": "the membership ended", "next": "ask for an invitation"}
    error = {"type": "Unauthorized", "data": {"context_id": ID, "public_key": KEY}, "meroid": meroid}
    server.on("POST", "/jsonrpc", said({"jsonrpc": "2.0", "id": "1", "error": error}))

    assert client.execute_function(ID, "x", "{}", KEY)["error"] == error


def test_blobs_are_bytes_and_unwrapped(server: WireServer, client: Client) -> None:
    server.on("PUT", f"{A}/blobs?context_id={ID}", said({"data": {"blob_id": KEY, "size": 3}}))
    server.on("GET", f"{A}/blobs/{KEY}", Answer(body=b"\x00\xff\x01"))
    headers = {"Content-Length": "3", "X-Blob-Hash": "01" * 32, "Content-Type": "image/png"}
    server.on("HEAD", f"{A}/blobs/{KEY}", Answer(headers=headers))

    assert client.upload_blob(b"\x00\xff\x01", ID) == {"blob_id": KEY, "size": 3}
    assert server.asked[0].body == b"\x00\xff\x01"
    assert "content-type" not in server.asked[0].headers
    assert client.download_blob(KEY) == b"\x00\xff\x01"
    assert client.get_blob_info(KEY) == {
        "data": {"blob_id": KEY, "size": 3, "hash": [1] * 32, "mime_type": "image/png"}
    }


def test_results_may_be_awaited_and_are_the_same_then(server: WireServer, client: Client) -> None:
    server.on("GET", f"{A}/contexts", said({"data": {"contexts": []}}))
    server.on("GET", f"{A}/blobs/{KEY}", Answer(body=b"x"))
    server.on("GET", f"{A}/list", said([1]))
    server.on("GET", f"{A}/text", said("t"))

    async def as_the_readme_has_it() -> list[object]:
        connection = create_connection(server.url)
        return [
            await client.list_contexts(),
            await client.download_blob(KEY),
            await connection.get("admin-api/list"),
            await connection.get("admin-api/text"),
        ]

    assert asyncio.run(as_the_readme_has_it()) == [{"data": {"contexts": []}}, b"x", [1], "t"]


# --- errors


def test_a_refusal_keeps_what_the_server_said(server: WireServer, client: Client) -> None:
    body = {"error": "Context not found", "code": "context_not_found", "next": "look"}
    server.on("GET", IN_CONTEXT, said(body, 404))

    with pytest.raises(RequestFailedError) as caught:
        client.get_context(ID)

    error = caught.value
    assert isinstance(error, RuntimeError)
    assert str(error) == "Client error: Request failed with status: 404 Not Found"
    assert (error.status, error.code, error.body, error.next_step) == (
        404,
        "context_not_found",
        "Context not found",
        "look",
    )
    assert error.__notes__ == ["Context not found [context_not_found]; look"]


def test_403_has_its_fixed_text(server: WireServer, client: Client) -> None:
    server.on("GET", IN_CONTEXT, said({"error": "no"}, 403))

    with pytest.raises(AccessDeniedError) as caught:
        client.get_context(ID)

    assert str(caught.value) == (
        "Client error: Access denied. Your authentication may not have sufficient permissions."
    )


def test_401_without_a_name_says_that_nothing_can_be_renewed(server: WireServer, client: Client) -> None:
    server.on("GET", IN_CONTEXT, Answer(status=401))

    with pytest.raises(AuthenticationError, match="No refresh token available for authentication"):
        client.get_context(ID)


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"data": {}}, {"data": {"contexts": [{"id": ID}]}}, {"data": {"contexts": [dict(CONTEXT, id=1)]}}],
)
def test_another_shape_is_an_error_of_its_own(answer: Any, server: WireServer, client: Client) -> None:
    server.on("GET", f"{A}/contexts", said(answer))

    with pytest.raises(AnswerError, match=r"^Client error: "):
        client.list_contexts()


def test_nobody_there_and_nobody_answering_are_told_apart(server: WireServer) -> None:
    with pytest.raises(NetworkError, match="nothing listens"):
        create_client(create_connection("http://127.0.0.1:1")).list_contexts()
    server.on("GET", f"{A}/contexts", lambda _: _slow())
    with pytest.raises(RequestTimeoutError):
        create_client(ConnectionInfo(server.url, timeout=0.05)).list_contexts()


def _slow() -> Answer:
    time.sleep(0.3)
    return Answer()


# --- connections and tokens


def test_get_takes_everything_as_path_and_keeps_the_prefix(server: WireServer) -> None:
    server.on("GET", "/base/admin-api/x%3Fy=1", said({"count": 1}))

    assert create_connection(server.url + "/base").get("/admin-api/x?y=1") == {"count": 1}


@pytest.mark.parametrize(("status", "mode"), [(200, "none"), (401, "required"), (500, "required")])
def test_the_mode_is_asked_for_even_on_loopback(status: int, mode: str, server: WireServer) -> None:
    server.on("GET", f"{A}/health", said({}, status))

    found = create_connection(server.url).detect_auth_mode()

    assert found == mode
    assert found.value == mode


def test_a_node_that_is_not_there_counts_as_open() -> None:
    assert create_connection("http://127.0.0.1:1").detect_auth_mode() == "none"


def test_with_a_name_and_no_token_nothing_is_prompted_and_nothing_sent(server: WireServer) -> None:
    server.on("GET", f"{A}/peers", said({"count": 1}))

    assert create_client(create_connection(server.url, "n1")).get_peers_count() == {"count": 1}

    assert "authorization" not in server.asked[0].headers


def test_an_expired_token_is_renewed_within_the_call_and_the_file_keeps_what_merobox_wrote(
    server: WireServer,
) -> None:
    path = Path(get_token_cache_path("n1"))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"access_token": "old", "refresh_token": "r", "node_url": server.url, "username": "u"}))
    fresh = unsigned_jwt(exp=4_000_000_000)

    def peers(asked: Asked) -> Answer:
        good = asked.headers["authorization"] == f"Bearer {fresh}"
        return said({"count": 1}) if good else said({}, 401, X_Auth_Error="token_expired")

    server.on("GET", f"{A}/peers", peers)
    server.on("POST", "/auth/refresh", said({"data": {"access_token": fresh, "refresh_token": "r2"}, "error": None}))

    assert create_client(create_connection(server.url, node_name="n1")).get_peers_count() == {"count": 1}

    kept = json.loads(path.read_text())
    assert (kept["access_token"], kept["refresh_token"], kept["expires_at"]) == (fresh, "r2", 4_000_000_000)
    assert (kept["node_url"], kept["username"]) == (server.url, "u")
    assert server.asked[1].json == {"access_token": "old", "refresh_token": "r"}


def test_the_health_route_never_gets_a_token(server: WireServer) -> None:
    TokenCache("n1").save(TokenPair(access_token="t"))
    server.on("GET", f"{A}/health", said({"data": {"status": "alive"}}))

    assert create_connection(server.url, "n1").get("/admin-api/health") == {"data": {"status": "alive"}}

    assert "authorization" not in server.asked[0].headers


def test_a_revoked_token_is_an_authentication_error_with_its_code(server: WireServer) -> None:
    TokenCache("n1").save(TokenPair(access_token="t", refresh_token="r"))
    server.on("GET", f"{A}/peers", said({"error": "gone"}, 401, X_Auth_Error="token_revoked"))

    with pytest.raises(AuthenticationError) as caught:
        create_client(create_connection(server.url, "n1")).get_peers_count()

    assert caught.value.code == "token_revoked"
    assert server.paths() == [f"GET {A}/peers"]


def test_a_corrupt_token_file_is_an_error_of_its_own(server: WireServer) -> None:
    path = Path(get_token_cache_path("n1"))
    path.parent.mkdir(parents=True)
    path.write_text("{")

    with pytest.raises(StorageError):
        create_client(create_connection(server.url, "n1")).get_peers_count()


def test_every_error_can_be_caught_as_client_error() -> None:
    with pytest.raises(ClientError):
        create_client(create_connection("http://127.0.0.1:1")).list_contexts()


# --- the command


def test_the_command_lists_contexts(server: WireServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.on("GET", f"{A}/contexts", said({"data": {"contexts": []}}))

    cli(["--base-url", server.url, "--auth-mode", "required", "list-contexts"])

    assert capsys.readouterr().out == "Found {'data': {'contexts': []}} contexts:\n"


def test_the_command_says_its_version_and_its_failures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as version:
        cli(["--version"])
    assert version.value.code == 0
    assert capsys.readouterr().out == "calimero-client-py 0.3.0\n"

    cli([])
    assert "usage" in capsys.readouterr().out

    with pytest.raises(SystemExit) as failed:
        cli(["--base-url", "http://127.0.0.1:1", "list-contexts"])
    assert failed.value.code == 1
    assert capsys.readouterr().err.startswith("Error listing contexts: Client error: ")
