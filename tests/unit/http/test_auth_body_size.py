"""Bodies of the sign-in routes are smaller than those of a node, as on the wire."""

from pathlib import Path

import pytest
from tests.served_node import network, served_node

from meroid.config.auth import auth_settings
from meroid.config.errors import BadConfigError


def test_the_sign_in_routes_take_a_mebibyte_and_the_node_s_take_two(tmp_path: Path) -> None:
    large = b'{"auth_method": "' + b"x" * (1024 * 1024) + b'"}'
    with network() as net, served_node(tmp_path, net, mode="embedded") as node:
        for path in ("/auth/token", "/auth/refresh", "/admin/client-key", "/admin/keys"):
            assert (got := node.ask("POST", path, large)).status == 413, (path, got.text)
            assert got.code == "body_too_large"
        assert node.ask("POST", "/admin-api/contexts", large).status == 422


@pytest.mark.parametrize("value", [0, 1023, 3 * 1024 * 1024, True, "1", -1])
def test_an_impossible_size_is_refused(value: object) -> None:
    with pytest.raises(BadConfigError, match="max_body_size"):
        auth_settings({"security": {"max_body_size": value}})


@pytest.mark.parametrize(
    ("jwt", "key"),
    [
        ({"node_host": "http://x"}, "node_host"),
        ({"node_host": 5}, "node_host"),
        ({"bind_logins": "yes"}, "bind_logins"),
    ],
)
def test_impossible_node_settings_are_refused(jwt: dict[str, object], key: str) -> None:
    with pytest.raises(BadConfigError, match=key):
        auth_settings({"jwt": jwt})


def test_a_node_host_is_a_name_in_any_case() -> None:
    assert auth_settings({"jwt": {"node_host": "Node.Example"}}).node_host == "node.example"
    assert auth_settings({"jwt": {"node_host": ""}}).node_host is None
