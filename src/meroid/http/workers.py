"""The threads in which handlers run: a bounded pool with a bounded queue."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from meroid import limits
from meroid.errors import UnavailableError

T = TypeVar("T")


class BusyError(UnavailableError):
    """All threads are at work and the queue before them is full."""

    code = "busy"
    next_step = "wait a second and try again"


class Workers:
    """Runs blocking work off the event loop."""

    def __init__(self, threads: int = limits.HTTP_THREADS.value, queue: int = limits.HTTP_QUEUE.value) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="meroid-http")
        self._room = BoundedSemaphore(threads + queue)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread; it goes on even if the caller is cancelled.

        Raises:
            BusyError: there is no room; nothing ran.
        """
        if not self._room.acquire(blocking=False):
            raise BusyError("the node has as many requests as it can take")
        try:
            running = self._pool.submit(work)
        except RuntimeError:
            self._room.release()
            raise BusyError("the node is stopping") from None
        running.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Finish what runs, and take nothing more."""
        self._pool.shutdown(wait=True)
