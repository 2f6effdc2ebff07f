"""WebSockets of a whole node: hostile frames, readers that don't read, and what is left afterwards."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.node_world import eventually
from tests.served_node import Member, ServedNode, network, served_node
from tests.trouble import trouble_bytecode
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from meroid import limits
from meroid.access.decide import Resource
from meroid.access.principal import Principal
from meroid.http import events_api, protocol
from meroid.ids import AccountId, ApplicationId, ContextId
from meroid.service.feed import MembershipEnded, StateMutation
from meroid.service.ports.runtime import GuestEvent

ID = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just(ID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANY_FRAME = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 2**65) | ANY_JSON,
        "method": st.sampled_from(["subscribe", "unsubscribe"]) | ANY_JSON,
        "params": st.fixed_dictionaries({}, optional={"contextIds": st.lists(st.just(ID)) | ANY_JSON}) | ANY_JSON,
    },
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as served:
        yield served


@pytest.fixture(scope="module")
def home(node: ServedNode) -> Member:
    return node.create(node.install(trouble_bytecode()))


@contextmanager
def listening(node: ServedNode, *contexts: str) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{node.server.port}/ws?token={node.token}") as connection:
        if contexts:
            ask(connection, 0, "subscribe", contexts)
            assert said(connection) == {"id": 0, "result": {"contextIds": [*contexts]}}
        yield connection


def ask(connection: ClientConnection, number: Any, method: Any, contexts: Any) -> None:
    connection.send(json.dumps({"id": number, "method": method, "params": {"contextIds": contexts}}))


def said(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(timeout=10))


def open_connections(node: ServedNode) -> int:
    return len(node.server.server._server.server_state.connections)


def left(node: ServedNode) -> tuple[int, int]:
    """Listeners and tasks of the server that are still there."""
    return len(node.running.feed._listeners), len(node.server.server._server.server_state.tasks)


# --- frames ---


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\xff",
        b'{"id":1,"method":"unsubscribe","params":{"contextIds":[]}}',
        "",
        "nonsense",
        "{",
        "[]",
        "null",
        "5",
        '{"id":"1","method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":-1,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":1.5,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":true,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":[],"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":18446744073709551616,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":1,"id":1,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":NaN,"method":"unsubscribe","params":{"contextIds":[]}}',
        '{"id":1,"method":"\\ud800"}',
        '{"id":1,"method":"unsubscribe","params":' + "[" * 10_000 + "]" * 10_000 + "}",
    ],
    ids=lambda frame: repr(frame)[:40],
)
def test_what_is_no_frame_is_dropped(node: ServedNode, frame: str | bytes) -> None:
    with listening(node) as connection:
        connection.send(frame)
        ask(connection, 2, "unsubscribe", [])
        assert said(connection) == {"id": 2, "result": {"contextIds": []}}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("publish", {"contextIds": []}),
        ("", {"contextIds": []}),
        (None, {"contextIds": []}),
        (5, {"contextIds": []}),
        (["subscribe"], {"contextIds": []}),
        ("subscribe", None),
        ("subscribe", []),
        ("subscribe", {}),
        ("subscribe", {"contextIds": None}),
        ("subscribe", {"contextIds": ID}),
        ("subscribe", {"contextIds": [5]}),
        ("subscribe", {"contextIds": [None]}),
        ("subscribe", {"contextIds": ["x"]}),
        ("subscribe", {"contextIds": [f"{ID}\n"]}),
        ("unsubscribe", {"contextIds": ["x"]}),
        ("subscribe", {"contextIds": [ID] * 257}),
        ("unsubscribe", {"contextIds": [ID] * 1000}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_unknown_method_or_bad_params_are_a_parse_error(node: ServedNode, method: Any, params: Any) -> None:
    with listening(node) as connection:
        for number in (7, None, 2**64 - 1):
            connection.send(json.dumps({"id": number, "method": method, "params": params}))
            answer = said(connection)
            assert answer["id"] == number
            assert answer["error"]["type"] == "ParseError"
            assert isinstance(answer["error"]["data"], str)
            assert len(answer["error"]["data"]) < 200


def test_a_frame_without_method_or_params_is_a_parse_error(node: ServedNode) -> None:
    with listening(node) as connection:
        for frame in ('{"id":1}', '{"id":1,"method":"subscribe"}', "{}"):
            connection.send(frame)
            assert said(connection)["error"]["type"] == "ParseError"


def test_ten_thousand_contexts_are_too_many(node: ServedNode) -> None:
    with listening(node) as connection:
        ask(connection, 1, "subscribe", [ID] * 10_000)
        assert said(connection)["error"]["type"] == "ParseError"
        ask(connection, 2, "unsubscribe", [ID] * 256)
        assert said(connection)["result"] == {"contextIds": [ID] * 256}


def test_a_message_larger_than_the_server_takes_closes_the_socket(node: ServedNode) -> None:
    # what the client still sends meets a closed socket, and the reset can swallow the last frame on its way
    codes = [code_after_a_giant(node) for _ in range(8)]

    assert set(codes) <= {None, 1009}
    assert 1009 in codes


def code_after_a_giant(node: ServedNode) -> int | None:
    with listening(node) as connection:
        connection.send("x" * (2 * 1024 * 1024))
        assert said(connection)["error"]["type"] == "ParseError"
        with contextlib.suppress(ConnectionClosed):  # it may be closed while this is still being sent
            connection.send("x" * (5 * 1024 * 1024))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=10)
        return None if closed.value.rcvd is None else closed.value.rcvd.code


def test_text_that_is_not_utf8_closes_the_socket(node: ServedNode) -> None:
    raw = RawSocket(node)
    raw.send_frame(0x1, b'{"id":1,"method":"\xff"}')
    assert raw.closing_code() == 1007
    raw.close()


def test_a_fragmented_message_is_read_as_one(node: ServedNode) -> None:
    with listening(node) as connection:
        connection.send(iter(['{"id":1,"method":"unsub', 'scribe","params":{"cont', 'extIds":[]}}']))
        assert said(connection) == {"id": 1, "result": {"contextIds": []}}


def test_a_flood_of_frames_is_answered_in_order(node: ServedNode, home: Member) -> None:
    with listening(node) as connection:
        answers: list[int] = []
        reading = threading.Thread(target=lambda: answers.extend(said(connection)["id"] for _ in range(500)))
        reading.start()
        for number in range(500):
            ask(connection, number, "subscribe" if number % 2 else "unsubscribe", [home.context])
        reading.join(30)
        assert answers == list(range(500))


@settings(max_examples=100, deadline=None)
@given(frames=st.lists(st.text(max_size=200) | st.binary(max_size=200) | ANY_FRAME.map(json.dumps), max_size=5))
def test_no_frame_ends_the_connection(node: ServedNode, home: Member, frames: list[str | bytes]) -> None:
    with listening(node, home.context) as connection:
        for frame in frames:
            connection.send(frame)
        ask(connection, "end", "x", [])  # dropped, as its id is a text
        ask(connection, 4242, "unsubscribe", [])
        while True:
            answer = said(connection)
            if answer == {"id": 4242, "result": {"contextIds": []}}:
                return
            assert "error" in answer or "result" in answer


# --- readers that don't read ---


class RawSocket:
    """A WebSocket by hand, that reads only when it is told to."""

    def __init__(self, node: ServedNode) -> None:
        self._connection = socket.socket()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._connection.settimeout(20)
        self._connection.connect(("127.0.0.1", node.server.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self._connection.sendall(
            f"GET /ws?token={node.token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")

    def send_frame(self, opcode: int, data: bytes) -> None:
        assert len(data) < 65536
        length = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data))
        self._connection.sendall(bytes([0x80 | opcode]) + length + bytes(4) + data)  # a mask of zeros

    def send_frame_often(self, opcode: int, data: bytes) -> None:
        for _ in range(2_000_000):
            self.send_frame(opcode, data)

    def subscribe(self, context: str) -> None:
        frame = {"id": 1, "method": "subscribe", "params": {"contextIds": [context]}}
        self.send_frame(0x1, json.dumps(frame).encode())
        assert "result" in json.loads(self.text())

    def text(self) -> str:
        """The next text frame; the server's pings between are left unanswered."""
        while True:
            opcode, length = self._exactly(2)
            if length > 125:
                length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
            data = self._exactly(length)
            if opcode == 0x81:
                return data.decode()

    def closing_code(self) -> int:
        """The code of the closing frame, which must be the next."""
        opcode, length = self._exactly(2)
        assert opcode & 0x0F == 0x8
        return int.from_bytes(self._exactly(length)[:2], "big")

    def close(self) -> None:
        self._connection.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self._connection.recv(count - len(data))
        return data


def shout(node: ServedNode, home: Member, number: int = 1) -> None:
    """Something happened, with large events; each number makes another frame."""
    events = tuple(GuestEvent("kind", bytes(16 * 1024)) for _ in range(20))
    context_id = ContextId.parse(home.context)
    node.running.feed.tell(StateMutation(context_id=context_id, new_root=bytes([number]) * 32, events=events))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOCKET_STALL", limits.SOCKET_STALL._replace(value=1))
    monkeypatch.setattr(limits, "SOCKET_QUEUE", limits.SOCKET_QUEUE._replace(value=2_000_000))
    monkeypatch.setattr(protocol, "_CLOSING_S", 0.5)
    monkeypatch.setattr(events_api, "_FAREWELL_S", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("queue", [2_000_000, 1_000_000_000])  # its queue overflows; it stalls with room left there
def test_a_reader_that_takes_nothing_is_cut_off(
    node: ServedNode, home: Member, queue: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SOCKET_QUEUE", limits.SOCKET_QUEUE._replace(value=queue))
    before, times = left(node), 60
    slow = RawSocket(node)
    slow.subscribe(home.context)
    with listening(node, home.context) as fast:
        for number in range(times):
            shout(node, home, number)
            assert said(fast)["result"]["type"] == "StateMutation"
        eventually(lambda: open_connections(node) == 1)  # while the slow one still reads nothing
        shout(node, home)
        assert said(fast)["result"]["type"] == "StateMutation"
    slow.close()
    eventually(lambda: left(node) == before)


@pytest.mark.usefixtures("impatient")
def test_a_client_that_pings_and_never_reads_is_cut_off(node: ServedNode) -> None:
    before = left(node)
    pinging = RawSocket(node)
    with pytest.raises((ConnectionError, TimeoutError)):
        pinging.send_frame_often(0x9, b"x" * 125)
    eventually(lambda: open_connections(node) == 0)
    pinging.close()
    eventually(lambda: left(node) == before)


@pytest.mark.usefixtures("impatient")
def test_a_reader_that_was_slow_for_a_moment_stays(node: ServedNode, home: Member) -> None:
    slow = RawSocket(node)
    slow.subscribe(home.context)
    for number in range(3):
        shout(node, home, number)
    time.sleep(0.3)
    frames = [json.loads(slow.text()) for _ in range(3)]
    assert [frame["result"]["type"] for frame in frames] == ["StateMutation"] * 3
    time.sleep(1.5)  # longer than it may stall
    assert node.call(home, "commit_small").json["result"] == {"output": None}
    assert json.loads(slow.text())["result"]["contextId"] == home.context
    slow.close()


def test_nothing_is_left_of_sockets_that_went(node: ServedNode, home: Member) -> None:
    eventually(lambda: open_connections(node) == 0 and left(node) == (0, 0))  # what earlier tests closed is gone
    before = left(node)
    for number in range(20):
        raw = RawSocket(node)
        if number % 2:
            raw.subscribe(home.context)
        if number % 3:
            raw.send_frame(0x8, struct.pack("!H", 1000))
        raw.close()
    eventually(lambda: left(node) == before)
    eventually(lambda: open_connections(node) == 0)
    assert node.ask("GET", "health").status == 200


def test_stopping_the_server_ends_subscriptions(tmp_path_factory: pytest.TempPathFactory) -> None:
    with network() as joined, served_node(tmp_path_factory.mktemp("other"), joined, mode="proxy") as node:
        member = node.create(node.install(trouble_bytecode()))
        with listening(node, member.context) as connection:
            node.server.server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(timeout=15)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        eventually(lambda: left(node)[0] == 0)
        shout(node, member)  # to nobody, after the loop is gone


# --- a membership that ends while it is looked at ---


class Looking:
    """Contexts whose membership ends during a look at them, and a gate that lets everything through."""

    def __init__(self) -> None:
        self.subscriber: Any = None
        self.member = True
        self.looks = 0

    def may_read(self, principal: Principal, context_id: ContextId) -> bool:
        self.looks += 1
        seen = self.member
        if self.looks == 1:  # the answer was yes; the membership ends before the caller hears it
            self.member = False
            self.subscriber.hear(MembershipEnded(context_id=context_id))
        return seen

    def application_of(self, context_id: ContextId) -> ApplicationId | None:
        return None

    def sees(self, principal: Principal, resource: Resource) -> bool:
        return True


def test_a_membership_that_ends_while_it_is_looked_at_gives_no_subscription() -> None:
    async def play() -> bytes:
        looking = Looking()
        nobody = Principal.node(AccountId(bytes(32)))
        contexts: Any = looking
        subscriber = events_api._Subscriber(nobody, contexts, contexts, asyncio.get_running_loop())
        looking.subscriber = subscriber
        await subscriber._obey(json.dumps({"id": 1, "method": "subscribe", "params": {"contextIds": [ID]}}))
        assert subscriber._subscribed == set()
        assert looking.looks == 2
        return subscriber.outbox._frames.popleft()

    answer = json.loads(asyncio.run(play()))
    assert answer["error"]["meroid"]["code"] == "not_a_reader"
