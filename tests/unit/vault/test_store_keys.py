"""Key stores: where the store key lies and what they refuse."""

import base64
import os
import stat
from pathlib import Path

import pytest

from meroid.keys.signer import Secret
from meroid.vault.file_store import FileSecretStore
from meroid.vault.key_store import (
    KeyStoreDamagedError,
    KeyStoreOpenToOthersError,
    KeyStoreReadOnlyError,
    KeyStoreTakenError,
    KeyStoreUnavailableError,
    UnknownKeyStoreError,
)
from meroid.vault.store_keys import SCHEMES, open_secret_store

KEY = Secret(bytes(range(32)))
TEXT = base64.urlsafe_b64encode(KEY.reveal()).decode()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_default_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = open_secret_store("file:", home)
    assert store.load() is None
    store.save(KEY)
    assert mode(home) == 0o700
    assert mode(home / "store.key") == 0o600
    assert [path.name for path in home.iterdir()] == ["store.key"]
    found = open_secret_store("file:", home).load()
    assert found is not None
    assert found.reveal() == KEY.reveal()


def test_a_loose_umask_does_not_open_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileSecretStore(tmp_path / "new" / "key").save(KEY)
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "new" / "key") == 0o600


@pytest.mark.parametrize("form", ["file:{}/k", "file://{}/k"])
def test_a_file_may_lie_anywhere(tmp_path: Path, form: str) -> None:
    open_secret_store(form.format(tmp_path / "elsewhere"), tmp_path / "home").save(KEY)
    assert (tmp_path / "elsewhere" / "k").exists()
    assert not (tmp_path / "home").exists()


def test_a_relative_file_lies_in_the_home(tmp_path: Path) -> None:
    open_secret_store("file:other.key", tmp_path).save(KEY)
    assert (tmp_path / "other.key").exists()


def test_a_key_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    store = FileSecretStore(tmp_path / "key")
    store.save(KEY)
    with pytest.raises(KeyStoreTakenError) as caught:
        store.save(Secret(bytes(32)))
    assert caught.value.code == "key_store_taken"
    found = store.load()
    assert found is not None
    assert found.reveal() == KEY.reveal()


def test_a_link_is_not_followed_when_a_key_is_made(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "target")
    with pytest.raises(KeyStoreTakenError):
        FileSecretStore(tmp_path / "key").save(KEY)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, bits: int) -> None:
    store = FileSecretStore(tmp_path / "key")
    store.save(KEY)
    (tmp_path / "key").chmod(bits)
    with pytest.raises(KeyStoreOpenToOthersError) as caught:
        store.load()
    assert caught.value.code == "key_store_open_to_others"


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileSecretStore(tmp_path / "key")
    store.save(KEY)
    owner = (tmp_path / "key").stat().st_uid
    if owner == 0:
        os.chown(tmp_path / "key", 12345, -1)
        owner = 12345
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(KeyStoreOpenToOthersError):
        store.load()


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 44, TEXT.encode() + b"A", b"!" * 43, b"x" * 5000])
def test_a_damaged_file_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyStoreDamagedError) as caught:
        FileSecretStore(path).load()
    assert TEXT not in str(caught.value)


def test_a_pipe_or_a_directory_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    for name in ("pipe", "directory"):
        with pytest.raises(KeyStoreDamagedError):
            FileSecretStore(tmp_path / name).load()


def test_a_place_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FileSecretStore(tmp_path / "file" / "key")
    with pytest.raises(KeyStoreUnavailableError):
        store.load()
    with pytest.raises(KeyStoreUnavailableError):
        store.save(KEY)


def test_without_a_next_key_nothing_takes_the_place_of_the_one_that_is_there(tmp_path: Path) -> None:
    store = FileSecretStore(tmp_path / "key")
    store.save(KEY)
    store.promote()
    found = store.load()
    assert found is not None
    assert found.reveal() == KEY.reveal()


@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("=")])
def test_an_environment_variable_is_read_and_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    store = open_secret_store("env:MEROID_STORE_KEY", tmp_path)
    monkeypatch.delenv("MEROID_STORE_KEY", raising=False)
    assert store.load() is None
    monkeypatch.setenv("MEROID_STORE_KEY", text)
    found = store.load()
    assert found is not None
    assert found.reveal() == KEY.reveal()
    with pytest.raises(KeyStoreReadOnlyError):
        store.save(KEY)
    monkeypatch.setenv("MEROID_STORE_KEY", "nonsense")
    with pytest.raises(KeyStoreDamagedError) as caught:
        store.load()
    assert "nonsense" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["", "store.key", "file", "FILE:", "env:", "env:A=B", "file:\0", "age:x", "keyring:?x=y", "keyring:a\n"]
)
def test_other_key_stores_are_unknown_and_the_error_lists_those_that_exist(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UnknownKeyStoreError) as caught:
        open_secret_store(uri, tmp_path)
    assert caught.value.code == "unknown_key_store"
    for scheme in SCHEMES:
        assert f"{scheme}:" in caught.value.reason + caught.value.next_step
