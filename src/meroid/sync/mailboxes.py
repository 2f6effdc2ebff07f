"""Bounded queues worked off by a few threads: in order under one key, side by side across keys."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable

import structlog

_log = structlog.get_logger(__name__)


class Mailboxes:
    """Jobs by key; the jobs of a key run one at a time in the order of arrival.

    Keys take turns, so that a busy one doesn't starve the others, and a key without jobs costs
    nothing. A job that raises is logged and the next one runs.
    """

    def __init__(self, name: str, *, workers: int, max_jobs: int, max_bytes: int, max_per_key: int) -> None:
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        self._max_per_key = max_per_key
        self._boxes: dict[Hashable, deque[tuple[Callable[[], None], int]]] = {}
        self._ready: deque[Hashable] = deque()
        self._jobs = 0
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"meroid-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, key: Hashable, job: Callable[[], None], *, size: int = 0, bounded: bool = True) -> bool:
        """Queue a job and return at once; false when there is no room or the end has come."""
        with self._changed:
            box = self._boxes.get(key)
            if self._closed or (bounded and not self._has_room(box, size)):
                return False
            if box is None:
                box = self._boxes[key] = deque()
                self._ready.append(key)
                self._changed.notify()
            box.append((job, size))
            self._jobs += 1
            self._bytes += size
            return True

    def drain(self, wait_s: float) -> None:
        """Wait until every queued job has run, no longer than `wait_s` seconds."""
        end = time.monotonic() + wait_s
        with self._changed:
            while self._jobs and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.01))

    def stop(self) -> None:
        """Forget what waits and let the threads end; jobs that run now are not interrupted."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()

    def join(self, wait_s: float) -> None:
        """Wait for the threads to end, no longer than `wait_s` seconds in all."""
        end = time.monotonic() + wait_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _has_room(self, box: deque[tuple[Callable[[], None], int]] | None, size: int) -> bool:
        if self._jobs >= self._max_jobs or self._bytes + size > self._max_bytes:
            return False
        return box is None or len(box) < self._max_per_key

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            key, job, size = taken
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the callback's fault must not end the thread that serves all the others
                _report(error)
            # A waiting thread must not keep the last message alive.
            del job, taken
            self._finish(key, size)

    def _take(self) -> tuple[Hashable, Callable[[], None], int] | None:
        with self._changed:
            while not self._ready and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            key = self._ready.popleft()
            job, size = self._boxes[key].popleft()
            return key, job, size

    def _finish(self, key: Hashable, size: int) -> None:
        with self._changed:
            self._jobs -= 1
            self._bytes -= size
            if not self._boxes[key]:
                del self._boxes[key]
            elif not self._closed:
                self._ready.append(key)
                self._changed.notify()


def _report(error: Exception) -> None:
    """Log what failed and where, without the values: they are messages of members."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.name}:{frame.lineno}" for frame in frames[-3:]]
    _log.error("transport_callback_failed", error=type(error).__name__, places=places)
