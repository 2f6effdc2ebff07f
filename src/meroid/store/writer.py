"""The one writer: it takes everything that waits and commits it together (group commit).

A commit costs a flush of the disk, whatever it holds, so fifty callers share one.

1. Wait for work, then take all that is queued.
2. Begin an immediate transaction.
3. Run each work inside its own savepoint; one that raises is undone alone.
4. Commit.
5. Release the callers, each with its own result or error.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

from meroid.service.ports.store import Transaction
from meroid.store.driver import Connection, DriverError
from meroid.store.errors import StoreClosedError, StoreFailedError
from meroid.store.session import Session
from meroid.store.transaction import SqlTransaction

T = TypeVar("T")

_GROUP = 256  # works per commit: bounds how long the first of a group waits for the last


class _Job(Generic[T]):
    """A work, and where its caller waits for the outcome."""

    __slots__ = ("_error", "_result", "_work", "outcome")

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self.outcome: Future[T] = Future()

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

    def release(self) -> None:
        """Give the caller what its work returned or raised."""
        if self._error is not None:
            self.outcome.set_exception(self._error)
        else:
            self.outcome.set_result(cast("T", self._result))

    def fail(self, reason: str, cause: Exception) -> None:
        """Tell the caller that its work wasn't kept; what the work itself raised goes first."""
        if self._error is None:
            # One exception for each caller: they raise it in threads of their own.
            self._error = StoreFailedError(reason)
            self._error.__cause__ = cause
        self.outcome.set_exception(self._error)


class Writer:
    """A thread that owns the writing connection.

    Attributes:
        commits: how many transactions were committed since the start.
    """

    def __init__(self, connection: Connection) -> None:
        self.commits = 0
        self._connection = connection
        self._queue: SimpleQueue[_Job[object] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T]) -> T:
        """Queue a work and wait until it is on disk.

        Raises:
            StoreClosedError: the writer takes no more work.
            StoreFailedError: it couldn't be committed; nothing of it is kept.
            RuntimeError: called from inside a work, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a work that writes can't ask for another one")
        job = _Job(work)
        with self._gate:  # nothing is queued behind the mark that ends the queue
            if self._closed:
                raise StoreClosedError("the store is closed")
            self._queue.put(cast("_Job[object]", job))
        return job.outcome.result()

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        open_ = True
        while open_:
            group: deque[_Job[object]] = deque()
            job = self._queue.get()
            while job is not None:
                group.append(job)
                if len(group) >= _GROUP:
                    break
                try:
                    job = self._queue.get_nowait()
                except Empty:
                    break
            open_ = job is not None
            while group:
                self._commit_group(group)

    def _commit_group(self, waiting: deque[_Job[object]]) -> None:
        """Commit all that waits, or as many as come before the transaction is lost."""
        done: list[_Job[object]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            kept = self._run_all(waiting, done)
            self._connection.execute("COMMIT" if kept else "ROLLBACK")
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers wait for an answer
            self._roll_back()
            if not done:  # it couldn't even begin: then nobody of this group can be helped
                done.extend(waiting)
                waiting.clear()
            for job in done:
                job.fail("the database couldn't commit this change and those beside it", error)
            return
        self.commits += kept
        for job in done:
            job.release()

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
