"""What every store keeps, whatever its database: transactions, snapshots, many callers at once.

A test module of a store inherits these classes and gives the fixture `store`: open and empty.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract.store_records import AT, add_context, context, context_id, operation_id

from meroid.errors import ConflictError, UnavailableError
from meroid.service.ports.content import StoredOperation
from meroid.service.ports.store import Store, Transaction


class _OwnError(Exception):
    pass


class TransactionContract:
    """Writing is all or nothing and durable; reading sees one moment."""

    def test_a_work_gives_back_what_it_returns(self, store: Store) -> None:
        assert store.write(lambda _: 7) == 7
        assert store.read(lambda _: "seen") == "seen"

    def test_what_was_written_is_read_at_once(self, store: Store) -> None:
        store.write(lambda tx: tx.contexts.add(context()))

        assert store.read(lambda tx: tx.contexts.get(context_id())) == context()

    def test_a_work_reads_its_own_changes(self, store: Store) -> None:
        def work(tx: Transaction) -> bytes | None:
            tx.contexts.add(context())
            tx.state.write(context_id(), {b"k": b"v"})
            return tx.state.read(context_id(), b"k")

        assert store.write(work) == b"v"

    def test_a_work_that_raises_leaves_nothing_and_raises_to_its_caller(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.contexts.add(context())
            raise _OwnError("no")

        with pytest.raises(_OwnError, match="no") as raised:
            store.write(work)

        assert any(frame.name == "work" for frame in raised.traceback)
        assert store.read(lambda tx: tx.contexts.list()) == ()

    def test_a_work_that_raises_among_others_is_undone_alone(self, store: Store) -> None:
        def work(number: int) -> bool:
            def add(tx: Transaction) -> None:
                tx.contexts.add(context(number))
                if number % 3 == 0:
                    raise _OwnError(str(number))

            try:
                store.write(add)
            except _OwnError as error:
                return str(error) == str(number)
            return number % 3 != 0

        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(work, range(96)))

        kept = {record.context_id for record in store.read(lambda tx: tx.contexts.list())}
        assert all(outcomes)
        assert kept == {context_id(number) for number in range(96) if number % 3 != 0}

    def test_a_work_can_catch_a_conflict_and_go_on(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.contexts.add(context(0))
            with pytest.raises(ConflictError):
                tx.contexts.add(context(0))
            tx.contexts.add(context(1))

        store.write(work)

        assert len(store.read(lambda tx: tx.contexts.list())) == 2

    def test_a_conflict_has_a_code_and_a_next_step(self, store: Store) -> None:
        add_context(store)

        with pytest.raises(ConflictError) as raised:
            store.write(lambda tx: tx.contexts.add(context()))

        assert raised.value.code == "store_conflict"
        assert raised.value.next_step

    def test_a_reader_sees_one_moment_while_others_write(self, store: Store) -> None:
        context_of = add_context(store)
        store.write(lambda tx: tx.state.write(context_of, {b"k": b"before"}))

        def work(tx: Transaction) -> tuple[bytes | None, bytes | None]:
            first = tx.state.read(context_of, b"k")
            with ThreadPoolExecutor(1) as other:
                other.submit(store.write, lambda wtx: wtx.state.write(context_of, {b"k": b"after"})).result(10)
            return first, tx.state.read(context_of, b"k")

        assert store.read(work) == (b"before", b"before")
        assert store.read(lambda tx: tx.state.read(context_of, b"k")) == b"after"

    def test_a_reader_never_sees_half_a_work(self, store: Store) -> None:
        context_of = add_context(store)
        stop = threading.Event()

        def write_pairs() -> None:
            numbers = iter(range(100))

            def write_pair(tx: Transaction) -> bool:
                value = next(numbers, None)
                text = str(value).encode()
                tx.state.write(context_of, {b"a": text, b"b": text})
                return value is not None

            while store.write(write_pair):
                pass
            stop.set()

        def read_pairs() -> int:
            torn = 0
            while not stop.is_set():
                a, b = store.read(lambda tx: (tx.state.read(context_of, b"a"), tx.state.read(context_of, b"b")))
                torn += a != b
            return torn

        with ThreadPoolExecutor(4) as threads:
            readers = [threads.submit(read_pairs) for _ in range(3)]
            threads.submit(write_pairs).result(60)
            assert [reader.result(60) for reader in readers] == [0, 0, 0]

    def test_read_modify_write_of_many_threads_loses_nothing(self, store: Store) -> None:
        context_of = add_context(store)

        def increment(tx: Transaction) -> None:
            count = int(tx.state.read(context_of, b"n") or b"0")
            tx.state.write(context_of, {b"n": str(count + 1).encode()})

        with ThreadPoolExecutor(20) as threads:
            for done in [threads.submit(store.write, increment) for _ in range(400)]:
                done.result(60)

        assert store.read(lambda tx: tx.state.read(context_of, b"n")) == b"400"

    def test_a_read_that_writes_is_refused(self, store: Store) -> None:
        with pytest.raises(UnavailableError):
            store.read(lambda tx: tx.contexts.add(context()))

        assert store.read(lambda tx: tx.contexts.list()) == ()

    def test_an_iterator_that_outlives_its_work_is_refused(self, store: Store) -> None:
        context_of = add_context(store)
        store.write(lambda tx: tx.operations.append(context_of, operation_id(), b"e", applied=True, at=AT))

        def escape(tx: Transaction) -> Iterator[StoredOperation]:
            return tx.operations.scan(context_of)

        for kept in (store.read(escape), store.write(escape)):
            with pytest.raises(RuntimeError, match="transaction has ended"):
                next(kept)

    def test_a_work_that_asks_for_another_write_is_refused_instead_of_hanging(self, store: Store) -> None:
        with pytest.raises(RuntimeError, match="can't ask for another"):
            store.write(lambda _: store.write(lambda _: None))

    def test_after_close_everything_is_refused_with_a_code(self, store: Store) -> None:
        store.close()
        store.close()

        for ask in (store.write, store.read):
            with pytest.raises(UnavailableError) as raised:
                ask(lambda tx: tx.contexts.list())
            assert raised.value.code == "store_closed"

    def test_close_finishes_what_was_accepted(self, store: Store) -> None:
        started, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            started.set()
            go_on.wait(10)
            tx.contexts.add(context())

        with ThreadPoolExecutor(2) as threads:
            writing = threads.submit(store.write, slow)
            started.wait(10)
            closing = threads.submit(store.close)
            go_on.set()
            writing.result(10)
            closing.result(10)
