"""The desktop's keychain as key store, on a real gnome-keyring."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from keyring.backends.SecretService import Keyring

from meroid.errors import MeroidError
from meroid.keys.signer import Secret
from meroid.vault import secret_service
from meroid.vault.key_store import (
    KeyStoreDamagedError,
    KeyStoreNotInstalledError,
    KeyStoreTakenError,
)
from meroid.vault.keyring_store import (
    KeychainLockedError,
    KeychainUnreachableError,
    KeyStoreBackendRefusedError,
)
from meroid.vault.store_keys import open_secret_store

KEY, OTHER = Secret(bytes(range(32))), Secret(bytes(range(32, 64)))

keychain_is_needed = pytest.mark.needs("dbus-daemon", "gnome-keyring")


def held(uri: str, home: Path) -> bytes | None:
    found = open_secret_store(uri, home).load()
    return None if found is None else found.reveal()


@keychain_is_needed
@pytest.mark.parametrize("uri", ["keyring:", "keyring:my%20node", "keyring:?backend=secret-service"])
def test_a_key_is_kept_and_never_overwritten(tmp_path: Path, keychain: Any, uri: str) -> None:
    store = open_secret_store(uri, tmp_path)
    assert store.load() is None

    store.save(KEY)
    with pytest.raises(KeyStoreTakenError):
        store.save(OTHER)

    assert held(uri, tmp_path) == KEY.reveal()


@keychain_is_needed
def test_each_home_has_its_own_entry_and_a_named_service_is_shared(tmp_path: Path, keychain: Any) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    open_secret_store("keyring:", first).save(KEY)
    assert held("keyring:", second) is None

    open_secret_store("keyring:s", first).save(OTHER)
    assert held("keyring:s", second) == OTHER.reveal()
    assert held("keyring:", first) == KEY.reveal()


@keychain_is_needed
def test_a_removed_key_is_gone(tmp_path: Path, keychain: Any) -> None:
    store = open_secret_store("keyring:", tmp_path)
    store.save(KEY)
    assert store.remove()
    assert store.remove()
    assert held("keyring:", tmp_path) is None


@keychain_is_needed
def test_the_next_key_takes_the_place_of_the_old_one(tmp_path: Path, keychain: Any) -> None:
    store = open_secret_store("keyring:", tmp_path)
    store.save(KEY)
    store.successor.save(OTHER)
    assert held("keyring:", tmp_path) == KEY.reveal()

    store.promote()
    store.promote()

    assert held("keyring:", tmp_path) == OTHER.reveal()
    assert store.successor.load() is None


@keychain_is_needed
def test_no_first_key_is_made_while_a_next_one_waits(tmp_path: Path, keychain: Any) -> None:
    store = open_secret_store("keyring:", tmp_path)
    store.successor.save(OTHER)
    with pytest.raises(KeyStoreTakenError):
        store.save(KEY)


@keychain_is_needed
def test_an_entry_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path, keychain: Any) -> None:
    Keyring().set_password("meroid", str(tmp_path), "no key at all")  # type: ignore[no-untyped-call]
    with pytest.raises(KeyStoreDamagedError) as caught:
        open_secret_store("keyring:", tmp_path).load()
    assert "no key at all" not in caught.value.reason


@keychain_is_needed
def test_a_locked_keychain_is_refused_at_once_and_nothing_is_asked(tmp_path: Path, keychain: Any) -> None:
    store = open_secret_store("keyring:", tmp_path)
    store.save(KEY)
    keychain.lock()

    began = time.monotonic()
    for call in (store.load, store.remove, store.promote, lambda: store.save(OTHER)):
        with pytest.raises(KeychainLockedError) as caught:
            call()
        assert caught.value.code == "keychain_locked"
    assert time.monotonic() - began < 5


@keychain_is_needed
def test_a_keychain_that_never_answers_is_given_up(
    tmp_path: Path, keychain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_service, "_PATIENCE_S", 0.3)
    keychain.freeze()
    with pytest.raises(KeychainUnreachableError):
        open_secret_store("keyring:", tmp_path).load()


@pytest.mark.needs("dbus-daemon")
def test_a_bus_without_a_keychain_is_refused(tmp_path: Path, bus: Any) -> None:
    with pytest.raises(KeychainUnreachableError) as caught:
        open_secret_store("keyring:", tmp_path).load()
    assert caught.value.code == "keychain_unreachable"


@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus", "nonsense"])
def test_without_a_bus_there_is_no_keychain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    store = open_secret_store("keyring:?backend=secret-service", tmp_path)
    for call in (store.load, store.remove, lambda: store.save(KEY)):
        with pytest.raises(KeychainUnreachableError):
            call()


@pytest.mark.parametrize(
    "backend",
    ["null", "fail", "plaintext", "keyring.backends.null.Keyring", "keyrings.alt.file.PlaintextKeyring", "", "chainer"],
)
def test_plain_text_and_unknown_keychains_are_refused(tmp_path: Path, backend: str) -> None:
    with pytest.raises(KeyStoreBackendRefusedError) as caught:
        open_secret_store(f"keyring:?backend={backend}", tmp_path)
    assert caught.value.code == "key_store_backend_refused"
    assert "secret-service" in caught.value.next_step


@pytest.mark.needs("dbus-daemon")
def test_what_the_library_would_choose_itself_does_not_matter(
    tmp_path: Path, bus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(KeychainUnreachableError):
        open_secret_store("keyring:", tmp_path).load()


def test_a_missing_library_says_which_extra_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "meroid.vault.secret_service", raising=False)
    monkeypatch.setitem(sys.modules, "secretstorage", None)
    with pytest.raises(KeyStoreNotInstalledError) as caught:
        open_secret_store("keyring:?backend=secret-service", tmp_path).load()
    assert caught.value.code == "key_store_not_installed"
    assert "meroid[keyring]" in caught.value.next_step


def test_a_keychain_of_another_system_is_a_refusal_and_no_crash(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("it is this system's own")
    with pytest.raises(MeroidError):
        open_secret_store("keyring:?backend=windows", tmp_path).load()
