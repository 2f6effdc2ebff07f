"""Addresses of nodes."""

import pytest

from meroid.client.address import NodeAddress
from meroid.client.failures import BadAddressError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:2528", "http://127.0.0.1:2528/"),
        ("HTTP://Node.Example:80/", "http://node.example/"),
        ("https://node.example:443/a/b/", "https://node.example/a/b"),
        ("http://[::1]:2528", "http://[::1]:2528/"),
    ],
)
def test_an_address_is_shown_in_its_normal_form(text: str, shown: str) -> None:
    assert str(NodeAddress.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node.example",
        "ftp://node.example",
        "http://",
        "http://:80",
        "http://a:99999",
        "http://user:pw@a",
        "http://a/?q=1",
        "http://a/#f",
        "http://a b",
        "http://a\r\nX: y",
        "http://[::1",
        "http://ä.example",
        "http://" + "a" * 3000,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError):
        NodeAddress.parse(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(BadAddressError) as caught:
        NodeAddress.parse("http://user:hunter2@a")

    assert "hunter2" not in caught.value.reason


def test_the_names_of_loopback_are_one_place() -> None:
    here = NodeAddress.parse("http://localhost:2528")

    assert here.is_same_place(NodeAddress.parse("http://127.0.0.1:2528/x"))
    assert not here.is_same_place(NodeAddress.parse("http://127.0.0.1:2529"))
    assert not here.is_same_place(NodeAddress.parse("http://node.example:2528"))
