"""The Zenoh adapter keeps the contract, between real sessions on the loopback interface."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import zenoh
from tests.contract.transport_contract import (
    ALICE,
    BOB,
    OTHER_TOPIC,
    TOPIC,
    Heard,
    Nodes,
    TransportContract,
    eventually,
    until_answered,
    until_heard,
)

from meroid.service.ports.transport import PeerUnreachableError, Transport
from meroid.sync.configuration import session_config
from meroid.sync.endpoints import parse_endpoint
from meroid.sync.errors import BadEndpointError, CannotListenError
from meroid.sync.keys import ask_key, here_key, topic_key
from meroid.sync.limits import ANSWER_BYTES, FRAME_BYTES, MESSAGE_BYTES, PRESENT_HANDLES
from meroid.sync.zenoh_transport import ZenohTransport


class ZenohNodes:
    def __init__(self) -> None:
        self.opened: list[Transport] = []

    def open(self, *connect: str) -> ZenohTransport:
        node = ZenohTransport(["tcp/127.0.0.1:0"], connect)
        self.opened.append(node)
        return node

    def open_again(self, closed: Transport) -> ZenohTransport:
        node = ZenohTransport(closed.endpoints())
        self.opened.append(node)
        return node

    def end(self) -> None:
        for node in self.opened:
            node.close()


class TestZenohTransport(TransportContract):
    @pytest.fixture
    def nodes(self) -> Iterator[Nodes]:
        nodes = ZenohNodes()
        yield nodes
        nodes.end()


@pytest.fixture
def node() -> Iterator[ZenohTransport]:
    with closing(ZenohTransport(["tcp/127.0.0.1:0"])) as node:
        yield node


@pytest.fixture
def stranger(node: ZenohTransport) -> Iterator[zenoh.Session]:
    """A program on the bus that keeps to no rule of ours."""
    session = zenoh.open(session_config((), [parse_endpoint(node.endpoints()[0])], local_discovery=None))
    assert eventually(lambda: node.peers() == 1)
    yield session
    session.close()  # type: ignore[no-untyped-call]


def put(session: zenoh.Session, key: str, payload: bytes) -> None:
    session.put(key, payload, congestion_control=zenoh.CongestionControl.BLOCK)


def until_stranger_is_heard(stranger: zenoh.Session, heard: Heard, *, topic: str = TOPIC) -> None:
    def speak() -> bool:
        put(stranger, topic_key(topic), b"hello")
        time.sleep(0.01)
        return bool(heard.messages)

    assert eventually(speak)
    time.sleep(0.1)
    heard.messages.clear()


def test_oversized_and_malformed_messages_are_dropped_and_the_next_one_arrives(
    node: ZenohTransport, stranger: zenoh.Session
) -> None:
    heard = Heard()
    node.subscribe(TOPIC, heard.message)
    until_stranger_is_heard(stranger, heard)

    put(stranger, topic_key(TOPIC), bytes(MESSAGE_BYTES.value))
    put(stranger, topic_key(TOPIC), bytes(MESSAGE_BYTES.value + 1))
    put(stranger, topic_key(TOPIC), bytes(FRAME_BYTES.value + 100_000))
    put(stranger, "meroid/**", b"to everybody")
    stranger.delete(topic_key(TOPIC))
    put(stranger, topic_key(TOPIC), b"fine")

    assert eventually(lambda: heard.messages[-1:] == [b"fine"])
    assert [len(message) for message in heard.messages] == [MESSAGE_BYTES.value, 4]
    assert node.losses()["incoming_oversized"] == 1


def test_nobody_hears_or_asks_with_a_pattern(node: ZenohTransport, stranger: zenoh.Session) -> None:
    overheard: list[str] = []
    asked: list[bytes] = []
    for pattern in ("**", "meroid/**", "meroid/*", "meroid/*/**"):
        stranger.declare_subscriber(pattern, lambda sample: overheard.append(str(sample.key_expr)))
        stranger.liveliness().declare_subscriber(
            pattern, lambda sample: overheard.append(str(sample.key_expr)), history=True
        )
    exact: list[str] = []
    stranger.declare_subscriber(topic_key(TOPIC), lambda sample: exact.append(str(sample.key_expr)))

    def answer(question: bytes) -> bytes:
        asked.append(question)
        return question

    node.serve(TOPIC, ALICE, answer)

    def spoken() -> bool:
        node.publish(TOPIC, b"secret?")
        return bool(exact)

    assert eventually(spoken)
    for pattern in ("**", "meroid/**", "meroid/*/ask/*", f"meroid/@{TOPIC}/ask/*"):
        assert list(stranger.get(pattern, timeout=1.0, payload=b"who is there")) == []
    replies = list(stranger.get(ask_key(TOPIC, ALICE), timeout=1.0, payload=b"by name"))
    assert len(replies) == 1
    assert asked == [b"by name"]
    assert overheard == []


def test_a_question_that_is_oversized_or_empty_is_not_handed_on(node: ZenohTransport, stranger: zenoh.Session) -> None:
    asked: list[int] = []

    def answer(question: bytes) -> bytes:
        asked.append(len(question))
        return b"yes"

    node.serve(TOPIC, ALICE, answer)
    key = ask_key(TOPIC, ALICE)
    assert eventually(lambda: len(list(stranger.get(key, timeout=1.0, payload=b"x"))) == 1)
    asked.clear()

    assert list(stranger.get(key, timeout=1.0, payload=bytes(MESSAGE_BYTES.value + 1))) == []
    assert list(stranger.get(key, timeout=1.0)) == []
    assert asked == []


@pytest.mark.parametrize("reply", ["error", "oversized", "deleted", "silent"])
def test_an_answer_that_is_none_counts_as_unreachable_within_the_time(
    node: ZenohTransport, stranger: zenoh.Session, reply: str
) -> None:
    key = ask_key(TOPIC, ALICE)
    held: list[zenoh.Query] = []

    def answer(query: zenoh.Query) -> None:
        if query.payload is not None and query.payload.to_bytes() == b"ready?":
            query.reply(key, b"ready")
        elif reply == "error":
            query.reply_err(b"no")
        elif reply == "oversized":
            query.reply(key, bytes(ANSWER_BYTES.value + 1))
        elif reply == "deleted":
            query.reply_del(key)
        else:
            held.append(query)
            return
        query.drop()  # type: ignore[no-untyped-call]

    stranger.declare_queryable(key, answer)
    assert until_answered(node, ALICE, b"ready?") == b"ready"

    start = time.monotonic()
    with pytest.raises(PeerUnreachableError):
        node.ask(TOPIC, ALICE, b"?", timeout_s=0.5)
    assert time.monotonic() - start < 1.0


def test_a_flood_of_presence_is_bounded_and_odd_handles_are_ignored(
    node: ZenohTransport, stranger: zenoh.Session
) -> None:
    heard = Heard()
    node.watch(TOPIC, heard.change)
    prefix = here_key(TOPIC, ALICE).removesuffix(ALICE)
    tokens = [stranger.liveliness().declare_token(prefix + name) for name in ("x", "A" * 32, "@" + "a" * 32)]
    tokens += [
        stranger.liveliness().declare_token(f"{prefix}{number:032x}") for number in range(PRESENT_HANDLES.value + 5)
    ]

    assert eventually(lambda: node.losses().get("handles_full") == 5)
    assert eventually(lambda: len(heard.changes) == PRESENT_HANDLES.value)
    assert len(node.present(TOPIC)) == PRESENT_HANDLES.value


def test_a_receiver_that_is_stuck_loses_messages_but_not_those_of_other_topics(
    node: ZenohTransport, stranger: zenoh.Session
) -> None:
    heard, stuck, release = Heard(), Heard(), threading.Event()

    def wait(payload: bytes) -> None:
        stuck.message(payload)
        release.wait(20)

    node.subscribe(OTHER_TOPIC, heard.message)
    until_stranger_is_heard(stranger, heard, topic=OTHER_TOPIC)
    node.subscribe(TOPIC, wait)

    def is_stuck() -> bool:
        put(stranger, topic_key(TOPIC), bytes(1_000_000))
        return bool(stuck.messages)

    assert eventually(is_stuck)

    for _ in range(100):
        put(stranger, topic_key(TOPIC), bytes(1_000_000))
    put(stranger, topic_key(OTHER_TOPIC), b"small")
    assert eventually(lambda: node.losses().get("incoming_full", 0) > 20)
    release.set()

    def hears_again() -> bool:
        put(stranger, topic_key(OTHER_TOPIC), b"after")
        return b"after" in heard.messages

    assert eventually(hears_again)


def test_nodes_of_one_neighbourhood_find_each_other_and_those_of_another_do_not() -> None:
    place = f"meroid tests {os.getpid()}"
    nodes = [ZenohTransport(["tcp/127.0.0.1:0"], local_discovery=name) for name in (place, place, place + " b", None)]
    first, second, other, hermit = nodes
    heard = {node: Heard() for node in nodes}
    try:
        for node in nodes:
            node.subscribe(TOPIC, heard[node].message)
        first.serve(TOPIC, ALICE, lambda question: question)
        assert eventually(lambda: first.peers() == second.peers() == 1)
        until_heard(first, heard[second])
        assert until_answered(second, ALICE) == b"?"

        time.sleep(1.5)

        for node in (other, hermit):
            assert node.peers() == 0
            assert node.present(TOPIC) == []
            assert heard[node].messages == []
        # What leads there is an address, as an invitation carries it.
        other.connect(first.endpoints())
        assert until_answered(other, ALICE) == b"?"
    finally:
        for node in nodes:
            node.close()


def test_it_listens_on_both_families_and_tells_concrete_addresses() -> None:
    with closing(ZenohTransport(["tcp/127.0.0.1:0", "tcp/[::1]:0"])) as node:
        four, six = (parse_endpoint(text) for text in node.endpoints())
        assert (four.host, six.host) == ("127.0.0.1", "::1")
        for address in (four, six):
            with closing(ZenohTransport([], [str(address)])) as other:
                assert eventually(lambda: other.peers() == 1)


def test_wildcards_of_both_families_share_a_port_and_are_told_as_addresses_of_the_machine() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with closing(ZenohTransport([f"tcp/0.0.0.0:{port}", f"tcp/[::]:{port}"])) as node:
        told = [parse_endpoint(text) for text in node.endpoints()]
        assert 1 <= len(told) <= 4
        assert all(address.port == port and address.host not in {"0.0.0.0", "::"} for address in told)
        for address in ("127.0.0.1", "[::1]"):
            with closing(ZenohTransport([], [f"tcp/{address}:{port}"])) as other:
                assert eventually(lambda: other.peers() == 1)


def test_a_port_in_use_is_refused_with_a_code() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(CannotListenError):
            ZenohTransport([f"tcp/127.0.0.1:{holder.getsockname()[1]}"])
    with pytest.raises(BadEndpointError):
        ZenohTransport(["udp/127.0.0.1:0"])


def test_the_interpreter_ends_although_nobody_closed_the_transport() -> None:
    script = "from meroid.sync.zenoh_transport import ZenohTransport; ZenohTransport(['tcp/127.0.0.1:0']).subscribe('a' * 32, print)"

    done = subprocess.run([sys.executable, "-c", script], timeout=20, check=False, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")


PEER = """
import sys
from meroid.sync.zenoh_transport import ZenohTransport
node = ZenohTransport(["tcp/127.0.0.1:0"], sys.argv[1:2])
node.subscribe(sys.argv[2], lambda payload: None)
node.serve(sys.argv[2], sys.argv[3], lambda question: question)
print(node.endpoints()[0], flush=True)
sys.stdin.read()
node.close()
"""


@pytest.fixture
def in_process(node: ZenohTransport) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start peers of the node in processes of their own."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", PEER, node.endpoints()[0], TOPIC, BOB]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_peer_that_is_killed_is_missed_and_its_successor_found(
    node: ZenohTransport, in_process: Callable[[], subprocess.Popen[bytes]]
) -> None:
    heard = Heard()
    node.watch(TOPIC, heard.change)
    peer = in_process()
    assert eventually(lambda: heard.changes == [(BOB, True)])
    assert until_answered(node, BOB) == b"?"

    peer.kill()

    assert eventually(lambda: heard.changes[1:] == [(BOB, False)])
    in_process()
    assert eventually(lambda: heard.changes[2:] == [(BOB, True)])
    assert until_answered(node, BOB) == b"?"


def test_a_peer_that_stalls_delays_no_caller_and_others_get_everything_in_the_end(
    node: ZenohTransport, in_process: Callable[[], subprocess.Popen[bytes]]
) -> None:
    peer = in_process()
    assert until_answered(node, BOB) == b"?"
    heard = Heard()
    with closing(ZenohTransport(["tcp/127.0.0.1:0"], node.endpoints())) as other:
        other.subscribe(TOPIC, heard.message)
        until_heard(node, heard)
        peer.send_signal(signal.SIGSTOP)

        start = time.monotonic()
        for number in range(30):
            node.publish(TOPIC, bytes([number]) * 1_000_000)
        assert time.monotonic() - start < 1.0
        with pytest.raises(PeerUnreachableError):
            node.ask(TOPIC, BOB, b"?", timeout_s=0.5)
        assert time.monotonic() - start < 2.0

        assert eventually(lambda: heard.messages[-1:] == [bytes([29]) * 1_000_000], within_s=15), [
            m[:1] for m in heard.messages
        ]
        assert [message[0] for message in heard.messages] == list(range(30))
        assert node.losses()["outgoing_stalled"] == 1


def test_closing_is_quick_even_while_a_peer_stalls(
    node: ZenohTransport, in_process: Callable[[], subprocess.Popen[bytes]]
) -> None:
    peer = in_process()
    assert until_answered(node, BOB) == b"?"
    peer.send_signal(signal.SIGSTOP)
    for _ in range(30):
        node.publish(TOPIC, bytes(1_000_000))
    time.sleep(0.2)

    start = time.monotonic()
    node.close()

    assert time.monotonic() - start < 1.1
    peer.kill()
