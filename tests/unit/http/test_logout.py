"""`POST /auth/logout` on the whole node."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.served_node import PASSWORD, ServedNode, network, served_node
from tests.servers import Got


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as made:
        yield made


def log_in(node: ServedNode) -> tuple[str, str]:
    body = {
        "auth_method": "user_password",
        "public_key": "alice",
        "client_name": "n",
        "timestamp": 0,
        "provider_data": {"username": "alice", "password": PASSWORD},
    }
    data = node.ask("POST", "/auth/token", body, token="").json["data"]
    return data["access_token"], data["refresh_token"]


def ended(node: ServedNode, access: str) -> bool:
    got: Got = node.ask("GET", "is-authed", token=access)
    assert got.status == 200 or got.headers["x-auth-error"] == "token_revoked"
    return got.status != 200


def test_a_log_out_holds_on_the_next_request_and_may_be_repeated(node: ServedNode) -> None:
    access, refresh = log_in(node)
    for _ in range(2):
        got = node.ask("POST", "/auth/logout", {"refresh_token": refresh}, token=access)
        assert (got.status, got.json) == (200, {"data": {"success": True, "message": "Logged out"}, "error": None})
    assert ended(node, access)
    refused = node.ask("POST", "/auth/refresh", {"access_token": access, "refresh_token": refresh}, token="")
    assert (refused.status, refused.code) == (401, "token_revoked")
    assert not ended(node, node.token)


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}, {"more": 1}])
def test_the_access_token_alone_will_do(node: ServedNode, body: Any) -> None:
    access, _ = log_in(node)
    assert node.ask("POST", "/auth/logout", body, token=access).status == 200
    assert ended(node, access)


def test_the_refresh_token_alone_will_do(node: ServedNode) -> None:
    access, refresh = log_in(node)
    assert node.ask("POST", "/auth/logout", {"refresh_token": refresh}, token="").status == 200
    assert ended(node, access)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"refresh_token": "nonsense"}, 401, "invalid_token"),
        ({"refresh_token": ""}, 422, "bad_length"),
        ({"refresh_token": 7}, 400, "bad_shape"),
        ([], 400, "bad_shape"),
        (b"{", 400, "bad_json"),
    ],
)
def test_bad_bodies_end_nothing(node: ServedNode, body: Any, status: int, code: str) -> None:
    got = node.ask("POST", "/auth/logout", body)
    assert (got.status, got.code) == (status, code)
    assert "x-auth-error" not in got.headers
    assert not ended(node, node.token)


def test_without_any_token_it_is_refused(node: ServedNode) -> None:
    got = node.ask("POST", "/auth/logout", {}, token="")
    assert (got.status, got.code) == (401, "missing_token")
    assert node.ask("POST", "/auth/logout", {}, token="nonsense").code == "invalid_token"
