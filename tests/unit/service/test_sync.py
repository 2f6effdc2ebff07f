"""What a sync answers: a success only where nothing that can be known of is missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.node_world import World, eventually
from tests.served_node import network, served_node
from tests.trouble import trouble_bytecode

from meroid.ledger.ledger import Ledger
from meroid.service.authorship import MembershipEndedError
from meroid.service.catching_up import NobodyAnsweredError

NULL = b'{"data":null}'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_context_with_own_members_only_has_nobody_to_ask(world: World) -> None:
    one = world.machine("one")
    context, _ = one.create(one.install())

    one.running.contexts.sync(one.me, context)


def test_a_sync_that_no_member_answers_is_no_success(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    one.invite_and_join(two, context, founder)

    world.network.partition(["one"], ["two"])
    for machine in (one, two):
        with pytest.raises(NobodyAnsweredError):
            machine.running.contexts.sync(machine.me, context)
    world.network.heal()

    eventually(lambda: bool(two.running.transport.peers()))
    two.running.contexts.sync(two.me, context)


def test_who_was_removed_hears_it_from_a_sync(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    key = one.invite_and_join(two, context, founder)
    one.running.contexts.remove(one.me, context, founder, key, one.at)
    eventually(lambda: not two.running.contexts.may_read(two.me, context))

    with pytest.raises(MembershipEndedError):
        two.running.contexts.sync(two.me, context)


def test_who_is_removed_while_it_is_asked_whether_it_reads_gets_an_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world.machine("one")
    context, founder = one.create(one.install())
    state = one.running.replicas.get(context).ledger.state
    gone = replace(state, members={})
    states = itertools.chain([state], itertools.repeat(gone))
    monkeypatch.setattr(Ledger, "state", property(lambda _: next(states)))

    assert one.running.contexts.may_read(one.me, context)
    assert not one.running.contexts.may_read(one.me, context)
    assert founder in state.members


def test_over_http_a_sync_says_null_or_why_not(tmp_path: Path) -> None:
    with (
        network() as joined,
        served_node(tmp_path, joined, mode="proxy", name="one") as one,
        served_node(tmp_path, joined, mode="proxy", name="two") as two,
    ):
        application = one.install(trouble_bytecode())
        shared, kept = one.create(application), one.create(application)
        theirs = one.admit(two, shared)
        assert two.ask("POST", f"contexts/sync/{shared.context}").body == NULL
        assert one.ask("POST", "contexts/sync").body == NULL

        joined.partition(["one"], ["two"])
        for path in (f"contexts/sync/{shared.context}", "contexts/sync"):
            got = one.ask("POST", path)
            assert (got.status, got.code) == (503, "nobody_answered")
            assert got.json["next"]
        assert one.ask("POST", f"contexts/sync/{kept.context}").body == NULL
        joined.heal()

        removal = {"capabilities": [[theirs.key, "Member"]], "signer_id": shared.key}
        one.data("POST", f"contexts/{shared.context}/capabilities/revoke", removal)
        eventually(lambda: two.ask("POST", f"contexts/sync/{shared.context}").code == "membership_ended")
        assert two.ask("POST", f"contexts/sync/{shared.context}").status == 403
        assert two.ask("POST", "contexts/sync").body == NULL  # nothing is to come where one is no member any more
