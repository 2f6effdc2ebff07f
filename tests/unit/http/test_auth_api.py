"""The auth routes over HTTP, on the real services and a real store."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, HOUR, PASSWORD, START, AuthWorld, auth_world
from tests.servers import Got, Running, running

from meroid.access.principal import Principal
from meroid.http.application import HttpApplication
from meroid.http.auth_api import AuthApi
from meroid.http.guard import Guard
from meroid.http.health_api import Health, health_endpoints
from meroid.ids import AccountId


@dataclass
class HandClock:
    """A clock that a test moves."""

    ms: int = START

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Node:
    """An auth service over HTTP, with its clock and its inside."""

    server: Running
    clock: HandClock
    world: AuthWorld

    def log_in(self, **changes: Any) -> Got:
        return self.server.ask("POST", "/auth/token", login_body(**changes), changes.get("headers"))

    def pair(self) -> tuple[str, str]:
        data = self.log_in().json["data"]
        return data["access_token"], data["refresh_token"]


def login_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "auth_method": "user_password",
        "public_key": "alice",
        "client_name": "http://localhost:2528",
        "timestamp": START,
        "provider_data": {"username": "alice", "password": changes.get("password", PASSWORD)},
    }
    if "permissions" in changes:
        body["permissions"] = changes["permissions"]
    return body


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.b64decode(part + "=" * (-len(part) % 4)))
    return decoded


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    clock = HandClock()
    with auth_world(tmp_path) as world:
        health = Health(probe_store=lambda: world.store.read(lambda tx: tx.accounts.owner()), started_at=START - 5000)
        api = AuthApi(login=world.login, tokens=world.tokens, gate=world.gate, health=health)
        endpoints = [*api.endpoints(), *health_endpoints(health)]
        app = HttpApplication(endpoints, guard=Guard(world.gate), clock=clock)
        with running(app) as server:
            yield Node(server, clock, world)
        app.close()


def test_log_in_gives_a_pair_in_the_auth_envelope(node: Node) -> None:
    got = node.log_in()
    assert got.status == 200
    assert set(got.json) == {"data", "error"}
    assert got.json["error"] is None
    assert set(got.json["data"]) == {"access_token", "refresh_token", "error"}
    assert "admin" in claims(got.json["data"]["access_token"])["permissions"]
    assert got.headers["cache-control"] == "no-store"


def test_a_forwarded_first_log_in_needs_the_setup_code(node: Node) -> None:
    got = node.log_in(headers={"X-Forwarded-For": "127.0.0.1"})
    assert (got.status, got.code) == (401, "setup_required")
    assert "x-auth-error" not in got.headers
    assert node.server.ask("GET", "/auth/providers").json["data"]["setup_required"] is True


def test_a_wrong_password_is_401_without_the_auth_header(node: Node) -> None:
    node.log_in()
    got = node.log_in(password="wrong password")
    assert (got.status, got.code) == (401, "wrong_credentials")
    assert got.json["data"] is None
    assert got.json["error"].startswith("Authentication failed: ")
    assert got.json["reason"]
    assert got.json["next"]
    assert "x-auth-error" not in got.headers


@pytest.mark.parametrize("field", ["auth_method", "public_key", "client_name", "timestamp", "provider_data"])
def test_a_missing_field_of_the_log_in_is_400_and_named(node: Node, field: str) -> None:
    body = login_body()
    del body[field]
    got = node.server.ask("POST", "/auth/token", body)
    assert got.status == 400
    assert got.json["error"].startswith(f"Invalid JSON: {field}: ")
    assert "x-auth-error" not in got.headers


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": -1},
        {"timestamp": 2**70},
        {"timestamp": "now"},
        {"provider_data": "x"},
        {"provider_data": None},
        {"permissions": "admin"},
        {"permissions": [1]},
        {"auth_method": 5},
        {"public_key": ["alice"]},
        {"provider_data": {"username": 1, "password": []}},
        {"provider_data": {}},
        {"permissions": ["nonsense:no"]},
        {"client_name": "x" * 100_000},
    ],
)
def test_wrong_types_in_the_log_in_are_refused(node: Node, change: dict[str, Any]) -> None:
    got = node.server.ask("POST", "/auth/token", {**login_body(), **change})
    assert got.status in {400, 422}
    assert got.code


def test_empty_fields_are_422(node: Node) -> None:
    got = node.server.ask("POST", "/auth/token", {**login_body(), "auth_method": ""})
    assert got.status == 422
    assert got.json["error"].startswith("Validation error: auth_method: ")
    assert node.server.ask("POST", "/auth/refresh", {"access_token": "", "refresh_token": ""}).status == 422


def test_an_unknown_method_is_401(node: Node) -> None:
    got = node.server.ask("POST", "/auth/token", {**login_body(), "auth_method": "carrier_pigeon"})
    assert (got.status, got.code) == (401, "unsupported_method")


def test_unknown_fields_are_ignored(node: Node) -> None:
    assert node.server.ask("POST", "/auth/token", {**login_body(), "target_node_url": "x", "more": [1]}).status == 200


def test_too_many_failures_are_429_with_the_time_to_wait(node: Node) -> None:
    node.log_in()
    got = [node.log_in(password="wrong password") for _ in range(12)][-1]
    assert (got.status, got.code) == (429, "login_throttled")
    assert int(got.headers["retry-after"]) >= 1


def test_validate_names_the_caller_in_headers(node: Node) -> None:
    access, _ = node.pair()
    for method in ("GET", "POST", "HEAD"):
        got = node.server.ask(method, "/auth/validate", token=access)
        assert got.status == 200
        assert got.headers["x-auth-user"] == claims(access)["sub"]
        assert got.headers["x-auth-permissions"] == "admin"
        assert got.body == (b"" if method == "HEAD" else b'{"data":"","error":null}')


def test_validate_reads_the_header_first_and_then_the_forwarded_address(node: Node) -> None:
    access, _ = node.pair()
    uri = {"X-Forwarded-Uri": f"/ws?a=b&token={access}&c=d?token=x"}
    assert node.server.ask("GET", "/auth/validate", headers=uri).status == 200
    assert node.server.ask("GET", "/auth/validate", headers={**uri, "Authorization": "Basic abc"}).status == 200
    assert node.server.ask("GET", "/auth/validate", headers={**uri, "Authorization": "Bearer x"}).status == 401
    assert node.server.ask("GET", f"/auth/validate?token={access}").status == 401
    for uri_text in ("", "?", "/ws?token=", "/ws?mytoken=1", "token=x", "??token=" + access):
        got = node.server.ask("GET", "/auth/validate", headers={"X-Forwarded-Uri": uri_text})
        assert got.headers["x-auth-error"] == "missing_token"


def test_validate_says_why_not(node: Node) -> None:
    access, refresh = node.pair()
    got = node.server.ask("GET", "/auth/validate")
    assert (got.status, got.headers["x-auth-error"], got.json["error"]) == (401, "missing_token", "No token provided")
    for wrong in ("x", "a.b.c", refresh, access + "x", "." * 60_000):
        got = node.server.ask("GET", "/auth/validate", token=wrong)
        assert (got.status, got.headers["x-auth-error"]) == (401, "invalid_token")
    node.clock.ms += 2 * HOUR
    got = node.server.ask("GET", "/auth/validate", token=access)
    assert (got.status, got.headers["x-auth-error"]) == (401, "token_expired")
    assert got.json["error"].endswith("Token has expired")


def test_an_expired_token_on_a_guarded_route_tells_a_page_to_refresh(node: Node) -> None:
    access, _ = node.pair()
    node.clock.ms += 2 * HOUR
    got = node.server.ask("GET", "/admin-api/is-authed", headers={"Origin": "https://app.example"}, token=access)
    assert (got.status, got.headers["x-auth-error"]) == (401, "token_expired")
    assert "X-Auth-Error" in got.headers["access-control-expose-headers"]


def test_refresh_gives_another_pair_also_early(node: Node) -> None:
    access, refresh = node.pair()
    got = node.server.ask("POST", "/auth/refresh", {"access_token": access, "refresh_token": refresh})
    assert got.status == 200
    fresh = got.json["data"]["access_token"]
    assert node.server.ask("GET", "/admin-api/is-authed", token=fresh).status == 200
    node.clock.ms += 2 * HOUR
    again = got.json["data"]
    assert node.server.ask("POST", "/auth/refresh", again).status == 200


def test_a_refused_refresh_never_sends_the_auth_header(node: Node) -> None:
    access, refresh = node.pair()
    first = node.server.ask("POST", "/auth/refresh", {"access_token": access, "refresh_token": refresh}).json["data"]
    assert node.server.ask("POST", "/auth/refresh", first).status == 200
    node.clock.ms += 10 * 60_000
    bodies: list[dict[str, str]] = [
        {"access_token": access, "refresh_token": refresh},  # reuse
        {"access_token": "x", "refresh_token": "y"},
        {"access_token": access, "refresh_token": access},
    ]
    for body in bodies:
        got = node.server.ask("POST", "/auth/refresh", body)
        assert got.status == 401
        assert "x-auth-error" not in got.headers
        assert got.json["data"] is None
        assert got.json["error"]


def test_providers_health_and_keys_are_open(node: Node) -> None:
    data = node.server.ask("GET", "/auth/providers").json["data"]
    assert data["count"] == len(data["providers"]) == 1
    assert set(data["providers"][0]) == {"name", "type", "description", "configured", "config"}
    assert node.server.ask("GET", "/auth/health").json == {
        "data": {"status": "healthy", "storage": True, "uptime_seconds": 5},
        "error": None,
    }
    keys = node.server.ask("GET", "/auth/jwks.json").json["keys"]
    assert keys[0]["kty"] == "OKP"
    assert "d" not in keys[0]
    assert node.server.ask("GET", "/health/live").json == {"status": "alive"}
    assert node.server.ask("GET", "/health/ready").json == {"status": "ready"}


def test_health_tells_the_truth_about_the_store(node: Node) -> None:
    node.world.store.close()
    assert node.server.ask("GET", "/auth/health").json["data"]["status"] == "unhealthy"
    got = node.server.ask("GET", "/health/ready")
    assert (got.status, got.code) == (503, "not_ready")
    assert node.server.ask("GET", "/health/live").status == 200


def test_health_and_is_authed_need_a_token_in_embedded_mode(node: Node) -> None:
    access, _ = node.pair()
    for path in ("/admin-api/health", "/admin-api/is-authed"):
        got = node.server.ask("GET", path)
        assert (got.status, got.headers["x-auth-error"]) == (401, "missing_token")
        assert node.server.ask("GET", path, token=access).body == b'{"data":{"status":"alive"}}'


def test_health_and_is_authed_are_open_in_proxy_mode(tmp_path: Path) -> None:
    with auth_world(tmp_path) as world:
        health = Health(probe_store=lambda: None, started_at=START)
        guard = Guard(world.gate, own_principal=lambda: Principal.node(AccountId(b"o" * 32)))
        app = HttpApplication(health_endpoints(health), guard=guard, clock=HandClock())
        with running(app) as server:
            for path in ("/admin-api/health", "/admin-api/is-authed"):
                assert server.ask("GET", path).body == b'{"data":{"status":"alive"}}'
            assert server.ask("POST", "/auth/token", login_body()).status == 404
        app.close()


def test_a_client_key_carries_its_binding(node: Node) -> None:
    access, _ = node.pair()
    node.world.add_client_key()
    body = {"context_id": str(CONTEXT), "context_identity": str(EXECUTOR), "permissions": ["context:execute"]}
    got = node.server.ask("POST", "/admin/client-key", body, token=access)
    assert got.status == 200
    assert got.headers["x-auth-user"] == claims(access)["sub"]
    minted = claims(got.json["data"]["access_token"])
    assert f"context[{CONTEXT},{EXECUTOR}]" in minted["permissions"]
    assert minted["executor_public_key"] == str(EXECUTOR)


@pytest.mark.parametrize(
    "body",
    [
        {"context_id": "nonsense", "context_identity": str(EXECUTOR)},
        {"context_id": str(CONTEXT)},
        {"permissions": ["nope"]},
        {"permissions": ["context[x"]},
        {"context_id": 5},
        [],
    ],
)
def test_a_client_key_with_bad_fields_is_refused(node: Node, body: Any) -> None:
    access, _ = node.pair()
    got = node.server.ask("POST", "/admin/client-key", body, token=access)
    assert got.status == 400
    assert got.code


def test_a_revoked_key_is_refused_on_the_next_request(node: Node) -> None:
    access, _ = node.pair()
    client = node.server.ask("POST", "/admin/client-key", {"permissions": ["context:list"]}, token=access).json["data"]
    token = client["access_token"]
    assert node.server.ask("GET", "/admin-api/is-authed", token=token).status == 200
    got = node.server.ask("POST", "/admin/revoke", {"client_id": claims(token)["sub"]}, token=access)
    assert got.json == {"data": {"success": True, "message": "Tokens revoked successfully"}, "error": None}
    got = node.server.ask("GET", "/admin-api/is-authed", token=token)
    assert (got.status, got.headers["x-auth-error"], got.json["code"]) == (401, "token_revoked", "token_revoked")
    again = node.server.ask("POST", "/admin/revoke", {"client_id": claims(token)["sub"]}, token=access)
    assert (again.status, again.code) == (404, "key_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/admin/client-key"), ("POST", "/admin/revoke"), ("GET", "/admin/identity")]
)
def test_admin_routes_need_a_token_in_the_header(node: Node, method: str, path: str) -> None:
    access, _ = node.pair()
    for asked in (path, f"{path}?token={access}"):
        got = node.server.ask(method, asked, {} if method == "POST" else None)
        assert (got.status, got.headers["x-auth-error"]) == (401, "missing_token")
        assert got.json["data"] is None


def test_identity_says_what_this_is(node: Node) -> None:
    access, _ = node.pair()
    data = node.server.ask("GET", "/admin/identity", token=access).json["data"]
    assert data["service"] == "calimero-auth"
    assert data["authentication_mode"] == "forward"
    assert data["providers"] == ["user_password"]
