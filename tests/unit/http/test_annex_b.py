"""The conformance checks of `wire/auth.md` Annex B, by number.

3 comes with the log-in page, 4 is `test_client_calls.py` (rules 3 and 4), 6 comes with `meroctl`'s browser log-in, 7 and
8 stand with the refreshing clients and in `test_forged_tokens.py`, 10 is `test_near_api_js.py`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.near_keys import NearPair
from tests.served_node import PASSWORD, ServedNode, network, served_node
from tests.unit.http.forged_tokens import Forge

from meroid.client.proofs import NearKey, OfferedChallenge
from meroid.client.tokens import claims_of
from meroid.ids import AccountId
from meroid.service.ports.sealer import signing_key_label

PAGE = "http://app.example"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as made:
        yield made


@pytest.fixture
def pair(node: ServedNode) -> dict[str, str]:
    data = {"username": "alice", "password": PASSWORD}
    body = {"auth_method": "user_password", "public_key": "alice", "client_name": "x", "timestamp": 1}
    got = node.ask("POST", "/auth/token", {**body, "provider_data": data})
    return got.json["data"]  # type: ignore[no-any-return]


def expired(node: ServedNode, pair: dict[str, str]) -> str:
    keys = node.node.gate._keys
    signing = keys.active()
    secret = keys._sealer.open(signing_key_label(signing.kid), signing.sealed_secret).reveal() + bytes(signing.public)
    forge = Forge(
        access=pair["access_token"], refresh=pair["refresh_token"], secret=secret, public=bytes(signing.public)
    )
    return forge.with_claims(exp=int(time.time()) - 3_600)


@pytest.mark.parametrize("path", ["/auth/validate", "/admin/keys", "/admin-api/contexts", "/admin-api/is-authed"])
def test_1_an_expired_token_is_told_to_pages_of_other_origins(
    node: ServedNode, pair: dict[str, str], path: str
) -> None:
    got = node.ask("GET", path, headers={"Origin": PAGE}, token=expired(node, pair))

    assert (got.status, got.headers["x-auth-error"]) == (401, "token_expired")
    exposed = {each.strip().lower() for each in got.headers["access-control-expose-headers"].split(",")}
    assert "x-auth-error" in exposed
    assert got.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in got.headers


def test_2_refresh_never_sends_the_auth_header(node: ServedNode, pair: dict[str, str]) -> None:
    refresh = pair["refresh_token"]
    revoked = node.mint("context:list")
    for access, token in (
        ("x", "y"),
        (pair["access_token"], "y"),
        ("x", refresh),
        (refresh, pair["access_token"]),
        (revoked, refresh),
        (expired(node, pair), "y"),
    ):
        got = node.ask("POST", "/auth/refresh", {"access_token": access, "refresh_token": token})
        assert got.status == 401, got.text
        assert "x-auth-error" not in got.headers

    assert node.ask("POST", "/auth/refresh", {**pair, "access_token": expired(node, pair)}).status == 200


def test_5_a_revoked_client_fails_at_the_next_request(node: ServedNode) -> None:
    token = node.mint("context:list")
    (client,) = [
        each for each in node.ask("GET", "/admin/keys/clients", token=node.token).json["data"][-1:] if each["is_valid"]
    ]
    assert node.ask("GET", "contexts", token=token).status == 200

    assert node.ask("DELETE", f"/admin/keys/{client['root_key_id']}/clients/{client['client_id']}").status == 200

    for path in ("contexts", "/auth/validate"):
        got = node.ask("GET", path, token=token)
        assert (got.status, got.headers["x-auth-error"]) == (401, "token_revoked")


def test_5_the_clients_of_a_revoked_root_fail_too(node: ServedNode) -> None:
    wallet = NearPair.of(31)
    signing = NearKey(wallet.account, wallet.signer)

    def challenge() -> OfferedChallenge:
        return OfferedChallenge.read(node.ask("GET", "/auth/challenge", token="").json, host="127.0.0.1")

    account = AccountId.parse(str(claims_of(node.token)["account_id"]))
    root = node.data("POST", "/admin/keys", signing.to_bind(challenge(), account).body())["key_id"]
    body = {**signing.to_log_in(challenge()).body(), "client_name": "n", "timestamp": 1}
    token = node.ask("POST", "/auth/token", body, token="").json["data"]["access_token"]
    got = node.ask("POST", "/admin/client-key", {"permissions": ["context:list"]}, token=token)
    client = got.json["data"]
    assert node.ask("GET", "contexts", token=client["access_token"]).status == 200

    assert node.ask("DELETE", f"/admin/keys/{root}").status == 200

    for each in (token, client["access_token"]):
        got = node.ask("GET", "contexts", token=each)
        assert (got.status, got.headers["x-auth-error"]) == (401, "token_revoked")
    pair = {"access_token": client["access_token"], "refresh_token": client["refresh_token"]}
    assert node.ask("POST", "/auth/refresh", pair).code == "token_revoked"


def test_9_keys_that_are_minted_at_once_have_ids_of_their_own(node: ServedNode) -> None:
    before = len(node.ask("GET", "/admin/keys/clients").json["data"])
    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(lambda _: node.mint("context:list"), range(32)))

    assert len(set(tokens)) == 32
    listed = [each["client_id"] for each in node.ask("GET", "/admin/keys/clients").json["data"]]
    assert len(listed) == len(set(listed)) == before + 32
    assert {node.ask("GET", "contexts", token=token).status for token in tokens} == {200}
