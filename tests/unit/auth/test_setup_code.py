import re

import pytest
from hypothesis import given, strategies as st

from meroid.auth.setup_code import (
    WrongSetupCodeError,
    check_setup_code,
    new_setup_code,
    setup_code_hash,
    show_setup_code,
)
from meroid.keys.signer import Secret


def test_a_code_is_shown_in_groups_and_checked_however_it_is_typed() -> None:
    code = new_setup_code()
    text = show_setup_code(code)
    assert re.fullmatch(r"([A-Z2-7]{5}-){5}[A-Z2-7]", text)
    stored = setup_code_hash(code)
    for typed in (text, text.lower(), text.replace("-", ""), f"  {text} ", text.replace("-", " ")):
        check_setup_code(typed, stored)


@given(st.binary(min_size=16, max_size=16))
def test_digits_that_look_like_letters_are_read_as_letters(raw: bytes) -> None:
    code = Secret(raw)
    typed = show_setup_code(code).replace("O", "0").replace("I", "1").replace("B", "8")
    check_setup_code(typed, setup_code_hash(code))


@given(st.text(max_size=80))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(WrongSetupCodeError):
        check_setup_code(text, setup_code_hash(Secret(b"x" * 16)))


def test_without_a_stored_code_every_code_is_refused() -> None:
    with pytest.raises(WrongSetupCodeError):
        check_setup_code(show_setup_code(new_setup_code()), None)


def test_the_hash_is_not_the_code() -> None:
    code = new_setup_code()
    assert code.reveal() not in setup_code_hash(code)
