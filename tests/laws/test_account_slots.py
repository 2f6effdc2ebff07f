"""A device's slots are found again after a restore, however many, in memory that doesn't grow."""

import resource
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings, strategies as st
from tests.account_cast import seed_of

from meroid import limits
from meroid.keys.public import PublicKey

DEVICE = seed_of("owner").device(3)
MOST_UNBOUND = limits.UNBOUND_IDENTITIES.value


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, MOST_UNBOUND + 1), st.integers(1, 4)), max_size=6))
def test_every_used_slot_is_found_with_its_latest_generation(steps: list[tuple[int, int]]) -> None:
    used: dict[int, int] = {}
    slot = -1
    for skipped, generations in steps:
        slot += skipped
        used[slot] = generations
    members = {
        DEVICE.client_keys(slot=slot, generation=generation).public_key
        for slot, generations in used.items()
        for generation in range(generations)
    }
    found = [keys.path for keys in DEVICE.used_slots(members.__contains__)]
    assert {path.slot: path.generation + 1 for path in found} == used
    assert [path.slot for path in found] == sorted(used)


def test_nothing_is_found_where_nothing_was_used_and_the_search_ends() -> None:
    asked: list[PublicKey] = []
    assert list(DEVICE.used_slots(lambda key: bool(asked.append(key)))) == []  # type: ignore[func-returns-value]
    assert len(asked) == MOST_UNBOUND + 1


def first(count: int) -> Callable[[PublicKey], bool]:
    """Says yes to the first generation of so many slots, and knows none of their keys."""
    asked = 0

    def is_used(key: PublicKey) -> bool:
        nonlocal asked
        asked += 1
        # Each used slot is asked about twice: its first generation, then the next one.
        return asked % 2 == 1 and asked < 2 * count

    return is_used


def test_a_hundred_thousand_slots_are_restored_in_bounded_memory() -> None:
    count = 0
    early = late = 0
    for keys in DEVICE.used_slots(first(100_000)):
        count += 1
        assert keys.path.slot == count - 1
        if count == 5_000:
            early = resident_bytes()
    late = resident_bytes()
    assert count == 100_000
    assert late - early < 4 * 1024 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
