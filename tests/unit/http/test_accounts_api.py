"""The routes of one's own account, with a real node behind them."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kv_store import kv_store_bytecode
from tests.served_node import Member, ServedNode, network, served_node

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.certificate import parse_certificate_text, verify_delegated
from meroid.account.key_log import verify_key_log
from meroid.account.proof import parse_proof_text, verify_proof
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey

UNKNOWN = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
HOUR_MS = 3_600_000


@pytest.fixture(scope="module", params=["proxy", "embedded"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode=request.param) as node:
        yield node


@pytest.fixture(scope="module")
def member(node: ServedNode) -> Member:
    return node.create(node.install(kv_store_bytecode()))


def now() -> int:
    return int(time.time() * 1000)  # the clock of the node is the real one


def account(node: ServedNode) -> Any:
    return node.data("GET", "account")


def log(node: ServedNode) -> VerifiedKeyLog:
    entries = node.data("GET", "account/key-log")["entries"]
    return verify_key_log(base64.urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in entries)


def prove(node: ServedNode, member: Member, **changes: Any) -> Any:
    body = {"clientKey": member.key, "audience": "https://shop.example", "expiresAt": now() + HOUR_MS, **changes}
    return node.ask("POST", "account/prove", body)


def test_the_account_shows_what_its_key_log_says(node: ServedNode) -> None:
    shown, verified = account(node), log(node)

    assert shown["accountId"] == str(verified.account_id)
    assert shown["keyLog"]["length"] == verified.length
    assert shown["keyLog"]["keys"] == [str(key) for key in verified.state.keys.keys]
    assert shown["owner"] is True
    assert (shown["disabledAt"], shown["logUnsettledAt"]) == (None, None)


def test_the_log_has_the_device_and_every_root_key(node: ServedNode) -> None:
    state = log(node).state

    assert state.devices == {0}
    assert len(state.root_keys) == account(node)["rootKeys"]


def test_client_keys_are_listed_with_their_place_and_age(node: ServedNode, member: Member) -> None:
    listed = node.data("GET", "account/client-keys")

    [own] = [each for each in listed["clientKeys"] if each["publicKey"] == member.key]
    assert own["contextId"] == member.context
    assert own["path"].startswith("m/44'/397'/1'/0'/")
    assert (own["current"], own["member"], own["restored"]) == (True, True, False)
    assert now() - own["createdAt"] < HOUR_MS
    assert listed["rotateAfterDays"] == 90


def test_rotation_lets_the_committed_key_take_over_and_changes_nothing_else(node: ServedNode, member: Member) -> None:
    before, keys = account(node), node.data("GET", "account/client-keys")

    after = node.data("POST", "account/rotate")

    assert after["accountId"] == before["accountId"]
    assert after["keyLog"]["generation"] == before["keyLog"]["generation"] + 1
    assert after["keyLog"]["keys"] != before["keyLog"]["keys"]
    assert log(node).state.generation == after["keyLog"]["generation"]
    assert node.data("GET", "account/client-keys") == keys


def test_a_proof_is_verified_offline_by_the_accounts_key_alone(node: ServedNode, member: Member) -> None:
    got = prove(node, member, contextId=member.context)

    [key] = account(node)["keyLog"]["keys"]
    proof = verify_proof(
        parse_proof_text(got.json["data"]["proof"]), PublicKey.parse(key), audience="https://shop.example", at=now()
    )
    assert proof.client_key == PublicKey.parse(member.key)
    assert proof.context_id == ContextId.parse(member.context)
    assert proof.account_id == AccountId.parse(account(node)["accountId"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"clientKey": UNKNOWN}, "not_your_identity"),
        ({"expiresAt": 1}, "bad_proof_lifetime"),
        ({"expiresAt": 2**62}, "bad_proof_lifetime"),
        ({"audience": "two\nlines"}, "bad_proof"),
        ({"audience": ""}, None),
        ({"serial": -1}, None),
        ({"clientKey": "x"}, None),
    ],
)
def test_a_proof_that_cannot_be_is_refused(
    node: ServedNode, member: Member, changes: dict[str, Any], code: str | None
) -> None:
    got = prove(node, member, **changes)

    assert 400 <= got.status < 500
    assert code in {None, got.code}


def test_a_delegation_is_in_force_until_it_is_ended(node: ServedNode, member: Member) -> None:
    body = {"clientKey": member.key, "contextId": member.context, "permissions": ["context:execute"]}

    made = node.data("POST", "account/delegations", body)

    certificate = parse_certificate_text(made["certificate"])
    assert verify_delegated(certificate, log(node), at=now()).permissions == ("context:execute",)
    assert made["serial"] in account(node)["keyLog"]["delegations"]
    node.data("POST", "account/delegations/end", {"serial": made["serial"]})
    assert made["serial"] not in account(node)["keyLog"]["delegations"]
    again = node.ask("POST", "account/delegations/end", {"serial": made["serial"]})
    assert (again.status, again.code) == (404, "delegation_not_live")


@pytest.mark.parametrize("body", [{"clientKey": UNKNOWN, "permissions": ["nonsense"]}, {"clientKey": "1" * 32}, {}])
def test_a_delegation_that_cannot_be_changes_nothing(node: ServedNode, body: dict[str, Any]) -> None:
    before = log(node)

    assert node.ask("POST", "account/delegations", body).status in {400, 422}

    assert log(node) == before


def test_looking_for_contexts_finds_none_where_nothing_was_restored(node: ServedNode) -> None:
    assert node.data("POST", "account/return", {"addresses": []}) == {"contexts": []}


def test_an_address_that_is_none_is_refused(node: ServedNode) -> None:
    got = node.ask("POST", "account/return", {"addresses": ["http://example"]})

    assert (got.status, got.code) == (400, "bad_endpoint")


def test_nothing_has_to_be_resumed_where_nothing_was_restored(node: ServedNode, member: Member) -> None:
    got = node.ask("POST", f"contexts/{member.context}/identities/resume", {"force": True})

    assert (got.status, got.code) == (404, "nothing_to_resume")


def test_the_words_never_travel(node: ServedNode) -> None:
    for action in ("backup", "restore", "recover"):
        got = node.ask("POST", f"account/{action}", {})
        assert (got.status, got.code) == (403, "local_only")


def test_the_owner_lists_accounts_and_cannot_disable_its_own(node: ServedNode) -> None:
    [own] = node.data("GET", "accounts")["accounts"]

    got = node.ask("POST", f"accounts/{own['accountId']}/disable")

    assert (got.status, got.code) == (403, "owner_account")


def test_an_account_that_is_not_here_is_not_found(node: ServedNode) -> None:
    for action in ("disable", "enable"):
        got = node.ask("POST", f"accounts/{UNKNOWN}/{action}")
        assert (got.status, got.code) == (404, "account_not_found")


def test_a_bound_token_reaches_none_of_it(node: ServedNode, member: Member) -> None:
    if node.mode == "proxy":
        return
    bound = node.mint("admin", bound_to=member)

    for method, path in (("GET", "account"), ("GET", "account/key-log"), ("POST", "account/rotate")):
        got = node.ask(method, path, token=bound, body=None if method == "GET" else {})
        assert (got.status, got.code) == (403, "outside_binding"), path


def test_what_changes_an_account_needs_a_fresh_log_in(node: ServedNode, member: Member) -> None:
    if node.mode == "proxy":
        return
    minted = node.mint("admin")  # a minted token has no log-in of its own

    got = node.ask("POST", "account/rotate", token=minted)

    assert (got.status, got.code) == (403, "login_not_fresh")
    got = node.ask("POST", "account/delegations/end", {"serial": 0}, token=minted)
    assert (got.status, got.code) == (403, "login_not_fresh")
