"""What a start does with a key store that isn't as it should be: a refusal with a code, and no change."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.homes import HomeOfNode

from meroid.app import initialise_node, open_vaulted
from meroid.config import Settings
from meroid.custody.databases import NoDatabaseError
from meroid.custody.state import look_at_store_key
from meroid.errors import MeroidError
from meroid.store import StoreInUseError, StoreLockedError
from meroid.vault.key_store import (
    KeyStoreDamagedError,
    KeyStoreOpenToOthersError,
    KeyStoreReadOnlyError,
    NoStoreKeyError,
    UnknownKeyStoreError,
)
from meroid.vault.keyring_store import KeychainLockedError, KeychainUnreachableError, KeyStoreBackendRefusedError
from meroid.vault.locked_memory import Protection


@pytest.fixture
def home(tmp_path: Path) -> HomeOfNode:
    return HomeOfNode(tmp_path / "nodes")


def content(home: HomeOfNode) -> dict[str, bytes]:
    return {name: (home.directory / name).read_bytes() for name in home.names()}


def refused(home: HomeOfNode, refusal: type[MeroidError], **how: Any) -> MeroidError:
    """A start is refused, and the home stays as it was."""
    before = content(home)
    with pytest.raises(refusal) as caught:
        open_vaulted(home.settings, make=False, **how)
    assert content(home) == before
    assert caught.value.next_step != MeroidError.next_step
    return caught.value


def name_key_store(home: HomeOfNode, uri: str) -> None:
    config = home.directory / "config.toml"
    lines = [
        f"key_store = '{uri}'" if line.startswith("key_store") else line for line in config.read_text().splitlines()
    ]
    config.write_text("\n".join(lines))


def test_a_key_file_that_is_missing_damaged_open_to_others_or_of_another_node(home: HomeOfNode, tmp_path: Path) -> None:
    key = home.directory / "store.key"
    whole = key.read_bytes()
    foreign = (HomeOfNode(tmp_path / "others").directory / "store.key").read_bytes()
    for text, mode, refusal in (
        (whole[:-10], 0o600, KeyStoreDamagedError),
        (b"", 0o600, KeyStoreDamagedError),
        (whole, 0o644, KeyStoreOpenToOthersError),
        (foreign, 0o600, StoreLockedError),
    ):
        key.write_bytes(text)
        key.chmod(mode)
        refused(home, refusal)
    key.unlink()
    refused(home, NoStoreKeyError)

    key.write_bytes(whole)
    key.chmod(0o600)
    assert len(home.opened()[0]) == 3


def test_no_new_database_is_made_in_the_place_of_one_that_is_gone(home: HomeOfNode) -> None:
    home.database.unlink()
    assert refused(home, NoDatabaseError).code == "no_database"
    shutil.rmtree(home.database.parent)
    refused(home, NoDatabaseError)


def test_no_second_key_is_made_beside_a_database_that_has_one(home: HomeOfNode) -> None:
    name_key_store(home, "file:another")
    before = content(home)
    with pytest.raises(NoStoreKeyError):
        open_vaulted(home.settings, make=True)
    assert content(home) == before


def test_a_uri_that_names_no_key_store(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    for uri, refusal in (
        ("nothing:", UnknownKeyStoreError),
        ("", UnknownKeyStoreError),
        ("env:", UnknownKeyStoreError),
        ("env:NO_SUCH_KEY", NoStoreKeyError),
        ("keyring:?backend=plaintext", KeyStoreBackendRefusedError),
    ):
        name_key_store(home, uri)
        refused(home, refusal)


def test_a_new_node_with_a_variable_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(KeyStoreReadOnlyError):
        HomeOfNode(tmp_path / "nodes", "env:NO_SUCH_KEY")


def test_two_starts_at_once(home: HomeOfNode) -> None:
    vaulted = open_vaulted(home.settings, make=False)
    with pytest.raises(StoreInUseError):
        open_vaulted(home.settings, make=False)
    vaulted.store.close()
    assert len(home.opened()[0]) == 3


def test_a_refused_start_gives_the_lock_back(home: HomeOfNode) -> None:
    whole = (home.directory / "store.key").read_bytes()
    (home.directory / "store.key").write_bytes(b"damaged")
    refused(home, KeyStoreDamagedError)
    (home.directory / "store.key").write_bytes(whole)
    assert len(home.opened()[0]) == 3


def test_a_new_home_and_its_files_are_private_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        listen = (("127.0.0.1", 1),)
        made = Settings(home=tmp_path / "n", name="n", auth_mode="proxy", listen=listen, swarm=listen)
        made.home.mkdir(mode=0o700)
        initialise_node(made).close()
    finally:
        os.umask(before)
    modes = {each.name: each.stat().st_mode & 0o777 for each in made.home.rglob("*")}
    files = ("node.db", "node.db.lock", "store.key", "home-mark", "starts")
    assert modes == {"data": 0o700, **dict.fromkeys(files, 0o600)}


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_keychain_that_is_locked_stuck_or_not_there(
    tmp_path: Path, keychain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = HomeOfNode(tmp_path / "nodes", "keyring:")
    assert len(home.opened()[0]) == 3
    keychain.lock()
    refused(home, KeychainLockedError)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    refused(home, KeychainUnreachableError)


def test_the_state_tells_what_is_and_why_not(home: HomeOfNode) -> None:
    state = look_at_store_key(home.settings)
    assert (state.found, state.opens, state.problem) == (True, True, None)
    assert state.protection == Protection(locked=True, undumpable=True)
    assert all(each.private for each in state.files)
    assert {each.path.name for each in state.files} == {"n", "config.toml", "data", "node.db", "store.key"}

    key = home.directory / "store.key"
    key.chmod(0o640)
    state = look_at_store_key(home.settings)
    assert isinstance(state.problem, KeyStoreOpenToOthersError)
    assert [each.path.name for each in state.files if not each.private] == ["store.key"]

    key.chmod(0o600)
    (home.directory / "store.key.next").write_bytes(key.read_bytes())
    (home.directory / "store.key.next").chmod(0o600)
    assert look_at_store_key(home.settings).rotation_unfinished

    key.unlink()
    state = look_at_store_key(home.settings)
    assert isinstance(state.problem, NoStoreKeyError)
    assert not state.found
