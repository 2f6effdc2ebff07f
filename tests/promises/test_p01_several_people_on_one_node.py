"""P1, for more people than the owner: each has an account of their own, comes by a link or signs up, and gets back in
after a forgotten password without the account changing.

One node in embedded mode. The owner works with `meroctl`, others with `meroctl` or over HTTP.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests import told_secrets
from tests.near_keys import NearPair
from tests.processes import Merod, Owner, initialise, start, stop, stopped
from tests.servers import Got

from meroid.client.tokens import claims_of

OWNER: Final = Owner("rosa", "the first password of rosa")
FIRST: Final = "the first password of bob"
SECOND: Final = "the second password of bob"
_CONFIG: Final = "config.toml"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Merod]:
    made = Merod("shared-node", tmp_path, owner=OWNER)
    for secret in (FIRST, SECOND):
        told_secrets.note(secret)
    initialise(made)
    start(made)
    made.log_in()
    yield made
    stop(made)
    assert "Traceback" not in made.log, made.log


def file(node: Merod, name: str, content: str) -> str:
    path = node.person / name
    path.write_text(content, "utf-8")
    path.chmod(0o600)
    return str(path)


def come(node: Merod, name: str, password: str, **more: Any) -> Got:
    proof = {"username": name, "password": password, **more}
    body = {"auth_method": "user_password", "public_key": name, "client_name": node.url, "timestamp": 0}
    return node.ask("POST", "/auth/token", {**body, "provider_data": proof}, token="")


def account_of(got: Got) -> str:
    assert got.status == 200, got.text
    return str(claims_of(got.json["data"]["access_token"])["account_id"])


def set_policy(node: Merod, policy: str) -> None:
    """Change the policy; it counts from the next start."""
    path = node.home / node.name / _CONFIG
    before = path.read_text("utf-8").partition("\n[auth]\n")[0]
    with stopped(node):
        path.write_text(f'{before}\n[auth]\nsignup = "{policy}"\n', "utf-8")


def test_a_link_opens_an_account_once_and_a_forgotten_password_changes_nothing_else(node: Merod) -> None:
    made = node.meroctl("--output-format", "json", "account", "create", "--name", "Bob").first["data"]
    link, typed = file(node, "link", made["link"]), file(node, "first", FIRST)
    node.meroctl("login", "--code-file", link, "--username", "bob", "--password-file", typed)
    who = node.meroctl("--output-format", "json", "whoami").first
    assert who["account_id"] == made["account_id"]
    assert "admin" not in who["permissions"]
    (cache,) = (node.person / ".merobox" / "auth_cache").glob("*.json")
    old = json.loads(cache.read_text())["access_token"]
    client_key = node.ask("POST", "/admin-api/identity/context", token=old).json["data"]["publicKey"]

    with stopped(node):
        pass
    second = node.meroctl("login", "--code-file", link, "--username", "eve", "--password-file", typed, ends_with=1)
    assert "login_code_used" in second.err

    node.log_in()
    reset = node.meroctl("--output-format", "json", "account", "link", made["account_id"]).first["data"]
    link, typed = file(node, "reset", reset["link"]), file(node, "second", SECOND)
    node.meroctl("login", "--code-file", link, "--password-file", typed)
    assert node.meroctl("--output-format", "json", "whoami").first["account_id"] == made["account_id"]
    again = node.ask("GET", "/admin-api/account/client-keys", token=json.loads(cache.read_text())["access_token"])
    assert [each["publicKey"] for each in again.json["data"]["clientKeys"]] == [client_key]
    ended = node.ask("GET", "/admin-api/is-authed", token=old)
    assert (ended.status, ended.headers["x-auth-error"]) == (401, "token_revoked")
    assert come(node, "bob", FIRST).code == "wrong_credentials"
    assert account_of(come(node, "bob", SECOND)) == made["account_id"]


def test_nobody_comes_in_until_the_policy_lets_them(node: Merod) -> None:
    assert (come(node, "bob", FIRST).code, come(node, "bob", FIRST, sign_up=True).code) == (
        "wrong_credentials",
        "sign_up_closed",
    )
    bob = node.data("POST", "/admin/accounts", {})
    guest = come(node, "bob", FIRST, login_code=bob["code"]).json["data"]["access_token"]
    assert node.ask("POST", "/admin/accounts", {}, token=guest).code == "not_the_owner"

    set_policy(node, "invited")
    assert come(node, "carol", FIRST, sign_up=True).code == "sign_up_closed"
    invited = node.ask("POST", "/admin/accounts", {"label": "Carol"}, token=guest)
    assert invited.status == 200, invited.text
    carol = account_of(come(node, "carol", FIRST, login_code=invited.json["data"]["code"]))

    set_policy(node, "open")
    assert node.ask("GET", "/auth/providers", token="").json["data"]["signup"] == "open"
    assert come(node, "dora", FIRST).code == "wrong_credentials", "never without being asked for"
    dora = account_of(come(node, "dora", FIRST, sign_up=True))
    assert come(node, "dora", SECOND, sign_up=True).code == "wrong_credentials"
    assert len({bob["account_id"], carol, dora, account_of(come(node, OWNER.name, OWNER.password))}) == 4


def test_two_who_use_one_link_at_the_same_time_are_not_both_let_in(node: Merod) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only here

    made = node.data("POST", "/admin/accounts", {})
    with ThreadPoolExecutor(6) as pool:
        came = list(pool.map(lambda name: come(node, name, FIRST, login_code=made["code"]), "abcdef"))
    assert sorted(each.status for each in came) == [200, *[401] * 5]
    assert {each.code for each in came if each.status == 401} == {"login_code_used"}


def test_mock_tokens_need_their_switch_their_secret_and_this_machine(node: Merod) -> None:
    secret = "Bearer a secret of the developer"
    told_secrets.note(secret)
    sent, node.token = {"Authorization": secret}, ""
    assert node.ask("POST", "/auth/mock-token", {"client_name": "x"}, headers=sent, token="").status == 404
    path = node.home / node.name / _CONFIG
    before = path.read_text("utf-8")
    with stopped(node):
        on = f'[auth.development]\nenable_mock_auth = true\nmock_auth_header_value = "{secret}"\n'
        path.write_text(before + on, "utf-8")
    assert "mock tokens are on" in node.log
    got = node.ask("POST", "/auth/mock-token", {"client_name": "x"}, headers=sent, token="")
    assert (got.status, got.headers["x-mock-token"], got.headers["x-key-id"][:5]) == (200, "true", "mock_")
    token = got.json["data"]["access_token"]
    assert node.ask("GET", "/admin-api/is-authed", token=token).status == 200
    wrong = node.ask("POST", "/auth/mock-token", {"client_name": "x"}, headers={"Authorization": "Bearer x"}, token="")
    assert (wrong.status, wrong.json["error"]) == (401, "Invalid or missing authorization for mock endpoint")
    with stopped(node):
        path.write_text(before, "utf-8")
    assert node.ask("GET", "/admin-api/is-authed", token=token).headers["x-auth-error"] == "token_revoked"


def test_a_wallet_comes_by_a_link_and_opens_the_same_account_from_then_on(node: Merod) -> None:
    made = node.data("POST", "/admin/accounts", {})
    wallet = str(NearPair.of(51).write(node.person / "wallet.json"))
    node.meroctl("login", "--code-file", file(node, "link", made["link"]), "--near-key-file", wallet)
    assert node.meroctl("--output-format", "json", "whoami").first["account_id"] == made["account_id"]
    node.meroctl("logout")
    node.meroctl("login", "--near-key-file", wallet)
    assert node.meroctl("--output-format", "json", "whoami").first["account_id"] == made["account_id"]
    other = str(NearPair.of(52).write(node.person / "other.json"))
    refused = node.meroctl("login", "--sign-up", "--near-key-file", other, ends_with=1)
    assert "sign_up_closed" in refused.err
