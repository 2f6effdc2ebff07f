"""Forgetting what has ended, now and then, in a thread of its own."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

import structlog

from meroid.clock import Clock
from meroid.errors import MeroidError

_log: Final = structlog.get_logger("meroid.house")
_EVERY_S: Final = 600.0


class Housekeeper:
    """Calls `work` with the time every ten minutes, from `with` until its end; a failure is logged and tried again then."""

    def __init__(self, work: Callable[[int], None], clock: Clock, *, every_s: float = _EVERY_S) -> None:
        self._work = work
        self._clock = clock
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meroid-house", daemon=True)

    def __enter__(self) -> None:
        """Begin."""
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        """End, after what runs."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._work(self._clock.now_ms())
            except MeroidError as error:
                _log.warning("what has ended couldn't be forgotten", code=error.code, reason=error.reason)
