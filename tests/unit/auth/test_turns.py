"""Turns: nobody takes more than their own, and nothing is kept of who left."""

from contextlib import ExitStack

import pytest

from meroid.auth.turns import TurnsPerAddress


def test_one_address_takes_no_more_than_its_turns_and_others_have_theirs() -> None:
    turns = TurnsPerAddress(2)
    with ExitStack() as stack:
        assert [stack.enter_context(turns.turn("a")) for _ in range(3)] == [True, True, False]
        assert stack.enter_context(turns.turn("b"))
        assert all(stack.enter_context(turns.turn("")) for _ in range(9)), "who has no address isn't counted"
    with turns.turn("a") as given:
        assert given


def test_a_turn_ends_however_its_block_ends() -> None:
    turns = TurnsPerAddress(1)

    def fail() -> None:
        with turns.turn("a") as given:
            assert given
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert not turns._taken
