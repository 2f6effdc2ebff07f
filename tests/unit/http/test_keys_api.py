"""Challenges and root keys over HTTP: the wire's shapes, and what is refused, on the whole node."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.near_keys import NearPair
from tests.served_node import PASSWORD, ServedNode, network, served_node
from tests.soft_passkey import SoftPasskey

from meroid.account.root_key import certification_text
from meroid.client.proofs import NearKey, OfferedChallenge
from meroid.client.tokens import claims_of
from meroid.ids import AccountId

WALLET = NearPair.of(11)
KEY_FIELDS = {"key_id", "public_key", "auth_method", "created_at", "revoked_at", "permissions"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as made:
        yield made


def challenge(node: ServedNode, method: str = "near_wallet") -> OfferedChallenge:
    got = node.ask("GET", f"/auth/challenge?method={method}", token="")
    assert got.status == 200, got.text
    return OfferedChallenge.read(got.json, host="127.0.0.1")


def account(node: ServedNode) -> AccountId:
    return AccountId.parse(str(claims_of(node.token)["account_id"]))


def certifying(node: ServedNode, pair: NearPair = WALLET) -> dict[str, Any]:
    return NearKey(pair.account, pair.signer).to_bind(challenge(node), account(node)).body()


def log_in(node: ServedNode, pair: NearPair = WALLET, offered: OfferedChallenge | None = None) -> Any:
    proof = NearKey(pair.account, pair.signer).to_log_in(offered or challenge(node)).body()
    return node.ask("POST", "/auth/token", {**proof, "client_name": "n", "timestamp": 0}, token="")


@pytest.fixture
def wallet(node: ServedNode) -> Iterator[str]:
    """A bound wallet's key id."""
    bound = node.data("POST", "/admin/keys", certifying(node))
    yield bound["key_id"]
    node.ask("DELETE", f"/admin/keys/{bound['key_id']}")


def test_a_challenge_has_the_shape_of_the_wire(node: ServedNode) -> None:
    got = node.ask("GET", "/auth/challenge", token="")
    data = got.json["data"]
    assert (got.status, got.json["error"]) == (200, None)
    assert set(data) == {"challenge", "nonce", "expires_at"}
    assert len(base64.b64decode(data["nonce"], validate=True)) == 32
    claims = claims_of(data["challenge"])
    assert claims["nonce"] == data["nonce"]
    assert claims["exp"] - claims["iat"] == 300  # type: ignore[operator]
    assert (claims["aud"], claims["method"]) == ("127.0.0.1", "near_wallet")
    assert got.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "host", "status", "code"),
    [
        ("?method=nothing", None, 401, "unsupported_method"),
        ("?method=hardware_key", "evil.example", 403, "host_unknown"),
        ("?method=%00", None, 401, "unsupported_method"),
    ],
)
def test_a_challenge_that_can_not_be_had_is_refused(
    node: ServedNode, query: str, host: str | None, status: int, code: str
) -> None:
    got = node.ask("GET", f"/auth/challenge{query}", None, {"Host": host} if host else None, token="")
    assert (got.status, got.code) == (status, code)
    assert "x-auth-error" not in got.headers


def test_the_providers_say_what_a_wallet_has_to_sign_for(node: ServedNode) -> None:
    listed = {each["name"]: each for each in node.ask("GET", "/auth/providers", token="").json["data"]["providers"]}
    assert listed["near_wallet"]["type"] == "wallet"
    assert listed["near_wallet"]["config"] == {
        "network": "testnet", "rpc_url": "", "wallet_url": "", "recipient": "calimero",
    }  # fmt: skip
    assert listed["user_password"]["configured"] is True


def test_a_root_key_is_bound_listed_used_and_removed(node: ServedNode) -> None:
    created = node.data("POST", "/admin/keys", certifying(node))
    updated = node.data("POST", "/admin/keys", certifying(node))
    assert (created["status"], created["message"]) == (True, "Key was created")
    assert (updated["message"], updated["key_id"]) == ("Key was updated", created["key_id"])

    token = log_in(node).json["data"]["access_token"]
    assert claims_of(token)["account_id"] == str(account(node))
    listed = node.data("GET", "/admin/keys")
    assert all(set(each) >= KEY_FIELDS for each in listed)
    (shown,) = [each for each in listed if each["key_id"] == created["key_id"]]
    assert (shown["auth_method"], shown["label"], shown["certified"]) == ("near_wallet", WALLET.account, True)
    assert (shown["revoked_at"], shown["current"], shown["permissions"]) == (None, False, ["admin"])
    assert shown["last_used_at"] is not None

    removed = node.data("DELETE", f"/admin/keys/{created['key_id']}")
    assert set(removed) == {"key_id", "revoked_at", "clients_revoked", "lost"}
    got = node.ask("GET", "is-authed", token=token)
    assert (got.status, got.headers["x-auth-error"]) == (401, "token_revoked")
    again = node.ask("DELETE", f"/admin/keys/{created['key_id']}")
    assert (again.status, again.code) == (404, "key_not_found")


def test_a_signature_logs_in_once(node: ServedNode, wallet: str) -> None:
    offered = challenge(node)
    assert log_in(node, offered=offered).status == 200
    again = log_in(node, offered=offered)
    assert (again.status, again.code) == (401, "challenge_used")
    assert "x-auth-error" not in again.headers
    assert wallet


def test_a_proof_that_does_not_hold_says_nothing_about_the_callers_token(node: ServedNode) -> None:
    wrong = certifying(node)
    wrong["provider_data"]["message"] = "something else"
    got = node.ask("POST", "/admin/keys", wrong)
    assert (got.status, got.code) == (403, "near_wrong_signature")
    assert "x-auth-error" not in got.headers
    assert certification_text(account(node)) in got.json["next"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "bad_shape"),
        ({"public_key": "k", "auth_method": "user_password", "provider_data": 7}, 400, "bad_shape"),
        ({"public_key": "k", "auth_method": "user_password", "provider_data": {}}, 400, "bad_provider_data"),
        ({"public_key": "", "auth_method": "near", "provider_data": {}}, 422, "bad_length"),
        ({"public_key": "k", "auth_method": "none", "provider_data": {}}, 403, "unsupported_method"),
        (
            {"public_key": "k", "auth_method": "near_wallet", "provider_data": {"wallet_address": "x.near"}},
            400,
            "bad_provider_data",
        ),
    ],
)
def test_bad_bodies_are_refused_and_nothing_breaks(
    node: ServedNode, body: dict[str, Any], status: int, code: str
) -> None:
    before = node.data("GET", "/admin/keys")
    got = node.ask("POST", "/admin/keys", body)
    assert (got.status, got.code) == (status, code)
    assert node.data("GET", "/admin/keys") == before


def test_without_a_token_or_the_permission_nothing_is_shown_or_changed(node: ServedNode, wallet: str) -> None:
    narrow = node.mint("context:list")
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/admin/keys", None),
        ("POST", "/admin/keys", certifying(node)),
        ("DELETE", f"/admin/keys/{wallet}", None),
        ("PUT", f"/admin/keys/{wallet}/password", {"password": "x" * 12}),
    ]
    for method, path, body in asked:
        bare = node.ask(method, path, body, token="")
        assert (bare.status, bare.headers["x-auth-error"]) == (401, "missing_token")
        denied = node.ask(method, path, body, token=narrow)
        assert (denied.status, denied.code) == (403, "permission_denied")


def test_a_password_is_changed_and_changed_back(node: ServedNode) -> None:
    (mine,) = [each for each in node.data("GET", "/admin/keys") if each["current"]]
    path = f"/admin/keys/{mine['key_id']}/password"
    missing = node.ask("PUT", path, {"password": "another password"})
    assert (missing.status, missing.code) == (400, "old_password_needed")
    wrong = node.ask("PUT", path, {"password": "another password", "old_password": "no"})
    assert (wrong.status, wrong.code) == (403, "wrong_old_password")

    changed = node.data("PUT", path, {"password": "another password", "old_password": PASSWORD})
    node.data("PUT", path, {"password": PASSWORD, "old_password": "another password", "end_sessions": False})

    assert changed == {"sessions_ended": changed["sessions_ended"], "status": True, "message": "Password was changed"}
    (after,) = [each for each in node.data("GET", "/admin/keys") if each["current"]]
    assert after["changed_at"] >= mine["created_at"]


def test_the_last_root_key_stays_and_flags_are_true_or_false(node: ServedNode) -> None:
    (mine,) = [each for each in node.data("GET", "/admin/keys") if each["current"]]
    got = node.ask("DELETE", f"/admin/keys/{mine['key_id']}")
    assert (got.status, got.code) == (409, "last_root_key")
    assert "recovery words" in got.json["reason"]
    odd = node.ask("DELETE", f"/admin/keys/{mine['key_id']}?force=perhaps")
    assert (odd.status, odd.code) == (400, "bad_path")
    assert node.ask("GET", "/admin/keys?all=1").status == 200


def test_a_passkey_is_registered_and_logs_in_on_the_nodes_own_page(node: ServedNode) -> None:
    key = SoftPasskey(count=1)
    host = {"Host": f"localhost:{node.server.port}"}
    origin = f"http://localhost:{node.server.port}"

    def offered() -> Any:
        got = node.ask("GET", "/auth/challenge?method=passkey", None, host, token="")
        assert got.status == 200, got.text
        return got.json["data"]

    def log_in() -> Any:
        made = offered()
        data = {"challenge": made["challenge"], "credential": key.get(made["options"]["get"], origin)}
        body = {"auth_method": "passkey", "public_key": "-", "provider_data": data, "client_name": "n", "timestamp": 0}
        return node.ask("POST", "/auth/token", body, host, token="")

    assert log_in().code == "passkey_refused", "nobody has registered it"
    made = offered()
    data = {
        "challenge": made["challenge"],
        "credential": key.create(made["options"]["create"], origin),
        "name": "phone",
    }
    body = {"auth_method": "passkey", "public_key": "-", "provider_data": data}
    bound = node.ask("POST", "/admin/keys", body, host)
    assert bound.status == 200, bound.text
    assert node.ask("POST", "/admin/keys", body, host).code == "challenge_used"

    for _ in range(2):
        token = log_in().json["data"]["access_token"]
        assert claims_of(token)["account_id"] == str(account(node))
    key.count = 1
    assert log_in().code == "passkey_copied"
    (shown,) = [each for each in node.data("GET", "/admin/keys") if each["auth_method"] == "passkey"]
    assert (shown["label"], shown["changed_at"]) == ("phone", None)
    node.data("DELETE", f"/admin/keys/{shown['key_id']}")


def test_the_key_log_follows_the_root_keys_with_the_wallets_evidence(node: ServedNode) -> None:
    def logged() -> Any:
        return node.node.key_logs.read(account(node)).state.root_keys.values()

    before = len(logged())
    key_id = node.data("POST", "/admin/keys", certifying(node))["key_id"]
    (first,) = [each for each in logged() if each.method == "near_wallet"]
    assert len(logged()) == before + 1
    assert first.evidence is not None
    node.data("POST", "/admin/keys", certifying(node))
    (second,) = [each for each in logged() if each.method == "near_wallet"]
    assert second.identifier == first.identifier
    assert second.evidence not in {None, first.evidence}

    node.data("DELETE", f"/admin/keys/{key_id}")

    assert len(logged()) == before
