"""The simulator keeps the contract, and misbehaves the same way for the same seed."""

from collections.abc import Iterator

import pytest
from tests.contract.transport_contract import ALICE, TOPIC, Heard, Nodes, TransportContract
from tests.simulators.transport import Misbehaviour, Network, SimulatedTransport

from meroid.service.ports.transport import PeerUnreachableError, Transport


class SimulatedNodes:
    def __init__(self) -> None:
        self.network = Network()
        self.network.start()
        self.count = 0

    def open(self, *connect: str) -> SimulatedTransport:
        self.count += 1
        return self.network.transport(f"node {self.count}", connect)

    def open_again(self, closed: Transport) -> SimulatedTransport:
        assert isinstance(closed, SimulatedTransport)
        return self.network.transport(closed.name)

    def end(self) -> None:
        self.network.stop()


class TestSimulatedTransport(TransportContract):
    @pytest.fixture
    def nodes(self) -> Iterator[Nodes]:
        nodes = SimulatedNodes()
        yield nodes
        nodes.end()


def talk(seed: int, misbehaviour: Misbehaviour) -> list[bytes]:
    network = Network(seed)
    network.misbehaviour = misbehaviour
    first = network.transport("first")
    second = network.transport("second", first.endpoints())
    heard = Heard()
    second.subscribe(TOPIC, heard.message)
    for number in range(100):
        first.publish(TOPIC, bytes([number]))
    network.pump()
    return heard.messages


def test_nothing_arrives_before_it_is_pumped() -> None:
    network = Network()
    first = network.transport("first")
    second = network.transport("second", first.endpoints())
    heard = Heard()
    second.subscribe(TOPIC, heard.message)
    first.publish(TOPIC, b"x")

    assert heard.messages == []
    assert network.pump() == 1
    assert heard.messages == [b"x"]


def test_the_same_seed_misbehaves_the_same_way() -> None:
    bad = Misbehaviour(drop=0.2, duplicate=0.2, reorder=0.5)

    assert talk(7, bad) == talk(7, bad)
    assert talk(7, bad) != talk(8, bad)


def test_it_drops_duplicates_and_reorders() -> None:
    in_order = [bytes([number]) for number in range(100)]

    assert talk(1, Misbehaviour()) == in_order
    dropped = talk(1, Misbehaviour(drop=0.5))
    assert 0 < len(dropped) < 100
    assert dropped == sorted(dropped)
    doubled = talk(1, Misbehaviour(duplicate=1.0))
    assert doubled == sorted(in_order * 2)
    shuffled = talk(1, Misbehaviour(reorder=1.0))
    assert shuffled != in_order
    assert sorted(shuffled) == in_order


def test_a_partition_cuts_messages_questions_and_presence_until_it_heals() -> None:
    network = Network()
    first = network.transport("first")
    second = network.transport("second", first.endpoints())
    heard = Heard()
    second.subscribe(TOPIC, heard.message)
    second.watch(TOPIC, heard.change)
    first.serve(TOPIC, ALICE, lambda question: question)
    network.pump()

    network.partition(["first"], ["second"])
    first.publish(TOPIC, b"lost")
    network.pump()
    with pytest.raises(PeerUnreachableError):
        second.ask(TOPIC, ALICE, b"?", timeout_s=1)
    network.heal()
    first.publish(TOPIC, b"found")
    network.pump()

    assert heard.messages == [b"found"]
    assert heard.changes == [(ALICE, True), (ALICE, False), (ALICE, True)]
    assert second.ask(TOPIC, ALICE, b"?", timeout_s=1) == b"?"
