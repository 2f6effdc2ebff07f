"""The one writer: one caller at a time commits everything that waits (group commit).

A commit costs a flush of the disk, whatever it holds, so fifty callers share one. There is no
thread for it: to wake one and to be woken again would cost a lone caller a third of its commit.

1. Queue the work. Who finds nobody leading leads; the others wait.
2. The leader takes all that is queued, and begins an immediate transaction; other processes that write wait their
   turn, looking often: SQLite's own waiting grows to 100 ms, in which a busy process begins and ends many times.
3. Run each work inside its own savepoint; one that raises is undone alone.
4. Commit.
5. Give the lead to the first that came meanwhile, and release the callers of the group, each with
   its own result or error.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from meroid.service.ports.store import Transaction
from meroid.store.driver import Connection, DriverError, is_busy
from meroid.store.errors import StoreBusyError, StoreClosedError, StoreFailedError
from meroid.store.session import Session
from meroid.store.transaction import SqlTransaction

T = TypeVar("T")

_GROUP = 256  # works per commit: bounds how long the first of a group waits for the last
_BUSY_S = 5.0  # how long other processes may keep it waiting
_LOOK_AGAIN_S = 0.001


class _Job(Generic[T]):
    """A work, what came of it, and where its caller waits until it is `done` or leads."""

    __slots__ = ("_error", "_result", "_signal", "_work", "done", "leads")

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self._signal = threading.Lock()
        self._signal.acquire()
        self.done = False
        self.leads = False

    def wait(self) -> None:
        """Wait for `wake`."""
        self._signal.acquire()

    def wake(self) -> None:
        """Let the caller go on; once."""
        self._signal.release()

    def run(self, session: Session) -> bool:
        """Do the work; false if it raised."""
        try:
            self._result = self._work(SqlTransaction(session))
        except BaseException as error:  # noqa: BLE001 - it is raised again, to the caller
            self._error = error
            return False
        finally:
            session.end()
        return True

    def fail(self, reason: str, cause: BaseException) -> None:
        """Note that the work wasn't kept; what the work itself raised goes first."""
        if self._error is None:
            # One exception for each caller: they raise it in threads of their own.
            self._error = StoreBusyError(reason) if isinstance(cause, StoreBusyError) else StoreFailedError(reason)
            self._error.__cause__ = cause
        self.done = True

    def outcome(self) -> T:
        """What the work returned or raised."""
        if self._error is not None:
            raise self._error
        return cast("T", self._result)


class Writer:
    """The writing connection, and who leads on it.

    Attributes:
        commits: how many transactions were committed since the start.
    """

    def __init__(self, connection: Connection) -> None:
        self.commits = 0
        self._connection = connection
        self._queue: deque[_Job[object]] = deque()
        self._gate = threading.Lock()
        self._led = False
        self._leader: int | None = None
        self._rests = threading.Condition(self._gate)
        self._closed = False

    def submit(self, work: Callable[[Transaction], T]) -> T:
        """Queue a work and wait until it is on disk.

        Raises:
            StoreClosedError: the writer takes no more work.
            StoreFailedError: it couldn't be committed; nothing of it is kept.
            RuntimeError: called from inside a work, which would wait for itself.
        """
        if threading.get_ident() == self._leader:
            raise RuntimeError("a work that writes can't ask for another one")
        job = _Job(work)
        queued = cast("_Job[object]", job)
        with self._gate:  # nothing is queued once `close` waits for the end
            if self._closed:
                raise StoreClosedError("the store is closed")
            self._queue.append(queued)
            job.leads, self._led = not self._led, True
        if not job.leads:
            try:
                job.wait()
            except BaseException:  # Ctrl-C, in the main thread
                self._abandon(queued)
                raise
        if job.leads:
            self._lead(queued)
        return job.outcome()

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        with self._gate:
            self._closed = True
            while self._led:
                self._rests.wait()

    def _lead(self, own: _Job[object]) -> None:
        """Commit what is queued, the leader's own work first; then give the lead away."""
        group = [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP))]
        self._leader = threading.get_ident()
        try:
            waiting = deque(group)
            while waiting:
                self._commit_group(waiting)
        finally:
            self._leader = None
            self._hand_over()
            for job in group:
                if job is not own:
                    job.wake()

    def _hand_over(self) -> None:
        with self._gate:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake()
            else:
                self._led = False
                self._rests.notify_all()

    def _abandon(self, job: _Job[object]) -> None:
        """A caller that was interrupted waits no more; if the lead came to it, it has to pass it on."""
        with self._gate:
            if not job.leads and job in self._queue:
                self._queue.remove(job)
        if job.leads:
            self._lead(job)

    def _commit_group(self, waiting: deque[_Job[object]]) -> None:
        """Commit all that waits, or as many as come before the transaction is lost."""
        done: list[_Job[object]] = []
        try:
            self._begin()
            kept = self._run_all(waiting, done)
            self._connection.execute("COMMIT" if kept else "ROLLBACK")
        except BaseException as error:  # whatever it is, the callers wait for an answer
            self._roll_back()
            ours = isinstance(error, Exception)
            if not done or not ours:  # it couldn't even begin, or was interrupted: nobody of this group can be helped
                done.extend(waiting)
                waiting.clear()
            for job in done:
                job.fail("the database couldn't commit this change and those beside it", error)
            if not ours:
                raise
            return
        self.commits += kept
        for job in done:
            job.done = True

    def _begin(self) -> None:
        until: float | None = None
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except DriverError as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                until = until or now + _BUSY_S
                if now >= until:
                    raise StoreBusyError("other processes write all the time") from error
                time.sleep(_LOOK_AGAIN_S)
            else:
                return

    def _run_all(self, waiting: deque[_Job[object]], done: list[_Job[object]]) -> bool:
        """Run what waits, moving it to `done`; true if anything is left to commit."""
        alone = len(waiting) == 1  # then the transaction itself is the savepoint
        kept_any = False
        while waiting:
            job = waiting.popleft()
            done.append(job)
            if not alone:
                self._connection.execute("SAVEPOINT work")
            kept = job.run(Session(self._connection))
            if not self._connection.in_transaction:
                # On a full disk and the like SQLite undoes the whole transaction, not the statement alone.
                raise StoreFailedError("the database gave the transaction up")
            if not alone:
                if not kept:
                    self._connection.execute("ROLLBACK TO work")
                self._connection.execute("RELEASE work")
            kept_any = kept_any or kept
        return kept_any

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except DriverError:
            pass  # SQLite rolls back by itself where the statement can't
