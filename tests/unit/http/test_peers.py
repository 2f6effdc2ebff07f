"""Addresses through proxies, host names and origins."""

import pytest

from meroid.auth.first_owner import is_direct
from meroid.http.peers import Proxies, host_name, is_loopback_name, origin_host


@pytest.mark.parametrize(
    ("socket_address", "forwarded_for", "expected"),
    [
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),  # an untrusted sender is believed nothing
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),  # what the client made up stands further left
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("", ["1.1.1.1"], ""),
    ],
)
def test_forwarded_addresses_count_from_trusted_proxies_only(
    socket_address: str, forwarded_for: list[str], expected: str
) -> None:
    assert Proxies(["10.0.0.0/8"]).client_address(socket_address, forwarded_for) == expected


def test_without_trusted_proxies_the_socket_is_the_address() -> None:
    peer = Proxies().peer("127.0.0.1", {"host": "localhost", "x-forwarded-for": "1.1.1.1"}, ["1.1.1.1"])
    assert (peer.address, peer.forwarded, peer.via_proxy) == ("127.0.0.1", True, False)
    for name in ("forwarded", "via", "x-forwarded-host", "x-real-ip"):
        assert Proxies().peer("127.0.0.1", {name: "x"}, []).forwarded
    assert not Proxies().peer("127.0.0.1", {"host": "x"}, []).forwarded


def test_a_trusted_proxy_is_remembered() -> None:
    assert Proxies(["127.0.0.1"]).peer("127.0.0.1", {"x-forwarded-for": "::1"}, ["::1"]).via_proxy


def test_a_network_that_is_none_fails_at_start() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Proxies(["nonsense"])


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.b:80", "a.b"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("a:b", None),
        ("a b", None),
        ("", None),
        ("[x]", None),
        ("a\x7f", None),
    ],
)
def test_host_headers_are_read_strictly(host: str, name: str | None) -> None:
    assert host_name(host) == name


def test_loopback_names_and_origins() -> None:
    assert all(map(is_loopback_name, ["localhost", "127.0.0.1", "127.1.2.3", "::1", "x.127.0.0.1.nip.io"]))
    assert not any(map(is_loopback_name, ["localhost.", "10.0.0.1", "x127.0.0.1.nip.io", "", "0.0.0.0", "nip.io"]))
    assert origin_host("HTTP://LocalHost:5") == "localhost"
    assert [
        origin_host(each) for each in ("null", "", "file://x", "http://[", "localhost", "http://localhost/\x7f")
    ] == [None] * 6


def test_old_http_is_that_of_a_proxy_which_does_not_say_so() -> None:
    headers = {"host": "127.0.0.1:2528"}  # as nginx sends it to 127.0.0.1:2528 where nothing was configured
    assert Proxies().peer("127.0.0.1", headers, [], http_version="1.0").forwarded
    assert not is_direct(Proxies().peer("127.0.0.1", headers, [], http_version="1.0"))
    assert is_direct(Proxies().peer("127.0.0.1", headers, [], http_version="1.1"))
