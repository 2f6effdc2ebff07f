"""P10: what a token says is what it does: bound or not, refreshed without spurious log-outs, revoked at once.

One node in embedded mode with two people: the owner, and a second one with an account of its own.
Where a test needs time to have passed, the same steps are taken in the store beforehand, at an
earlier time: the node reads the clock, and a token's age is all that it sees of it.
"""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.processes import Merod, Owner, initialise, start, stop, stopped
from tests.servers import Got
from tests.three_nodes import create_context, install_kv_store

from meroid.app import Node
from meroid.auth.first_owner import Peer
from meroid.auth.methods import Enrolment, LoginAttempt
from meroid.auth.password import PasswordLogin
from meroid.auth.tokens import new_id
from meroid.service.login import LoginRequest
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.tokens import TokenPair

OWNER: Final = Owner("olga", "a password of olga's")
OTHER: Final = Owner("piet", "a password of piet's")
COMMON: Final = {"iss", "aud", "sub", "exp", "iat", "jti", "token_type"}
UNBOUND: Final = COMMON | {"permissions", "account_id"}
BOUND: Final = COMMON | {"permissions", "context_id", "context_identity", "executor_public_key"}
NOT_AN_OWNERS: Final = ("context:create", "context:list", "context:execute", "context:invite", "blob")
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Home:
    """A context of one person, with the person's identity in it."""

    context_id: str
    executor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The node with two contexts of the owner, and one of the other person."""

    node: Merod
    one: Home
    two: Home
    others: Home


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    node = Merod("owned-node", tmp_path_factory.mktemp("owned"), owner=OWNER)
    initialise(node)
    with node.opened() as offline:
        add_person(offline)
    start(node)
    node.token = log_in(node, OWNER)["access_token"]
    application_id = install_kv_store(node)
    node.token = log_in(node, OTHER)["access_token"]
    others = make_home(node, application_id)
    node.token = log_in(node, OWNER)["access_token"]
    yield World(node=node, one=make_home(node, application_id), two=make_home(node, application_id), others=others)
    stop(node)
    assert "Traceback" not in node.log, node.log


def add_person(offline: Node) -> None:
    """What the node's owner will do by a route of a later version: a further account with a password."""
    at = offline.clock.now_ms()
    account = offline.keys.create_account(owner=False, at=at)
    verified = PasswordLogin().enrol(attempt_of(OTHER), Enrolment(account_id=account.account_id, lenient=True))
    root = RootKeyRecord(
        key_id=new_id(),
        account_id=account.account_id,
        method="user_password",
        identifier=verified.identifier,
        verifier=verified.verifier,
        permissions=NOT_AN_OWNERS,
        created_at=at,
        last_used_at=at,
    )
    assert offline.store.write(lambda tx: tx.auth.add_root_key(root))


def attempt_of(person: Owner) -> LoginAttempt:
    proof = {"username": person.name, "password": person.password}
    return LoginAttempt(method="user_password", public_key=person.name, provider_data=proof)


def make_home(node: Merod, application_id: str) -> Home:
    made = create_context(node, application_id)
    return Home(made["contextId"], made["memberPublicKey"])


def log_in(node: Merod, person: Owner, **more: Any) -> dict[str, str]:
    proof = {"username": person.name, "password": person.password}
    body = {"auth_method": "user_password", "public_key": person.name, "client_name": node.url, "timestamp": 0}
    pair: dict[str, str] = node.data("POST", "/auth/token", {**body, "provider_data": proof, **more})
    return pair


def mint(node: Merod, home: Home | None = None, *permissions: str, **more: str) -> dict[str, str]:
    """A pair under the owner's root key; bound, if a home is given."""
    bound = {} if home is None else {"context_id": home.context_id, "context_identity": home.executor}
    pair: dict[str, str] = node.data("POST", "/admin/client-key", {**bound, "permissions": [*permissions], **more})
    return pair


def refresh(node: Merod, pair: dict[str, str]) -> Got:
    return node.ask("POST", "/auth/refresh", {name: pair[name] for name in ("access_token", "refresh_token")})


def refreshed(node: Merod, pair: dict[str, str]) -> dict[str, str]:
    got = refresh(node, pair)
    assert got.status == 200, got.text
    new: dict[str, str] = got.json["data"]
    return new


def alive(node: Merod, token: str) -> Got:
    return node.ask("GET", "/admin-api/is-authed", token=token)


def claims(token: str) -> dict[str, Any]:
    """Read as the existing JavaScript client does it: `atob` on the middle part, without its padding."""
    segment = token.split(".")[1]
    assert not {"-", "_"} & set(segment), "plain atob would fail"
    text = base64.b64decode(segment + "=" * (-len(segment) % 4), validate=True).decode("ascii")
    read: dict[str, Any] = json.loads(text)
    return read


# What a token says


def test_an_unbound_token_names_the_account_and_no_context(world: World) -> None:
    before = int(time.time())

    said = claims(log_in(world.node, OWNER)["access_token"])

    assert said.keys() == UNBOUND
    assert said["permissions"] == ["admin"]
    assert said["token_type"] == "access"
    assert said["exp"] - said["iat"] == 3600
    assert before <= said["iat"] <= time.time()


def test_a_bound_token_names_context_and_executor_and_no_account(world: World) -> None:
    said = claims(mint(world.node, world.one, "context:execute")["access_token"])

    assert said.keys() == BOUND
    assert said["context_id"] == world.one.context_id
    assert said["context_identity"] == said["executor_public_key"] == world.one.executor
    assert said["permissions"] == [f"context[{world.one.context_id},{world.one.executor}]", "context:execute"]
    assert said["exp"] - said["iat"] == 3600


def test_bound_tokens_of_two_contexts_share_nothing_that_tells_the_person(world: World) -> None:
    pairs = [mint(world.node, home, "context:execute") for home in (world.one, world.two)]
    root = claims(world.node.token)

    one, two = (claims(pair["access_token"]) for pair in pairs)

    same = {name for name in one if one[name] == two[name]}
    assert same <= {"iss", "aud", "iat", "exp", "token_type", "node_url"}
    assert not {root["sub"], root["account_id"], root["jti"]} & {str(value) for value in (*one.values(), *two.values())}
    assert set(one["permissions"]) & set(two["permissions"]) == {"context:execute"}


@pytest.mark.parametrize("address", ["http://127.0.0.1:5/?next=>~#ü", "https://exämple.org/?a=b", ">?~", ""])
def test_no_address_gets_into_a_token_that_atob_could_not_read(world: World, address: str) -> None:
    minted = mint(world.node, world.one, target_node_url=address)
    logged_in = log_in(world.node, OWNER, client_name=address or ">?~")

    for token in (*minted.values(), *logged_in.values()):
        if token:
            assert claims(token).keys() <= BOUND | UNBOUND | {"node_url"}


def test_anyone_verifies_a_token_with_the_published_key_and_no_other_token_verifies(world: World) -> None:
    token = world.node.token
    head, payload, signature = token.split(".")
    kid = json.loads(unpadded(head))["kid"]
    (jwk,) = [each for each in world.node.ask("GET", "/auth/jwks.json").json["keys"] if each["kid"] == kid]
    key = Ed25519PublicKey.from_public_bytes(unpadded(jwk["x"]))

    key.verify(unpadded(signature), f"{head}.{payload}".encode())

    said = claims(token) | {"permissions": ["admin"], "sub": "somebody else"}
    forged = base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidSignature):
        key.verify(unpadded(signature), f"{head}.{forged}".encode())
    got = alive(world.node, f"{head}.{forged}.{signature}")
    assert (got.status, got.code, got.headers["x-auth-error"]) == (401, "invalid_token", "invalid_token")


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_token_past_its_time_is_refused_as_such_and_refreshes(world: World) -> None:
    with stopped(world.node), world.node.opened() as offline:
        old = as_data(log_in_at(offline, offline.clock.now_ms() - 62 * MINUTE_MS))

    got = alive(world.node, old["access_token"])

    assert (got.status, got.code, got.headers["x-auth-error"]) == (401, "token_expired", "token_expired")
    assert alive(world.node, refreshed(world.node, old)["access_token"]).status == 200


# What a bound token does


def test_a_bound_token_acts_as_its_executor_in_its_context(world: World) -> None:
    token = mint(world.node, world.one, "context:execute")["access_token"]

    written = world.node.execute(world.one.context_id, world.one.executor, "set", token=token, key="k", value="v")
    read = world.node.execute(world.one.context_id, world.one.executor, "get", token=token, key="k")

    assert "error" not in written
    assert read["result"]["output"] == "v"


@pytest.mark.parametrize("permission", ["context:execute", "admin"])
def test_it_acts_nowhere_else_and_as_nobody_else_whatever_it_holds(world: World, permission: str) -> None:
    node = world.node
    token = mint(node, world.one, permission)["access_token"]
    one, two, others = world.one, world.two, world.others
    elsewhere = [(two.context_id, two.executor), (two.context_id, one.executor), (one.context_id, two.executor)]
    elsewhere += [(others.context_id, others.executor), (one.context_id, others.executor)]

    for context_id, executor in elsewhere:
        error = node.execute(context_id, executor, "get", token=token, key="k")["error"]
        assert error["type"] == "Unauthorized"
        assert error["meroid"]["code"] == "outside_binding"

    assert [each["id"] for each in node.ask("GET", "/admin-api/contexts", token=token).json["data"]["contexts"]] == [
        one.context_id
    ]
    create = {"protocol": "near", "applicationId": one.context_id, "initializationParams": []}
    invite = {"contextId": two.context_id, "inviterId": two.executor, "inviteeId": others.executor}
    removal = {"capabilities": [[others.executor, "Member"]], "signer_id": two.executor}
    asked = [
        node.ask("GET", f"/admin-api/contexts/{two.context_id}", token=token),
        node.ask("GET", f"/admin-api/contexts/{two.context_id}/identities", token=token),
        node.ask("POST", "/admin-api/contexts", create, token=token),
        node.ask("POST", "/admin-api/identity/context", token=token),
        node.ask("POST", "/admin-api/contexts/invite", invite, token=token),
        node.ask("POST", f"/admin-api/contexts/{two.context_id}/capabilities/revoke", removal, token=token),
        node.ask("POST", "/admin/client-key", {"permissions": []}, token=token),
        node.ask("POST", "/admin/revoke", {"client_id": claims(node.token)["sub"]}, token=token),
    ]
    assert [got.status for got in asked] == [403] * len(asked), [got.text for got in asked]


def test_its_events_are_those_of_its_context_alone(world: World) -> None:
    token = mint(world.node, world.one, "context:execute")["access_token"]

    with world.node.listening(world.one.context_id, token=token) as events:
        refused = events.subscribe(world.two.context_id)
        world.node.call(world.two.context_id, world.two.executor, "set", key="k", value="elsewhere")
        world.node.call(world.one.context_id, world.one.executor, "set", key="k", value="here")
        heard = events.rest(0.3)

    assert refused["error"]["meroid"]["code"] == "not_a_reader"
    assert {frame["result"]["contextId"] for frame in heard} == {world.one.context_id}


def test_a_token_is_bound_to_ones_own_identity_in_that_context_only(world: World) -> None:
    one, two, others = world.one, world.two, world.others
    wrong = [Home(one.context_id, two.executor), Home(one.context_id, others.executor), others]

    for home in wrong:
        body = {"context_id": home.context_id, "context_identity": home.executor}
        got = world.node.ask("POST", "/admin/client-key", body)
        assert (got.status, got.code) == (403, "not_your_identity")


# What an unbound token does


def test_an_unbound_token_acts_as_all_identities_of_its_account_and_no_other(world: World) -> None:
    node, token = world.node, mint(world.node, None, "context:execute")["access_token"]

    for home in (world.one, world.two):
        assert "result" in node.execute(home.context_id, home.executor, "get", token=token, key="k")
    for held in (token, node.token):
        error = node.execute(world.others.context_id, world.others.executor, "get", token=held, key="k")["error"]
        assert error["type"] == "Unauthorized"
        assert error["meroid"]["code"] == "not_your_identity"
    for path in ("", "/identities", "/members"):
        got = node.ask("GET", f"/admin-api/contexts/{world.others.context_id}{path}")
        assert got.status == 404, got.text
    listed = node.data("GET", "/admin-api/contexts")["contexts"]
    assert {each["id"] for each in listed} == {world.one.context_id, world.two.context_id}


def test_it_does_what_its_permissions_say_and_no_more(world: World) -> None:
    node, token = world.node, mint(world.node, None, "context:list")["access_token"]

    assert node.ask("GET", f"/admin-api/contexts/{world.one.context_id}", token=token).status == 200
    error = node.execute(world.one.context_id, world.one.executor, "get", token=token, key="k")["error"]
    assert error["meroid"]["code"] == "permission_denied"
    assert node.ask("POST", "/admin-api/identity/context", token=token).status == 403


# Refresh


def test_a_pair_can_be_refreshed_early(world: World) -> None:
    pair = log_in(world.node, OWNER)

    new = refreshed(world.node, pair)

    assert new["refresh_token"] != pair["refresh_token"]
    assert claims(new["access_token"]).keys() == UNBOUND
    assert alive(world.node, new["access_token"]).status == 200
    assert alive(world.node, pair["access_token"]).status == 200, "requests on their way aren't logged out"


def test_a_bound_pair_stays_bound(world: World) -> None:
    pair = mint(world.node, world.one, "context:execute")

    old, new = claims(pair["access_token"]), claims(refreshed(world.node, pair)["access_token"])

    assert new.keys() == BOUND
    assert all(old[name] == new[name] for name in BOUND - {"jti", "iat", "exp"})


def test_fifty_tabs_that_refresh_at_once_get_the_same_successor(world: World) -> None:
    pair = log_in(world.node, OWNER)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: refreshed(world.node, pair), range(50)))

    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert all(alive(world.node, answer["access_token"]).status == 200 for answer in answers[:5])


def test_within_a_minute_the_same_successor_comes_even_after_it_was_used(world: World) -> None:
    first = log_in(world.node, OWNER)
    second = refreshed(world.node, first)
    third = refreshed(world.node, second)

    again = refreshed(world.node, first)

    assert again["refresh_token"] == second["refresh_token"]
    assert alive(world.node, third["access_token"]).status == 200


def test_a_lost_answer_is_forgiven_at_any_later_time(world: World) -> None:
    with stopped(world.node), world.node.opened() as offline:
        at = offline.clock.now_ms()
        first = log_in_at(offline, at - 50 * MINUTE_MS)
        lost = offline.tokens.refresh(first.access, first.refresh, at - 40 * MINUTE_MS)

    assert refreshed(world.node, as_data(first))["refresh_token"] == lost.refresh


def test_after_its_successor_was_used_a_token_is_refused_and_its_log_in_alone_ends(world: World) -> None:
    other_log_in = log_in(world.node, OWNER)
    with stopped(world.node), world.node.opened() as offline:
        at = offline.clock.now_ms()
        first = log_in_at(offline, at - 50 * MINUTE_MS)
        second = offline.tokens.refresh(first.access, first.refresh, at - 40 * MINUTE_MS)
        third = offline.tokens.refresh(second.access, second.refresh, at - 30 * MINUTE_MS)
    assert alive(world.node, third.access).status == 200

    stolen = refresh(world.node, as_data(first))

    assert (stolen.status, stolen.code) == (401, "token_reuse")
    assert "x-auth-error" not in stolen.headers
    ended = alive(world.node, third.access)
    assert (ended.status, ended.code, ended.headers["x-auth-error"]) == (401, "token_revoked", "token_revoked")
    assert refresh(world.node, as_data(third)).code == "token_revoked"
    assert alive(world.node, other_log_in["access_token"]).status == 200
    assert alive(world.node, log_in(world.node, OWNER)["access_token"]).status == 200


def test_halves_of_two_log_ins_and_tokens_in_the_wrong_place_are_refused(world: World) -> None:
    one, two = log_in(world.node, OWNER), log_in(world.node, OWNER)
    mixed = {"access_token": one["access_token"], "refresh_token": two["refresh_token"]}
    swapped = {"access_token": one["refresh_token"], "refresh_token": one["access_token"]}

    answers = [refresh(world.node, mixed), refresh(world.node, swapped)]

    assert [(got.status, got.code) for got in answers] == [(401, "invalid_token")] * 2
    assert alive(world.node, one["refresh_token"]).code == "invalid_token"
    assert "x-auth-error" not in answers[0].headers
    refreshed(world.node, one)
    refreshed(world.node, two)


# Revocation


def test_a_revoked_token_is_refused_at_the_next_request_and_the_others_go_on(world: World) -> None:
    node = world.node
    revoked, kept = mint(node, world.one, "context:execute"), mint(node, world.one, "context:execute")
    assert alive(node, revoked["access_token"]).status == 200

    node.data("POST", "/admin/revoke", {"client_id": claims(revoked["access_token"])["sub"]})

    got = alive(node, revoked["access_token"])
    assert (got.status, got.code, got.headers["x-auth-error"]) == (401, "token_revoked", "token_revoked")
    rpc = node.ask("POST", "/jsonrpc", {"jsonrpc": "2.0", "id": 1, "method": "execute"}, token=revoked["access_token"])
    assert (rpc.status, rpc.code) == (401, "token_revoked")
    assert refresh(node, revoked).code == "token_revoked"
    assert alive(node, kept["access_token"]).status == 200
    assert alive(node, node.token).status == 200


def test_a_revocation_outlives_a_restart(world: World) -> None:
    revoked = mint(world.node, world.one, "context:execute")
    world.node.data("POST", "/admin/revoke", {"client_id": claims(revoked["access_token"])["sub"]})

    with stopped(world.node):
        pass

    assert alive(world.node, revoked["access_token"]).code == "token_revoked"
    assert alive(world.node, world.node.token).status == 200, "who is logged in stays so over a restart"


def test_nobody_revokes_what_is_anothers(world: World) -> None:
    minted = mint(world.node, world.one, "context:execute")
    narrow = mint(world.node, None, "context:execute")["access_token"]
    piet = log_in(world.node, OTHER)["access_token"]
    body = {"client_id": claims(minted["access_token"])["sub"]}

    by_a_narrow_token = world.node.ask("POST", "/admin/revoke", body, token=narrow)
    by_another_person = world.node.ask("POST", "/admin/revoke", body, token=piet)

    assert (by_a_narrow_token.status, by_a_narrow_token.code) == (403, "permission_denied")
    assert (by_another_person.status, by_another_person.code) == (404, "key_not_found")
    assert alive(world.node, minted["access_token"]).status == 200


def log_in_at(offline: Node, at: int) -> TokenPair:
    """A log-in of the owner at an earlier time."""
    attempt = attempt_of(OWNER)
    request = LoginRequest(
        auth_method=attempt.method,
        public_key=attempt.public_key,
        client_name="earlier",
        permissions=(),
        provider_data=attempt.provider_data,
        peer=Peer(address="127.0.0.1", host="127.0.0.1"),
    )
    return offline.login.log_in(request, at)


def as_data(pair: TokenPair) -> dict[str, str]:
    return {"access_token": pair.access, "refresh_token": pair.refresh}
