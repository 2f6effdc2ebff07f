"""A person who watches contexts over `/ws` (`websockets` comes with the node)."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from examples.life.machines import Machine, StoryError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from meroid.client.answers import items_at, text_at, value_at

EVENT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame, and when it came by `time.monotonic`, which all programs of a machine share."""

    at: float
    frame: object


class Watcher:
    """One connection; what comes is kept, so that nothing is missed between two looks."""

    def __init__(self, machine: Machine) -> None:
        tokens = machine.tokens.load()
        if tokens is None:
            raise StoryError(f"{machine.person} is not signed in")
        self.machine = machine
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        self._socket = connect(
            f"ws://127.0.0.1:{machine.port}/ws",
            additional_headers={"Authorization": f"Bearer {tokens.access_token}"},
            proxy=None,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()
        self._reader.join()

    def subscribe(self, context_id: str) -> None:
        """Watch a context from now on; returns when the node has agreed."""
        request = {"id": 1, "method": "subscribe", "params": {"contextIds": [context_id]}}
        seen = self.count()
        self._socket.send(json.dumps(request))
        answer = self.wait(lambda frame: value_at(frame, "id") == 1, after=seen)
        if value_at(answer.frame, "result") is None:
            raise StoryError(f"{self.machine.node} does not let {self.machine.person} watch {context_id}")

    def count(self) -> int:
        """How many frames came so far."""
        with self._changed:
            return len(self._heard)

    def wait(self, match: Callable[[object], bool], *, after: int = 0) -> Heard:
        """The first frame that fits, now or when it comes."""
        until = time.monotonic() + EVENT_S
        with self._changed:
            while True:
                found = next((heard for heard in self._heard[after:] if match(heard.frame)), None)
                if found is not None:
                    return found
                if not self._changed.wait(until - time.monotonic()):
                    raise StoryError(
                        f"{self.machine.person} waited {EVENT_S:.0f} s for an event on {self.machine.node}"
                    )

    def wait_for_value(self, context_id: str, key: str, value: str) -> Heard:
        """The event that says that a key of the sample application has this value now."""
        return self.wait(lambda frame: (key, value) in _values(frame, context_id))

    def wait_for_end(self) -> Heard:
        """The news that the membership behind a subscription ended."""
        return self.wait(lambda frame: refusal_code(frame) == "membership_ended")

    def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for text in self._socket:
                heard = Heard(time.monotonic(), json.loads(text))
                with self._changed:
                    self._heard.append(heard)
                    self._changed.notify_all()


def refusal_code(frame: object) -> str:
    """The stable code of a refusal, or nothing."""
    error = value_at(frame, "error")
    return text_at(error, "meroid", "code") if isinstance(error, dict) and "meroid" in error else ""


def _values(frame: object, context_id: str) -> list[tuple[object, object]]:
    """The keys and values that a frame tells of."""
    result = value_at(frame, "result")
    if not isinstance(result, dict) or result.get("contextId") != context_id or "data" not in result:
        return []
    data = [json.loads(_octets(items_at(event, "data"))) for event in items_at(result, "data", "events")]
    return [(value_at(each, "key"), value_at(each, "value")) for each in data]


def _octets(numbers: list[object]) -> bytes:
    """Bytes, which are a list of numbers on the wire."""
    return bytes(number for number in numbers if isinstance(number, int))
