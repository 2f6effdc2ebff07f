"""The chain of the audit trail: whatever is changed in it shows, and where."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import pytest
from hypothesis import given, strategies as st

from meroid.account.audit import (
    Action,
    Actor,
    AuditBrokenError,
    AuditEvent,
    AuditHead,
    ChainedEvent,
    chain,
    verify_chain,
)
from meroid.ids import AccountId

EVENT = AuditEvent(
    at=1_800_000_000_000,
    action=Action.TOKEN_MINT,
    by=Actor(account_id=AccountId(b"a" * 32), key_id="root-1", address="203.0.113.7"),
    method="user_password",
    target="key-1",
    details={"permissions": "context:list"},
)
OTHER = {
    "at": EVENT.at + 1,
    "action": Action.TOKEN_REVOKE,
    "by": Actor(account_id=AccountId(b"b" * 32), key_id="root-1", address="203.0.113.7"),
    "outcome": "forbidden",
    "method": None,
    "target": "key-2",
    "details": {},
    "left_out": 1,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
events = st.builds(
    AuditEvent,
    at=st.integers(0, 2**53),
    action=st.sampled_from(Action),
    by=st.builds(
        Actor,
        account_id=st.none() | st.binary(min_size=32, max_size=32).map(AccountId),
        key_id=st.none() | texts,
        address=st.none() | texts,
    ),
    outcome=texts,
    method=st.none() | texts,
    target=st.none() | texts,
    details=st.dictionaries(texts, texts, max_size=3),
    left_out=st.integers(0, 2**53),
)


def chained(trail: Sequence[AuditEvent]) -> list[ChainedEvent]:
    head, found = AuditHead(), []
    for each in trail:
        found.append(chain(head, each))
        head = found[-1].head
    return found


def test_the_hash_of_an_event_never_changes() -> None:
    """If this fails, change the code and not the test: kept heads would not hold any more."""
    assert chain(AuditHead(), EVENT).digest.hex() == "8705fadb1b7b89f5cca19edbe401bfcad03e9af4c30cc11a32785ee2d89d9338"


@given(st.lists(events, max_size=6), st.data())
def test_an_untouched_trail_verifies_from_the_beginning_and_from_any_kept_head(
    trail: list[AuditEvent], data: st.DataObject
) -> None:
    whole = chained(trail)
    end = whole[-1].head if whole else AuditHead()
    assert verify_chain(whole) == end
    cut = data.draw(st.integers(0, len(whole)))
    assert verify_chain(whole[cut:], after=verify_chain(whole[:cut])) == end


@given(st.lists(events, min_size=2, max_size=6, unique_by=lambda each: each.at), st.data())
def test_every_change_shows_and_is_named(trail: list[AuditEvent], data: st.DataObject) -> None:
    whole = chained(trail)
    place = data.draw(st.integers(0, len(whole) - 2))
    changes: dict[str, Callable[[], list[ChainedEvent]]] = {
        "left out": lambda: [*whole[:place], *whole[place + 1 :]],
        "moved": lambda: [*whole[:place], whole[place + 1], whole[place], *whole[place + 2 :]],
        "changed": lambda: [
            *whole[:place],
            replace(whole[place], event=replace(whole[place].event, outcome="other" + whole[place].event.outcome)),
            *whole[place + 1 :],
        ],
        "twice": lambda: [*whole[:place], whole[place], *whole[place:]],
    }
    with pytest.raises(AuditBrokenError) as broken:
        verify_chain(changes[data.draw(st.sampled_from(sorted(changes)))]())
    assert broken.value.sequence in {place + 1, place + 2}


@pytest.mark.parametrize("name", [each.name for each in fields(AuditEvent)])
def test_every_field_is_covered(name: str) -> None:
    changed = replace(EVENT, **{name: OTHER[name]})  # type: ignore[arg-type]
    assert chain(AuditHead(), changed).digest != chain(AuditHead(), EVENT).digest


def test_a_rewritten_trail_doesnt_follow_a_head_that_was_kept() -> None:
    kept = verify_chain(chained([EVENT, EVENT]))
    rewritten = chained([EVENT, replace(EVENT, outcome="forbidden"), EVENT])
    with pytest.raises(AuditBrokenError) as broken:
        verify_chain(rewritten[2:], after=kept)
    assert broken.value.sequence == 3
