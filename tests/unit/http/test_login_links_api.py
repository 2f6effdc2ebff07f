"""More people on one node over HTTP: links, what they open, and the page where they are redeemed."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.served_node import PASSWORD, ServedNode, network, served_node
from tests.servers import Got

NEW = "another good password"
TIMES = {"timestamp": 0, "client_name": "http://localhost"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as made:
        yield made


def come(node: ServedNode, name: str, password: str = NEW, **more: Any) -> Got:
    proof = {"username": name, "password": password, **more}
    body = {"auth_method": "user_password", "public_key": name, "provider_data": proof, **TIMES}
    return node.ask("POST", "/auth/token", body, token="")


def test_a_link_is_made_seen_redeemed_and_refused(node: ServedNode) -> None:
    made = node.ask("POST", "/admin/accounts", {"label": "Bob", "valid_for": 3600})
    assert made.status == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    data = made.json["data"]
    assert set(data) == {"link_id", "kind", "account_id", "label", "code", "link", "expires_at"}
    assert re.fullmatch(r"http://(localhost|127\.0\.0\.1):\d+/auth/login#code=[A-Za-z0-9_-]{22}", data["link"])
    listed = node.data("GET", "/admin/links")
    assert [each["link_id"] for each in listed] == [data["link_id"]]
    assert data["code"] not in str(listed)

    seen = node.ask("POST", "/auth/link", {"code": data["link"]}, token="").json["data"]
    assert (seen["kind"], seen["label"], seen["usernames"]) == ("new", "Bob", [])
    came = come(node, "bob", login_code=data["code"])
    assert came.status == 200, came.text
    account = node.ask("GET", "/admin-api/account", token=came.json["data"]["access_token"]).json["data"]
    assert (account["accountId"], account["label"], account["rootKeys"]) == (data["account_id"], "Bob", 1)

    again = come(node, "carol", login_code=data["code"])
    assert (again.status, again.code) == (401, "login_code_used")
    assert again.json["error"].startswith("Authentication failed: ")
    assert "x-auth-error" not in again.headers
    assert node.ask("POST", "/auth/link", {"code": data["code"]}, token="").code == "login_code_used"
    assert node.data("GET", "/admin/links") == []


def test_a_forgotten_password_is_set_anew(node: ServedNode) -> None:
    made = node.data("POST", "/admin/accounts", {})
    old = come(node, "dora", login_code=made["code"]).json["data"]["access_token"]
    link = node.data("POST", f"/admin/accounts/{made['account_id']}/link", {"valid_for": 600})
    assert link["kind"] == "reset"
    assert node.ask("POST", "/auth/link", {"code": link["code"]}, token="").json["data"]["usernames"] == ["dora"]
    assert come(node, "eva", "a third password", login_code=link["code"]).code == "other_user_name"
    assert come(node, "dora", "a third password", login_code=link["code"]).status == 200
    assert node.ask("GET", "/admin-api/account", token=old).headers["x-auth-error"] == "token_revoked"
    assert come(node, "dora").code == "wrong_credentials"
    assert come(node, "dora", "a third password").status == 200


def test_a_link_is_withdrawn_once(node: ServedNode) -> None:
    made = node.data("POST", "/admin/accounts")
    path = f"/admin/links/{made['link_id']}"
    assert set(node.data("DELETE", path)) == {"link_id", "withdrawn_at", "message"}
    assert (node.ask("DELETE", path).status, node.ask("DELETE", path).code) == (404, "login_link_not_found")
    assert come(node, "x", login_code=made["code"]).code == "login_code_withdrawn"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/admin/accounts"),
        ("GET", "/admin/links"),
        ("DELETE", "/admin/links/x"),
        ("POST", "/admin/accounts/4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi/link"),
    ],
)
def test_without_a_token_nothing_is_made_and_nothing_told(node: ServedNode, method: str, path: str) -> None:
    got = node.ask(method, path, token="")
    assert (got.status, got.headers["x-auth-error"]) == (401, "missing_token")


def test_a_token_that_makes_no_links_sees_and_withdraws_none(node: ServedNode) -> None:
    made = node.data("POST", "/admin/accounts", {})
    token = node.mint("context:list", "context:execute[x]")
    for method, path in (("GET", "/admin/links"), ("DELETE", f"/admin/links/{made['link_id']}")):
        got = node.ask(method, path, token=token)
        assert (got.status, got.code) == (403, "permission_denied")
    node.data("DELETE", f"/admin/links/{made['link_id']}")


def test_minted_tokens_and_other_accounts_make_no_links(node: ServedNode) -> None:
    minted = node.mint("admin")
    assert node.ask("POST", "/admin/accounts", {}, token=minted).code == "login_not_fresh"
    made = node.data("POST", "/admin/accounts", {})
    guest = come(node, "guest", login_code=made["code"]).json["data"]["access_token"]
    own = node.data("GET", "/admin-api/account")["accountId"]
    assert node.ask("POST", "/admin/accounts", {}, token=guest).code == "not_the_owner"
    assert node.ask("POST", f"/admin/accounts/{own}/link", {}, token=guest).code == "not_the_owner"
    assert node.ask("POST", f"/admin/accounts/{own}/link", {}).code == "owner_link"
    assert node.ask("GET", "/admin/links", token=guest).json["data"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"label": 5}, 400),
        ({"label": "x" * 5000}, 422),
        ({"label": "x" * 65}, 400),
        ({"label": "\x00"}, 400),
        ({"valid_for": -1}, 400),
        ({"valid_for": "7d"}, 400),
        ({"valid_for": 0}, 400),
        ({"valid_for": 2**63 - 1}, 400),
        ({"valid_for": 10**400}, 400),
        ([], 400),
        (b"{", 400),
    ],
)
def test_bad_input_makes_nothing(node: ServedNode, body: Any, status: int) -> None:
    before = len(node.data("GET", "accounts")["accounts"])
    got = node.ask("POST", "/admin/accounts", body)
    assert 400 <= got.status < 500, got.text
    assert got.status == status, got.text
    assert len(node.data("GET", "accounts")["accounts"]) == before


@pytest.mark.parametrize("value", [5, None, "", [], {}, True, "x" * 5000])
def test_a_bad_code_and_a_bad_flag_are_refused(node: ServedNode, value: Any) -> None:
    if value is not None:
        assert come(node, "nobody", login_code=value).status in {400, 401, 422}
    assert node.ask("POST", "/auth/link", {"code": value}, token="").status in {400, 401, 422, 429}
    if value is not True:
        assert come(node, "nobody", sign_up=value).status == 400


def test_sign_up_is_closed_and_the_providers_say_so(node: ServedNode) -> None:
    got = come(node, "nobody", sign_up=True)
    assert (got.status, got.code) == (403, "sign_up_closed")
    providers = node.ask("GET", "/auth/providers", token="").json["data"]
    assert (providers["signup"], providers["setup_required"]) == ("closed", False)
    password = next(each for each in providers["providers"] if each["name"] == "user_password")
    assert password["config"]["min_password_length"] == 8


def test_mock_tokens_are_no_endpoint_until_they_are_switched_on(node: ServedNode) -> None:
    for body in ({"client_name": "x"}, b"{", None):
        got = node.ask("POST", "/auth/mock-token", body, {"Authorization": "Bearer test-auth-token"}, token="")
        assert (got.status, got.json["error"]) == (404, "Endpoint not found")


def test_the_page_lets_nothing_run_but_its_own_script(node: ServedNode) -> None:
    page = node.ask("GET", "/auth/login?callback-url=%3Cscript%3Ealert(1)%3C/script%3E", token="")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "alert(1)" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert (page.headers["pragma"], page.headers["expires"]) == ("no-cache", "0")
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", page.text)
    for source in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert source.startswith("/auth/")
        assert node.ask("GET", source, token="").status == 200, source


def test_every_field_of_the_page_has_a_label(node: ServedNode) -> None:
    page = node.ask("GET", "/auth/login", token="").text
    fields = re.findall(r'<(?:input|select)[^>]* ?id="([^"]+)"', page)
    assert len(fields) == 5
    for field in fields:
        assert f'<label for="{field}">' in page
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/auth/favicon.ico", "image/svg+xml"),
        ("/auth/assets/login.css", "text/css; charset=utf-8"),
        ("/auth/assets/login.js", "text/javascript; charset=utf-8"),
        ("/auth/assets/flow.js", "text/javascript; charset=utf-8"),
    ],
)
def test_its_files_are_served_and_others_are_not(node: ServedNode, path: str, kind: str) -> None:
    got = node.ask("GET", path, token="")
    assert (got.status, got.headers["content-type"]) == (200, kind)
    assert node.ask("GET", f"{path}x", token="").status == 404
    assert node.ask("GET", "/auth/assets/..%2Flogin_page.py", token="").status == 404


def test_the_page_keeps_no_token_and_takes_no_html(node: ServedNode) -> None:
    script = node.ask("GET", "/auth/assets/login.js", token="").text
    assert not re.search(r"localStorage|sessionStorage|innerHTML|document\.write|eval\(|cookie", script)


def test_the_flow_of_the_page_ends_with_tokens_that_were_asked_for(node: ServedNode) -> None:
    root = come(node, _owner(node), PASSWORD).json["data"]
    asked = ["context:create", "context:list", "context:execute"]
    body = {"context_id": "", "context_identity": "", "permissions": asked, "target_node_url": "http://localhost:1"}
    minted = node.ask("POST", "/admin/client-key", body, token=root["access_token"])
    assert minted.status == 200, minted.text
    ended = node.ask("POST", "/auth/logout", {"refresh_token": root["refresh_token"]}, token=root["access_token"])
    assert ended.status == 200
    assert node.ask("GET", "contexts", token=root["access_token"]).status == 401
    pair = minted.json["data"]
    assert node.ask("GET", "contexts", token=pair["access_token"]).status == 200
    assert node.ask("GET", "peers", token=pair["access_token"]).status == 403, "no admin by default"


def _owner(node: ServedNode) -> str:
    keys = node.data("GET", "/admin/keys")
    return str(next(each["public_key"] for each in keys if each["auth_method"] == "user_password"))
