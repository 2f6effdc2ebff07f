"""Several processes write one database under one lock, here as several stores: each waits its turn, in bounds."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meroid.service.ports.store import Transaction
from meroid.store import SqliteStore, StoreInUseError, writer as writing
from meroid.store.errors import StoreBusyError
from meroid.store.lock import lock_database

KEY = "5e" * 32


def test_the_lock_is_free_once_the_last_that_shares_it_has_given_it_back(tmp_path: Path) -> None:
    lock = lock_database(tmp_path / "a.db")
    store = SqliteStore(tmp_path / "a.db", KEY, lock=lock.share())
    lock.release()

    with pytest.raises(StoreInUseError):
        lock_database(tmp_path / "a.db")
    with pytest.raises(ValueError, match="given back"):
        lock.share()
    store.close()
    lock_database(tmp_path / "a.db").release()


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    lock = lock_database(tmp_path / "a.db")
    stores = [SqliteStore(tmp_path / "a.db", KEY, lock=lock.share()) for _ in range(3)]

    def write(number: int) -> None:
        stores[number % 3].write(lambda tx: tx.auth.put_setting(f"n{number}", "x"))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(write, range(240)))

    kept = stores[0].read(lambda tx: [tx.auth.setting(f"n{number}") for number in range(240)])
    assert kept == ["x"] * 240
    for each in stores:
        each.close()
    lock.release()


def test_what_waits_too_long_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_BUSY_S", 0.1)
    lock = lock_database(tmp_path / "a.db")
    one, other = (SqliteStore(tmp_path / "a.db", KEY, lock=lock.share()) for _ in range(2))
    writes, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        writes.set()
        go_on.wait(10)

    holder = threading.Thread(target=one.write, args=(hold,))
    holder.start()
    assert writes.wait(10)
    begin = time.monotonic()
    with pytest.raises(StoreBusyError):
        other.write(lambda tx: tx.auth.put_setting("late", "x"))
    waited = time.monotonic() - begin
    go_on.set()
    holder.join()

    assert waited < 5
    assert other.read(lambda tx: tx.auth.setting("late")) is None
    other.write(lambda tx: tx.auth.put_setting("late", "y"))
    for each in (one, other):
        each.close()
    lock.release()
