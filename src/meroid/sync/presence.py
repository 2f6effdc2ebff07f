"""Who is here under one topic, and which comings and goings were not told yet."""

import threading
from collections.abc import Callable

from meroid.sync.limits import PRESENT_HANDLES


class Presence:
    """Comings and goings of handles, kept until they are told.

    Nothing is lost that matters and nothing grows: per handle at most two changes wait, so one
    that went and came back is told as both (whoever listens then closes the gap), and one that
    flickers is told once.
    """

    def __init__(self, announce: Callable[[], object]) -> None:
        self._announce = announce
        self._here: set[str] = set()
        self._untold: dict[str, list[bool]] = {}
        self._lock = threading.Lock()

    def here(self) -> list[str]:
        """Handles that are here now."""
        with self._lock:
            return sorted(self._here)

    def came(self, handle: str) -> bool:
        """Note a handle; false when there are too many already."""
        with self._lock:
            if handle in self._here:
                return True
            if len(self._here) >= PRESENT_HANDLES.value:
                return False
            self._here.add(handle)
            first = self._note(handle, here=True)
        if first:
            self._announce()
        return True

    def went(self, handle: str) -> None:
        """Note that a handle is gone."""
        with self._lock:
            if handle not in self._here:
                return
            self._here.discard(handle)
            first = self._note(handle, here=False)
        if first:
            self._announce()

    def all_went(self) -> None:
        """Note that this node lost every connection."""
        for handle in self.here():
            self.went(handle)

    def take(self) -> list[tuple[str, bool]]:
        """Changes that were not told yet, oldest first; they count as told."""
        with self._lock:
            untold, self._untold = self._untold, {}
        return [(handle, here) for handle, changes in untold.items() for here in changes]

    def _note(self, handle: str, *, here: bool) -> bool:
        """Add a change; true when it is the first that waits."""
        first = not self._untold
        changes = self._untold.setdefault(handle, [])
        if len(changes) == 2:
            changes.pop()
        else:
            changes.append(here)
        return first
