"""Whole nodes, one of which is in the wrong hands: it drives its own store and keys directly."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.node_world import Machine, World, eventually

from meroid import limits
from meroid.account.client_keys import ClientKeys
from meroid.errors import MeroidError, UnavailableError
from meroid.ids import ContextId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next, next_seq
from meroid.ledger.epoch import EnvelopeSealer, compose_rekey, new_epoch_key, seal_data, topic
from meroid.ledger.operation import Body, Delta, Rekey, VerifiedOperation
from meroid.ledger.verify import sign_operation
from meroid.service import requests
from meroid.service.catching_up import ASK_S, SyncIncompleteError
from meroid.service.entry import IdentityBoundError
from meroid.service.execution import UninitializedError
from meroid.service.peering import BadPeerAnswerError, Channel, PeerRefusedError, ProvenAsker, ask_peer
from meroid.service.ports.transport import PeerUnreachableError
from meroid.service.replica import Replica
from meroid.service.tickets import door_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


class Villain:
    """A member's node whose owner uses keys and ledger without asking its services."""

    def __init__(self, machine: Machine, context_id: ContextId, key: PublicKey) -> None:
        self.machine = machine
        machine.running.returning.synced = lambda _: None  # type: ignore[assignment,method-assign]  # its node rotates nothing
        self.context_id = context_id
        self.keys: ClientKeys = machine.node.keys.own(machine.me.account_id, key)
        self.replica: Replica = machine.running.replicas.get(context_id)
        self.epoch, self.epoch_key = self.replica.known_epochs()[0]

    def sign(self, body: Body, **changes: object) -> VerifiedOperation:
        operation = author_next(self.replica.ledger, self.keys, body, epoch=self.epoch).operation
        return sign_operation(replace(operation, **changes), self.keys)  # type: ignore[arg-type]  # the fields' own

    def delta(self, artifact: bytes = b"\xa0", **changes: object) -> VerifiedOperation:
        seq = next_seq(self.replica.ledger, self.keys.public_key)
        nonce, ciphertext = seal_data(self.context_id, self.epoch_key, self.keys.public_key, seq, artifact)
        return self.sign(Delta(nonce=nonce, ciphertext=ciphertext), **changes)

    def exclusive_rekey(self) -> tuple[VerifiedOperation, bytes]:
        """An epoch of which only this member gets the key."""
        key = new_epoch_key()
        body = compose_rekey(
            context=self.context_id,
            key=key,
            author=self.keys.public_key,
            seq=next_seq(self.replica.ledger, self.keys.public_key),
            recipients=[(self.keys.public_key, self.keys.sealing.public)],
            previous=None,
        )
        return self.sign(body), key

    def publish(self, operations: Sequence[VerifiedOperation]) -> None:
        sealer = EnvelopeSealer(self.context_id, self.epoch_key)
        for operation in operations:
            self.machine.running.transport.publish(
                topic(self.context_id, self.epoch_key), sealer.seal(operation.envelope)
            )

    def ask(self, channel: Channel, request: object) -> object:
        return ask_peer(self.machine.running.transport, channel, self.keys, request, timeout_s=ASK_S)  # type: ignore[arg-type]


class Scene:
    """The founder's node, an honest member's, and a villain's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.one, self.two, self.three = (world.machine(name) for name in ("one", "two", "three"))
        self.context, self.founder = self.one.create(self.one.install())
        self.one.call(self.context, self.founder, "set", key="a", value="1")
        self.honest = self.one.invite_and_join(self.two, self.context, self.founder)
        self.key = self.one.invite_and_join(self.three, self.context, self.founder)
        eventually(lambda: self.ledger(self.two).heads() == self.ledger(self.one).heads())
        self.villain = Villain(self.three, self.context, self.key)

    def replica(self, machine: Machine) -> Replica:
        return machine.running.replicas.get(self.context)

    def ledger(self, machine: Machine):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return self.replica(machine).ledger

    def works(self) -> None:
        """Founder and honest member still write and read."""
        word = secrets.token_hex(4)
        self.one.call(self.context, self.founder, "set", key=word, value="one")
        eventually(lambda: self.two.call(self.context, self.honest, "get", key=word) == "one")
        self.two.call(self.context, self.honest, "set", key=word, value="two")
        eventually(lambda: self.one.call(self.context, self.founder, "get", key=word) == "two")


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def test_an_epoch_that_a_member_keeps_to_itself_stops_nobody(scene: Scene) -> None:
    rekey, key = scene.villain.exclusive_rekey()
    scene.villain.publish([rekey])
    eventually(lambda: rekey.operation_id in scene.ledger(scene.one))
    scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.honest, scene.one.at)
    scene.honest = scene.one.invite_and_join(scene.two, scene.context, scene.founder)
    later, _ = scene.villain.exclusive_rekey()
    scene.villain.publish([later])

    scene.works()
    assert key not in scene.replica(scene.one).epoch_keys.values()


def test_what_only_its_author_can_open_waits_and_makes_nobody_ask_for_ever(scene: Scene) -> None:
    rekey, key = scene.villain.exclusive_rekey()
    scene.villain.replica.ledger.add(rekey)
    assert isinstance(rekey.operation.body, Rekey)
    nonce, ciphertext = seal_data(scene.context, key, scene.key, rekey.operation.seq + 1, b"hidden")
    hidden = scene.villain.sign(Delta(nonce=nonce, ciphertext=ciphertext), epoch=rekey.operation.body.epoch)
    scene.villain.publish([rekey, hidden])
    eventually(lambda: hidden.operation_id in scene.replica(scene.two).waiting)
    with pytest.raises(SyncIncompleteError):
        scene.two.running.contexts.sync(scene.two.me, scene.context)
    scene.works()
    asked: list[str] = []
    transport = scene.two.running.transport
    ask = transport.ask

    def counted(topic: str, handle: str, question: bytes, *, timeout_s: float) -> bytes:
        asked.append(topic)
        return ask(topic, handle, question, timeout_s=timeout_s)

    transport.ask = counted  # type: ignore[method-assign]

    for number in range(5):
        scene.one.call(scene.context, scene.founder, "set", key="n", value=str(number))
    eventually(lambda: scene.two.call(scene.context, scene.honest, "get", key="n") == "4")

    assert not asked


@pytest.mark.parametrize("how", ["stolen prev", "no such parents", "other context", "garbage"])
def test_broken_operations_do_not_cost_the_others_their_replica(scene: Scene, how: str) -> None:
    before = scene.replica(scene.one)
    villain = scene.villain
    founders = scene.ledger(scene.one).last_of(scene.founder)
    broken = {
        "stolen prev": lambda: [villain.delta(prev=founders.operation_id, seq=founders.operation.seq + 1)],
        "no such parents": lambda: [villain.delta(parents=(OperationId(b"n" * 32),)) for _ in range(20)],
        "other context": lambda: [villain.delta(context=ContextId(b"o" * 32))],
        "garbage": lambda: [villain.delta(artifact=b"garbage")],
    }[how]()
    villain.publish(broken)

    scene.works()
    assert scene.replica(scene.one) is before


def test_a_former_member_fills_nobodys_memory_under_the_old_epoch(scene: Scene) -> None:
    flood = [scene.villain.delta(artifact=secrets.token_bytes(4)) for _ in range(200)]
    gaps = [scene.villain.delta(parents=(OperationId(secrets.token_bytes(32)),)) for _ in range(50)]
    scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.key, scene.one.at)
    eventually(lambda: scene.key not in scene.ledger(scene.two).state.members)
    size = len(scene.ledger(scene.two))

    scene.villain.publish([*flood, *gaps])

    scene.works()
    assert size < len(scene.ledger(scene.two)) < size + 100
    assert not scene.replica(scene.two).pending


def test_catching_up_works_though_hundreds_of_void_operations_lie_about(scene: Scene) -> None:
    flood = []
    base = scene.villain.delta().operation
    for _ in range(limits.PAGE_OPERATIONS.value + 50):
        nonce, ciphertext = seal_data(scene.context, scene.villain.epoch_key, scene.key, base.seq, b"\xa0")
        flood.append(scene.villain.sign(Delta(nonce=nonce, ciphertext=ciphertext)))
    scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.key, scene.one.at)
    intakes = {machine: machine.running.replication._intake for machine in (scene.one, scene.two)}
    for machine, intake in intakes.items():
        intake.take(scene.replica(machine), flood, machine.at)
    scene.world.network.partition(["one"], ["two"], ["three"])
    for number in range(3):
        scene.one.call(scene.context, scene.founder, "set", key="late", value=str(number))
    scene.world.network.heal()

    eventually(lambda: scene.two.call(scene.context, scene.honest, "get", key="late") == "2")
    scene.works()


def test_the_door_of_an_invitation_tells_others_nothing(scene: Scene) -> None:
    invitee = scene.two.identity()
    ticket = scene.one.running.joining.invite(scene.one.me, scene.context, scene.founder, invitee, scene.one.at)
    eventually(lambda: ticket.grant in scene.ledger(scene.three))
    scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.key, scene.one.at)
    door = door_of(ticket.grant)
    channel = Channel(
        context_id=scene.context,
        topic=door.topic,
        handle=door.handle,
        responder=scene.founder,
        sealing=ticket.sealing,
    )

    for request in (requests.ask_door(), requests.ask_door(bytes(64)), requests.ask_history(()), requests.ask_keys(())):
        with pytest.raises(PeerRefusedError):
            scene.villain.ask(channel, request)


def test_a_removed_key_does_not_walk_in_again_with_an_open_invitation(scene: Scene) -> None:
    opened = scene.one.running.joining.invite_openly(scene.one.me, scene.context, scene.founder, 3600, scene.one.at)
    scene.one.running.contexts.remove(scene.one.me, scene.context, scene.founder, scene.key, scene.one.at)

    with pytest.raises(MeroidError):
        scene.three.running.joining.join(scene.three.me, opened.ticket, scene.key, salt=opened.salt, at=scene.three.at)

    assert scene.key not in scene.ledger(scene.one).state.members


def test_an_open_invitation_lets_in_its_holder_and_not_who_has_another_secret(scene: Scene) -> None:
    opened = scene.one.running.joining.invite_openly(scene.one.me, scene.context, scene.founder, 3600, scene.one.at)
    four = scene.world.machine("four")
    key = four.identity()

    with pytest.raises(PeerRefusedError):
        four.running.joining.join(four.me, opened.ticket, key, salt=bytes(32), at=four.at)
    four.running.joining.join(four.me, opened.ticket, key, salt=opened.salt, at=four.at)

    eventually(lambda: key in scene.ledger(scene.one).state.members)
    assert four.call(scene.context, key, "get", key="a") == "1"


def test_a_second_identity_of_a_node_is_bound_to_the_context_that_it_joins(scene: Scene) -> None:
    second = scene.one.invite_and_join(scene.two, scene.context, scene.founder)
    elsewhere, founder = scene.one.create(scene.one.install())
    ticket = scene.one.running.joining.invite(scene.one.me, elsewhere, founder, second, scene.one.at)

    assert second in scene.two.running.contexts.owned(scene.two.me, scene.context)
    with pytest.raises(IdentityBoundError):
        scene.two.running.joining.join(scene.two.me, ticket, second, salt=None, at=scene.two.at)


def test_a_key_that_asked_to_join_is_bound_though_the_join_came_to_nothing(scene: Scene) -> None:
    key = scene.two.identity()
    ticket = scene.one.running.joining.invite(scene.one.me, scene.context, scene.founder, key, scene.one.at)
    scene.world.network.partition(["one"], ["two"], ["three"])

    with pytest.raises(PeerUnreachableError):
        scene.two.running.joining.join(scene.two.me, ticket, key, salt=None, at=scene.two.at)
    scene.world.network.heal()
    scene.two.running.joining.join(scene.two.me, ticket, key, salt=None, at=scene.two.at)

    assert key in scene.two.running.contexts.owned(scene.two.me, scene.context)


def test_deltas_that_come_before_the_application_wait_for_it(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    one.call(context, founder, "set", key="a", value="1")
    key = two.identity()
    ticket = one.running.joining.invite(one.me, context, founder, key, one.at)
    fetch = two.running.replication._catching_up._fetch_application
    lost = threading.Event()

    def once(replica: Replica, channel: Channel, keys: ClientKeys) -> None:
        if not lost.is_set():
            lost.set()
            raise PeerUnreachableError("the line broke")
        fetch(replica, channel, keys)

    two.running.replication._catching_up._fetch_application = once  # type: ignore[method-assign]
    with pytest.raises(PeerUnreachableError):
        two.running.joining.join(two.me, ticket, key, salt=None, at=two.at)
    with pytest.raises(UninitializedError):
        two.call(context, key, "get", key="a")
    one.call(context, founder, "set", key="b", value="2")

    two.running.contexts.sync(two.me, context)
    assert two.call(context, key, "entries") == {"a": "1", "b": "2"}


def test_two_nodes_that_repair_each_other_all_the_time_go_on(scene: Scene) -> None:
    done = threading.Event()

    def repair(machine: Machine) -> None:
        while not done.is_set():
            with contextlib.suppress(UnavailableError):
                machine.running.contexts.sync(machine.me, scene.context)

    threads = [threading.Thread(target=repair, args=(machine,)) for machine in (scene.one, scene.two)]
    for thread in threads:
        thread.start()
    for number in range(10):
        scene.one.call(scene.context, scene.founder, "set", key=f"one {number}", value="x")
        scene.two.call(scene.context, scene.honest, "set", key=f"two {number}", value="x")
    done.set()
    for thread in threads:
        thread.join(10)

    assert not any(thread.is_alive() for thread in threads)
    eventually(lambda: scene.one.root(scene.context) == scene.two.root(scene.context))


def test_a_peer_that_always_has_more_history_ends_up_unheard(scene: Scene) -> None:
    asked = []
    genesis = scene.villain.machine.node.store.read(lambda tx: next(tx.operations.scan(scene.context)).envelope)

    def endless(replica: Replica, asker: ProvenAsker) -> Value:
        del replica
        asked.append(asker.request)
        return {1: [genesis], 2: True, 3: len(asked)} if asker.request != {1: requests.KEYS} else {1: []}

    scene.three.running.replication._server.serve_member = endless  # type: ignore[method-assign]

    scene.two.running.contexts.sync(scene.two.me, scene.context)
    assert 0 < len(asked) < 50


@pytest.mark.parametrize("chunk", [b"", b"x" * 5])
def test_a_peer_whose_application_never_ends_is_left(world: World, chunk: bytes) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    key = two.identity()
    ticket = one.running.joining.invite(one.me, context, founder, key, one.at)
    one.running.replication._server._chunk = lambda *_: {1: chunk, 2: 2**60}  # type: ignore[method-assign]

    with pytest.raises(BadPeerAnswerError):
        two.running.joining.join(two.me, ticket, key, salt=None, at=two.at)
