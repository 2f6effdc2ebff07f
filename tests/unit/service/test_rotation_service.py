"""Rotations between nodes: who was away, invitations of before, and notices (`semantics.md` rule 11)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import World, eventually

from meroid.ids import OperationId
from meroid.ledger.authoring import author_next
from meroid.ledger.capability import Capability
from meroid.ledger.operation import Grant, Leave
from meroid.service.authorship import KeyRotatedError
from meroid.service.ports.content import AliasScope


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_member_who_was_away_during_a_rotation_learns_of_it(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    world.network.partition(["one"], ["two"])

    following = two.running.rotation.rotate(two.me, context, laptop, two.at)
    two.call(context, following, "set", key="a", value="by the next key")
    world.network.heal()

    eventually(lambda: one.call(context, founder, "get", key="a") == "by the next key", within_s=10)


def test_two_members_who_rotated_while_apart_find_each_other(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    world.network.partition(["one"], ["two"])

    next_laptop = two.running.rotation.rotate(two.me, context, laptop, two.at)
    next_founder = one.running.rotation.rotate(one.me, context, founder, one.at)
    world.network.heal()

    eventually(lambda: set(one.running.contexts.get(one.me, context).executors) == {next_laptop, next_founder}, 10)
    eventually(lambda: set(two.running.contexts.get(two.me, context).executors) == {next_laptop, next_founder}, 10)


def test_a_member_who_was_off_during_a_rotation_learns_of_it_after_both_restarted(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    world.network.partition(["one"], ["two"])
    following = two.running.rotation.rotate(two.me, context, laptop, two.at)
    one, two = world.restart(one), world.restart(two)
    world.network.heal()

    eventually(lambda: following in one.running.contexts.get(one.me, context).executors, within_s=10)


def test_an_invitation_of_before_a_rotation_lets_in(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    key, other = two.identity(), three.identity()
    named = one.running.joining.invite(one.me, context, founder, key, one.at)
    openly = one.running.joining.invite_openly(one.me, context, founder, 3600, one.at)

    following = one.running.rotation.rotate(one.me, context, founder, one.at)
    two.running.joining.join(two.me, named, key, salt=None, at=two.at)
    three.running.joining.join(three.me, openly.ticket, other, salt=openly.salt, at=three.at)

    eventually(lambda: set(one.running.contexts.get(one.me, context).executors) == {following, key, other})
    one.call(context, following, "set", key="a", value="for all")
    eventually(lambda: three.call(context, other, "get", key="a") == "for all")


def test_who_was_shown_its_removal_and_is_let_in_again_acts_at_once(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    one.running.contexts.remove(one.me, context, founder, laptop, one.at)
    replica = two.running.replicas.get(context)
    eventually(lambda: laptop not in replica.ledger.state.members)
    removal = next(cut.by.operation_id for cut in replica.ledger.state.cuts_of(laptop))
    replica.notices[laptop] = removal
    ticket = one.running.joining.invite(one.me, context, founder, laptop, one.at)

    two.running.joining.join(two.me, ticket, laptop, salt=None, at=two.at)

    two.call(context, laptop, "set", key="a", value="back")
    assert replica.noticed(laptop) is None
    replica.notices[laptop] = OperationId(bytes(32))
    assert replica.noticed(laptop) is not None


def test_aliases_follow_when_a_rotation_was_cut_short(world: World) -> None:
    one = world.machine("one")
    context, founder = one.create(one.install())
    following = one.running.rotation.rotate(one.me, context, founder, one.at)
    one.node.store.write(lambda tx: tx.aliases.add(AliasScope.IDENTITY, context, "me", founder))

    with pytest.raises(KeyRotatedError):
        one.running.rotation.rotate(one.me, context, founder, one.at)

    assert one.node.store.read(lambda tx: tx.aliases.list(AliasScope.IDENTITY, context)) == {"me": following}
    assert one.running.replicas.get(context).ledger.state.members[following].may(Capability.WRITE)


def test_a_rotation_after_a_fork_keeps_what_the_owner_wrote(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    one.running.returning.synced = lambda _: None  # type: ignore[assignment,method-assign]  # here its owner is faster
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    replica = one.running.replicas.get(context)
    stolen = one.node.keys.own(one.me.account_id, founder)
    bodies = [Grant(member=laptop, capability=each) for each in (Capability.INVITE, Capability.PROPOSE)]
    branches = [author_next(replica.ledger, stolen, body, epoch=None) for body in bodies]
    for branch in branches:
        one.running.replication._intake.take(replica, [branch], one.at)

    one.running.rotation.rotate(one.me, context, founder, one.at)

    assert [replica.ledger.verdict(branch.operation_id).code for branch in branches] == ["valid", "valid"]


def test_a_rotation_undoes_a_leave_that_a_thief_signed(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    two.running.returning.synced = lambda _: None  # type: ignore[assignment,method-assign]  # here its owner is faster
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    replica = two.running.replicas.get(context)
    leave = author_next(replica.ledger, two.node.keys.own(two.me.account_id, laptop), Leave(), epoch=None)
    for machine in (one, two):
        machine.running.replication._intake.take(machine.running.replicas.get(context), [leave], machine.at)
    assert laptop not in replica.ledger.state.members

    following = two.running.rotation.rotate(two.me, context, laptop, two.at)

    two.call(context, following, "set", key="a", value="still here")
    eventually(lambda: one.call(context, founder, "get", key="a") == "still here")
