import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import World, eventually

from meroid.errors import MeroidError
from meroid.service.authorship import KeyRotatedError, MembershipEndedError


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


def test_a_rotated_identity_goes_on_under_its_next_key_and_the_old_one_signs_no_more(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    two.call(context, laptop, "set", key="a", value="by the old key")

    following = two.running.rotation.rotate(two.me, context, laptop, two.at)
    two.call(context, following, "set", key="b", value="by the next key")

    eventually(lambda: one.call(context, founder, "entries") == {"a": "by the old key", "b": "by the next key"})
    with pytest.raises(KeyRotatedError):
        two.call(context, laptop, "set", key="c", value="by the old key again")
    assert two.running.contexts.owned(two.me, context) == [following]


def test_a_removal_by_the_name_of_the_old_key_removes_the_rotated_member(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    following = two.running.rotation.rotate(two.me, context, laptop, two.at)
    eventually(lambda: following in one.running.contexts.get(one.me, context).executors)

    one.running.contexts.remove(one.me, context, founder, laptop, one.at)

    assert one.running.contexts.get(one.me, context).executors == (founder,)


def test_a_rotation_outlives_a_restart(world: World) -> None:
    one = world.machine("one")
    context, founder = one.create(one.install())
    following = one.running.rotation.rotate(one.me, context, founder, one.at)

    one = world.restart(one)

    one.call(context, following, "set", key="a", value="1")
    assert one.call(context, following, "get", key="a") == "1"


def test_a_node_that_was_away_when_its_member_was_removed_learns_of_it_and_stops(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    world.network.partition(["one"], ["two"])
    one.call(context, founder, "set", key="a", value="while two is away")
    one.running.contexts.remove(one.me, context, founder, laptop, one.at)
    world.network.heal()

    with contextlib.suppress(MeroidError):
        two.running.contexts.sync(two.me, context)

    with pytest.raises(MembershipEndedError):
        two.call(context, laptop, "set", key="b", value="unheard")
    assert not two.running.contexts.may_read(two.me, context)
    with pytest.raises(MembershipEndedError):
        two.running.contexts.sync(two.me, context)
