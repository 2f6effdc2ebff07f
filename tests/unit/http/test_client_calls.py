"""Each call of the existing clients with each token that their log-ins mint (`wire/auth.md` §4.5)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.kv_store import kv_store_bytecode
from tests.people import another_account
from tests.served_node import Member, ServedNode, network, served_node
from tests.servers import Got
from tests.unit.http.client_calls import CALLS, KINDS, ClientCall
from websockets.sync.client import connect

from meroid.access.decide import Allowed, Denied, Resource, decide
from meroid.access.permissions import DELETE_CONTEXT, Permission, parse_permission
from meroid.access.principal import Principal
from meroid.http.exchange import ApiResponse
from meroid.http.routes import Endpoint, RouteTable, UndeclaredRouteError
from meroid.ids import AccountId, ApplicationId, ContextId

DENIALS = {"permission_denied", "outside_binding", "not_your_identity", "service_token_mints"}
MULTI = ("context:create", "context:list", "context:execute")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two applications with a context each, and a token of each kind."""

    node: ServedNode
    application: str
    second: str
    one: Member
    two: Member
    tokens: dict[str, str]

    def fill(self, value: Any) -> Any:
        """Ids and keys in the places that are held free for them."""
        text = json.dumps(value)
        if "{minted}" in text:
            self.node.mint("keys:list")
            text = text.replace("{minted}", self.node.ask("GET", "/admin/keys/clients").json["data"][-1]["client_id"])
        known = {"root": self.node.ask("GET", "/admin/keys").json["data"][0]["key_id"]} if "{root}" in text else {}
        known |= {"one": self.one.context, "two": self.two.context, "key": self.one.key, "key2": self.two.key}
        for name, each in {**known, "app": self.application, "second": self.second}.items():
            text = text.replace(f"{{{name}}}", each)
        return json.loads(text)

    def make(self, call: ClientCall, kind: str) -> Got:
        body = None if call.body is None else self.fill(call.body)
        return self.node.ask(call.method, self.fill(call.path), body, token=self.tokens[kind])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as node:
        application = node.install(kv_store_bytecode())
        body = {"path": str(node.folder / "module.wasm"), "metadata": [2]}
        second = node.data("POST", "install-dev-application", body)["applicationId"]
        one, two = node.create(application), node.create(second)
        minted = {"permissions": [f"context:execute[{one.context}]"], "name": "a script", "expires_in": 3600}
        service = node.ask("POST", "/admin/client-key", minted).json["data"]["access_token"]
        tokens = {
            "root": node.token,
            "admin": node.mint("admin"),
            "multi": node.mint(*MULTI),
            "single": node.mint("context:execute", bound_to=one),
            "package": node.mint(*(f"{each}[{application}]" for each in MULTI)),
            "service": service,
            "person": another_account(node),
        }
        assert set(tokens) == KINDS
        yield Scene(node=node, application=application, second=second, one=one, two=two, tokens=tokens)


def outcome(got: Got) -> str:
    """`denied` by token, account or binding; `absent` where the caller's account has no such context or key; else `allowed`."""
    assert got.status != 401, got.text
    assert got.status < 500 or got.code in {"nobody_answered", "sync_incomplete"}, got.text
    if (got.status, got.code) == (400, "permission_not_held"):  # the wire's status for what one can't give away
        return "denied"
    if got.code in DENIALS:
        if got.status == 200:
            assert got.json["error"]["type"] == "Unauthorized"
        else:
            assert (got.status, got.headers["x-auth-error"]) == (403, "permission_denied")
        return "denied"
    return "absent" if got.status == 404 and got.code in {"context_not_found", "key_not_found"} else "allowed"


def named(call: ClientCall) -> str:
    return f"{call.client}: {call.name}"


@pytest.mark.parametrize("call", [each for each in CALLS if each.issue is None], ids=named)
def test_a_call_is_allowed_to_the_tokens_that_it_is_for_and_no_others(scene: Scene, call: ClientCall) -> None:
    got = {kind: outcome(scene.make(call, kind)) for kind in sorted(KINDS)}

    expected = {kind: "allowed" if kind in call.allowed else "denied" for kind in sorted(KINDS)}
    assert got == expected | dict.fromkeys(call.absent, "absent")


@pytest.mark.parametrize("call", [each for each in CALLS if each.issue is not None], ids=named)
def test_a_call_that_nobody_answers_yet_is_marked_with_the_issue_that_brings_it(scene: Scene, call: ClientCall) -> None:
    got = scene.make(call, "root")

    assert got.code in {"no_such_path", "wrong_method"}, (
        f"it is there: take the mark off, and say who may {named(call)}"
    )


def test_every_call_is_there_once_and_every_route_of_the_clients_is_known(scene: Scene) -> None:
    seen = [(each.client, each.name) for each in CALLS]
    assert len(seen) == len(set(seen))
    table = scene.node.running.application.table
    for call in CALLS:
        if call.issue is None:
            table.find(call.method, scene.fill(call.path).encode())


# --- the rules of §4.5, by number


def test_rule_1_the_whole_path_counts_however_it_is_spelled(scene: Scene) -> None:
    spellings = ["/admin/keys/none/permissions", "/admin/%6beys/none/permissions", "/%61dmin/keys/none/permissions"]
    for path in spellings:
        got = scene.node.ask("PUT", path, {"add": ["admin"]}, token=scene.tokens["multi"])
        assert (got.status, got.code) == (403, "permission_denied"), path
    for path in [
        "/keys",
        "/keys/none/permissions",
        "//admin/keys",
        "/admin/../admin/keys",
        "/Admin/keys",
        "/admin/keys/",
    ]:
        assert scene.node.ask("GET", path, token=scene.tokens["multi"]).status == 404, path


def test_rule_2_what_is_not_declared_is_not_served(scene: Scene) -> None:
    for path in ("/admin-api/anything", "/admin-api", "/admin-api/contexts/", "/admin/anything"):
        for kind in sorted(KINDS):
            got = scene.node.ask("GET", path, token=scene.tokens[kind])
            assert (got.status, got.code, got.body) == (404, "no_such_path", b"")
    undeclared: Any = None
    with pytest.raises(UndeclaredRouteError):
        RouteTable([Endpoint("GET", "/admin-api/anything", lambda _: ApiResponse.data(None), undeclared)])


def test_rule_3_an_id_in_brackets_is_of_a_context_or_an_application_and_lists_are_filtered(scene: Scene) -> None:
    by_context = scene.node.mint(f"context:execute[{scene.one.context}]")
    by_application = scene.node.mint(f"context:execute[{scene.application}]")
    for token in (by_context, by_application):
        assert "result" in scene.node.call(scene.one, "get", {"key": "a"}, token=token).json
        got = scene.node.call(scene.two, "get", {"key": "a"}, token=token)
        assert (got.json["error"]["type"], got.code) == ("Unauthorized", "permission_denied")
    here = {
        "root": {1, 2},
        "admin": {1, 2},
        "multi": {1, 2},
        "single": {1},
        "package": {1},
        "service": {1},
        "person": set(),
    }
    for kind, expected in here.items():
        listed = {
            each["id"] for each in scene.node.ask("GET", "contexts", token=scene.tokens[kind]).json["data"]["contexts"]
        }
        assert {number for number, each in ((1, scene.one), (2, scene.two)) if each.context in listed} == expected, kind


def test_rule_4_who_creates_contexts_of_an_application_also_deletes_them() -> None:
    application, other = ApplicationId(b"a" * 32), ApplicationId(b"b" * 32)
    who = principal(f"context:create[{application}]")
    for needed in (parse_permission("context:create"), DELETE_CONTEXT):
        assert allows(who, needed, Resource(application=application))
        assert not allows(who, needed, Resource(application=other))


def test_rule_5_who_executes_in_a_context_has_what_a_member_does_there(scene: Scene) -> None:
    token = scene.node.mint("context:execute")
    for method, path in (("POST", "identity/context"), ("GET", f"contexts/{scene.one.context}"), ("GET", "contexts")):
        assert scene.node.ask(method, path, token=token).status == 200
    context = ContextId(b"c" * 32)
    for need in (
        "context:leave",
        "context:invite",
        "context:list",
        "blob:add:stream",
        "blob:get",
        "blob:list",
        "blob:remove",
    ):
        assert allows(principal(f"context:execute[{context}]"), parse_permission(need), Resource(context=context)), need
        assert not allows(
            principal(f"context:execute[{context}]"), parse_permission(need), Resource(context=ContextId(b"d" * 32))
        )


def test_rule_6_a_bound_token_acts_in_its_context_as_its_executor_whatever_it_holds(scene: Scene) -> None:
    beside = scene.node.identity()
    for permissions in (("context:execute",), ("admin",)):
        token = scene.node.mint(*permissions, bound_to=scene.one)
        assert "result" in scene.node.call(scene.one, "get", {"key": "a"}, token=token).json
        for member in (scene.two, Member(context=scene.one.context, key=beside)):
            assert scene.node.call(member, "get", {"key": "a"}, token=token).code == "outside_binding"
        for path in ("peers", "/admin/keys", f"contexts/{scene.two.context}", "account"):
            assert scene.node.ask("GET", path, token=token).code == "outside_binding", path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rule_7_any_token_is_authed_and_connects_and_hears_only_what_it_may_read(scene: Scene, kind: str) -> None:
    token = scene.tokens[kind]
    assert scene.node.ask("GET", "is-authed", token=token).status == 200
    heard = {"single": {1}, "package": {1}, "service": {1}, "person": set[int]()}.get(kind, {1, 2})
    for number, member in ((1, scene.one), (2, scene.two)):
        with connect(f"ws://127.0.0.1:{scene.node.server.port}/ws?token={token}") as socket:
            socket.send(json.dumps({"id": 1, "method": "subscribe", "params": {"contextIds": [member.context]}}))
            answer = json.loads(socket.recv(timeout=20))
        assert ("result" in answer) == (number in heard), answer


def principal(*held: str) -> Principal:
    return Principal(
        subject="s", account_id=AccountId(b"o" * 32), key_id="k", held=tuple(parse_permission(each) for each in held)
    )


def allows(who: Principal, needed: Permission, resource: Resource) -> bool:
    decided: Allowed | Denied = decide(who, needed, resource)
    return isinstance(decided, Allowed)
