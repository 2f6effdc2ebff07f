"""Minted keys and what keys grant, over HTTP: the wire's shapes, and what is refused, on the whole node."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.served_node import ServedNode, network, served_node

from meroid.client.tokens import claims_of

WIRE_FIELDS = {"client_id", "root_key_id", "name", "permissions", "created_at", "revoked_at", "is_valid"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as net, served_node(tmp_path_factory.mktemp("node"), net, mode="embedded") as made:
        yield made


def subject(token: str) -> str:
    return str(claims_of(token)["sub"])


def shown(node: ServedNode, token: str) -> dict[str, Any]:
    (found,) = [each for each in node.data("GET", "/admin/keys/clients") if each["client_id"] == subject(token)]
    return dict(found)


def test_minted_keys_are_listed_and_removed_in_the_shapes_of_the_wire(node: ServedNode) -> None:
    token = node.mint("context:list")
    listed = shown(node, token)
    assert set(listed) >= WIRE_FIELDS
    assert (listed["is_valid"], listed["revoked_at"], listed["root_key_id"]) == (True, None, subject(node.token))
    assert (listed["permissions"], listed["current"], listed["context_id"]) == (["context:list"], False, None)
    path = f"/admin/keys/{listed['root_key_id']}/clients/{listed['client_id']}"
    removed = node.data("DELETE", path)
    assert removed == {"message": "Client key revoked successfully", "revoked_at": removed["revoked_at"]}
    got = node.ask("GET", "is-authed", token=token)
    assert (got.status, got.headers["x-auth-error"]) == (401, "token_revoked")
    again = node.ask("DELETE", path)
    assert (again.status, again.code) == (404, "key_not_found")
    assert (shown(node, token)["is_valid"], shown(node, token)["revoked_at"]) == (False, removed["revoked_at"])


def test_a_minted_key_is_removed_under_its_own_root_key_only(node: ServedNode) -> None:
    token = node.mint("context:list")
    got = node.ask("DELETE", f"/admin/keys/{'0' * 32}/clients/{subject(token)}")
    assert (got.status, got.code) == (400, "wrong_root_key")
    assert shown(node, token)["is_valid"]
    own = f"/admin/keys/{subject(node.token)}/clients/{subject(token)}"
    assert node.ask("DELETE", own, token=token).status == 200, "a key may remove itself"


def test_what_a_key_grants_is_shown_and_changed_with_effect_on_the_next_request(node: ServedNode) -> None:
    token = node.mint("context:list", "application:list")
    path = f"/admin/keys/{subject(token)}/permissions"
    assert node.data("GET", path) == {"permissions": ["context:list", "application:list"]}
    assert node.ask("GET", "applications", token=token).status == 200

    changed = node.data("PUT", path, {"remove": ["application:list"], "add": ["keys:list"]})

    assert changed == {"permissions": ["context:list", "keys:list"]}
    got = node.ask("GET", "applications", token=token)
    assert (got.status, got.code) == (403, "permission_denied")
    assert node.ask("GET", "/auth/validate", token=token).headers["x-auth-permissions"] == "context:list"
    assert node.data("PUT", path, {}) == changed


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"remove": ["context:list"]}, 400, "last_permission"),
        ({"add": ["context[x"]}, 400, "bad_permission"),
        ({"add": ["nothing"]}, 400, "bad_permission"),
        ({"add": ["context[4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi]"]}, 400, "binding_stays"),
        ({"add": [f"context:list[a{number}]" for number in range(64)]}, 400, "bad_permission"),
        ({"add": [""]}, 422, "bad_length"),
        ({"add": "admin"}, 400, "bad_shape"),
        ({"remove": [7]}, 400, "bad_shape"),
        ([], 400, "bad_shape"),
    ],
)
def test_bad_changes_are_refused_and_change_nothing(node: ServedNode, body: Any, status: int, code: str) -> None:
    path = f"/admin/keys/{subject(node.mint('context:list'))}/permissions"
    got = node.ask("PUT", path, body)
    assert (got.status, got.code) == (status, code)
    assert node.data("GET", path) == {"permissions": ["context:list"]}


def test_a_service_token_is_one_long_lived_token_with_a_name_and_an_end(node: ServedNode) -> None:
    body = {"name": "backup job", "permissions": ["context:list"], "expires_in": 90 * 86_400}
    data = node.data("POST", "/admin/client-key", body)
    assert set(data) == {"access_token", "refresh_token", "error", "client_id", "expires_at"}
    assert (data["refresh_token"], data["error"]) == (None, None)
    claims = claims_of(data["access_token"])
    assert (claims["sub"], claims["exp"]) == (data["client_id"], data["expires_at"])
    listed = shown(node, data["access_token"])
    assert (listed["name"], listed["expires_at"], listed["is_valid"]) == ("backup job", data["expires_at"], True)
    assert node.ask("GET", "contexts", token=data["access_token"]).status == 200
    denied = node.ask("POST", "/admin/client-key", {"permissions": ["context:list"]}, token=data["access_token"])
    assert (denied.status, denied.code) == (403, "service_token_mints")
    node.data("POST", "/admin/revoke", {"client_id": data["client_id"]})
    assert node.ask("GET", "contexts", token=data["access_token"]).headers["x-auth-error"] == "token_revoked"


def test_what_old_clients_mint_has_no_end_and_keeps_its_shape(node: ServedNode) -> None:
    data = node.data("POST", "/admin/client-key", {"permissions": ["context:list"], "target_node_url": "http://x"})
    assert set(data) == {"access_token", "refresh_token", "error"}
    assert shown(node, data["access_token"])["expires_at"] is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"expires_in": 59}, "bad_lifetime"),
        ({"expires_in": 31_536_001}, "bad_lifetime"),
        ({"expires_in": -1}, "bad_shape"),
        ({"expires_in": 1e300}, "bad_shape"),
        ({"expires_in": "60"}, "bad_shape"),
        ({"expires_in": 60, "name": "a\nb"}, "bad_token_name"),
        ({"name": "x" * 65}, "bad_token_name"),
        ({"name": 7}, "bad_shape"),
        ({"expires_in": 60, "permissions": ["nothing"]}, "bad_permission"),
    ],
)
def test_a_service_token_with_bad_fields_is_not_minted(node: ServedNode, more: dict[str, Any], code: str) -> None:
    before = node.data("GET", "/admin/keys/clients")
    got = node.ask("POST", "/admin/client-key", {"permissions": ["context:list"], **more})
    assert (got.status, got.code) == (400, code)
    assert node.data("GET", "/admin/keys/clients") == before


def test_the_owner_keeps_admin(node: ServedNode) -> None:
    path = f"/admin/keys/{subject(node.token)}/permissions"
    got = node.ask("PUT", path, {"add": ["keys"], "remove": ["admin"]})
    assert (got.status, got.code) == (409, "last_admin_key")
    assert node.data("GET", path) == {"permissions": ["admin"]}


def test_a_narrow_token_does_not_put_admin_onto_its_own_key(node: ServedNode) -> None:
    """W3 of `wire/auth.md`."""
    token = node.mint("context:list", "keys:permissions:update")
    got = node.ask("PUT", f"/admin/keys/{subject(token)}/permissions", {"add": ["admin"]}, token=token)
    assert (got.status, got.code) == (400, "permission_not_held")


def test_without_a_token_or_the_permission_nothing_is_shown_or_changed(node: ServedNode) -> None:
    narrow, target = node.mint("context:list"), node.mint("context:list")
    key = f"/admin/keys/{subject(target)}"
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/admin/keys/clients", None),
        ("DELETE", f"/admin/keys/{subject(node.token)}/clients/{subject(target)}", None),
        ("GET", f"{key}/permissions", None),
        ("PUT", f"{key}/permissions", {"add": ["context:list"]}),
    ]
    for method, path, body in asked:
        bare = node.ask(method, path, body, token="")
        assert (bare.status, bare.headers["x-auth-error"]) == (401, "missing_token")
        denied = node.ask(method, path, body, token=narrow)
        assert (denied.status, denied.code) == (403, "permission_denied"), path
    lister = node.mint("keys:clients:list")
    assert node.ask("GET", "/admin/keys/clients", token=lister).status == 200
    assert node.ask("GET", "/admin/keys/clients?all=true", token=lister).code == "permission_denied"
    assert node.ask("GET", "/admin/keys/clients?all=perhaps").code == "bad_path"
    assert node.ask("GET", f"/admin/keys/{'0' * 32}/permissions").code == "key_not_found"
