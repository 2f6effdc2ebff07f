"""Laws of what the ledger keeps up to date instead of searching for it: it equals the search."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, given, settings, strategies as st
from tests.cast import Person, Story

from meroid.ids import OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import NotAMemberError
from meroid.ledger.capability import Capability
from meroid.ledger.graph import MissingAncestorsError, Node
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import VerifiedOperation

ACTIONS = ("write", "rekey", "remove", "leave", "hear", "fork")
MOVES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(ACTIONS), st.integers(0, 3), st.integers(0, 30)), max_size=24
)
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def history(moves: list[tuple[int, str, int, int]]) -> list[VerifiedOperation]:
    """People write, remove and fork on what each has heard so far; so some build on what turns out void."""
    story = Story("ann", "bob", "cat")
    story.tell(story.founder.grant(story["ann"], Capability.MANAGE_MEMBERS))
    people = [story.founder, *story.people.values()]
    for actor, action, target, choice in moves:
        with contextlib.suppress(NotAMemberError):
            act(story, people[actor], action, people[target], choice)
    return story.said


def act(story: Story, person: Person, action: str, other: Person, choice: int) -> None:
    match action:
        case "write":
            story.said.append(person.write())
        case "rekey":
            story.said.append(person.rekey())
        case "remove":
            story.said.append(person.remove(other))
        case "leave":
            story.said.append(person.leave())
        case "fork":
            twin = Person(person.name)
            twin.hear([each for each in story.said if each.operation_id in person.ledger])
            story.said += [twin.write("one"), person.write("other")]
        case _:
            person.hear(story.said[: max(1, choice * len(story.said) // 30)])


def below(ledger: Ledger, node: Node) -> list[Node]:
    """All ancestors of a node, oldest first."""
    found: dict[OperationId, Node] = {}
    stack = [node]
    while stack:
        for parent in ledger.graph.parents(stack.pop().operation):
            if parent not in found:
                found[parent] = ledger.graph[parent]
                stack.append(found[parent])
    return sorted(found.values(), key=lambda each: each.index)


def top_valid(ledger: Ledger) -> set[OperationId]:
    """Valid operations that are below no valid one."""
    valid = [node for node in ledger.graph if ledger.verdict(node.operation_id).valid]
    covered = {each.operation_id for node in valid for each in below(ledger, node)}
    return {node.operation_id for node in valid} - covered


def last_said(nodes: list[Node], key: PublicKey) -> set[OperationId]:
    own = [node for node in nodes if node.author == key]
    followed = {node.operation.prev for node in own}
    return {node.operation_id for node in own} - followed


@SLOW
@given(MOVES, st.randoms(use_true_random=False))
def test_heads_and_last_operations_equal_a_search_after_every_operation(
    moves: list[tuple[int, str, int, int]], random: object
) -> None:
    genesis, *waiting = history(moves)
    ledger = Ledger(genesis)
    random.shuffle(waiting)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    while waiting:
        for operation in list(waiting):
            try:
                ledger.add(operation)
            except MissingAncestorsError:
                continue
            waiting.remove(operation)
            if not len(waiting) % 3:  # asked for now and then, so that it grows in between
                assert set(ledger.heads()) == top_valid(ledger)
    nodes = list(ledger.graph)
    keys = {node.author for node in nodes}

    for key in keys:
        last = ledger.last_of(key)
        assert last is not None
        assert last.operation.seq == max(node.operation.seq for node in nodes if node.author == key)
    for node in nodes:
        past = below(ledger, node)
        for key in keys:
            assert set(ledger.graph.last_in_past(node, key)) == last_said(past, key)
    assert set(ledger.heads()) == top_valid(ledger)
