"""What happened in contexts, told to whoever listens on this node."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from meroid.ids import ContextId
from meroid.service.ports.runtime import GuestEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMutation:
    """The state of a context changed; `new_root` is 32 bytes."""

    context_id: ContextId
    new_root: bytes
    events: tuple[GuestEvent, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipEnded:
    """A membership of one of this node's identities ended in a context."""

    context_id: ContextId


Happening = StateMutation | MembershipEnded
Listener = Callable[[Happening], None]


class EventFeed:
    """Calls every listener for every happening, in the thread in which it happened; listeners must return at once."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._next = 0
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Listen from now on; call what is returned to stop."""
        with self._lock:
            number = self._next
            self._next += 1
            self._listeners = {**self._listeners, number: listener}

        def stop() -> None:
            with self._lock:
                self._listeners = {key: value for key, value in self._listeners.items() if key != number}

        return stop

    def tell(self, happening: Happening) -> None:
        """Tell all listeners."""
        for listener in self._listeners.values():
            listener(happening)
