"""Counting requests, at the price of a few additions: how long they took, by route and class of status.

Numbers stand in one flat row of 64-bit cells, which every process writes alone: in memory, or in a file of its own
in a folder that the workers of one service share. Whoever is asked adds the rows up. Only the event loop counts, so
nothing is locked.
"""

import mmap
import os
import secrets
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

BOUNDS_MS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000)
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
NO_ROUTE: Final = "(none)"
VALIDATE: Final = "/auth/validate"
VERDICTS: Final = ("ok", "missing_token", "invalid_token", "token_expired", "token_revoked", "other")

_CELL: Final = 8
_BUCKETS: Final = len(BOUNDS_MS) + 1
_PER_CLASS: Final = _BUCKETS + 1  # and the sum, in microseconds
_PER_ROUTE: Final = _PER_CLASS * len(CLASSES)
_BOUNDS_NS: Final = tuple(each * 1_000_000 for each in BOUNDS_MS)
_CODE_HEADER: Final = "x-meroid-code"
_SUFFIX: Final = ".cells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Requests of one route and class: how many took up to each bound and longer, and all of them together."""

    route: str
    status: str
    buckets: tuple[int, ...]
    seconds: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)


class Tally:
    """What one process counts, and the sum over all that share its folder."""

    def __init__(self, routes: Sequence[str], folder: Path | None = None) -> None:
        """`folder` is private to one service, exists, and was emptied before its first worker started.

        Raises:
            OSError: no file can be made in it.
        """
        self._routes = (*dict.fromkeys(routes), NO_ROUTE)
        self._first = {route: number * _PER_ROUTE for number, route in enumerate(self._routes)}
        self._verdicts = len(self._routes) * _PER_ROUTE
        self._size = self._verdicts + len(VERDICTS)
        self._folder = folder
        self._layout = sha256("\0".join(self._routes).encode()).hexdigest()[:16]
        self._cells = memoryview(array("q", bytes(_CELL * self._size))) if folder is None else self._shared(folder)

    def count(self, route: str, status: int, taken_ns: int, headers: Sequence[tuple[str, str]]) -> None:
        """Count an answer; on the event loop only."""
        first = self._first.get(route, self._first[NO_ROUTE]) + (status // 100 - 1) * _PER_CLASS
        cells = self._cells
        cells[first + bisect_left(_BOUNDS_NS, taken_ns)] += 1
        cells[first + _BUCKETS] += taken_ns // 1000
        if route == VALIDATE:
            cells[self._verdicts + _verdict(status, headers)] += 1

    def timed(self) -> Iterator[Timed]:
        """Every route and class that there was a request of, over all processes."""
        cells = self._sums()
        for route, first in self._first.items():
            for number, status in enumerate(CLASSES):
                start = first + number * _PER_CLASS
                buckets = tuple(cells[start : start + _BUCKETS])
                if any(buckets):
                    yield Timed(
                        route=route, status=status, buckets=buckets, seconds=cells[start + _BUCKETS] / 1_000_000
                    )

    def verdicts(self) -> dict[str, int]:
        """How often `/auth/validate` said what, over all processes."""
        return dict(zip(VERDICTS, self._sums()[self._verdicts :], strict=True))

    def _shared(self, folder: Path) -> memoryview:
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.{self._layout}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, _CELL * self._size)
            return memoryview(mmap.mmap(descriptor, _CELL * self._size)).cast("q")
        finally:
            os.close(descriptor)

    def _sums(self) -> list[int]:
        if self._folder is None:
            return list(self._cells)
        sums = [0] * self._size
        for path in self._folder.glob(f"*.{self._layout}{_SUFFIX}"):
            data = path.read_bytes()
            if len(data) == _CELL * self._size:  # one that is being made has no cells yet
                sums = [one + other for one, other in zip(sums, memoryview(data).cast("q"), strict=True)]
        return sums


def _verdict(status: int, headers: Sequence[tuple[str, str]]) -> int:
    if status == 200:
        return 0
    code = next((value for name, value in headers if name.lower() == _CODE_HEADER), "")
    return VERDICTS.index(code) if code in VERDICTS else VERDICTS.index("other")
