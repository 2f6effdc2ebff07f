"""Nothing that comes from outside ends in a 500, a hang, a traceback or a change of state."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from tests.kv_store import kv_store_bytecode
from tests.served_node import ServedNode, network, served_node
from tests.servers import Got
from tests.trouble import stubborn_bytecode, trouble_bytecode

from meroid import limits
from meroid.http.routes import Endpoint
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.codec import encode_envelope, encode_operation
from meroid.ledger.operation import Delta, Operation

ID = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"  # 32 bytes of 1
FUEL = 100_000_000  # a tenth of a second
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MODULE_FIXTURES = [HealthCheck.function_scoped_fixture]


class Target:
    """A node with a context, and a valid body for each of its routes."""

    def __init__(self, node: ServedNode) -> None:
        self.node = node
        self.application = node.install(kv_store_bytecode())
        self.member = node.create(self.application)
        self.trouble = node.create(node.install(trouble_bytecode(), "trouble.wasm"))
        self.victim = node.create(self.application)  # its members may lose what they have
        invitee = node.identity()
        body = {"contextId": self.member.context, "inviterId": self.member.key}
        self.payload: str = node.data("POST", "contexts/invite", {**body, "inviteeId": invitee})
        self.open = node.data("POST", "contexts/invite_by_open_invitation", {**body, "validForBlocks": 600})
        self.idle = node.identity()
        path = f"contexts/{self.member.context}/identities/link"
        self.link: str = node.data("POST", path, {"identity": self.member.key, "key": self.idle})["code"]

    def bodies(self) -> dict[str, dict[str, Any]]:
        """A body that is taken, by path; `{id}` stands for the context `victim`."""
        context, key = self.member.context, self.member.key
        pairs = {"capabilities": [[self.victim.key, "Read"]], "signer_id": self.victim.key}
        params = {"contextId": context, "executorPublicKey": key, "method": "entries", "argsJson": {}}
        return {
            "install-dev-application": {"path": str(self.node.folder / "module.wasm"), "metadata": [1]},
            "contexts": {"protocol": "near", "applicationId": self.application, "initializationParams": []},
            "contexts/invite": {"contextId": context, "inviterId": key, "inviteeId": self.idle},
            "contexts/invite_by_open_invitation": {"contextId": context, "inviterId": key, "validForBlocks": 5},
            "contexts/join": {"invitationPayload": self.payload},
            "contexts/join_by_open_invitation": {"invitation": self.open, "newMemberPublicKey": self.idle},
            "contexts/{id}/identities/rotate": {"identity": key},
            "contexts/{id}/identities/link": {"identity": self.victim.key},
            "contexts/{id}/identities/unlink": {"identity": self.victim.key, "key": self.idle},
            "contexts/link": {"code": self.link},
            "contexts/{id}/identities/resume": {},
            "account/prove": {"clientKey": key, "audience": "a", "expiresAt": 2**62},
            "account/delegations": {"clientKey": key},
            "account/delegations/end": {"serial": 2**40},
            "account/return": {},
            "contexts/{id}/capabilities/grant": pairs,
            "contexts/{id}/capabilities/revoke": pairs,
            "alias/create/context": {"alias": "a", "contextId": context},
            "alias/create/application": {"alias": "a", "applicationId": self.application},
            "alias/create/identity/{id}": {"alias": "a", "identity": key},
            "/jsonrpc": {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": params},
        }

    def post(self, path: str, body: Any, **more: Any) -> Got:
        return self.node.ask("POST", path.replace("{id}", self.victim.context), body, **more)

    def snapshot(self) -> object:
        """Everything that a refused request must leave as it is."""
        store = self.node.node.store
        aliases = [self.node.data("GET", f"alias/list/{scope}") for scope in ("context", "application")]
        return (
            self.node.data("GET", "contexts"),
            self.node.data("GET", "applications"),
            [*aliases, self.node.data("GET", f"alias/list/identity/{self.victim.context}")],
            [self.node.stored(member.context) for member in (self.member, self.trouble, self.victim)],
            store.read(lambda tx: len(tx.accounts.client_keys())),
            store.read(lambda tx: [tx.accounts.key_log(each.account_id) for each in tx.accounts.list()]),
        )


BODY_ROUTES = [
    "install-dev-application",
    "contexts",
    "contexts/invite",
    "contexts/invite_by_open_invitation",
    "contexts/join",
    "contexts/join_by_open_invitation",
    "contexts/{id}/identities/link",
    "contexts/{id}/identities/unlink",
    "contexts/link",
    "contexts/{id}/identities/resume",
    "account/prove",
    "account/delegations",
    "account/delegations/end",
    "account/return",
    "contexts/{id}/capabilities/grant",
    "contexts/{id}/capabilities/revoke",
    "alias/create/context",
    "alias/create/application",
    "alias/create/identity/{id}",
    "/jsonrpc",
]


@pytest.fixture(scope="module", params=["proxy", "embedded"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp(request.param)
    with network() as joined, served_node(folder, joined, mode=request.param, fuel=FUEL) as node:
        yield Target(node)


@pytest.fixture
def unchanged(target: Target) -> Iterator[Target]:
    """The target; the test fails if anything changed."""
    before = target.snapshot()
    yield target
    assert target.snapshot() == before


def plain(got: Got, status: int, code: str, begins: str = "") -> None:
    """A refusal in plain text, with code and next step."""
    assert (got.status, got.code) == (status, code), got.text
    assert got.headers["content-type"].startswith("text/plain")
    assert got.text.startswith(begins)
    assert f"\ncode: {code}\nnext: " in got.text


# --- bodies that are no body ---


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x00"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: body[:16].decode("latin-1"),
)
def test_a_body_that_is_not_json_is_400(unchanged: Target, path: str, body: bytes) -> None:
    plain(unchanged.post(path, body), 400, "bad_json", "Failed to parse the request body as JSON")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_another_content_type_is_415(unchanged: Target, path: str) -> None:
    body = json.dumps(unchanged.bodies()[path]).encode()
    for kind in ("text/plain", "", "application/x-www-form-urlencoded"):
        got = unchanged.post(path, body, headers={"Content-Type": kind})
        plain(got, 415, "not_json", "Expected request with `Content-Type: application/json`")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_an_oversized_body_is_413(unchanged: Target, path: str) -> None:
    body = json.dumps({**unchanged.bodies()[path], "more": "x" * limits.JSON_BODY.value}).encode()
    plain(unchanged.post(path, body), 413, "body_too_large")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_what_is_wrong_in_a_field_that_nobody_reads_is_refused_too(unchanged: Target, path: str) -> None:
    body = json.dumps(unchanged.bodies()[path])[:-1].encode()
    deep = b"[" * 10_000 + b"]" * 10_000
    for more in (b'"x":' + deep, b'"x":{"k":1,"k":2}', b'"x":"\\udfff"', b'"x":NaN', b'"x":"\xff"', b'"x":1,"x":1'):
        plain(unchanged.post(path, body + b"," + more + b"}"), 400, "bad_json")
    plain(unchanged.post(path, body + b"} {}"), 400, "bad_json")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("body", [[], None, 5, "text", True, 1.5], ids=str)
def test_a_body_of_another_type_is_422(unchanged: Target, path: str, body: Any) -> None:
    got = unchanged.post(path, json.dumps(body).encode())
    code = "bad_length" if body == [] and "capabilities" in path else "bad_shape"
    plain(got, 422, code, "Failed to deserialize the JSON body into the target type")


# --- fields ---


@pytest.mark.parametrize("path", [path for path in BODY_ROUTES if path != "/jsonrpc"])
def test_a_missing_field_is_422_and_named(unchanged: Target, path: str) -> None:
    valid = unchanged.bodies()[path]
    for field in valid:
        got = unchanged.post(path, {name: value for name, value in valid.items() if name != field})
        plain(got, 422, "bad_shape", f"Failed to deserialize the JSON body into the target type: {field}: missing")


NOT_AN_ID: list[Any] = [5, None, [], {}, True, 1.5, 10**400, [1] * 32]
BAD_IDS = ["", "x", ID[:-1], f"{ID}11", f"{ID} ", f" {ID}", f"{ID}\n", f"{ID}\0", "0OIl" * 10, "é" * 40, "1" * 100_000]
NOT_BYTES: list[Any] = [[256], [-1], [1.5], ["1"], [None], [True], [10**30], "abc", {}, None, 5, [[1]]]
NOT_A_NAME: list[Any] = [5, None, [], {}, True, "", "x" * 201]
NOT_A_NUMBER: list[Any] = [-1, 1.5, "5", None, 2**63, 10**400, True, []]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("contexts", "applicationId"),
        ("contexts/invite", "contextId"),
        ("contexts/invite", "inviterId"),
        ("contexts/invite", "inviteeId"),
        ("contexts/invite_by_open_invitation", "contextId"),
        ("contexts/invite_by_open_invitation", "inviterId"),
        ("contexts/join_by_open_invitation", "newMemberPublicKey"),
        ("contexts/{id}/capabilities/grant", "signer_id"),
        ("contexts/{id}/capabilities/revoke", "signer_id"),
        ("alias/create/context", "contextId"),
        ("alias/create/application", "applicationId"),
        ("alias/create/identity/{id}", "identity"),
    ],
)
def test_what_is_no_id_is_422_and_named(unchanged: Target, path: str, field: str) -> None:
    for value in (*NOT_AN_ID, *BAD_IDS):
        got = unchanged.post(path, {**unchanged.bodies()[path], field: value})
        code = "bad_id" if isinstance(value, str) else "bad_shape"
        plain(got, 422, code, f"Failed to deserialize the JSON body into the target type: {field}: ")
        assert len(got.text) < 500


@pytest.mark.parametrize(
    ("path", "field", "values"),
    [
        ("install-dev-application", "metadata", [*NOT_BYTES, [0] * 65_537]),
        ("install-dev-application", "path", [5, None, [], "", "/" * 4097]),
        ("install-dev-application", "package", [5, [], {}]),
        ("contexts", "protocol", NOT_A_NAME),
        ("contexts", "initializationParams", NOT_BYTES),
        ("contexts", "contextSeed", [each for each in (*NOT_AN_ID, *BAD_IDS) if each is not None]),
        ("contexts/invite_by_open_invitation", "validForBlocks", NOT_A_NUMBER),
        ("contexts/join", "invitationPayload", [5, None, [], {}, "", "1" * 8193]),
        ("contexts/{id}/capabilities/grant", "capabilities", [5, None, {}, [], [[ID]], [[ID, 5]], [["x", "Read"]]]),
        ("contexts/{id}/capabilities/grant", "capabilities", [[[ID, "Read", "x"]], [[ID, ""]], [[ID, "Read"]] * 65]),
        ("alias/create/context", "alias", [5, None, [], {}, True]),
    ],
)
def test_a_value_of_the_wrong_type_or_length_is_422_and_named(
    unchanged: Target, path: str, field: str, values: list[Any]
) -> None:
    for value in values:
        got = unchanged.post(path, {**unchanged.bodies()[path], field: value})
        assert got.status == 422, (value, got.text)
        assert got.code in {"bad_shape", "bad_length", "bad_id"}
        assert got.text.startswith(f"Failed to deserialize the JSON body into the target type: {field}")


def test_the_bare_form_of_capabilities_is_checked_like_the_other(unchanged: Target) -> None:
    for verb in ("grant", "revoke"):
        bad: list[Any] = [[[ID]], [[ID, 5]], [["x", "Read"]], [ID, "Read"], [[]], [[ID, "Read"]] * 65, [{}], [None]]
        for pairs in bad:
            assert unchanged.post(f"contexts/{{id}}/capabilities/{verb}", pairs).status == 422


@pytest.mark.parametrize(
    "name",
    ["", "x" * 51, "é" * 26, "x" * 100_000, "a\0b", "\0", "a\nb", "\x1b[31m", "\u202egnp", "\u200b", "\x7f", ID],
)
def test_a_bad_alias_is_422_and_says_why(unchanged: Target, name: str) -> None:
    for path in ("alias/create/context", "alias/create/application", "alias/create/identity/{id}"):
        got = unchanged.post(path, {**unchanged.bodies()[path], "alias": name})
        plain(got, 422, "bad_alias", "Failed to deserialize the JSON body into the target type: alias: ")


def test_an_alias_of_fifty_bytes_is_taken(target: Target) -> None:
    for name in ("x" * 50, "é" * 25, "日" * 16, "a b", "-", "..", "%2F", "'; DROP TABLE aliases; --"):
        assert target.post("alias/create/context", {"alias": name, "contextId": ID}).status == 200
    assert target.node.data("POST", "alias/delete/context/%C3%A9" + "%C3%A9" * 24) is None


@pytest.mark.parametrize("name", ["%00", "%ff", "x" * 5000, "%2e%2e%2f", "%0a", "a%20b%00c", "%F0%9F%92%A9" * 20])
def test_looking_up_a_strange_name_finds_nothing_or_is_refused(unchanged: Target, name: str) -> None:
    for verb in ("lookup", "delete"):
        got = unchanged.post(f"alias/{verb}/identity/{{id}}/{name}", b"null")
        assert got.status in {200, 400}
        if got.status == 200:
            assert got.json == {"data": {"value": None} if verb == "lookup" else None}
        else:
            plain(got, 400, "bad_path", "Invalid URL:")


# --- installing from a path ---


def test_a_path_that_names_no_module_is_refused(unchanged: Target, tmp_path: Path) -> None:
    pipe, large, loop, empty, text = (tmp_path / name for name in ("pipe", "large", "loop", "empty", "text"))
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(limits.APPLICATION_BYTES.value + 1)
    loop.symlink_to(loop)
    (tmp_path / "to-pipe").symlink_to(pipe)
    empty.touch()
    text.write_text("(module)")
    cases: list[tuple[str, int, str]] = [
        (str(tmp_path), 400, "file_unreadable"),
        ("/", 400, "file_unreadable"),
        ("/dev/zero", 400, "file_unreadable"),
        ("/dev/tty", 400, "file_unreadable"),
        (str(pipe), 400, "file_unreadable"),
        (str(tmp_path / "to-pipe"), 400, "file_unreadable"),
        (str(loop), 400, "file_unreadable"),
        (str(tmp_path / "missing"), 400, "file_unreadable"),
        (str(text / "below"), 400, "file_unreadable"),
        ("module.wasm", 400, "file_unreadable"),
        ("./module.wasm", 400, "file_unreadable"),
        ("~/module.wasm", 400, "file_unreadable"),
        (f"{empty}\0", 400, "file_unreadable"),
        ("/" + "x" * 4000, 400, "file_unreadable"),
        (f"file://{empty}", 400, "file_unreadable"),
        (str(large), 400, "application_too_large"),
        (str(empty), 400, "bad_module"),
        (str(text), 400, "bad_module"),
        ("/proc/self/status", 400, "bad_module"),
    ]
    for path, status, code in cases:
        started = time.monotonic()
        got = unchanged.post("install-dev-application", {"path": path, "metadata": []})
        assert (got.status, got.code) == (status, code), (path, got.text)
        assert time.monotonic() - started < 20
        assert str(tmp_path) not in got.text


def test_a_module_that_wants_what_is_not_offered_is_refused(unchanged: Target, tmp_path: Path) -> None:
    header = b"\x00asm\x01\x00\x00\x00"
    for number, module in enumerate((header + b"\xff" * 100, header[:7], b"\x00asm\x0d\x00\x01\x00", header * 2)):
        path = tmp_path / f"{number}.wasm"
        path.write_bytes(module)
        got = unchanged.post("install-dev-application", {"path": str(path), "metadata": []})
        assert (got.status, got.code) == (400, "bad_module")


# --- applications that misbehave ---


@pytest.mark.parametrize(
    ("method", "kind", "data"),
    [
        ("trap", "FunctionCallError", "unreachable code reached"),
        ("loop", "FunctionCallError", "execution limit reached: fuel"),
        ("recurse", "FunctionCallError", "stack overflow"),
        ("grow", "FunctionCallError", "memory out of bounds"),
        ("takes", "FunctionCallError", "invalid signature"),
        ("memory", "FunctionCallError", "not found"),
        ("no\0such", "FunctionCallError", "not found"),
        ("text", "SerdeError", "not JSON"),
        ("surrogate", "SerdeError", "not JSON"),
        ("nothing", "SerdeError", "not JSON"),
        ("deep", "SerdeError", "not JSON"),
        ("digits", "SerdeError", "not JSON"),
        ("text_after_commit", "SerdeError", "not JSON"),
        ("commit_too_much", "FunctionCallError", "at most"),
        ("commit_far_too_much", "FunctionCallError", "at most"),
        ("shout", "FunctionCallError", "at most"),
        ("__calimero_sync_next", "ParseError", "not called from outside"),
        ("__calimero_register_merge", "ParseError", "not called from outside"),
        ("", "ParseError", "method"),
        ("x" * 257, "ParseError", "method"),
    ],
)
def test_a_call_that_fails_is_200_with_its_type_and_leaves_nothing_behind(
    unchanged: Target, method: str, kind: str, data: str
) -> None:
    started = time.monotonic()
    got = unchanged.node.call(unchanged.trouble, method)
    assert got.status == 200
    error = got.json["error"]
    assert error["type"] == kind
    assert data in json.dumps(error["data"])
    assert set(error["meroid"]) == {"code", "reason", "next"}
    assert len(error["meroid"]["reason"]) < 500
    assert time.monotonic() - started < 20


def test_what_is_too_large_for_an_operation_has_a_code_of_its_own(unchanged: Target) -> None:
    for method in ("commit_too_much", "commit_far_too_much", "shout"):
        got = unchanged.node.call(unchanged.trouble, method)
        assert got.code == "delta_too_large"
    got = unchanged.node.call(unchanged.member, "set", {"key": "k", "value": "x" * 600_000})
    assert got.code == "function_call_failed"  # the sample application has a smaller limit of its own


def test_the_largest_change_that_is_taken_can_be_read_again(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        member = node.create(node.install(trouble_bytecode()))
        before = node.stored(member.context)[0]
        assert node.call(member, "commit_most").json["result"] == {"output": None}
        assert node.stored(member.context)[0] == before + 1
        node.running.replicas.forget(ContextId.parse(member.context))
        assert node.stored(member.context)[0] == before + 1
        assert node.call(member, "commit_small").json["result"] == {"output": None}


def test_the_room_around_a_change_holds_the_largest_operation() -> None:
    operation = Operation(
        context=ContextId(bytes(32)),
        author=PublicKey(bytes(32)),
        seq=2**63,
        prev=OperationId(bytes(32)),
        parents=tuple(OperationId(bytes([n]) * 32) for n in range(limits.OPERATION_PARENTS.value)),
        auth=OperationId(bytes(32)),
        epoch=EpochId(bytes(32)),
        body=Delta(nonce=bytes(12), ciphertext=bytes(limits.OPERATION_BYTES.value - 8 * 1024 + 16)),
    )
    assert len(encode_envelope(encode_operation(operation), bytes(64))) <= limits.OPERATION_BYTES.value


@pytest.mark.parametrize(
    ("init", "code"),
    [
        ("trap", "function_call_failed"),
        ("loop", "function_call_failed"),
        ("commit_too_much", "delta_too_large"),
        ("shout", "delta_too_large"),
    ],
)
def test_a_context_whose_application_fails_at_once_is_not_made(target: Target, init: str, code: str) -> None:
    application = target.node.install(stubborn_bytecode(init), f"{init}.wasm")
    before = target.snapshot()
    body = {"protocol": "near", "applicationId": application, "initializationParams": [0] * 1000}
    got = target.post("contexts", body)
    assert (got.status, got.code) == (400, code)
    assert target.snapshot() == before


def test_a_long_call_holds_up_neither_another_context_nor_the_server(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy", fuel=20 * FUEL) as node:
        application = node.install(trouble_bytecode())
        one, two = node.create(application), node.create(application)
        slow = threading.Thread(target=node.call, args=(one, "loop"))
        slow.start()
        time.sleep(0.1)
        assert node.call(two, "fine").json["result"] == {"output": 999}
        assert node.ask("GET", "health").status == 200
        assert slow.is_alive()
        slow.join()


@pytest.mark.parametrize("arguments", [None, [], [1, 2], "text", 5, True, 1.5, {}, {"key": 5}, {"key": None}, [[[]]]])
def test_arguments_of_any_kind_reach_the_application_and_no_further(unchanged: Target, arguments: Any) -> None:
    got = unchanged.node.call(unchanged.member, "get", arguments)
    assert got.status == 200
    assert "result" in got.json or got.json["error"]["type"] == "FunctionCallError"


# --- JSON-RPC ---


@pytest.mark.parametrize(
    "change",
    [
        {"id": -1},
        {"id": 1.5},
        {"id": True},
        {"id": []},
        {"id": {}},
        {"id": 2**64},
        {"id": 10**400},
        {"jsonrpc": "1.0"},
        {"jsonrpc": 2},
        {"jsonrpc": None},
        {"jsonrpc": ["2.0"]},
    ],
)
def test_a_wrong_envelope_is_422(unchanged: Target, change: dict[str, Any]) -> None:
    got = unchanged.post("/jsonrpc", {**unchanged.bodies()["/jsonrpc"], **change})
    plain(got, 422, "bad_shape", "Failed to deserialize the JSON body into the target type: ")


@pytest.mark.parametrize("field", ["id", "jsonrpc"])
def test_an_envelope_without_id_or_version_is_422(unchanged: Target, field: str) -> None:
    body = unchanged.bodies()["/jsonrpc"]
    del body[field]
    plain(unchanged.post("/jsonrpc", body), 422, "bad_shape")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "query"},
        {"method": ""},
        {"method": None},
        {"method": 5},
        {"method": ["execute"]},
        {"method": "execute\0"},
        {"method": "x" * 100_000},
        {"params": None},
        {"params": []},
        {"params": "x"},
        {"params": {}},
    ],
    ids=lambda change: str(change)[:30],
)
def test_another_method_or_other_params_are_a_parse_error_at_200(unchanged: Target, change: dict[str, Any]) -> None:
    got = unchanged.post("/jsonrpc", {**unchanged.bodies()["/jsonrpc"], **change})
    assert got.status == 200
    error = got.json["error"]
    assert (error["type"], error["meroid"]["code"]) == ("ParseError", "bad_params")
    assert isinstance(error["data"], str)
    assert len(got.body) < 2000


def test_params_of_the_wrong_type_are_a_parse_error_that_names_them(unchanged: Target) -> None:
    bad: dict[str, list[Any]] = {
        "contextId": [*NOT_AN_ID, *BAD_IDS],
        "executorPublicKey": [*NOT_AN_ID, *BAD_IDS],
        "method": [5, None, [], "", "x" * 257],
        "substitute": [5, None, {}, [5], ["x" * 201], ["x"] * 65],
    }
    body = unchanged.bodies()["/jsonrpc"]
    for field, values in bad.items():
        for value in values:
            changed = {**body, "params": {**body["params"], field: value}}
            error = unchanged.post("/jsonrpc", changed).json["error"]
            assert error["type"] == "ParseError", (field, value)
            assert error["data"].startswith(field)
    for field in ("contextId", "executorPublicKey", "method", "argsJson"):
        params = {name: value for name, value in body["params"].items() if name != field}
        assert unchanged.post("/jsonrpc", {**body, "params": params}).json["error"]["type"] == "ParseError"


def test_a_failure_without_an_id_in_the_envelope_still_has_one(unchanged: Target) -> None:
    got = unchanged.post("/jsonrpc", {"jsonrpc": "2.0", "id": None, "method": "x"})
    assert got.json["id"] is None


def test_substitution_cannot_make_arguments_grow_without_bound(unchanged: Target) -> None:
    unchanged.node.data("POST", f"alias/create/identity/{unchanged.member.context}", {"alias": "a", "identity": ID})
    started = time.monotonic()
    got = unchanged.node.call(unchanged.member, "get", {"key": "{a}" * 600_000}, substitute=["a"] * 64)
    assert got.json["error"]["meroid"]["code"] == "bad_params"
    assert time.monotonic() - started < 20
    for names in ([""], ["{"], ["a}{a"], ["\0"], ["a"] * 64):
        assert unchanged.node.call(unchanged.member, "get", {"key": "{}{{a}}"}, substitute=names).status == 200
    unchanged.node.data("POST", f"alias/delete/identity/{unchanged.member.context}/a")


# --- invitations ---


BAD_INVITATION = ("bad_invitation_text", "bad_invitation")
"""The outer form doesn't hold, or what it carries."""


def refused(got: Got, *codes: str) -> None:
    assert got.status in {400, 403, 422}, got.text
    assert got.code in codes, got.text


@settings(max_examples=150, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_with_a_changed_character_is_refused(target: Target, data: st.DataObject) -> None:
    text = target.payload
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET) | st.characters(exclude_categories=["Cs"]))
    assume(other != text[at])
    got = target.post("contexts/join", {"invitationPayload": text[:at] + other + text[at + 1 :]})
    refused(got, *BAD_INVITATION, "wrong_invitee")


@settings(max_examples=200, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_with_a_changed_byte_is_refused(target: Target, data: st.DataObject) -> None:
    raw = bytearray(base58.b58decode(target.payload))
    protocol = range(68, 68 + int.from_bytes(raw[64:68], "little"))  # what stands there means nothing
    at = data.draw(st.integers(0, len(raw) - 1).filter(lambda place: place not in protocol))
    raw[at] ^= data.draw(st.integers(1, 255))
    got = target.post("contexts/join", {"invitationPayload": base58.b58encode(bytes(raw)).decode()})
    refused(got, *BAD_INVITATION, "wrong_invitee")


@settings(max_examples=100, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_an_invitation_that_was_cut_extended_or_mixed_is_refused(target: Target, data: st.DataObject) -> None:
    text = target.payload
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    damaged = data.draw(
        st.sampled_from([text[start:end], text[:start] + text[end:], text + text[start:end], text[::-1]])
    )
    assume(damaged != text)
    got = target.post("contexts/join", {"invitationPayload": damaged})
    refused(got, *BAD_INVITATION, "wrong_invitee", "bad_length")


@pytest.mark.parametrize("change", [" ", "\n", "\t", "\0", "=", "1"])
def test_white_space_and_padding_around_an_invitation_are_refused(unchanged: Target, change: str) -> None:
    for damaged in (unchanged.payload + change, change + unchanged.payload):
        refused(unchanged.post("contexts/join", {"invitationPayload": damaged}), "bad_invitation_text")


@settings(max_examples=200, deadline=None, suppress_health_check=MODULE_FIXTURES)
@given(data=st.data())
def test_a_damaged_open_invitation_is_refused(target: Target, data: st.DataObject) -> None:
    inner = dict(target.open["invitation"])
    field = data.draw(st.sampled_from(["context_id", "contract_id", "network"]))
    if field == "context_id":
        inner[field] = list(inner[field])
        inner[field][data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    else:
        text = inner[field]
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.sampled_from(ALPHABET + "-_.=+/ \n\0é"))
        assume(other != text[at])
        inner[field] = text[:at] + other + text[at + 1 :]
    body = {"invitation": {**target.open, "invitation": inner}, "newMemberPublicKey": target.idle}
    refused(target.post("contexts/join_by_open_invitation", body), *BAD_INVITATION)


def test_an_open_invitation_of_the_wrong_shape_is_422(unchanged: Target) -> None:
    inner = unchanged.open["invitation"]
    changes: list[dict[str, Any]] = [
        {"secret_salt": [1] * 31},
        {"secret_salt": [1] * 33},
        {"secret_salt": ID},
        {"context_id": [256] * 32},
        {"context_id": None},
        {"inviter_identity": []},
        {"expiration_height": -1},
        {"expiration_height": "x"},
        {"network": 5},
        {"protocol": "x" * 201},
        {"contract_id": "x" * 8193},
    ]
    bodies = [{**unchanged.open, "invitation": {**inner, **change}} for change in changes]
    bodies += [{**unchanged.open, "inviter_signature": 5}, {**unchanged.open, "inviter_signature": "x" * 257}]
    for invitation in bodies:
        body = {"invitation": invitation, "newMemberPublicKey": unchanged.idle}
        got = unchanged.post("contexts/join_by_open_invitation", body)
        assert got.status == 422, invitation
        assert str(inner["secret_salt"][:4]) not in got.text


def test_a_wrong_secret_is_refused_and_lets_nobody_in(tmp_path: Path) -> None:
    with (
        network() as joined,
        served_node(tmp_path, joined, mode="proxy", name="one") as one,
        served_node(tmp_path, joined, mode="proxy", name="two") as two,
    ):
        member = one.create(one.install(trouble_bytecode()))
        body = {"contextId": member.context, "inviterId": member.key, "validForBlocks": 600}
        made = one.data("POST", "contexts/invite_by_open_invitation", body)
        made["invitation"]["secret_salt"][0] ^= 1
        key = two.identity()
        got = two.ask("POST", "contexts/join_by_open_invitation", {"invitation": made, "newMemberPublicKey": key})
        assert got.status in {403, 503}
        assert got.code
        assert one.data("GET", f"contexts/{member.context}/identities") == {"identities": [member.key]}
        assert two.data("GET", "contexts") == {"contexts": []}


def test_an_invitation_of_the_original_is_refused(unchanged: Target) -> None:
    vector = (
        "4Mb2deLtaS7ApRdhh5ms1GuT2GtGKkKxDMakmd1C3YA2NRYwniNiijac1Nn8NYHVeWoqzvYFpmJMekAeUYKyWpq5j1QaVjpW6r5V86oo3tz6"
        "uKx1Hri82LHf8rrs2m2dyjZUZeCaeBEb"
    )
    refused(unchanged.post("contexts/join", {"invitationPayload": vector}), "bad_invitation_text")


def test_inviting_a_key_that_is_no_key_is_refused(unchanged: Target) -> None:
    body = unchanged.bodies()["contexts/invite"]
    for key in (bytes(32), b"\x01" + bytes(31), b"\xff" * 32):
        got = unchanged.post("contexts/invite", {**body, "inviteeId": base58.b58encode(key).decode()})
        assert (got.status, got.code) == (400, "bad_public_key")


# --- the pool ---


def test_the_pool_of_identities_is_bounded(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        answers: list[Got] = []

        def generate() -> None:
            answers.extend(node.ask("POST", "identity/context", b"null") for _ in range(6))

        asking = [threading.Thread(target=generate) for _ in range(4)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        made = [got.json["data"]["publicKey"] for got in answers if got.status == 200]
        assert len(made) == len(set(made)) == limits.UNBOUND_IDENTITIES.value
        for got in answers:
            assert (got.status, got.code) in {(200, None), (409, "pool_full")}


def test_contexts_made_at_the_same_time_are_all_made(tmp_path: Path) -> None:
    with network() as joined, served_node(tmp_path, joined, mode="proxy") as node:
        application = node.install(trouble_bytecode())
        seeds = [None] * 5 + [ID] * 3
        answers: list[Got] = []

        def create(seed: str | None) -> None:
            body: dict[str, Any] = {
                "protocol": "x",
                "applicationId": application,
                "initializationParams": [],
                "contextSeed": seed,
            }
            answers.append(node.ask("POST", "contexts", body))

        asking = [threading.Thread(target=create, args=(seed,)) for seed in seeds]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        assert sorted(got.status for got in answers) == [200] * 6 + [409] * 2
        assert {got.code for got in answers if got.status == 409} == {"context_seed_used"}
        assert len(node.data("GET", "contexts")["contexts"]) == 6


# --- anything at all ---

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from([ID, "", "Member"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def _mutated(valid: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """A value that is mostly like this one."""
    kind = draw(st.sampled_from(["same", "other", "inside", "inside", "inside"]))
    if kind == "other":
        return draw(JSON_VALUES)
    if kind == "same" or not valid or not isinstance(valid, dict | list):
        return valid
    copy: Any = valid.copy()
    place = draw(st.sampled_from(sorted(valid) if isinstance(valid, dict) else range(len(valid))))
    if draw(st.integers(0, 4)) == 0:
        del copy[place]
    else:
        copy[place] = _mutated(valid[place], draw)
    return copy


def routes(target: Target) -> list[Endpoint]:
    """Every route of the node but those of the sign-in, which have tests of their own."""
    table = target.node.running.application.table.endpoints
    return [each for each in table if isinstance(each, Endpoint) and not each.path.startswith(("/auth/", "/admin/"))]


def test_every_route_that_takes_a_body_is_tested_here(target: Target) -> None:
    bodiless = {"sync", "{context_id}", "context", "{name}", "backup", "restore", "recover", "disable", "enable"}
    posts = {
        each.path for each in routes(target) if each.methods == "POST" and each.path.split("/")[-1] not in bodiless
    } - {"/admin-api/account/rotate"}
    known = {path if path.startswith("/") else f"/admin-api/{path}" for path in target.bodies()}
    named = {path.replace("{context_id}", "{id}").replace("{context}", "{id}") for path in posts}
    assert named | {"/admin-api/alias/create/context", "/admin-api/alias/create/identity/{id}"} == known


@settings(max_examples=400, deadline=None, suppress_health_check=[*MODULE_FIXTURES, HealthCheck.too_slow])
@given(data=st.data())
def test_no_request_to_any_route_ends_in_a_defect(target: Target, data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(routes(target)))
    known = {"{context_id}": target.victim.context, "{context}": target.victim.context, "{name}": "a"}
    path = endpoint.path
    body: Any = None
    for bodies_path, valid in target.bodies().items():
        whole = bodies_path if bodies_path.startswith("/") else f"/admin-api/{bodies_path}"
        if whole.replace("{id}", "") == path.replace("{context_id}", "").replace("{context}", ""):
            body = _mutated(valid, data.draw)
    for name in ("{context_id}", "{context}", "{application_id}", "{name}"):
        strange = st.sampled_from(["%00", "%ff", "x", ID, "%2F", "é".encode().hex(), "1" * 3000])
        value = data.draw(st.just(known.get(name, ID)) | strange)
        path = path.replace(name, value)
    sent = None if body is None and data.draw(st.booleans()) else json.dumps(body).encode()
    if sent is not None and data.draw(st.integers(0, 9)) == 0:
        at = data.draw(st.integers(0, len(sent)))
        sent = sent[:at] + data.draw(st.binary(max_size=4)) + sent[at:]
    got = target.node.ask(endpoint.methods.split()[0], path, sent)
    assert got.status < 500 or got.code == "peer_unreachable", (path, sent, got.text)
    assert b"Traceback" not in got.body
    if got.status >= 400:
        assert got.code
        if got.headers.get("content-type") == "application/json":
            assert {"error", "code", "reason", "next"} <= set(got.json)
    elif endpoint.path == "/jsonrpc" and "error" in got.json:
        assert got.json["error"]["type"] != "InternalError", got.text


def test_the_node_works_as_before_after_all_that(target: Target) -> None:
    assert target.node.call(target.member, "set", {"key": "a", "value": "b"}).json["result"] == {"output": None}
    assert target.node.call(target.member, "get", {"key": "a"}).json["result"] == {"output": "b"}
    assert target.node.ask("GET", "peers").status == 200
