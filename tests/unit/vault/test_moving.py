"""Moving the store key between key stores, killed at every line."""

import base64
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.interruption import killed, kills

from meroid.keys.signer import Secret
from meroid.vault import file_store, moving, private_file
from meroid.vault.file_store import FileSecretStore
from meroid.vault.key_store import KeyStoreReadOnlyError, KeyStoreTakenError, NoStoreKeyError, WrongStoreKeyError
from meroid.vault.keyring_store import KeychainLockedError
from meroid.vault.moving import Moved, RotationUnfinishedError, SameKeyStoreError, move_store_key
from meroid.vault.store_keys import open_secret_store

KEY, OTHER = Secret(bytes(range(32))), Secret(bytes(range(32, 64)))
VAULT = [Path(str(module.__file__)) for module in (file_store, moving, private_file)]


class Home:
    """A home with its configuration, reduced to what a move touches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.config = folder / "config"

    def opens(self, key: Secret) -> bool:
        return key.reveal() == KEY.reveal()

    def switch(self, uri: str) -> None:
        part = self.config.with_suffix(".part")
        part.write_text(uri)
        part.replace(self.config)

    def move(self, source: str, target: str) -> Moved:
        return move_store_key(source, target, home=self.folder, opens=self.opens, switch=self.switch)

    def held(self, uri: str) -> bytes | None:
        found = open_secret_store(uri, self.folder).load()
        return None if found is None else found.reveal()

    def configured(self) -> bytes | None:
        """The key at the place that the configuration names: what a node started now would find."""
        return self.held(self.config.read_text())

    def copies(self) -> list[str]:
        """Files anywhere in the home that hold the key in any form."""
        forms = (KEY.reveal(), base64.urlsafe_b64encode(KEY.reveal()), KEY.reveal().hex().encode())
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in files if any(form in path.read_bytes() for form in forms)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    open_secret_store("file:", home.folder).save(KEY)
    home.switch("file:")
    return home


def test_the_key_is_at_the_target_and_no_copy_stays(home: Home) -> None:
    moved = home.move("file:", "file:elsewhere/key")
    assert moved.left_behind is None
    assert home.configured() == KEY.reveal()
    assert home.copies() == ["key"]


def test_a_second_call_changes_nothing(home: Home) -> None:
    home.move("file:", "file:new")
    home.move("file:", "file:new")
    assert home.configured() == KEY.reveal()
    assert home.copies() == ["new"]


def fresh(home: Home) -> Callable[[], None]:
    def prepare() -> None:
        for path in sorted(home.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        open_secret_store("file:", home.folder).save(KEY)
        home.switch("file:")

    return prepare


def test_a_move_that_is_killed_at_any_line_goes_on_and_the_node_could_start_at_any_time(home: Home) -> None:
    count = 0
    for _ in kills(fresh(home), lambda: home.move("file:", "file:sub/new"), VAULT):
        count += 1
        assert home.configured() == KEY.reveal()

        home.move("file:", "file:sub/new")

        assert home.config.read_text() == "file:sub/new"
        assert home.configured() == KEY.reveal()
        assert home.copies() == ["new"]
        assert sorted(path.name for path in home.folder.iterdir()) == ["config", "sub"]
    assert count > 60


def test_a_move_that_is_killed_twice_goes_on(home: Home) -> None:
    def move() -> Moved:
        return home.move("file:", "file:new")

    def killed_once(step: int) -> Callable[[], None]:
        def prepare() -> None:
            fresh(home)()
            killed(move, VAULT, step)

        return prepare

    for first in range(5, 160, 31):
        for _ in kills(killed_once(first), move, VAULT, stride=13):
            move()
            assert home.configured() == KEY.reveal()
            assert home.copies() == ["new"]


@pytest.mark.parametrize("same", ["file:store.key", "file:./store.key", "file:sub/../store.key", "file:link"])
def test_two_names_of_one_place_are_refused(home: Home, same: str) -> None:
    (home.folder / "sub").mkdir()
    (home.folder / "link").symlink_to("store.key")
    for source, target in (("file:", same), (same, "file:")):
        with pytest.raises(SameKeyStoreError) as caught:
            home.move(source, target)
        assert caught.value.code == "same_key_store"
    assert home.held("file:") == KEY.reveal()


def test_a_second_name_of_the_file_keeps_the_key(home: Home) -> None:
    os.link(home.folder / "store.key", home.folder / "new")
    home.move("file:", "file:new")
    assert home.configured() == KEY.reveal()
    assert home.copies() == ["new"]


def test_a_key_that_went_from_both_places_is_put_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one place that don't look alike: here, because both say that they are something else."""
    (home.folder / "same").symlink_to(".")
    monkeypatch.setattr(FileSecretStore, "place", property(lambda self: str(self.path)))
    with pytest.raises(SameKeyStoreError) as caught:
        home.move("file:", "file:same/store.key")
    assert "it is back" in caught.value.reason
    assert home.held("file:") == KEY.reveal()


def test_another_key_at_the_target_is_never_overwritten(home: Home) -> None:
    open_secret_store("file:new", home.folder).save(OTHER)
    with pytest.raises(KeyStoreTakenError):
        home.move("file:", "file:new")
    assert home.configured() == KEY.reveal()
    assert home.held("file:new") == OTHER.reveal()


def test_a_key_of_another_home_is_not_moved(home: Home) -> None:
    open_secret_store("file:new", home.folder).save(OTHER)
    for source, target in (("file:new", "file:third"), ("file:absent", "file:new")):
        with pytest.raises(WrongStoreKeyError) as caught:
            home.move(source, target)
        assert caught.value.code == "wrong_store_key"
    assert home.held("file:new") == OTHER.reveal()
    assert home.config.read_text() == "file:"


def test_nothing_to_move_is_refused(home: Home) -> None:
    with pytest.raises(NoStoreKeyError) as caught:
        home.move("file:absent", "file:new")
    assert caught.value.code == "no_store_key"


@pytest.mark.parametrize("waiting", ["store.key", "new"])
def test_an_unfinished_rotation_comes_first(home: Home, waiting: str) -> None:
    FileSecretStore(home.folder / waiting).successor.save(OTHER)
    with pytest.raises(RotationUnfinishedError) as caught:
        home.move("file:", "file:new")
    assert caught.value.code == "rotation_unfinished"
    assert home.configured() == KEY.reveal()


def test_a_variable_is_left_behind_and_the_caller_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_KEY", base64.urlsafe_b64encode(KEY.reveal()).decode())
    open_secret_store("file:", home.folder).remove()
    moved = home.move("env:STORE_KEY", "file:new")
    assert moved.left_behind == "env:STORE_KEY"
    assert home.configured() == KEY.reveal()


def test_a_variable_must_hold_the_key_already_to_be_a_target(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORE_KEY", raising=False)
    with pytest.raises(KeyStoreReadOnlyError):
        home.move("file:", "env:STORE_KEY")
    assert home.configured() == KEY.reveal()

    monkeypatch.setenv("STORE_KEY", base64.urlsafe_b64encode(KEY.reveal()).decode())
    home.move("file:", "env:STORE_KEY")
    assert home.configured() == KEY.reveal()
    assert home.copies() == []


def test_a_switch_that_fails_leaves_the_source_whole(home: Home) -> None:
    def refuse(_uri: str) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        move_store_key("file:", "file:new", home=home.folder, opens=home.opens, switch=refuse)
    assert home.configured() == KEY.reveal()
    home.move("file:", "file:new")
    assert home.copies() == ["new"]


@pytest.mark.needs("softhsm2", "dbus-daemon", "gnome-keyring")
def test_the_key_goes_through_every_kind_of_store_and_back(home: Home, token: Any, keychain: Any) -> None:
    stations = ["file:", "keyring:", token.uri(), "keyring:named", token.uri("object=second"), "file:back"]
    for source, target in pairwise(stations):
        home.move(source, target)
        assert home.configured() == KEY.reveal()
        assert home.held(source) is None
    assert home.copies() == ["back"]
    assert list(home.folder.glob("*pkcs11*")) == []


@pytest.mark.needs("softhsm2")
def test_a_move_to_a_token_goes_on_from_each_state_that_a_crash_leaves(home: Home, token: Any) -> None:
    target = open_secret_store(token.uri(), home.folder)
    target.save(KEY)  # the crash came before the switch

    home.move("file:", token.uri())
    assert home.copies() == []

    home.move("file:", token.uri())  # and after the removal
    assert home.configured() == KEY.reveal()


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_keychain_that_is_locked_stops_the_move_and_nothing_is_lost(home: Home, keychain: Any) -> None:
    keychain.lock()
    with pytest.raises(KeychainLockedError):
        home.move("file:", "keyring:")
    assert home.configured() == KEY.reveal()
