"""The version of a store moves with every commit, whoever makes it, and with nothing else."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from meroid.service.ports.store import Transaction
from meroid.store.driver import open_reader, open_writer
from meroid.store.errors import StoreClosedError
from meroid.store.sqlite import SqliteStore

KEY = "ab" * 32


@pytest.fixture(params=["mapped", "asked"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    if request.param == "asked":
        monkeypatch.setattr("meroid.store.watch._map", lambda _path: None)
    opened = SqliteStore(tmp_path / "store.db", KEY)
    opened.version()
    assert (opened._watch._header is None) is (request.param == "asked")
    yield opened
    opened.close()


def write(store: SqliteStore) -> None:
    code = secrets.token_bytes(32)
    store.write(lambda tx: tx.auth.set_setup_code(code))


def test_it_moves_with_each_commit(store: SqliteStore) -> None:
    seen = [store.version()]
    for _ in range(5):
        write(store)
        assert store.version() == store.version()
        seen.append(store.version())
    assert len(set(seen)) == 6


def test_it_stays_over_reads_and_what_is_undone(store: SqliteStore) -> None:
    before = store.version()
    store.read(lambda tx: tx.auth.setup_code())

    def fails(tx: Transaction) -> None:
        tx.auth.set_setup_code(b"y" * 32)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(fails)
    assert store.version() == before


def test_it_moves_with_commits_of_other_connections(store: SqliteStore, tmp_path: Path) -> None:
    write(store)
    other = open_writer(tmp_path / "store.db", KEY)
    before = store.version()
    other.execute("DELETE FROM setup_code")
    assert store.version() != before
    other.close()


@pytest.mark.parametrize("mode", ["PASSIVE", "TRUNCATE"])
def test_it_still_moves_after_a_checkpoint(store: SqliteStore, tmp_path: Path, mode: str) -> None:
    write(store)
    other = open_writer(tmp_path / "store.db", KEY)
    other.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    seen = {store.version()}
    for number in range(2, 6):
        write(store)
        seen.add(store.version())
        assert len(seen) == number
    other.close()


def test_what_is_read_after_it_is_no_older(store: SqliteStore, tmp_path: Path) -> None:
    """A reader that begins after the version moved sees the commit that moved it."""
    reader = open_reader(tmp_path / "store.db", KEY)
    for number in range(20):
        before = store.version()
        store.write(lambda tx, code=bytes([number]) * 32: tx.auth.set_setup_code(code))  # type: ignore[misc]
        assert store.version() != before
        row = reader.execute("SELECT * FROM setup_code").fetchone()
        assert row is not None
        assert bytes([number]) * 32 in row
    reader.close()


def test_a_closed_store_has_none(tmp_path: Path) -> None:
    opened = SqliteStore(tmp_path / "store.db", KEY)
    opened.version()
    opened.close()
    with pytest.raises(StoreClosedError):
        opened.version()
