"""The SQLite store keeps the contract, and what only an encrypted file on a disk can be asked."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.store_contract import TransactionContract
from tests.contract.store_contract_audit import EVENT, AuditContract
from tests.contract.store_contract_auth import AttemptsContract, CredentialsContract, LoginsContract
from tests.contract.store_contract_content import AccountsContract, ApplicationsContract, ContextsContract
from tests.contract.store_contract_root_keys import ChallengesContract, RootKeysContract
from tests.contract.store_records import AT, add_context, blob_id, context_id, operation_id

from meroid.service.ports.store import Store, Transaction
from meroid.store import SqliteStore, StoreFailedError, StoreInUseError, StoreLockedError
from meroid.store.writer import _Job

KEY = "5e" * 32
OTHER_KEY = "a1" * 32
MARKER = b"a text that stands nowhere else"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path, KEY)
    yield opened
    opened.close()


class TestTransactions(TransactionContract):
    pass


class TestContexts(ContextsContract):
    pass


class TestAuditTrail(AuditContract):
    @pytest.mark.parametrize(
        "sql", ["UPDATE audit_events SET outcome = 'ok'", "DELETE FROM audit_events WHERE sequence = 1"]
    )
    def test_nothing_changes_or_removes_an_event(self, store: SqliteStore, sql: str) -> None:
        store.write(lambda tx: tx.audit.append(EVENT))
        with pytest.raises(RuntimeError, match="append-only"):
            store.write(lambda tx: tx.audit._session.run(sql))  # type: ignore[attr-defined]
        assert store.read(lambda tx: tx.audit.head().count) == 1


class TestApplications(ApplicationsContract):
    pass


class TestRootKeys(RootKeysContract):
    pass


class TestChallenges(ChallengesContract):
    pass


class TestAccounts(AccountsContract):
    pass


class TestCredentials(CredentialsContract):
    pass


class TestLogins(LoginsContract):
    pass


class TestAttempts(AttemptsContract):
    pass


def write_marker(store: Store) -> None:
    there = add_context(store)
    store.write(lambda tx: tx.state.write(there, {b"marker": MARKER * 100}))


def in_one_group(store: SqliteStore, works: list[Callable[[Transaction], None]]) -> list[BaseException | None]:
    """Have the works wait together while the writer is held, then run in this order; what each raised."""
    held, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        held.set()
        go_on.wait(10)

    futures: list[Future[None]] = []
    with ThreadPoolExecutor(len(works) + 1) as threads:
        first = threads.submit(store.write, hold)
        held.wait(10)
        for number, work in enumerate(works, start=1):
            futures.append(threads.submit(store.write, work))
            while len(store._writer._queue) < number:
                time.sleep(0.0005)
        go_on.set()
        first.result(10)
        return [future.exception(10) for future in futures]


def set_state(key: bytes, value: bytes) -> Callable[[Transaction], None]:
    return lambda tx: tx.state.write(context_id(), {key: value})


def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the database grow by so many pages and no further: a disk that fills up."""
    connection = store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone() or (0,)
    connection.execute(f"PRAGMA max_page_count = {pages + more}").fetchall()


class TestGroupCommit:
    def test_works_that_wait_together_share_one_commit(self, store: SqliteStore) -> None:
        add_context(store)
        before = store.commits

        outcomes = in_one_group(store, [set_state(str(n).encode(), b"v") for n in range(50)])

        assert outcomes == [None] * 50
        assert store.commits - before == 2  # the one that held the writer, and one for all
        assert store.read(lambda tx: tx.state.size(context_id())) == 90 + 50

    def test_works_of_one_group_see_those_before_them(self, store: SqliteStore) -> None:
        add_context(store)

        def increment(tx: Transaction) -> None:
            count = int(tx.state.read(context_id(), b"n") or b"0")
            tx.state.write(context_id(), {b"n": str(count + 1).encode()})

        in_one_group(store, [increment] * 30)

        assert store.read(lambda tx: tx.state.read(context_id(), b"n")) == b"30"

    def test_a_work_that_raises_inside_a_group_is_undone_alone(self, store: SqliteStore) -> None:
        add_context(store)

        def broken(tx: Transaction) -> None:
            tx.state.write(context_id(), {b"broken": b"v"})
            raise ValueError("broken")

        outcomes = in_one_group(store, [set_state(b"a", b"v"), broken, set_state(b"b", b"v")])

        assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, type(None)]
        assert store.read(lambda tx: tx.state.size(context_id())) == 4

    def test_a_work_that_only_raises_costs_no_commit(self, store: SqliteStore) -> None:
        before = store.commits

        def broken(_: Transaction) -> None:
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            store.write(broken)

        assert store.commits == before

    def test_when_the_commit_fails_every_caller_hears_it(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_context(store)
        connection = store._connection

        class TornAtCommit:
            def __getattr__(self, name: str) -> object:
                return getattr(connection, name)

            def execute(self, sql: str, *parameters: object) -> object:
                if sql == "COMMIT":
                    raise StoreFailedError("the disk is gone")
                return connection.execute(sql, *parameters)  # type: ignore[arg-type]

        monkeypatch.setattr(store._writer, "_connection", TornAtCommit())
        outcomes = in_one_group_without_first(store, [set_state(str(n).encode(), b"v") for n in range(5)])

        assert [getattr(outcome, "code", None) for outcome in outcomes] == ["store_failed"] * 5
        assert len(set(map(id, outcomes))) == 5
        monkeypatch.undo()
        assert store.read(lambda tx: tx.state.size(context_id())) == 0
        store.write(set_state(b"after", b"v"))

    @pytest.mark.parametrize("leads", [False, True], ids=["while others lead", "when the lead came to it"])
    def test_a_caller_that_is_interrupted_while_it_waits_stops_nobody(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, *, leads: bool
    ) -> None:
        add_context(store)
        held, go_on, interrupted = threading.Event(), threading.Event(), threading.Event()
        wait = _Job.wait

        def interrupted_wait(job: _Job[object]) -> None:
            if leads:
                wait(job)
            interrupted.set()
            raise KeyboardInterrupt

        def hold(_: Transaction) -> None:
            held.set()
            go_on.wait(10)

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(store.write, hold)
            held.wait(10)
            monkeypatch.setattr(_Job, "wait", interrupted_wait)
            second = threads.submit(store.write, set_state(b"second", b"v"))
            while not (interrupted.is_set() or store._writer._queue):
                time.sleep(0.0005)
            if leads:
                go_on.set()
            with pytest.raises(KeyboardInterrupt):
                second.result(10)
            go_on.set()
            first.result(10)
        monkeypatch.undo()

        store.write(set_state(b"third", b"v"))
        assert (store.read(lambda tx: tx.state.read(context_id(), b"second")) is not None) == leads


def in_one_group_without_first(
    store: SqliteStore, works: list[Callable[[Transaction], None]]
) -> list[BaseException | None]:
    with ThreadPoolExecutor(len(works)) as threads:
        futures = [threads.submit(store.write, work) for work in works]
        return [future.exception(10) for future in futures]


class TestFullDisk:
    def test_a_full_disk_refuses_the_write_and_keeps_the_rest(self, store: SqliteStore) -> None:
        add_context(store)
        store.write(set_state(b"before", b"v"))
        limit_pages(store, 2)

        with pytest.raises(StoreFailedError, match="full") as raised:
            store.write(lambda tx: tx.blobs.put(blob_id(), [b"x" * 100_000], at=AT))

        assert raised.value.code == "store_failed"
        assert "disk" in raised.value.next_step
        assert store.read(lambda tx: tx.blobs.size(blob_id())) is None
        assert store.read(lambda tx: tx.state.read(context_id(), b"before")) == b"v"

    def test_the_store_goes_on_when_there_is_space_again(self, store: SqliteStore) -> None:
        add_context(store)
        limit_pages(store, 2)
        with pytest.raises(StoreFailedError):
            store.write(lambda tx: tx.blobs.put(blob_id(), [b"x" * 100_000], at=AT))

        limit_pages(store, 1_000)

        store.write(lambda tx: tx.blobs.put(blob_id(), [b"x" * 100_000], at=AT))
        assert store.read(lambda tx: tx.blobs.size(blob_id())) == 100_000

    def test_in_a_group_exactly_those_are_kept_who_were_told_so(self, store: SqliteStore) -> None:
        add_context(store)
        limit_pages(store, 2)

        def huge(tx: Transaction) -> None:
            tx.state.write(context_id(), {b"huge": b"x" * 100_000})

        works = [set_state(b"0", b"v"), huge, set_state(b"2", b"v"), set_state(b"3", b"v")]
        outcomes = in_one_group(store, works)

        assert isinstance(outcomes[1], StoreFailedError)
        assert outcomes[2:] == [None, None]
        kept = store.read(lambda tx: [tx.state.read(context_id(), str(n).encode()) for n in (0, 2, 3)])
        assert [value is not None for value in kept] == [outcomes[n] is None for n in (0, 2, 3)]
        assert store.read(lambda tx: tx.state.read(context_id(), b"huge")) is None

    def test_a_work_that_hides_the_full_disk_is_not_kept_in_part(self, store: SqliteStore) -> None:
        add_context(store)
        limit_pages(store, 2)

        def stubborn(tx: Transaction) -> None:
            tx.state.write(context_id(), {b"first": b"v"})
            try:
                tx.state.write(context_id(), {b"huge": b"x" * 100_000})
            except StoreFailedError:
                tx.state.write(context_id(), {b"last": b"v"})

        with pytest.raises(RuntimeError, match="transaction has ended"):
            store.write(stubborn)

        assert store.read(lambda tx: tx.state.size(context_id())) == 0
        store.write(set_state(b"k", b"v"))


class TestFile:
    def test_the_file_holds_no_plain_text(self, store: SqliteStore, path: Path) -> None:
        write_marker(store)

        def texts() -> list[bytes]:
            return [file.read_bytes() for file in path.parent.iterdir() if file.is_file()]

        assert sum(map(len, texts())) > len(MARKER) * 100
        assert not any(MARKER in text or b"CREATE TABLE" in text or b"SQLite" in text for text in texts())
        store.close()
        assert not any(MARKER in text or b"CREATE TABLE" in text or b"SQLite" in text for text in texts())

    def test_only_the_owner_of_the_process_can_read_the_files(self, store: SqliteStore, path: Path) -> None:
        write_marker(store)

        assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
            "node.db": 0o600,
            "node.db-wal": 0o600,
            "node.db-shm": 0o600,
            "node.db.lock": 0o600,
        }

    def test_another_key_is_refused_and_changes_nothing(
        self, store: SqliteStore, path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        write_marker(store)
        store.close()
        before = path.read_bytes()

        with pytest.raises(StoreLockedError) as raised:
            SqliteStore(path, OTHER_KEY)

        assert raised.value.code == "store_locked"
        assert "belong together" in raised.value.reason
        assert OTHER_KEY not in repr(raised.value)
        assert path.read_bytes() == before
        assert capfd.readouterr() == ("", "")
        SqliteStore(path, KEY).close()

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.write_bytes(b"no database at all" * 1000)

        with pytest.raises(StoreLockedError):
            SqliteStore(path, KEY)

        assert path.read_bytes() == b"no database at all" * 1000

    @pytest.mark.parametrize("key", ["", "5E" * 32, "5e" * 31, "5e" * 32 + "'", "é" * 64])
    def test_a_key_of_another_form_is_refused_without_repeating_it(self, path: Path, key: str) -> None:
        with pytest.raises(ValueError, match="64 lower-case hex digits") as raised:
            SqliteStore(path, key)

        assert not key or key not in str(raised.value)
        assert not path.exists()

    def test_a_place_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StoreFailedError):
            SqliteStore(tmp_path / "nowhere" / "node.db", KEY)

    def test_a_second_opener_is_refused_until_the_first_closes(self, store: SqliteStore, path: Path) -> None:
        with pytest.raises(StoreInUseError) as raised:
            SqliteStore(path, KEY)

        assert raised.value.code == "store_in_use"
        store.close()
        SqliteStore(path, KEY).close()

    def test_another_process_is_refused(self, store: SqliteStore, path: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from meroid.store import SqliteStore, StoreInUseError\n"
            "try: SqliteStore(Path(sys.argv[1]), sys.stdin.read())\n"
            "except StoreInUseError as error: print(error.code)\n"
        )

        run = subprocess.run(
            [sys.executable, "-c", script, path], input=KEY, capture_output=True, text=True, timeout=60, check=False
        )

        assert (run.stdout, run.stderr) == ("store_in_use\n", "")

    def test_a_commit_is_flushed_to_the_disk_and_foreign_keys_hold(self, store: SqliteStore) -> None:
        settings = ("journal_mode", "synchronous", "foreign_keys")

        found = [store._connection.execute(f"PRAGMA {name}").fetchone() for name in settings]

        assert found == [("wal",), (2,), (1,)]

    def test_closing_empties_the_log_and_keeps_everything(self, store: SqliteStore, path: Path) -> None:
        write_marker(store)

        store.close()

        assert not path.with_name("node.db-wal").exists()
        again = SqliteStore(path, KEY)
        assert again.read(lambda tx: tx.state.read(context_id(), b"marker")) == MARKER * 100
        again.close()

    def test_a_store_that_needs_no_migration_opens_without_loading_alembic(
        self, store: SqliteStore, path: Path
    ) -> None:
        store.close()
        script = (
            "import sys; from pathlib import Path; from meroid.store import SqliteStore\n"
            "SqliteStore(Path(sys.argv[1]), sys.stdin.read()).close()\n"
            "print(sorted({'alembic', 'sqlalchemy'} & sys.modules.keys()))\n"
        )

        run = subprocess.run(
            [sys.executable, "-c", script, path], input=KEY, capture_output=True, text=True, timeout=60, check=False
        )

        assert (run.stdout, run.stderr) == ("[]\n", "")


WRITE_UNTIL_KILLED = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from meroid.store import SqliteStore
from tests.contract.store_records import AT, add_context, context_id, operation_id

store = SqliteStore(Path(sys.argv[1]), sys.stdin.readline().strip())
add_context(store)

def write(number):
    store.write(lambda tx: tx.operations.append(context_id(), operation_id(number), b"e" * 300, applied=True, at=AT))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()

with ThreadPoolExecutor(8) as threads:
    list(threads.map(write, range(20_000)))
"""


class TestCrash:
    def test_a_killed_process_loses_nothing_that_it_acknowledged(self, path: Path) -> None:
        root = Path(__file__).parents[2]
        child = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env={"PYTHONPATH": f"{root}/src:{root}", "PATH": ""},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        with child:
            child.stdin.write(f"{KEY}\n")
            child.stdin.flush()
            acknowledged = [child.stdout.readline() for _ in range(300)]
            child.send_signal(signal.SIGKILL)
            acknowledged += child.stdout.readlines()

        store = SqliteStore(path, KEY)
        numbers = [int(line) for line in acknowledged if line.endswith("\n")]
        there = store.read(lambda tx: {stored.operation_id for stored in tx.operations.scan(context_id())})
        store.close()
        assert len(numbers) >= 300
        assert {operation_id(number) for number in numbers} <= there
