"""What each kind of token may do on the node's routes (`wire/auth.md` §4.5), as a table."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.kv_store import kv_store_bytecode
from tests.served_node import PASSWORD, Member, ServedNode, network, served_node
from tests.servers import Got
from websockets.sync.client import connect

from meroid.auth.password import Argon2Cost, hash_password
from meroid.ids import AccountId
from meroid.service.ports.auth import RootKeyRecord

DENIALS = {"permission_denied", "outside_binding", "not_your_identity"}
UNKNOWN = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two applications with a context each, and a token of each kind."""

    node: ServedNode
    application: str
    one: Member
    second: str
    two: Member
    beside: str
    tokens: dict[str, str]

    def ask(self, token: str, method: str, path: str, body: Any = None) -> Got:
        return self.node.ask(method, path, body, token=self.tokens[token])

    def call(self, token: str, member: Member, method: str) -> Got:
        return self.node.call(member, method, {"key": "a", "value": "b"}, token=self.tokens[token])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as node:
        application = node.install(kv_store_bytecode())
        body = {"path": str(node.folder / "module.wasm"), "metadata": [2]}
        second = node.data("POST", "install-dev-application", body)["applicationId"]
        one, two = node.create(application), node.create(second)
        stranger = _other_account(node)
        tokens = {
            "admin": node.token,
            "execute": node.mint("context:execute"),
            "list": node.mint("context:list"),
            "create": node.mint("context:create"),
            "invite": node.mint("context:invite"),
            "grant": node.mint("context:capabilities:grant"),
            "alias": node.mint("context:alias"),
            "see-apps": node.mint("application:list"),
            "see-app": node.mint(f"application:list[{application}]"),
            "install": node.mint("application:install"),
            "bound": node.mint("context:execute", bound_to=one),
            "bound-admin": node.mint("admin", bound_to=one),
            "execute-app": node.mint(f"context:execute[{application}]"),
            "list-app": node.mint(f"context:list[{application}]"),
            "create-app": node.mint(f"context:create[{application}]"),
            "execute-one": node.mint(f"context:execute[{one.context}]"),
            "only-get": node.mint(f"context:execute[{one.context},,get]"),
            "stranger": stranger,
        }
        yield Scene(
            node=node, application=application, one=one, second=second, two=two, beside=node.identity(), tokens=tokens
        )


def _other_account(node: ServedNode) -> str:
    """Sign in as another person on the same node, who has everything that a non-owner gets."""
    account: AccountId = node.node.keys.create_account(owner=False, at=1).account_id
    held = ("context:create", "context:list", "context:execute", "context:invite", "blob")
    verifier = hash_password(PASSWORD, Argon2Cost(passes=1, memory_kib=64, lanes=1))
    record = RootKeyRecord(
        key_id="bob", account_id=account, method="user_password", identifier="bob", verifier=verifier,
        permissions=held, created_at=1,
    )  # fmt: skip
    node.node.store.write(lambda tx: tx.auth.add_root_key(record))
    body = {
        "auth_method": "user_password",
        "public_key": "bob",
        "client_name": "x",
        "timestamp": 1,
        "provider_data": {"username": "bob", "password": PASSWORD},
    }
    got = node.server.ask("POST", "/auth/token", body)
    assert got.status == 200, got.text
    return str(got.json["data"]["access_token"])


def denied(got: Got) -> bool:
    """Whether an answer is a denial by token, account or binding; other refusals come later."""
    if got.code not in DENIALS:
        assert got.status not in {401, 403} or got.code, got.text
        return False
    if got.status == 200:  # JSON-RPC
        assert got.json["error"]["type"] == "Unauthorized"
    else:
        assert (got.status, got.headers["x-auth-error"]) == (403, "permission_denied")
    return True


OWNERS = {"admin", "execute", "list", "create", "invite", "grant", "alias", "see-apps", "see-app", "install"}
NARROW = {"bound", "bound-admin", "execute-app", "list-app", "create-app", "execute-one", "only-get"}
EVERYBODY = OWNERS | NARROW | {"stranger"}
IN_BOTH = {"admin", "execute"}
IN_ONE = {*IN_BOTH, "bound", "bound-admin", "execute-app", "execute-one"}
READS_BOTH = {*IN_BOTH, "list"}
READS_ONE = {*IN_ONE, "list", "list-app", "only-get"}
JOINS = {*IN_BOTH, "execute-app", "execute-one", "stranger"}
Ask = Callable[[Scene, str], Got]


def get(path: str) -> Ask:
    return lambda scene, token: scene.ask(token, "GET", _filled(scene, path))


def post(path: str, body: Callable[[Scene], Any] = lambda _: None) -> Ask:
    return lambda scene, token: scene.ask(token, "POST", _filled(scene, path), body(scene))


def _filled(scene: Scene, path: str) -> str:
    return path.format(one=scene.one.context, two=scene.two.context, app=scene.application, second=scene.second)


def _founding(application: str) -> dict[str, Any]:
    return {"protocol": "near", "applicationId": application, "initializationParams": [], "contextSeed": UNKNOWN}


def _inviting(member: Member, **more: Any) -> dict[str, Any]:
    return {"contextId": member.context, "inviterId": member.key, **more}


TABLE: list[tuple[str, Ask, set[str]]] = [
    ("health", get("health"), EVERYBODY),
    ("is-authed", get("is-authed"), EVERYBODY),
    ("peers", get("peers"), {"admin"}),
    ("list contexts", get("contexts"), {*READS_ONE, "stranger"}),
    (
        "create in one",
        post("contexts", lambda s: _founding(s.application)),
        {"admin", "create", "create-app", "stranger"},
    ),
    ("create in two", post("contexts", lambda s: _founding(s.second)), {"admin", "create", "stranger"}),
    ("get one", get("contexts/{one}"), {*READS_ONE, "stranger"}),
    ("get two", get("contexts/{two}"), {*READS_BOTH, "stranger"}),
    ("identities", get("contexts/{one}/identities"), {*READS_ONE, "stranger"}),
    ("identities of two", get("contexts/{two}/identities"), {*READS_BOTH, "stranger"}),
    ("identities-owned", get("contexts/{one}/identities-owned"), {*READS_ONE, "stranger"}),
    ("members", get("contexts/{one}/members"), {*READS_ONE, "stranger"}),
    ("rotate", post("contexts/{one}/identities/rotate", lambda s: {"identity": s.two.key}), {*JOINS} - {"stranger"}),
    ("show", get("contexts/{one}/identities/" + UNKNOWN), {*READS_ONE, "stranger"}),
    ("link", post("contexts/{one}/identities/link", lambda s: {"identity": s.two.key}), {*JOINS} - {"stranger"}),
    (
        "unlink",
        post("contexts/{one}/identities/unlink", lambda s: {"identity": s.two.key, "key": UNKNOWN}),
        {*JOINS} - {"stranger"},
    ),
    (
        "resume",
        post("contexts/{one}/identities/resume", lambda _: {"force": True}),
        {*IN_ONE, "stranger"} - {"execute-app"},
    ),
    ("see the account", get("account"), {*READS_BOTH, "stranger"}),
    ("see its client keys", get("account/client-keys"), {*READS_BOTH, "stranger"}),
    ("see its key log", get("account/key-log"), {*READS_BOTH, "stranger"}),
    ("rotate the account key", post("account/rotate"), {"admin"}),
    ("prove", post("account/prove", lambda _: {}), {"admin"}),
    ("delegate", post("account/delegations", lambda _: {}), {"admin"}),
    ("end a delegation", post("account/delegations/end", lambda _: {}), {"admin"}),
    ("come back", post("account/return", lambda _: {"addresses": []}), {"admin"}),
    ("back up", post("account/backup"), EVERYBODY),
    ("restore", post("account/restore"), EVERYBODY),
    ("recover", post("account/recover"), EVERYBODY),
    ("list accounts", get("accounts"), {"admin"}),
    ("disable", post(f"accounts/{UNKNOWN}/disable"), {"admin"}),
    ("enable", post(f"accounts/{UNKNOWN}/enable"), {"admin"}),
    ("take a link code", post("contexts/link", lambda _: {"code": "x"}), JOINS),
    ("sync one", post("contexts/sync/{one}"), {*IN_ONE, "stranger"}),
    ("sync two", post("contexts/sync/{two}"), {*IN_BOTH, "stranger"}),
    ("sync all", post("contexts/sync"), {*IN_ONE, "stranger"}),
    ("invite to one", post("contexts/invite", lambda s: _inviting(s.one, inviteeId=UNKNOWN)), {*IN_ONE, "invite"}),
    ("invite to two", post("contexts/invite", lambda s: _inviting(s.two, inviteeId=UNKNOWN)), {*IN_BOTH, "invite"}),
    (
        "invite openly",
        post("contexts/invite_by_open_invitation", lambda s: _inviting(s.one, validForBlocks=1)),
        {*IN_ONE, "invite"},
    ),
    ("join", post("contexts/join", lambda _: {"invitationPayload": "x"}), JOINS),
    ("join openly", post("contexts/join_by_open_invitation", lambda _: {}), JOINS),
    (
        "grant",
        post("contexts/{one}/capabilities/grant", lambda _: [[UNKNOWN, "Read"]]),
        {"admin", "grant", "bound-admin"},
    ),
    ("revoke", post("contexts/{one}/capabilities/revoke", lambda _: [[UNKNOWN, "Read"]]), {"admin", "bound-admin"}),
    ("list applications", get("applications"), {"admin", "see-apps", "see-app", "bound-admin"}),
    ("get application", get("applications/{app}"), {"admin", "see-apps", "see-app"}),
    ("get the second", get("applications/{second}"), {"admin", "see-apps"}),
    ("install", post("install-dev-application", lambda _: {"path": "/", "metadata": []}), {"admin", "install"}),
    ("uninstall", lambda s, token: s.ask(token, "DELETE", f"applications/{UNKNOWN}"), {"admin"}),
    ("name a context", post("alias/create/context", lambda _: {"alias": "", "contextId": UNKNOWN}), {"admin", "alias"}),
    ("find a name", post("alias/lookup/application/a"), {"admin", "alias"}),
    ("forget a name", post("alias/delete/context/a"), {"admin", "alias"}),
    ("list names", get("alias/list/context"), {"admin", "alias"}),
    ("list names in one", get("alias/list/identity/{one}"), {"admin", "alias", "bound-admin"}),
    ("list names in two", get("alias/list/identity/{two}"), {"admin", "alias"}),
    ("read the numbers, on the machine itself", lambda s, token: s.ask(token, "GET", "/metrics"), EVERYBODY),
    ("read in one", lambda s, token: s.call(token, s.one, "get"), {*IN_ONE, "only-get"}),
    ("write in one", lambda s, token: s.call(token, s.one, "set"), IN_ONE),
    ("read in two", lambda s, token: s.call(token, s.two, "get"), IN_BOTH),
]


@pytest.mark.parametrize(("ask", "allowed"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_route_lets_these_tokens_through_and_no_others(scene: Scene, ask: Ask, allowed: set[str]) -> None:
    let_through = {token for token in scene.tokens if not denied(ask(scene, token))}
    assert let_through == allowed


def test_a_new_identity_is_for_those_who_may_execute_unbound(scene: Scene) -> None:
    for token in sorted(EVERYBODY):
        got = scene.ask(token, "POST", "identity/context")
        assert denied(got) == (token not in JOINS), token


def test_the_table_has_every_route(scene: Scene) -> None:
    """A route that nobody wrote a row for would go unnoticed."""
    table = scene.node.running.application.table.endpoints
    paths = {each.path for each in table if not each.path.startswith(("/auth/", "/admin/", "/health/", "/openapi"))}
    assert len(paths) == 55, "write rows for the new route, then correct this number"


def test_lists_hold_only_what_the_token_reaches(scene: Scene) -> None:
    here = {scene.one.context, scene.two.context}
    seen = {
        "admin": [scene.one.context, scene.two.context],
        "list": [scene.one.context, scene.two.context],
        "bound": [scene.one.context],
        "bound-admin": [scene.one.context],
        "execute-app": [scene.one.context],
        "list-app": [scene.one.context],
        "only-get": [scene.one.context],
        "stranger": [],
    }
    for token, contexts in seen.items():
        listed = scene.ask(token, "GET", "contexts").json["data"]["contexts"]
        assert {each["id"] for each in listed} & here == set(contexts), token  # there may be more from other tests
    for token, count in {"admin": 2, "see-apps": 2, "see-app": 1, "bound-admin": 0}.items():
        assert len(scene.ask(token, "GET", "applications").json["data"]["apps"]) == count, token


def test_subscriptions_reach_as_far_as_the_token(scene: Scene) -> None:
    for member, reading in ((scene.one, READS_ONE), (scene.two, READS_BOTH)):
        for token in sorted(EVERYBODY):
            with connect(f"ws://127.0.0.1:{scene.node.server.port}/ws?token={scene.tokens[token]}") as connection:
                frame = {"id": 1, "method": "subscribe", "params": {"contextIds": [member.context]}}
                connection.send(json.dumps(frame))
                answer = json.loads(connection.recv(timeout=10))
            assert ("result" in answer) == (token in reading), (token, answer)


def test_a_bound_token_acts_as_its_own_identity_only(scene: Scene) -> None:
    for token in ("bound", "bound-admin"):
        for member in (
            Member(context=scene.one.context, key=scene.beside),
            Member(context=scene.two.context, key=scene.one.key),
        ):
            got = scene.call(token, member, "get")
            assert (got.json["error"]["type"], got.code) == ("Unauthorized", "outside_binding")
        body = _inviting(Member(context=scene.one.context, key=scene.beside), inviteeId=UNKNOWN)
        assert scene.ask(token, "POST", "contexts/invite", body).code == "outside_binding"


def test_another_account_acts_as_nobody_here_and_sees_nothing(scene: Scene) -> None:
    for method in ("get", "set"):
        got = scene.call("stranger", scene.one, method)
        assert (got.json["error"]["type"], got.code) == ("Unauthorized", "not_your_identity")
    for path in ("", "/identities", "/identities-owned", "/members"):
        got = scene.ask("stranger", "GET", f"contexts/{scene.one.context}{path}")
        assert (got.status, got.code) == (404, "context_not_found")
    assert scene.ask("stranger", "POST", f"contexts/sync/{scene.one.context}").code == "context_not_found"


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "é", "x" * 60_000])
def test_no_token_of_another_kind_opens_anything(scene: Scene, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1").decode("latin-1")}
    for path in ("contexts", "peers", "applications"):
        got = scene.node.ask("GET", path, headers=headers, token="")
        assert got.status == 401
        assert got.headers["x-auth-error"] in {"invalid_token", "missing_token"}
