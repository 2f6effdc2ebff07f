from hypothesis import given, strategies as st

from meroid.sync.limits import PRESENT_HANDLES
from meroid.sync.presence import Presence


def test_a_handle_is_told_once_however_often_it_is_seen() -> None:
    presence = Presence(lambda: None)

    assert presence.came("a")
    assert presence.came("a")

    assert presence.take() == [("a", True)]
    assert presence.take() == []


def test_one_that_went_and_came_back_is_told_as_both() -> None:
    presence = Presence(lambda: None)
    presence.came("a")
    presence.take()

    presence.all_went()
    presence.came("a")

    assert presence.take() == [("a", False), ("a", True)]


def test_more_handles_than_the_bound_are_refused() -> None:
    presence = Presence(lambda: None)

    assert all(presence.came(f"{number:032x}") for number in range(PRESENT_HANDLES.value))
    assert not presence.came("f" * 32)
    assert len(presence.here()) == PRESENT_HANDLES.value


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["came", "went", "take"]))))
def test_what_was_told_alternates_ends_with_the_truth_and_never_piles_up(steps: list[tuple[str, str]]) -> None:
    announced: list[None] = []
    presence = Presence(lambda: announced.append(None))
    told: dict[str, list[bool]] = {"a": [], "b": [], "c": []}

    def take() -> None:
        changes = presence.take()
        assert len(changes) <= 2 * len(told)
        assert not changes or announced
        announced.clear()
        for handle, here in changes:
            told[handle].append(here)

    for handle, step in steps:
        if step == "came":
            presence.came(handle)
        elif step == "went":
            presence.went(handle)
        else:
            take()
    take()

    for handle, changes in told.items():
        assert changes == [index % 2 == 0 for index in range(len(changes))]
        assert bool(changes and changes[-1]) == (handle in presence.here())
