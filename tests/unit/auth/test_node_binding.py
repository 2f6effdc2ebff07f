"""Which host a token is for, and which requests come to it."""

import pytest

from meroid.auth.node_binding import WrongNodeError, check_node, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Node.Example:2528/app?x=1#y", "http://node.example:2528"),
        ("https://[::1]:2528", "https://[::1]:2528"),
        ("http://node_1/", "http://node_1"),
        ("http://node.example.", "http://node.example."),
        ("http://user:pass@host/", None),
        ("http://host:port/", None),
        ("http:///x", None),
        ("http://a b/", None),
        ("http://exämple.org", None),
        ("javascript:alert(1)", None),
        ("nightly backup", None),
        ("http://" + "a" * 3000, None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_reduced_to_its_origin(url: str | None, origin: str | None) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://node.example", "node.example"),
        ("http://node.example:2528", "NODE.Example"),
        ("http://node.example", "node.example:80"),
        ("https://node.example.", "node.example"),
        ("http://[2001:db8::1]:2528", "[2001:DB8:0::1]"),
        ("http://localhost:2528", "127.0.0.1:5"),
        ("http://[::1]", "localhost"),
        (None, "anything"),
        (None, None),
    ],
)
def test_a_request_to_the_same_host_passes(origin: str | None, host: str | None) -> None:
    check_node(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://node1", "node10"),
        ("http://node10", "node1"),
        ("http://node.example", "auth:node.example"),
        ("http://node.example", "auth:"),
        ("http://node.example", ""),
        ("http://node.example", None),
        ("http://node.example", "node.example.evil.example"),
        ("http://node1.127.0.0.1.nip.io", "node2.127.0.0.1.nip.io"),
        ("http://node1.127.0.0.1.nip.io", "127.0.0.1"),
        ("http://[2001:db8::1]", "[2001:db8::2]"),
        ("http://[2001:db8::1]", "2001"),
    ],
)
def test_a_request_to_another_host_is_refused(origin: str, host: str | None) -> None:
    with pytest.raises(WrongNodeError):
        check_node(origin, host)
