"""Who signs with a key of this node elsewhere is noticed: the key rotates before it signs again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import Machine, World, eventually

from meroid.account.client_keys import ClientKeys
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next, next_seq
from meroid.ledger.epoch import EnvelopeSealer, seal_data, topic
from meroid.ledger.operation import Delta, VerifiedOperation
from meroid.service.keyring import RestoredUnsyncedError


class Scene:
    """A founder and a laptop in one context; somebody else has the laptop's key too."""

    def __init__(self, world: World) -> None:
        self.founder, self.laptop = world.machine("founder"), world.machine("laptop")
        self.context_id, self.founder_key = self.founder.create(self.founder.install())
        self.key = self.founder.invite_and_join(self.laptop, self.context_id, self.founder_key)
        eventually(lambda: bool(self.laptop.node.replicas.get(self.context_id).applied))

    def stolen(self) -> VerifiedOperation:
        """A change that the thief signs with the laptop's key, on what the founder knows."""
        replica = self.founder.node.replicas.get(self.context_id)
        keys: ClientKeys = self.laptop.node.keys.own(self.laptop.me.account_id, self.key)
        epoch, epoch_key = replica.known_epochs()[0]
        seq = next_seq(replica.ledger, self.key)
        nonce, sealed = seal_data(self.context_id, epoch_key, self.key, seq, b"\xa0")
        operation = author_next(replica.ledger, keys, Delta(nonce=nonce, ciphertext=sealed), epoch=epoch)
        sealer = EnvelopeSealer(self.context_id, epoch_key)
        name = topic(self.context_id, epoch_key)
        self.founder.running.transport.publish(name, sealer.seal(operation.envelope))
        return operation

    def own(self) -> list[PublicKey]:
        return list(self.laptop.running.contexts.owned(self.laptop.me, self.context_id))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    world = World(tmp_path)
    yield Scene(world)
    world.close()


def write(machine: Machine, context_id: ContextId, key: PublicKey) -> None:
    machine.call(context_id, key, "set", key="k", value="v")


def test_a_key_that_somebody_else_signs_with_rotates_by_itself(scene: Scene) -> None:
    scene.stolen()

    eventually(lambda: scene.own() not in ([], [scene.key]))
    [following] = scene.own()
    write(scene.laptop, scene.context_id, following)
    eventually(lambda: following in scene.founder.node.replicas.get(scene.context_id).ledger.state.members)


def test_it_signs_nothing_before_that(scene: Scene) -> None:
    scene.laptop.running.returning.synced = lambda _: None  # type: ignore[assignment,method-assign]  # nobody answers meanwhile
    taken = scene.stolen()
    eventually(lambda: taken.operation_id in scene.laptop.node.replicas.get(scene.context_id).ledger)

    with pytest.raises(RestoredUnsyncedError):
        write(scene.laptop, scene.context_id, scene.key)


def test_its_owner_may_rotate_it_at_once(scene: Scene) -> None:
    scene.laptop.running.returning.synced = lambda _: None  # type: ignore[assignment,method-assign]  # as above
    taken = scene.stolen()
    eventually(lambda: taken.operation_id in scene.laptop.node.replicas.get(scene.context_id).ledger)

    laptop = scene.laptop
    following = laptop.running.rotation.rotate(laptop.me, scene.context_id, scene.key, laptop.at)

    write(laptop, scene.context_id, following)


def test_a_node_goes_on_by_itself_once_and_then_waits_for_its_owner(scene: Scene) -> None:
    scene.stolen()
    eventually(lambda: scene.own() not in ([], [scene.key]))
    scene.key = scene.own()[0]
    eventually(lambda: scene.key in scene.founder.node.replicas.get(scene.context_id).ledger.state.members)

    taken = scene.stolen()
    eventually(lambda: taken.operation_id in scene.laptop.node.replicas.get(scene.context_id).ledger)
    scene.laptop.running.contexts.sync(scene.laptop.me, scene.context_id)

    assert scene.own() == [scene.key]
    with pytest.raises(RestoredUnsyncedError):
        write(scene.laptop, scene.context_id, scene.key)


def test_what_a_member_signs_itself_hinders_nobody(scene: Scene) -> None:
    write(scene.laptop, scene.context_id, scene.key)
    scene.laptop.running.contexts.sync(scene.laptop.me, scene.context_id)
    write(scene.laptop, scene.context_id, scene.key)

    assert scene.laptop.node.keys.restored() == frozenset()
