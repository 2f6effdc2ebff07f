"""Work that a process does again and again beside its requests."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from meroid.errors import MeroidError

_log: Final = structlog.get_logger("meroid.recurring")


class Recurring:
    """A thread that does one work every so often, and once more at the end; it begins with `start`."""

    def __init__(self, name: str, every_s: float, work: Callable[[], object]) -> None:
        self._work = work
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def close(self) -> None:
        """Do what is left, and end."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._do()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._do()

    def _do(self) -> None:
        try:
            self._work()
        except MeroidError as error:
            _log.warning("what recurs failed; it is tried again", work=self._thread.name, code=error.code)
