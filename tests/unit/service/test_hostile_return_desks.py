"""What a hostile or stale node at the return desk can make a returning node do."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.node_world import World, eventually
from tests.unit.service.test_returning import Restored, Shared

from meroid.keys.public import PublicKey
from meroid.ledger.state import Member
from meroid.service.catching_up import SyncReport


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def shared(world: World) -> Shared:
    return Shared(world)


def test_a_desk_that_names_another_context_binds_no_key_to_it(shared: Shared) -> None:
    """A fellow member knows key and sealing key; it answers with a context of its own."""
    world, seed = shared.world, shared.backup()[0]
    shared.lose_laptop()
    liar = world.machine("liar")
    other, _ = liar.create(liar.install())
    member = shared.founder.node.replicas.get(shared.context_id).ledger.state.members[shared.laptop_key]
    lies = liar.node.replicas.get(other)
    with lies.lock:  # the liar's desk takes the member of the true context for one of its own
        cast("dict[PublicKey, Member]", lies.ledger.state.members)[shared.laptop_key] = member
    world.network.partition(["liar", "again"])

    again = Restored(world, "again", seed, None, [])
    again.running.returning.look(liar.running.transport.endpoints())
    assert again.node.replicas.find(other) is None
    world.network.heal()
    found = again.running.returning.look(shared.founder.running.transport.endpoints())

    assert shared.context_id in [each.context_id for each in found if each.key is not None]


def test_all_desks_in_reach_are_heard_before_a_key_is_rotated(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """One member slept since before the last write; what the other one knows is honoured."""
    world = shared.world
    stale = world.machine("a-stale")
    shared.founder.invite_and_join(stale, shared.context_id, shared.founder_key)
    eventually(lambda: stale.root(shared.context_id) == shared.founder.root(shared.context_id))
    eventually(lambda: len(shared.laptop.node.replicas.get(shared.context_id).ledger.state.members) == 3)
    seed, contents = shared.backup()
    world.network.partition(["founder", "laptop"], ["a-stale"])
    rotated = shared.laptop.running.rotation.rotate(
        shared.laptop.me, shared.context_id, shared.laptop_key, shared.laptop.at
    )
    shared.write(shared.laptop, rotated, "later")
    eventually(lambda: shared.founder.call(shared.context_id, shared.founder_key, "get", key="k") == "later")
    shared.lose_laptop()
    asleep = SyncReport(asked=0, answered=0, received=0, complete=True)
    monkeypatch.setattr(stale.running.replication, "repair", lambda *_: asleep)
    world.network.partition(["a-stale", "again", "founder"])

    again = Restored(world, "again", seed, contents, [])
    transport = again.running.transport
    first = stale.running.returning._place
    present = transport.present
    monkeypatch.setattr(transport, "present", lambda topic: sorted(present(topic), key=lambda place: place != first))
    again.running.returning.look([*stale.running.transport.endpoints(), *shared.founder.running.transport.endpoints()])

    eventually(lambda: again.root(shared.context_id) == shared.founder.root(shared.context_id))
    ledger = shared.founder.node.replicas.get(shared.context_id).ledger
    assert shared.founder.call(shared.context_id, shared.founder_key, "get", key="k") == "later"
    now = ledger.state.key_now(shared.laptop_key)
    assert now not in {shared.laptop_key, rotated}
    assert ledger.state.suspensions.get(now) is None
