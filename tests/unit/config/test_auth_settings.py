"""The settings of the auth service."""

from pathlib import Path
from typing import Any

import pytest

from meroid.auth.sign_up import SignUp
from meroid.config import BadConfigError, load_settings
from meroid.config.auth import AuthSettings, auth_settings, check_mock_listeners

NODE = """
[swarm]
listen = ["/ip4/127.0.0.1/tcp/1"]
[server]
listen = ["/ip4/127.0.0.1/tcp/2"]
"""


def loaded(tmp_path: Path, *lines: str) -> AuthSettings:
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "config.toml").write_text(NODE + "\n".join(lines), "utf-8")
    return load_settings(tmp_path, "n").auth


def test_without_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert loaded(tmp_path) == auth_settings()


def test_the_table_of_the_wire_is_read(tmp_path: Path) -> None:
    auth = loaded(tmp_path, "[server.embedded_auth.jwt]", 'issuer = "here"', "access_token_expiry = 120")

    assert auth == auth_settings({"jwt": {"issuer": "here", "access_token_expiry": 120}})


def test_ours_goes_first_key_by_key() -> None:
    auth = auth_settings({"jwt": {"issuer": "wire", "access_token_expiry": 120}}, {"jwt": {"issuer": "ours"}})

    assert (auth.issuer, auth.access_s) == ("ours", 120)


def test_the_wires_name_of_the_rpc_endpoint_is_read() -> None:
    assert auth_settings({"near": {"rpc_url": "http://127.0.0.1:3030"}}).near.rpc == "http://127.0.0.1:3030"


@pytest.mark.parametrize(
    "table",
    [
        {"jwt": 1},
        {"jwt": {"issuer": ""}},
        {"jwt": {"issuer": "ö"}},
        {"jwt": {"issuer": "who?"}},
        {"jwt": {"access_token_expiry": 0}},
        {"jwt": {"access_token_expiry": True}},
        {"jwt": {"refresh_token_expiry": "1h"}},
        {"near": {"rpc": "ftp://x"}},
        {"providers": {"near_wallet": "off"}},
    ],
)
def test_an_impossible_value_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(BadConfigError):
        auth_settings(table)


def test_who_may_come_and_how_long_passwords_are_is_read() -> None:
    closed = auth_settings({})
    assert (closed.sign_up.policy, closed.password.least, closed.password.most) == (SignUp.CLOSED, 8, 128)
    table = {"signup": "open", "max_accounts": 3, "signups_per_hour": 1}
    read = auth_settings(table | {"user_password": {"min_password_length": 12, "max_password_length": 64}})
    assert (read.sign_up.policy, read.sign_up.max_accounts, read.sign_up.per_hour) == (SignUp.OPEN, 3, 1)
    assert (read.password.least, read.password.most) == (12, 64)


@pytest.mark.parametrize(
    "table",
    [
        {"signup": "everybody"},
        {"signup": True},
        {"max_accounts": 0},
        {"max_accounts": "3"},
        {"signups_per_hour": 0},
        {"user_password": {"min_password_length": 0}},
        {"user_password": {"min_password_length": 200}},
        {"user_password": {"max_password_length": 10_000}},
        {"development": {"enable_mock_auth": "yes"}},
        {"development": {"enable_mock_auth": True}},
        {"development": {"enable_mock_auth": True, "mock_auth_header_value": "fifteen letters"}},
        {"development": {"enable_mock_auth": True, "mock_auth_header_value": 1234567890123456}},
        {"development": {"enable_mock_auth": True, "mock_auth_header_value": "Bearer test-auth-token"}},
        {"development": {"enable_mock_auth": True, "mock_auth_header_value": "sixteen lettérs!"}},
    ],
)
def test_what_would_open_the_service_by_mistake_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(BadConfigError):
        auth_settings(table)


def test_mock_tokens_are_off_whatever_their_secret_and_only_for_loopback() -> None:
    secret = {"mock_auth_header_value": "Bearer of a secret", "mock_auth_require_header": False}
    assert auth_settings({"development": secret}).mock is None
    on = auth_settings({"development": secret | {"enable_mock_auth": True}})
    assert "Bearer of" not in repr(on)
    check_mock_listeners(on, [("127.0.0.1", 1), ("::1", 1)])
    check_mock_listeners(auth_settings({}), [("0.0.0.0", 1)])
    for address in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(BadConfigError):
            check_mock_listeners(on, [("127.0.0.1", 1), (address, 1)])


def test_a_method_is_switched_off_by_its_name() -> None:
    auth = auth_settings(
        {"providers": {"near_wallet": False, "user_password": True}}, {"providers": {"passkey": False}}
    )

    assert auth.methods_off == {"near_wallet", "passkey"}
