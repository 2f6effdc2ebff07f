from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import World, eventually

from meroid.service.authorship import MembershipEndedError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_three_nodes_share_state_and_a_removed_member_is_cut_off(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    one.call(context, founder, "set", key="a", value="1")

    laptop = one.invite_and_join(two, context, founder)
    phone = one.invite_and_join(three, context, founder)
    two.call(context, laptop, "set", key="b", value="2")

    eventually(lambda: three.call(context, phone, "entries") == {"a": "1", "b": "2"})
    eventually(lambda: one.root(context) == two.root(context) == three.root(context))

    one.running.contexts.remove(one.me, context, founder, laptop, one.at)
    one.call(context, founder, "set", key="c", value="3")

    eventually(lambda: three.call(context, phone, "get", key="c") == "3")
    eventually(lambda: not two.running.contexts.may_read(two.me, context))
    with pytest.raises(MembershipEndedError):
        two.call(context, laptop, "set", key="d", value="4")
    assert three.call(context, phone, "get", key="b") == "2"


def test_a_node_that_joined_by_invitation_finds_the_others_again_after_a_restart(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)

    two = world.restart(two)
    one.call(context, founder, "set", key="a", value="while you were away")

    eventually(lambda: two.call(context, laptop, "get", key="a") == "while you were away")
