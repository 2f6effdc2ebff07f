"""The settings of the auth service."""

from pathlib import Path

import pytest

from meroid.config import BadConfigError, load_settings
from meroid.config.auth import AuthSettings, auth_settings

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


def test_a_method_is_switched_off_by_its_name() -> None:
    auth = auth_settings(
        {"providers": {"near_wallet": False, "user_password": True}}, {"providers": {"passkey": False}}
    )

    assert auth.methods_off == {"near_wallet", "passkey"}
