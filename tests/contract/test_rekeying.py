"""A database goes under another key as a whole or not at all, with the seeds and secrets that are sealed in it."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.contract.store_records import AT, add_context, context_id
from tests.interruption import killed, kills

from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.signer import Secret
from meroid.service.keyring import KeyRing
from meroid.service.signing import SigningKeys
from meroid.store import SqliteStore, StoreFailedError, StoreLockedError, StoreTooNewError, rekeying
from meroid.store.driver import open_existing, open_writer
from meroid.store.errors import DiskFullError
from meroid.store.rekeying import SEALED, SEALED_PREFIX, DatabaseFile
from meroid.store.schema import copies_of
from meroid.store.tables import metadata
from meroid.vault.rotation import Resealing
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault

OLD, NEW, THIRD = (Secret(bytes(range(first, first + 32))) for first in (0, 32, 64))
CODE = [Path(str(rekeying.__file__))]
VALUE = b"a value that stands nowhere else"


class Database:
    """A database with accounts, keys that sign tokens, and state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = DatabaseFile(path)

    def open(self, key: Secret = OLD) -> SqliteStore:
        return SqliteStore(self.path, SeedVault(key).database_key())

    def fill(self, key: Secret = OLD, *, more: int = 0) -> None:
        for each in self.path.parent.glob(f"{self.path.name}*"):
            each.unlink()
        with closing(self.open(key)) as store:
            ring = KeyRing(store, SeedVault(key))
            for number in range(3):
                ring.create_account(owner=number == 0, at=AT)
            SigningKeys(store, SecretBox(key), issuer="i", audience="a").ensure(AT)
            there = add_context(store)
            store.write(lambda tx: tx.state.write(there, {b"k": VALUE}))
            store.write(lambda tx: tx.state.write(there, {str(n).encode(): os.urandom(50_000) for n in range(more)}))

    def rekey(self, old: Secret = OLD, new: Secret = NEW) -> None:
        resealing = Resealing(old, new)
        self.file.rekey(*resealing.database_keys(), resealing)

    def opens(self, key: Secret) -> bool:
        return self.file.opens_with(SeedVault(key).database_key(), Resealing(key, key))

    def content(self, key: Secret) -> tuple[dict[AccountId, bytes], list[bytes], dict[str, list[object]]]:
        """All seeds, the secret keys that sign tokens, and every other row of every table."""
        with closing(self.open(key)) as store:
            accounts = store.read(lambda tx: tx.accounts.list())
            seeds = {
                each.account_id: _entropy(SeedVault(key).open(each.account_id, each.sealed_seed)) for each in accounts
            }
            records = store.read(lambda tx: tx.auth.signing_keys())
            box = SecretBox(key)
            signing = [box.open(f"meroid/token-signing-key/v1/{each.kid}", each.sealed_secret) for each in records]
            secrets = [each.reveal() for each in signing]
        return seeds, secrets, self._rows(key)

    def _rows(self, key: Secret) -> dict[str, list[object]]:
        sealed = {each.table: each.column for each in SEALED}
        with closing(open_existing(self.path, SeedVault(key).database_key())) as connection:
            found: dict[str, list[object]] = {}
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
                wanted = ", ".join(column for column in columns if column != sealed.get(table))
                found[table] = sorted(connection.execute(f"SELECT {wanted} FROM {table}").fetchall(), key=repr)
        return found

    def names(self) -> set[str]:
        return {each.name for each in self.path.parent.iterdir()}


def _entropy(seed: Seed) -> bytes:
    return seed.entropy.reveal()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / "node.db")
    made.fill()
    return made


def test_everything_opens_with_the_new_key_and_nothing_with_the_old_one(database: Database) -> None:
    before = database.content(OLD)

    database.rekey()

    assert database.content(NEW) == before
    assert len(before[0]) == 3
    assert len(before[1]) == 1
    assert not database.opens(OLD)
    with pytest.raises(StoreLockedError):
        database.open(OLD)


def test_the_file_is_private_and_nothing_lies_beside_it(database: Database) -> None:
    database.rekey()

    assert database.path.stat().st_mode & 0o777 == 0o600
    assert database.names() == {"node.db", "node.db.lock"}


def test_the_way_back_leads_to_the_same_content(database: Database) -> None:
    before = database.content(OLD)
    database.rekey()
    database.rekey(NEW, OLD)
    assert database.content(OLD) == before


def test_a_row_that_is_under_another_key_than_the_file_keeps_all_as_it_was(database: Database) -> None:
    with closing(open_writer(database.path, SeedVault(OLD).database_key())) as connection:
        strange = SeedVault(THIRD).seal(AccountId(bytes(range(32))), Seed(Secret(bytes(32))))
        connection.execute("UPDATE accounts SET sealed_seed = ? WHERE owner = 1", (strange,))
    assert not database.opens(OLD)
    before = database.path.read_bytes()

    with pytest.raises(Exception, match="doesn't open"):
        database.rekey()

    assert database.path.read_bytes()[4096:] == before[4096:]  # the first page says how the log is kept
    assert database.names() == {"node.db", "node.db.lock"}


def test_a_wrong_key_a_damaged_file_and_an_empty_one_are_refused_and_stay(database: Database) -> None:
    before = database.path.read_bytes()
    with pytest.raises(StoreLockedError):
        database.rekey(THIRD, NEW)
    assert database.path.read_bytes() == before

    damaged = before[:20_000] + bytes(4096) + before[24_096:]
    database.path.write_bytes(damaged)
    with pytest.raises(StoreFailedError):
        database.rekey()
    assert database.path.read_bytes()[4096:] == damaged[4096:]

    database.path.write_bytes(b"")
    assert not database.opens(OLD)
    with pytest.raises(StoreLockedError):
        database.rekey()
    assert database.path.read_bytes() == b""


def test_what_a_newer_version_may_have_sealed_is_not_lost(database: Database) -> None:
    with closing(open_writer(database.path, SeedVault(OLD).database_key())) as connection:
        connection.execute("ALTER TABLE settings ADD COLUMN sealed_thing BLOB")
    with pytest.raises(StoreTooNewError):
        database.rekey()

    database.fill()
    with closing(open_writer(database.path, SeedVault(OLD).database_key())) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_later'")
    with pytest.raises(StoreTooNewError):
        database.rekey()


def test_no_sealed_column_of_the_schema_is_forgotten() -> None:
    by_name, by_meaning = set(), set()
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.name.startswith(SEALED_PREFIX):
                by_name.add((table.name, column.name))
            if "sealed under the store key" in (column.comment or ""):
                by_meaning.add((table.name, column.name))

    assert by_name == by_meaning == {(each.table, each.column) for each in SEALED}


def test_killed_at_any_line_it_opens_with_exactly_one_key_and_can_go_on(database: Database) -> None:
    database.fill()
    before, count = database.content(OLD), 0
    whole = {each: (database.path.parent / each).read_bytes() for each in database.names()}

    def restore() -> None:
        for each in database.path.parent.iterdir():
            each.unlink()
        for name, content in whole.items():
            (database.path.parent / name).write_bytes(content)

    for _ in kills(restore, database.rekey, CODE, stride=2):
        count += 1
        old, new = database.opens(OLD), database.opens(NEW)
        assert old != new
        if old:
            database.rekey()
        else:
            database.file.forget_part()
        assert database.opens(NEW)
        assert database.names() <= {"node.db", "node.db.lock", "node.db-wal", "node.db-shm"}
    assert count > 40
    assert database.content(NEW) == before


_WRITES_AND_DIES = """
import os, signal, sys
from meroid.store import SqliteStore
from tests.contract.store_records import context_id
store = SqliteStore(__import__("pathlib").Path(sys.argv[1]), sys.argv[2])
store.write(lambda tx: tx.state.write(context_id(), {b"late": b"committed before the kill"}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_node_left_in_its_log_comes_along(database: Database) -> None:
    command = [sys.executable, "-c", _WRITES_AND_DIES, str(database.path), SeedVault(OLD).database_key()]
    ended = subprocess.run(command, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert (database.path.parent / "node.db-wal").stat().st_size > 0
    assert not database.opens(THIRD)  # to try a wrong key harms nothing

    database.rekey()

    assert (b"late", b"committed before the kill") in {row[1:] for row in database.content(NEW)[2]["state"]}  # type: ignore[index]


def test_killed_while_a_log_is_there_it_is_never_read_into_the_new_file(database: Database) -> None:
    command = [sys.executable, "-c", _WRITES_AND_DIES, str(database.path), SeedVault(OLD).database_key()]
    subprocess.run(command, check=False, timeout=60)
    whole = {each.name: each.read_bytes() for each in database.path.parent.iterdir()}

    def restore() -> None:
        for each in database.path.parent.iterdir():
            each.unlink()
        for name, content in whole.items():
            (database.path.parent / name).write_bytes(content)

    for step in range(0, 400, 7):
        restore()
        came_to_its_end = not killed(database.rekey, CODE, step)
        key = NEW if database.opens(NEW) else OLD
        assert database.opens(key)
        with closing(database.open(key)) as store:
            assert store.read(lambda tx: tx.state.read(context_id(), b"late")) == b"committed before the kill"
        if came_to_its_end:
            break


def test_the_progress_grows_to_the_whole(database: Database) -> None:
    database.fill(more=200)
    seen: list[tuple[int, int]] = []
    resealing = Resealing(OLD, NEW)

    database.file.rekey(*resealing.database_keys(), resealing, lambda done, total: seen.append((done, total)))

    assert seen[-1][0] == seen[-1][1] > 10_000_000
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_ctrl_c_in_the_middle_leaves_all_as_it_was(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rekeying, "_STEPS_BETWEEN_REPORTS", 100)
    resealing = Resealing(OLD, NEW)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.file.rekey(*resealing.database_keys(), resealing, interrupt)

    assert database.opens(OLD)
    assert database.names() == {"node.db", "node.db.lock"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") is not None and os.geteuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


@contextmanager
def no_room(folder: Path) -> Iterator[None]:
    """The small disk is full but for half a mebibyte; where there is none, no file may grow beyond that."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    filler = folder / "filler"
    if os.path.ismount(folder):
        filler.write_bytes(bytes(shutil.disk_usage(folder).free - 500_000))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        filler.unlink(missing_ok=True)


def test_a_full_disk_is_refused_and_nothing_is_changed(small_disk: Path) -> None:
    database = Database(small_disk / "node.db")
    database.fill(more=20)
    before = database.content(OLD)
    with no_room(small_disk), pytest.raises(DiskFullError) as caught:
        database.rekey()
    assert caught.value.code == "disk_full"
    assert database.names() == {"node.db", "node.db.lock"}
    assert database.content(OLD) == before


def test_a_disk_that_fills_up_meanwhile_is_refused_too(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rekeying, "_check_room", lambda _part, _needed: None)
    database = Database(small_disk / "node.db")
    database.fill(more=20)
    before = database.content(OLD)
    with no_room(small_disk), pytest.raises((DiskFullError, StoreFailedError)):
        database.rekey()
    assert database.names() == {"node.db", "node.db.lock"}
    assert database.content(OLD) == before


def test_only_whole_copies_of_migrations_count_as_such(tmp_path: Path) -> None:
    for name in ("node.db", "node.db.before-0002_x", "node.db.before-0003_y.part", "node.db.before-0002_x-wal"):
        (tmp_path / name).touch()
    assert [each.name for each in copies_of(tmp_path / "node.db")] == ["node.db.before-0002_x"]
