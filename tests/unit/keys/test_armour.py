"""Text armour: what comes back, and what is refused."""

import pytest
from hypothesis import given, strategies as st
from tests.account_cast import code_of

from meroid.errors import MeroidError
from meroid.keys.armour import armour, unarmour


@given(st.binary(max_size=300))
def test_any_bytes_come_back_in_short_lines(data: bytes) -> None:
    text = armour("MEROID TEST", data)
    assert max(map(len, text.splitlines())) <= 64
    assert text.isascii()
    assert unarmour("MEROID TEST", text, most=300) == data


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(MeroidError):
        unarmour("MEROID TEST", text, most=300)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.removesuffix("-----END MEROID TEST-----\n"),
        lambda text: text.replace("TEST", "PROOF"),
        lambda text: "x" + text,
        lambda text: text.replace("\n", "\n!", 1),
        lambda text: text.replace("=", ""),
        lambda text: text + text,
        lambda text: text * 100,
        lambda text: "-----BEGIN MEROID TEST-----",
    ],
)
def test_a_text_that_was_cut_or_changed_is_refused(spoil: object) -> None:
    assert callable(spoil)
    text = armour("MEROID TEST", b"four")
    assert code_of(lambda: unarmour("MEROID TEST", spoil(text), most=300)) == "bad_armour"


def test_more_than_the_bound_is_refused() -> None:
    assert code_of(lambda: unarmour("MEROID TEST", armour("MEROID TEST", bytes(301)), most=300)) == "bad_armour"
