import pytest

from meroid.auth.first_owner import Peer, host_name, is_direct

DIRECT = {"address": "127.0.0.1", "host": "localhost:2528"}


def peer(**changes: object) -> Peer:
    return Peer(**{**DIRECT, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"address": "::1", "host": "[::1]:2528"},
        {"address": "::ffff:127.0.0.1"},
        {"address": "127.5.5.5", "host": "127.5.5.5"},
        {"host": "LOCALHOST."},
        {"origin": "http://localhost:2528"},
        {"origin": "https://localhost:2528"},
    ],
)
def test_a_request_from_this_machine_is_direct(changes: dict[str, object]) -> None:
    assert is_direct(peer(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "192.168.0.5"},
        {"address": "203.0.113.7"},
        {"address": "::2"},
        {"address": ""},
        {"address": "unix"},
        {"via_proxy": True},
        {"forwarded": True},
        {"host": None},
        {"host": ""},
        {"host": "node.example:2528"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.nip.io"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "[::2]:80"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:2528.evil.example"},
        {"origin": ""},
    ],
)
def test_anything_else_is_not(changes: dict[str, object]) -> None:
    assert not is_direct(peer(**changes))


def test_a_host_header_gives_its_name() -> None:
    assert host_name("LocalHost:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("::1") == "::1"
