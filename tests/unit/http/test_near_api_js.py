"""Messages that near-api-js signs log in, on a node that asks a chain; and each that shouldn't has its own code.

The package comes from its lock file, when this module first runs (`tests/near_api_js`).
"""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.near_chain import FULL_ACCESS, FUNCTION_CALL, NearChain, near_chain
from tests.served_node import ServedNode, network, served_node
from tests.servers import Got

from meroid.account.root_key import certification_text
from meroid.client.tokens import claims_of
from meroid.config import AuthSettings, NearSettings
from meroid.ids import AccountId

TOOL = Path(__file__).parents[2] / "near_api_js"
ACCOUNT = "rosa.testnet"
CALLBACK = "http://localhost:2528/auth/login?mode=admin#done"


def sign(*asked: dict[str, Any]) -> list[dict[str, str]]:
    """Have near-api-js sign."""
    ended = subprocess.run(
        ["node", "sign.mjs"], cwd=TOOL, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not (TOOL / "node_modules" / "near-api-js").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=TOOL, check=True, capture_output=True, timeout=110)


@dataclass(frozen=True, kw_only=True)
class World:
    """A node of an owner whose account `rosa.testnet` certified; `key` is that account's."""

    node: ServedNode
    chain: NearChain
    key: str
    limited: str
    stranger: str

    def challenge(self) -> dict[str, str]:
        got = self.node.ask("GET", "/auth/challenge", token="")
        return got.json["data"]  # type: ignore[no-any-return]

    def asked(self, challenge: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
        known = challenge or self.challenge()
        return {
            "key": self.key,
            "account": ACCOUNT,
            "message": known["challenge"],
            "nonce": known["nonce"],
            "recipient": "calimero",
            **changed,
        }

    def log_in(self, asked: dict[str, Any], **told: Any) -> Got:
        """Sign and send; `told` is what is said of it beside the truth."""
        (made,) = sign(asked)
        return self.send(asked, made, **told)

    def send(self, asked: dict[str, Any], made: dict[str, str], **told: Any) -> Got:
        data = {"wallet_address": made["account"], "message": asked["message"], "signature": made["signature"]}
        data |= {"recipient": asked["recipient"]}
        data |= {"callback_url": asked["callback"]} if "callback" in asked else {}
        body = {"auth_method": "near_wallet", "public_key": made["public_key"], "client_name": "n", "timestamp": 1}
        return self.node.ask("POST", "/auth/token", {**body, "provider_data": {**data, **told}}, token="")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, _installed: None) -> Iterator[World]:
    nonce = base64.b64encode(bytes(32)).decode()
    keys = sign(*[{"account": ACCOUNT, "message": "x", "nonce": nonce, "recipient": "calimero"}] * 3)
    full, limited, stranger = keys
    held = {ACCOUNT: {full["public_key"]: FULL_ACCESS, limited["public_key"]: FUNCTION_CALL}}
    folder = tmp_path_factory.mktemp("node")
    with near_chain(held) as chain, network() as joined:
        auth = AuthSettings(near=NearSettings(rpc=chain.url))
        with served_node(folder, joined, mode="embedded", auth=auth) as node:
            made = World(node=node, chain=chain, key=full["key"], limited=limited["key"], stranger=stranger["key"])
            _bind(made)
            yield made


def _bind(world: World) -> None:
    """Have the wallet certify the owner's account."""
    challenge = world.challenge()
    account = AccountId.parse(str(claims_of(world.node.token)["account_id"]))
    asked = world.asked(challenge, message=certification_text(account))
    (made,) = sign(asked)
    data = {"wallet_address": ACCOUNT, "challenge": challenge["challenge"], "message": asked["message"]}
    data |= {"signature": made["signature"], "recipient": "calimero"}
    body = {"auth_method": "near_wallet", "public_key": made["public_key"], "provider_data": data}
    got = world.node.ask("POST", "/admin/keys", body)
    assert got.status == 200, got.text


def refused(got: Got, status: int, code: str) -> None:
    assert (got.status, got.code) == (status, code), got.text
    assert "x-auth-error" not in got.headers
    assert got.json["next"]


@pytest.mark.parametrize("callback", [None, CALLBACK], ids=["in a pop-up", "by redirect"])
def test_a_signed_challenge_logs_in_as_the_account_that_the_wallet_certified(
    world: World, callback: str | None
) -> None:
    asked = world.asked() if callback is None else world.asked(callback=callback)

    got = world.log_in(asked)

    assert got.status == 200, got.text
    token = got.json["data"]["access_token"]
    assert claims_of(token)["account_id"] == claims_of(world.node.token)["account_id"]
    assert world.node.ask("GET", "/auth/validate", token=token).status == 200


def test_a_callback_that_is_not_the_signed_one_is_refused(world: World) -> None:
    refused(
        world.log_in(world.asked(callback=CALLBACK), callback_url="http://other.example/"), 401, "near_wrong_signature"
    )
    refused(world.log_in(world.asked(callback=CALLBACK), callback_url=None), 401, "near_wrong_signature")


def test_another_recipient_is_refused(world: World) -> None:
    refused(world.log_in(world.asked(recipient="evil.example")), 401, "near_wrong_recipient")
    refused(world.log_in(world.asked(recipient="evil.example"), recipient="calimero"), 401, "near_wrong_signature")


def test_a_challenge_works_once(world: World) -> None:
    asked = world.asked()
    (made,) = sign(asked)

    assert world.send(asked, made).status == 200
    refused(world.send(asked, made), 401, "challenge_used")


def test_another_nonce_than_the_challenges_is_refused(world: World) -> None:
    other = base64.b64encode(b"n" * 32).decode()
    refused(world.log_in(world.asked(nonce=other)), 401, "near_wrong_signature")


def test_an_old_challenge_is_refused(world: World) -> None:
    before = int(time.time() * 1000) - 6 * 60_000
    old = world.node.node.gate._keys.issuer(before).challenge("near_wallet", "127.0.0.1", before)
    refused(world.log_in(world.asked({"challenge": old.text, "nonce": old.nonce_text})), 401, "challenge_expired")


def test_a_key_that_may_only_call_functions_is_refused(world: World) -> None:
    refused(world.log_in(world.asked(key=world.limited)), 401, "near_function_call_key")


def test_a_key_or_account_of_another_network_is_refused(world: World) -> None:
    refused(world.log_in(world.asked(key=world.stranger)), 401, "near_key_unknown")
    refused(world.log_in(world.asked(account="rosa.near")), 401, "near_key_unknown")


def test_a_chain_that_gives_no_answer_is_no_wrong_signature(world: World) -> None:
    for fault, status, code in (("broken", 503, "near_unreachable"), ("rate-limited", 429, "near_rate_limited")):
        world.chain.fault = fault
        try:
            refused(world.log_in(world.asked()), status, code)
        finally:
            world.chain.fault = ""
