"""A node's store key is rotated: the key store, the database and its copies together, killed anywhere."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.homes import HomeOfNode
from tests.interruption import kills

from meroid.custody import databases, finishing, rotating, starting
from meroid.custody.databases import AnotherUsersHomeError, NoDatabaseError
from meroid.custody.rotating import CopyUnderAnotherKeyError, rotate
from meroid.errors import MeroidError
from meroid.keys.signer import Secret
from meroid.store import StoreInUseError, rekeying
from meroid.store.errors import DiskFullError
from meroid.store.lock import lock_database
from meroid.vault import file_store, private_file, rotation
from meroid.vault.key_store import KeyStoreReadOnlyError, NoStoreKeyError, WrongStoreKeyError
from meroid.vault.store_keys import open_secret_store

COPY = "node.db.before-0002_restored_accounts"
FILES = {"config.toml", "store.key", "home-mark", "starts", "data/node.db", "data/node.db.lock"}
CODE = [
    Path(str(module.__file__))
    for module in (databases, finishing, rotating, starting, rekeying, rotation, file_store, private_file)
]


@pytest.fixture
def home(tmp_path: Path) -> HomeOfNode:
    return HomeOfNode(tmp_path / "nodes")


def restored(home: HomeOfNode) -> Callable[[], None]:
    """What puts the home back as it is now."""
    kept = home.folder.with_name("kept")
    shutil.copytree(home.folder, kept)

    def restore() -> None:
        shutil.rmtree(home.folder)
        shutil.copytree(kept, home.folder)

    return restore


def test_all_seeds_and_signing_keys_open_with_the_new_key_alone(home: HomeOfNode) -> None:
    old, before = home.key(), home.opened()
    assert old is not None

    done = rotate(home.settings)

    assert home.key() != old
    assert home.opened() == before
    assert home.names() == FILES
    assert home.holders(old) == set()
    assert (done.databases, done.finished) == (("node.db",), False)
    for name in home.names():
        assert stat.S_IMODE((home.directory / name).stat().st_mode) == 0o600


def test_a_dry_run_looks_at_everything_and_changes_nothing(home: HomeOfNode) -> None:
    before = {name: (home.directory / name).read_bytes() for name in home.names()}
    assert rotate(home.settings, dry_run=True).databases == ("node.db",)
    assert {name: (home.directory / name).read_bytes() for name in home.names()} == before


def test_copies_that_migrations_left_go_under_the_new_key_and_parts_of_copies_go_away(home: HomeOfNode) -> None:
    old = home.key()
    assert old is not None
    shutil.copy(home.database, home.database.with_name(COPY))
    shutil.copy(home.database, home.database.with_name(f"{COPY}.part"))

    done = rotate(home.settings)

    new = home.key()
    assert new is not None
    assert done.databases == ("node.db", COPY)
    assert home.names() == {*FILES, f"data/{COPY}"}
    copy = databases.SealedDatabase(home.database.with_name(COPY))
    assert copy.opens_with(Secret(new))
    assert not copy.opens_with(Secret(old))


def test_a_copy_under_another_key_is_named_and_nothing_is_changed(home: HomeOfNode, tmp_path: Path) -> None:
    other = HomeOfNode(tmp_path / "others")
    shutil.copy(other.database, home.database.with_name(COPY))
    key, before = home.key(), home.opened()

    with pytest.raises(CopyUnderAnotherKeyError) as caught:
        rotate(home.settings)

    assert caught.value.code == "copy_under_another_key"
    assert COPY in caught.value.reason
    assert (home.key(), home.opened()) == (key, before)


def test_killed_at_any_line_the_next_start_opens_everything_and_leaves_one_key(home: HomeOfNode) -> None:
    shutil.copy(home.database, home.database.with_name(COPY))
    old, before = home.key(), home.opened()
    assert old is not None
    count = 0
    for _ in kills(restored(home), lambda: rotate(home.settings), CODE, stride=17):
        count += 1
        assert home.opened() == before
        # A kill while the copy was looked at leaves an empty log beside it, which the next opening takes away.
        assert home.names() <= {*FILES, *(f"data/{COPY}{suffix}" for suffix in ("", "-wal", "-shm"))}
        key = home.key()
        assert key is not None
        assert databases.SealedDatabase(home.database.with_name(COPY)).opens_with(Secret(key))
        if key != old:
            assert home.holders(old) == set()
    assert count > 20


def test_a_start_that_finishes_it_may_be_killed_too(home: HomeOfNode) -> None:
    before = home.opened()
    open_secret_store("file:", home.directory).successor.save(Secret(bytes(range(32))))
    for _ in kills(restored(home), home.opened, CODE, stride=13):
        assert home.opened() == before
        assert home.key() == bytes(range(32))
        assert home.names() == FILES


def test_a_rotation_that_was_interrupted_is_finished_instead_of_begun_again(home: HomeOfNode) -> None:
    before = home.opened()
    open_secret_store("file:", home.directory).successor.save(Secret(bytes(range(32))))
    assert rotate(home.settings, dry_run=True).finished
    assert rotate(home.settings).finished
    assert home.key() == bytes(range(32))
    assert home.opened() == before


def test_a_full_disk_takes_the_rotation_back(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    key, before = home.key(), home.opened()

    def full(_part: Path, _needed: int) -> None:
        raise DiskFullError("there is no room")

    with monkeypatch.context() as patched:
        patched.setattr(rekeying, "_check_room", full)
        with pytest.raises(DiskFullError):
            rotate(home.settings)

    assert home.names() == FILES
    assert (home.key(), home.opened()) == (key, before)


def test_ctrl_c_takes_the_rotation_back(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    key, before = home.key(), home.opened()
    monkeypatch.setattr(rekeying, "_STEPS_BETWEEN_REPORTS", 10)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(home.settings, progress=interrupt)

    assert home.names() == FILES
    assert (home.key(), home.opened()) == (key, before)


def test_what_can_not_be_rotated_is_refused_and_stays(
    home: HomeOfNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = HomeOfNode(tmp_path / "others")

    def foreign_key() -> None:
        (home.directory / "store.key").write_bytes((other.directory / "store.key").read_bytes())

    def no_key() -> None:
        (home.directory / "store.key").unlink()

    def no_database() -> None:
        home.database.unlink()

    def another_user() -> None:
        monkeypatch.setattr("os.geteuid", lambda: 4711)

    restore = restored(home)
    cases: list[tuple[Callable[[], None], type[MeroidError]]] = [
        (foreign_key, WrongStoreKeyError),
        (no_key, NoStoreKeyError),
        (no_database, NoDatabaseError),
        (another_user, AnotherUsersHomeError),
    ]
    for spoil, refusal in cases:
        restore()
        spoil()
        before = {name: (home.directory / name).read_bytes() for name in home.names()}
        with pytest.raises(refusal):
            rotate(home.settings)
        assert {name: (home.directory / name).read_bytes() for name in home.names()} == before


def test_a_variable_and_a_running_node_are_refused(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = lock_database(home.database)
    for dry_run in (True, False):
        with pytest.raises(StoreInUseError):
            rotate(home.settings, dry_run=dry_run)
    lock.release()

    text = (home.directory / "store.key").read_text()
    monkeypatch.setenv("STORE_KEY", text)
    config = home.directory / "config.toml"
    config.write_text(config.read_text().replace("file:", "env:STORE_KEY"))
    with pytest.raises(KeyStoreReadOnlyError):
        rotate(home.settings)
    assert len(home.opened()[0]) == 3


@pytest.mark.needs("softhsm2")
def test_a_key_behind_a_token_is_rotated(tmp_path: Path, token: Any) -> None:
    home = HomeOfNode(tmp_path / "nodes", token.uri())
    old, before = home.key(), home.opened()
    rotate(home.settings)
    assert home.key() != old
    assert home.opened() == before


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_key_in_a_keychain_is_rotated(tmp_path: Path, keychain: Any) -> None:
    home = HomeOfNode(tmp_path / "nodes", "keyring:")
    old, before = home.key(), home.opened()
    rotate(home.settings)
    assert home.key() != old
    assert home.opened() == before
