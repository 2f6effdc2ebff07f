"""A network in memory whose transports implement the real port, and misbehave on demand and on a seed."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meroid.service.ports.transport import PeerUnreachableError, Registration
from meroid.sync.endpoints import is_endpoint, parse_endpoint
from meroid.sync.errors import MessageTooLargeError, TransportClosedError
from meroid.sync.keys import ask_key, here_pattern, topic_key
from meroid.sync.limits import ANSWER_BYTES, MESSAGE_BYTES


@dataclass(kw_only=True)
class Misbehaviour:
    """Chances from 0 to 1 per delivered message; presence and answers are never falsified."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


@dataclass(eq=False)
class _Entry:
    """One registration: a subscription, a served handle or a watch."""

    network: "Network"
    owner: "SimulatedTransport"
    topic: str
    call: Callable[..., object]
    handle: str = ""
    seen: set[str] = field(default_factory=set)

    def close(self) -> None:
        self.network.withdraw(self)


class Network:
    """Nodes that reach each other when a chain of connections leads from one to the other.

    Without `start` nothing is delivered until `pump`, and then in an order that depends only on
    the seed. With `start` a thread pumps, as a real transport would.
    """

    def __init__(self, seed: int = 0) -> None:
        self.misbehaviour = Misbehaviour()
        self._random = random.Random(seed)
        self._nodes: dict[str, SimulatedTransport] = {}
        self._islands: list[frozenset[str]] = []
        self._queue: list[tuple[SimulatedTransport, SimulatedTransport, _Entry, bytes]] = []
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._pumping = threading.Lock()
        self._ended = False
        self._thread: threading.Thread | None = None

    def transport(self, name: str, connect: Sequence[str] = ()) -> "SimulatedTransport":
        """Open a node; one that was closed may come back under its name and address."""
        with self._lock:
            number = sorted({*self._nodes, name}).index(name)
            old = self._nodes.get(name)
            address = old.address if old else f"tcp/192.0.2.{1 + len(self._nodes)}:{7000 + number}"
            node = self._nodes[name] = SimulatedTransport(self, name, address, connect)
        self.wake()
        return node

    def partition(self, *islands: Sequence[str]) -> None:
        """Let nodes reach only their own island; nodes that aren't named are alone."""
        with self._lock:
            self._islands = [frozenset(island) for island in islands] or [frozenset()]
        self.wake()

    def heal(self) -> None:
        """End the partition."""
        with self._lock:
            self._islands = []
        self.wake()

    def start(self) -> None:
        """Deliver from a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name="simulated-network", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close all nodes."""
        for node in list(self._nodes.values()):
            node.close()
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)

    def pump(self) -> int:
        """Deliver everything that waits, and what that causes; the number of messages delivered."""
        delivered = 0
        with self._pumping:
            while True:
                self._tell_presence()
                with self._lock:
                    if not self._queue:
                        return delivered
                    source, target, entry, payload = self._queue.pop(self._next_index())
                    arrives = self.reachable(source, target) and entry in target.entries["subscribe"]
                if arrives:
                    _call(entry, payload)
                    delivered += 1

    def reachable(self, one: "SimulatedTransport", other: "SimulatedTransport") -> bool:
        """Whether a message gets from one to the other now."""
        with self._lock:
            return other in self._component(one)

    def neighbours(self, node: "SimulatedTransport") -> list["SimulatedTransport"]:
        """Nodes that this one reaches, itself left out."""
        with self._lock:
            return [other for other in self._component(node) if other is not node]

    def send(self, source: "SimulatedTransport", topic: str, payload: bytes) -> None:
        """Queue a message for every subscription within reach."""
        with self._lock:
            for target in self.neighbours(source):
                for entry in target.entries["subscribe"]:
                    if entry.topic == topic:
                        self._queue_copies(source, target, entry, payload)
        self.wake()

    def withdraw(self, entry: _Entry) -> None:
        """Forget a registration; a second time does nothing."""
        with self._lock:
            for entries in entry.owner.entries.values():
                if entry in entries:
                    entries.remove(entry)
        self.wake()

    def wake(self) -> None:
        """Let the thread look again."""
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(0.05)
            self._wake.clear()
            self.pump()

    def _queue_copies(
        self, source: "SimulatedTransport", target: "SimulatedTransport", entry: _Entry, payload: bytes
    ) -> None:
        chance = self.misbehaviour
        if chance.drop and self._random.random() < chance.drop:
            return
        copies = 2 if chance.duplicate and self._random.random() < chance.duplicate else 1
        self._queue.extend([(source, target, entry, payload)] * copies)

    def _next_index(self) -> int:
        if self.misbehaviour.reorder and self._random.random() < self.misbehaviour.reorder:
            return self._random.randrange(len(self._queue))
        return 0

    def _component(self, start: "SimulatedTransport") -> list["SimulatedTransport"]:
        by_address = {node.address: node for node in self._nodes.values() if not node.closed}
        if start.closed:
            return []
        found = [start]
        for node in found:
            for other in by_address.values():
                linked = other.address in node.connected or node.address in other.connected
                if linked and other not in found and self._same_island(start, other):
                    found.append(other)
        return found

    def _same_island(self, one: "SimulatedTransport", other: "SimulatedTransport") -> bool:
        return not self._islands or any(one.name in island and other.name in island for island in self._islands)

    def _tell_presence(self) -> None:
        changes: list[tuple[_Entry, str, bool]] = []
        with self._lock:
            for node in list(self._nodes.values()):
                for watch in node.entries["watch"]:
                    now = set(self.present(node, watch.topic))
                    changes += [(watch, handle, False) for handle in sorted(watch.seen - now)]
                    changes += [(watch, handle, True) for handle in sorted(now - watch.seen)]
                    watch.seen = now
        for watch, handle, here in changes:
            _call(watch, handle, here)

    def present(self, node: "SimulatedTransport", topic: str) -> list[str]:
        """Handles that others within reach serve under the topic."""
        with self._lock:
            found = {
                entry.handle
                for other in self.neighbours(node)
                for entry in other.entries["serve"]
                if entry.topic == topic
            }
            own = {entry.handle for entry in node.entries["serve"] if entry.topic == topic}
        return sorted(found - own)


class SimulatedTransport:
    """One node of a `Network`."""

    def __init__(self, network: Network, name: str, address: str, connect: Sequence[str]) -> None:
        self.name = name
        self.address = address
        self.connected = {str(parse_endpoint(text)) for text in connect}
        self.closed = False
        self.entries: dict[str, list[_Entry]] = {"subscribe": [], "serve": [], "watch": []}
        self._network = network

    def publish(self, topic: str, payload: bytes) -> None:
        topic_key(topic)
        _check_size(payload)
        if not self.closed:
            self._network.send(self, topic, bytes(payload))

    def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Registration:
        topic_key(topic)
        return self._register("subscribe", _Entry(self._network, self, topic, receive))

    def serve(self, topic: str, handle: str, answer: Callable[[bytes], bytes | None]) -> Registration:
        ask_key(topic, handle)
        return self._register("serve", _Entry(self._network, self, topic, answer, handle))

    def ask(self, topic: str, handle: str, question: bytes, *, timeout_s: float) -> bytes:
        ask_key(topic, handle)
        _check_size(question)
        entry = self._served(topic, handle)
        if entry is None:
            raise PeerUnreachableError("the peer gave no answer")
        said: list[object] = []
        answering = threading.Thread(target=lambda: said.append(_call(entry, bytes(question))), daemon=True)
        answering.start()
        answering.join(timeout_s)
        answer = said[0] if said else None
        if (
            not isinstance(answer, bytes)
            or len(answer) > ANSWER_BYTES.value
            or not self._network.reachable(entry.owner, self)
        ):
            raise PeerUnreachableError("the peer gave no answer")
        return answer

    def present(self, topic: str) -> Sequence[str]:
        here_pattern(topic)
        return self._network.present(self, topic)

    def watch(self, topic: str, changed: Callable[[str, bool], None]) -> Registration:
        here_pattern(topic)
        return self._register("watch", _Entry(self._network, self, topic, changed))

    def endpoints(self) -> Sequence[str]:
        return [self.address]

    def connect(self, endpoints: Sequence[str]) -> None:
        if self.closed:
            raise TransportClosedError("the transport is closed")
        self.connected |= {str(parse_endpoint(text)) for text in endpoints}
        self._network.wake()

    def takes(self, endpoint: str) -> bool:
        return is_endpoint(endpoint)

    def peers(self) -> int:
        return len(self._network.neighbours(self))

    def close(self) -> None:
        self.closed = True
        for entries in self.entries.values():
            for entry in list(entries):
                entry.close()
        self._network.wake()

    def _register(self, kind: str, entry: _Entry) -> Registration:
        if self.closed:
            raise TransportClosedError("the transport is closed")
        self.entries[kind].append(entry)
        self._network.wake()
        return entry

    def _served(self, topic: str, handle: str) -> _Entry | None:
        for other in self._network.neighbours(self):
            for entry in other.entries["serve"]:
                if (entry.topic, entry.handle) == (topic, handle):
                    return entry
        return None


def _call(entry: _Entry, *arguments: object) -> object:
    """Call back; a fault of the callback stays where it is, as with the real transport."""
    try:
        return entry.call(*arguments)
    except Exception:  # noqa: BLE001 - any fault of foreign code
        return None


def _check_size(message: bytes) -> None:
    if len(message) > MESSAGE_BYTES.value:
        raise MessageTooLargeError(f"a message has at most {MESSAGE_BYTES.value} bytes")
