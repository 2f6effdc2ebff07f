import threading
from collections.abc import Callable

from meroid.sync.mailboxes import Mailboxes


def boxes(*, workers: int = 2, max_jobs: int = 100, max_bytes: int = 1000, max_per_key: int = 50) -> Mailboxes:
    return Mailboxes("test", workers=workers, max_jobs=max_jobs, max_bytes=max_bytes, max_per_key=max_per_key)


def hold(release: threading.Event, started: threading.Event | None = None) -> Callable[[], None]:
    def job() -> None:
        if started is not None:
            started.set()
        release.wait(5)

    return job


def fail() -> None:
    raise ValueError("the job's fault")


def test_jobs_of_a_key_run_in_order_and_a_blocked_key_holds_up_no_other() -> None:
    queue, release, seen = boxes(), threading.Event(), []
    try:
        queue.put("blocked", hold(release))
        for number in range(20):
            queue.put("free", lambda number=number: seen.append(number))  # type: ignore[misc]
        done = threading.Event()
        queue.put("free", done.set)

        assert done.wait(2)
        assert seen == list(range(20))
    finally:
        release.set()
        queue.stop()
        queue.join(2)


def test_there_is_no_room_beyond_the_bounds_and_room_again_afterwards() -> None:
    queue, release = boxes(workers=1, max_jobs=4, max_bytes=100, max_per_key=3), threading.Event()
    started = threading.Event()
    try:
        queue.put("key", hold(release, started), size=10)
        assert started.wait(2)
        assert not queue.put("other", lambda: None, size=91)
        assert all(queue.put("key", lambda: None) for _ in range(3))
        assert not queue.put("other", lambda: None)
        assert queue.put("urgent", lambda: None, bounded=False)
        release.set()
        queue.drain(2)
        assert queue.put("other", lambda: None, size=91)
    finally:
        release.set()
        queue.stop()
        queue.join(2)


def test_one_key_leaves_room_for_the_others() -> None:
    queue, release, started = boxes(workers=1, max_per_key=2), threading.Event(), threading.Event()
    try:
        queue.put("key", hold(release, started))
        assert started.wait(2)
        assert [queue.put("key", lambda: None) for _ in range(3)] == [True, True, False]
        assert queue.put("other", lambda: None)
    finally:
        release.set()
        queue.stop()
        queue.join(2)


def test_a_job_that_fails_ends_neither_its_thread_nor_the_jobs_behind_it() -> None:
    queue, done = boxes(workers=1), threading.Event()
    try:
        queue.put("key", fail)
        queue.put("key", done.set)

        assert done.wait(2)
    finally:
        queue.stop()
        queue.join(2)


def test_after_the_end_nothing_is_taken() -> None:
    queue = boxes()
    queue.stop()
    queue.join(2)

    assert not queue.put("key", lambda: None, bounded=False)
