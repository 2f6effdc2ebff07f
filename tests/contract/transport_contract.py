"""What every implementation of the `Transport` port keeps; each one runs this suite."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from meroid.service.ports.transport import PeerUnreachableError, Transport
from meroid.sync.errors import BadEndpointError, BadTopicError, MessageTooLargeError, TransportClosedError
from meroid.sync.limits import ANSWER_BYTES, MESSAGE_BYTES

TOPIC = "0123456789abcdef" * 2
OTHER_TOPIC = "f" * 32
ALICE = "a" * 32
BOB = "b" * 32


class Nodes(Protocol):
    """How a suite makes nodes."""

    def open(self, *connect: str) -> Transport:
        """A new node that keeps a connection to these addresses."""
        ...

    def open_again(self, closed: Transport) -> Transport:
        """A closed node, again under its address, with no configured connection."""
        ...

    def end(self) -> None:
        """Close everything."""
        ...


def eventually(holds: Callable[[], bool], within_s: float = 8.0) -> bool:
    """Whether it holds at some moment within the time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Heard:
    """Keeps what a subscription or a watch was told."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.changes: list[tuple[str, bool]] = []

    def message(self, payload: bytes) -> None:
        self.messages.append(payload)

    def change(self, handle: str, here: bool) -> None:  # noqa: FBT001 - the port's signature
        self.changes.append((handle, here))


def until_heard(speaker: Transport, heard: Heard, topic: str = TOPIC) -> None:
    """Publish until the subscription hears it, then forget what it heard."""

    def speak() -> bool:
        speaker.publish(topic, b"are you there")
        time.sleep(0.01)
        return bool(heard.messages)

    assert eventually(speak)
    time.sleep(0.1)
    heard.messages.clear()


def until_answered(asker: Transport, handle: str, question: bytes = b"?") -> bytes:
    answers: list[bytes] = []

    def ask() -> bool:
        try:
            answers.append(asker.ask(TOPIC, handle, question, timeout_s=1.0))
        except PeerUnreachableError:
            return False
        return True

    assert eventually(ask)
    return answers[0]


class TransportContract:
    """Inherit and provide `nodes`."""

    @pytest.fixture
    def nodes(self) -> Iterator[Nodes]:
        raise NotImplementedError

    @pytest.fixture
    def pair(self, nodes: Nodes) -> tuple[Transport, Transport]:
        first = nodes.open()
        second = nodes.open(first.endpoints()[0])
        assert eventually(lambda: first.peers() == second.peers() == 1)
        return first, second

    def test_a_message_reaches_the_subscriber_of_its_topic_and_no_other(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        first, second = pair
        here, elsewhere = Heard(), Heard()
        second.subscribe(TOPIC, here.message)
        second.subscribe(OTHER_TOPIC, elsewhere.message)
        until_heard(first, here)

        first.publish(TOPIC, b"hello")

        assert eventually(lambda: here.messages == [b"hello"])
        assert elsewhere.messages == []

    def test_a_node_never_hears_itself(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        own, others = Heard(), Heard()
        first.subscribe(TOPIC, own.message)
        second.subscribe(TOPIC, others.message)
        until_heard(first, others)

        first.publish(TOPIC, b"echo?")

        assert eventually(lambda: others.messages == [b"echo?"])
        assert own.messages == []

    def test_a_withdrawn_subscription_hears_nothing_more(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        stays, leaves = Heard(), Heard()
        second.subscribe(TOPIC, stays.message)
        leaving = second.subscribe(TOPIC, leaves.message)
        until_heard(first, stays)
        leaving.close()
        leaving.close()
        leaves.messages.clear()

        first.publish(TOPIC, b"still there?")

        assert eventually(lambda: stays.messages == [b"still there?"])
        assert leaves.messages == []

    def test_a_burst_of_five_thousand_arrives_completely_and_in_order(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        heard = Heard()
        second.subscribe(TOPIC, heard.message)
        until_heard(first, heard)
        sent = [number.to_bytes(4) + bytes(500) for number in range(5_000)]

        for message in sent:
            first.publish(TOPIC, message)

        assert eventually(lambda: len(heard.messages) >= len(sent), within_s=30)
        assert heard.messages == sent

    def test_messages_of_a_topic_come_one_at_a_time_even_if_the_receiver_is_slow(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        first, second = pair
        ready, inside, overlaps, received = Heard(), threading.Lock(), [], []

        def receive(payload: bytes) -> None:
            ready.message(payload)
            if not inside.acquire(blocking=False):
                overlaps.append(payload)
                return
            time.sleep(0.005)
            received.append(payload)
            inside.release()

        second.subscribe(TOPIC, receive)
        until_heard(first, ready)
        assert eventually(lambda: inside.acquire(blocking=False))
        inside.release()
        received.clear()
        sent = [bytes([number]) for number in range(40)]

        for message in sent:
            first.publish(TOPIC, message)

        assert eventually(lambda: received[-1:] == sent[-1:])
        assert received[-40:] == sent
        assert overlaps == []

    def test_a_receiver_that_fails_gets_the_next_message(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        heard = Heard()

        def receive(payload: bytes) -> None:
            heard.message(payload)
            if payload == b"poison":
                raise ValueError("bad message")

        second.subscribe(TOPIC, receive)
        until_heard(first, heard)

        first.publish(TOPIC, b"poison")
        first.publish(TOPIC, b"good")

        assert eventually(lambda: heard.messages == [b"poison", b"good"])

    def test_a_question_is_answered_by_the_handle_it_names(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        first.serve(TOPIC, ALICE, lambda question: b"alice:" + question)
        first.serve(TOPIC, BOB, lambda question: b"bob:" + question)

        assert until_answered(second, ALICE) == b"alice:?"
        assert until_answered(second, BOB) == b"bob:?"

    def test_an_answer_may_fill_a_page(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        first.serve(TOPIC, ALICE, lambda _: bytes(ANSWER_BYTES.value))

        assert len(until_answered(second, ALICE, bytes(MESSAGE_BYTES.value))) == ANSWER_BYTES.value

    @pytest.mark.parametrize("answer", ["none", "fails", "oversized"])
    def test_a_peer_that_gives_no_proper_answer_counts_as_unreachable(
        self, pair: tuple[Transport, Transport], answer: str
    ) -> None:
        first, second = pair
        asked: list[bytes] = []

        def respond(question: bytes) -> bytes | None:
            asked.append(question)
            if answer == "fails":
                raise ValueError("no")
            return None if answer == "none" else bytes(ANSWER_BYTES.value + 1)

        first.serve(TOPIC, BOB, lambda _: b"ready")
        first.serve(TOPIC, ALICE, respond)
        until_answered(second, BOB)

        start = time.monotonic()
        with pytest.raises(PeerUnreachableError):
            second.ask(TOPIC, ALICE, b"?", timeout_s=0.5)
        assert time.monotonic() - start < 1.0
        assert asked

    def test_a_slow_answer_is_given_up_in_time_and_delays_neither_others_nor_messages(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        first, second = pair
        heard = Heard()
        release = threading.Event()
        first.serve(TOPIC, BOB, lambda question: question)
        first.serve(TOPIC, ALICE, lambda question: question if release.wait(5) else None)
        first.subscribe(TOPIC, heard.message)
        until_answered(second, BOB)
        until_heard(second, heard)

        start = time.monotonic()
        with pytest.raises(PeerUnreachableError):
            second.ask(TOPIC, ALICE, b"?", timeout_s=0.3)
        assert 0.25 < time.monotonic() - start < 0.8
        assert second.ask(TOPIC, BOB, b"quick", timeout_s=1) == b"quick"
        second.publish(TOPIC, b"meanwhile")
        assert eventually(lambda: heard.messages == [b"meanwhile"], within_s=1)
        release.set()

    def test_a_handle_that_nobody_serves_is_unreachable(self, pair: tuple[Transport, Transport]) -> None:
        start = time.monotonic()
        with pytest.raises(PeerUnreachableError):
            pair[0].ask(TOPIC, ALICE, b"?", timeout_s=0.5)
        assert time.monotonic() - start < 1.0

    def test_presence_lists_the_handles_of_others(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        first.serve(TOPIC, ALICE, lambda _: None)
        first.serve(OTHER_TOPIC, "c" * 32, lambda _: None)
        second.serve(TOPIC, BOB, lambda _: None)

        assert eventually(lambda: second.present(TOPIC) == [ALICE])
        assert eventually(lambda: first.present(TOPIC) == [BOB])

    def test_a_watch_tells_who_is_here_who_comes_and_who_goes(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        heard = Heard()
        early = first.serve(TOPIC, ALICE, lambda _: None)
        assert eventually(lambda: second.present(TOPIC) == [ALICE])

        watching = second.watch(TOPIC, heard.change)
        second.serve(TOPIC, "c" * 32, lambda _: None)
        assert eventually(lambda: heard.changes == [(ALICE, True)])
        late = first.serve(TOPIC, BOB, lambda _: None)
        assert eventually(lambda: heard.changes[1:] == [(BOB, True)])
        assert second.present(TOPIC) == [ALICE, BOB]
        early.close()
        assert eventually(lambda: heard.changes[2:] == [(ALICE, False)])

        watching.close()
        late.close()
        assert eventually(lambda: second.present(TOPIC) == [])
        assert len(heard.changes) == 3

    def test_a_peer_that_goes_is_missed_and_one_that_comes_back_is_heard_again(self, nodes: Nodes) -> None:
        first = nodes.open()
        second = nodes.open(first.endpoints()[0])
        changes, messages = Heard(), Heard()
        second.watch(TOPIC, changes.change)
        second.subscribe(TOPIC, messages.message)
        first.serve(TOPIC, ALICE, lambda question: question)
        assert eventually(lambda: changes.changes == [(ALICE, True)])

        first.close()

        assert eventually(lambda: changes.changes == [(ALICE, True), (ALICE, False)])
        start = time.monotonic()
        with pytest.raises(PeerUnreachableError):
            second.ask(TOPIC, ALICE, b"?", timeout_s=0.5)
        assert time.monotonic() - start < 1.0
        assert second.peers() == 0

        again = nodes.open_again(first)
        again.serve(TOPIC, ALICE, lambda question: question)
        assert eventually(lambda: changes.changes[2:] == [(ALICE, True)])
        assert until_answered(second, ALICE) == b"?"
        until_heard(again, messages)

    def test_a_peer_of_a_peer_is_reached_without_being_configured(self, nodes: Nodes) -> None:
        middle = nodes.open()
        left = nodes.open(middle.endpoints()[0])
        right = nodes.open(middle.endpoints()[0])
        heard = Heard()
        right.subscribe(TOPIC, heard.message)
        right.serve(TOPIC, ALICE, lambda question: question)

        assert eventually(lambda: left.peers() == right.peers() == 2)
        until_heard(left, heard)
        assert until_answered(left, ALICE) == b"?"

    def test_connecting_while_running_keeps_what_was_registered(self, nodes: Nodes) -> None:
        first, second, third = nodes.open(), nodes.open(), nodes.open()
        heard, changes = Heard(), Heard()
        first.subscribe(TOPIC, heard.message)
        first.serve(TOPIC, ALICE, lambda question: question)
        first.watch(TOPIC, changes.change)
        second.serve(TOPIC, BOB, lambda question: question)

        first.connect(second.endpoints())
        until_heard(second, heard)
        assert until_answered(second, ALICE) == b"?"
        assert eventually(lambda: changes.changes == [(BOB, True)])
        first.connect(second.endpoints())
        first.connect(third.endpoints())

        until_heard(third, heard)
        assert until_answered(third, ALICE) == b"?"
        until_heard(second, heard)
        assert eventually(lambda: first.present(TOPIC) == [BOB])
        assert changes.changes[-1] == (BOB, True)
        assert eventually(lambda: first.peers() == 2)

    def test_an_address_that_is_down_is_retried(self, nodes: Nodes) -> None:
        first = nodes.open()
        address = first.endpoints()
        first.close()
        second = nodes.open()
        second.connect(address)
        time.sleep(0.3)
        assert second.peers() == 0

        again = nodes.open_again(first)

        assert eventually(lambda: again.peers() == second.peers() == 1)

    @pytest.mark.parametrize("bad", ["", "*", "**", "a" * 31, "A" * 32, "g" * 32, "a" * 32 + "\n", "a" * 31 + "/"])
    def test_a_topic_or_handle_of_another_form_is_refused(self, nodes: Nodes, bad: str) -> None:
        node = nodes.open()
        attempts: list[Callable[[], object]] = [
            lambda: node.publish(bad, b""),
            lambda: node.subscribe(bad, lambda _: None),
            lambda: node.serve(bad, ALICE, lambda _: None),
            lambda: node.serve(TOPIC, bad, lambda _: None),
            lambda: node.ask(bad, ALICE, b"", timeout_s=1),
            lambda: node.ask(TOPIC, bad, b"", timeout_s=1),
            lambda: node.present(bad),
            lambda: node.watch(bad, lambda _, __: None),
        ]
        for attempt in attempts:
            with pytest.raises(BadTopicError) as refused:
                attempt()
            assert refused.value.code == "bad_topic"

    def test_a_message_that_peers_would_drop_is_refused(self, nodes: Nodes) -> None:
        node = nodes.open()
        with pytest.raises(MessageTooLargeError):
            node.publish(TOPIC, bytes(MESSAGE_BYTES.value + 1))
        with pytest.raises(MessageTooLargeError):
            node.ask(TOPIC, ALICE, bytes(MESSAGE_BYTES.value + 1), timeout_s=1)

    @pytest.mark.parametrize(
        "bad", ["", "tcp/", "udp/192.0.2.1:1", "tcp/192.0.2.1", "tcp/192.0.2.1:0", "tcp/a:1#iface=lo"]
    )
    def test_an_address_of_another_form_is_refused(self, nodes: Nodes, bad: str) -> None:
        with pytest.raises(BadEndpointError):
            nodes.open().connect([bad])

    def test_closing_is_quick_and_a_second_time_does_nothing(self, pair: tuple[Transport, Transport]) -> None:
        first, second = pair
        first.subscribe(TOPIC, lambda _: time.sleep(3))
        first.serve(TOPIC, ALICE, lambda _: None)
        second.publish(TOPIC, b"keeps a worker busy")
        time.sleep(0.1)

        start = time.monotonic()
        first.close()
        first.close()

        assert time.monotonic() - start < 1.0
        first.publish(TOPIC, b"goes nowhere")
        assert first.peers() == 0
        assert first.present(TOPIC) == []
        with pytest.raises(PeerUnreachableError):
            first.ask(TOPIC, BOB, b"?", timeout_s=0.2)
        with pytest.raises(TransportClosedError):
            first.subscribe(TOPIC, lambda _: None)
        with pytest.raises(TransportClosedError):
            first.connect(second.endpoints())
