"""Several processes that answer on the same sockets, and the one that looks after them.

Workers are forks of this process: they inherit the sockets, the lock of the database and the store key, so that
none of these passes through arguments, environment or files. Therefore this process has no other thread and no
open connection to the database, ever.

1. Fork the workers; each serves until SIGTERM, or until this process isn't there any more.
2. A worker that ends by itself is replaced, at once at first, later after a pause that doubles.
3. SIGTERM or SIGINT here becomes SIGTERM to each worker, a second one too; who is still there after the grace is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import Final

import structlog

_log: Final = structlog.get_logger("meroid.workers")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_TICK_S: Final = 0.5
_GRACE_S: Final = 15.0
"""More than the server takes for requests that run."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_HEALTHY_S: Final = 10.0
"""A worker that lived so long isn't in a circle of crashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker knows of itself.

    Attributes:
        number: from 0; its successor has the same.
        parent: the reading end of a pipe that the parent alone can write to.
    """

    number: int
    parent: int

    @property
    def stopped_by(self) -> Sequence[signal.Signals]:
        """The signals that stop its server: a terminal's SIGINT reaches the parent too, which passes it on."""
        return (signal.SIGTERM,)

    def when_orphaned(self, stop: Callable[[], None]) -> None:
        """Call `stop` once the parent has ended, however it ended."""

        def watch() -> None:
            os.read(self.parent, 1)
            _log.warning("the process that looks after this worker is gone", worker=self.number)
            stop()

        threading.Thread(target=watch, name="meroid-parent", daemon=True).start()


@dataclass(slots=True)
class _Place:
    """One worker's place: who has it, since when, and when it is filled again if nobody has it."""

    number: int
    process: ForkProcess | None = None
    since: float = 0.0
    pause_s: float = 0.0
    again_at: float = 0.0


class Supervisor:
    """Keeps `count` workers at work; `serve` runs in each of them."""

    def __init__(self, count: int, serve: Callable[[Worker], None]) -> None:
        self._places = [_Place(number) for number in range(count)]
        self._serve = serve
        self._stopping_since: float | None = None

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, in the main thread."""
        self._read_end, self._write_end = os.pipe()
        before = {each: signal.signal(each, self._on_signal) for each in _SIGNALS}
        try:
            while self._look_after():
                wait([place.process.sentinel for place in self._places if place.process is not None], _TICK_S)
        finally:
            self._end_all(signal.SIGKILL)
            for each, handler in before.items():
                signal.signal(each, handler)
            os.close(self._read_end)
            os.close(self._write_end)

    def _look_after(self) -> bool:
        """Note who has ended and fill the places; whether there is more to do."""
        now = time.monotonic()
        for place in self._places:
            if place.process is not None and place.process.exitcode is not None:
                self._note_end(place, now)
        if self._stopping_since is None:
            for place in self._places:
                if place.process is None and now >= place.again_at:
                    self._fill(place, now)
            return True
        if now - self._stopping_since > _GRACE_S:
            self._end_all(signal.SIGKILL)
        return any(place.process is not None for place in self._places)

    def _note_end(self, place: _Place, now: float) -> None:
        process, place.process = place.process, None
        if process is None:
            return
        code, pid = process.exitcode or 0, process.pid
        process.close()
        if self._stopping_since is not None:
            return
        lived_s = now - place.since
        place.pause_s = 0.0 if lived_s >= _HEALTHY_S else min(max(place.pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        place.again_at = now + place.pause_s
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        _log.warning(
            "a worker has ended; another takes its place",
            worker=place.number,
            pid=pid,
            ended_by=how,
            lived_s=round(lived_s, 1),
            again_in_s=place.pause_s,
        )

    def _fill(self, place: _Place, now: float) -> None:
        worker = Worker(number=place.number, parent=self._read_end)
        process = multiprocessing.get_context("fork").Process(
            target=self._work, args=(worker,), name=f"mero-auth worker {place.number}"
        )
        with _held_back():  # so that none is lost between the fork and the note of it
            process.start()
            place.process, place.since = process, now
        _log.info("a worker starts", worker=place.number, pid=process.pid)

    def _work(self, worker: Worker) -> None:
        """What a worker does; here it is the fork."""
        os.close(self._write_end)  # or it would never see that the parent is gone
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._serve(worker)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping_since = self._stopping_since or time.monotonic()
        self._end_all(signal.SIGTERM)

    def _end_all(self, by: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None and place.process.pid is not None and place.process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.process.pid, by)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals wait until the block has ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
