"""Carrying bytes between nodes. Correctness never depends on it; the operations carry their own proof."""

from collections.abc import Callable, Sequence
from typing import Protocol

from meroid.errors import UnavailableError


class PeerUnreachableError(UnavailableError):
    """No answer came from that peer in time."""

    code = "peer_unreachable"
    next_step = "check that the other node runs and is reachable, then try again"


class Registration(Protocol):
    """Something that was declared and can be withdrawn."""

    def close(self) -> None: ...


class Transport(Protocol):
    """Publish, subscribe, ask, presence.

    A `topic` is 32 lower-case hex digits, a `handle` too; both are exact keys, never patterns.
    Callbacks run on the transport's own worker threads, one message of a topic at a time, and
    may block. Publishing never blocks the caller for longer than it takes to queue.
    """

    def publish(self, topic: str, payload: bytes) -> None: ...
    def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Registration: ...
    def serve(self, topic: str, handle: str, answer: Callable[[bytes], bytes | None]) -> Registration:
        """Be present under a topic and answer what is asked there; `None` gives no answer."""
        ...

    def ask(self, topic: str, handle: str, question: bytes, *, timeout_s: float) -> bytes:
        """Ask one peer.

        Raises:
            PeerUnreachableError: no answer within the time.
        """
        ...

    def present(self, topic: str) -> Sequence[str]:
        """Handles that serve this topic now, this node's own left out."""
        ...

    def watch(self, topic: str, changed: Callable[[str, bool], None]) -> Registration:
        """Call back with (handle, here) when a peer comes to the topic or goes."""
        ...

    def endpoints(self) -> Sequence[str]:
        """Addresses under which others can connect to this node, at most four."""
        ...

    def connect(self, endpoints: Sequence[str]) -> None:
        """Keep a connection to these addresses from now on; unreachable ones are retried."""
        ...

    def takes(self, endpoint: str) -> bool:
        """Whether a text is an address of the form that `connect` takes."""
        ...

    def peers(self) -> int:
        """Number of connected nodes."""
        ...

    def close(self) -> None: ...
