"""How much of something scarce one caller may hold at the same time."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

FREE_OF_TURNS: Final = ""
"""Who asks without an address, as for the first owner at `merod init`, isn't counted."""


class TurnsPerAddress:
    """At most so many turns at once for one address group; for any thread. It keeps only who has a turn now."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, address: str) -> Iterator[bool]:
        """A turn until the block ends; false if this address has all of its own already."""
        if address == FREE_OF_TURNS:
            yield True
            return
        with self._lock:
            given = self._taken[address] < self._at_once
            self._taken[address] += given
        try:
            yield given
        finally:
            with self._lock:
                self._taken[address] -= given
                if not self._taken[address]:
                    del self._taken[address]
