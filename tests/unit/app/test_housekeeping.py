"""Housekeeping runs now and then, goes on after a failure, and ends with its block."""

import threading

from meroid.app.housekeeping import Housekeeper
from meroid.clock import SystemClock
from meroid.store.errors import StoreBusyError


def test_it_is_called_again_after_a_failure_and_not_after_its_end() -> None:
    calls: list[int] = []
    often = threading.Event()

    def work(at: int) -> None:
        calls.append(at)
        if len(calls) >= 3:
            often.set()
        raise StoreBusyError("not now")

    with Housekeeper(work, SystemClock(), every_s=0.01):
        assert often.wait(10)
    count = len(calls)

    assert not often.wait(0) or len(calls) == count
