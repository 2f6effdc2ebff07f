"""A hardware token as key store, on SoftHSM."""

import sys
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute
from pkcs11.exceptions import DeviceRemoved, PinLocked, PKCS11Error, SessionHandleInvalid, UserPinNotInitialized

from meroid.errors import MeroidError
from meroid.keys.signer import Secret
from meroid.vault.key_store import (
    KeyStoreDamagedError,
    KeyStoreNotInstalledError,
    KeyStoreOpenToOthersError,
    KeyStoreTakenError,
)
from meroid.vault.pkcs11_store import Pkcs11SecretStore
from meroid.vault.pkcs11_token import (
    PinLockedError,
    PinNeededError,
    TokenMissingError,
    TokenObjectMissingError,
    TokenUnpluggedError,
    WrongPinError,
)
from meroid.vault.pkcs11_uri import Pkcs11ModuleMissingError
from meroid.vault.store_keys import open_secret_store

pytestmark = pytest.mark.needs("softhsm2")

KEY, OTHER = Secret(bytes(range(32))), Secret(bytes(range(32, 64)))


def opened(token: Any, home: Path, *path: str) -> Pkcs11SecretStore:
    store = open_secret_store(token.uri(*path), home)
    assert isinstance(store, Pkcs11SecretStore)
    return store


def held(store: Pkcs11SecretStore) -> bytes | None:
    found = store.load()
    return None if found is None else found.reveal()


def keys_on(token: Any) -> list[Any]:
    session = pkcs11.lib(str(token.module)).get_token(token_label=token.name).open(rw=True)
    return list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}))


def test_a_key_is_sealed_by_the_token_and_opens_again(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path / "home")
    assert store.load() is None
    store.save(KEY)
    assert held(store) == KEY.reveal()
    assert held(opened(token, tmp_path / "home")) == KEY.reveal()
    content = store.path.read_bytes()
    assert KEY.reveal() not in content
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_key_on_the_token_is_sensitive_and_never_leaves_it(token: Any, tmp_path: Path) -> None:
    opened(token, tmp_path).save(KEY)
    (found,) = keys_on(token)
    for attribute in (Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE, Attribute.PRIVATE):
        assert found[attribute] is True
    for attribute in (Attribute.EXTRACTABLE, Attribute.DECRYPT, Attribute.WRAP, Attribute.SIGN):
        assert found[attribute] is False
    with pytest.raises(PKCS11Error):
        found[Attribute.VALUE]


def test_the_pin_is_asked_for_once_and_only_when_it_is_needed(token: Any, tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(what: str) -> Secret:
        asked.append(what)
        return Secret(b"pin-98760")

    store = open_secret_store(f"pkcs11:token=a%20token?module-path={token.module}", tmp_path, ask)
    assert store.load() is None
    assert asked == []
    store.save(KEY)
    found = store.load()
    assert found is not None
    assert asked == ["PIN of token a token"]


def test_a_wrong_pin_is_tried_once_and_refused(token: Any, tmp_path: Path) -> None:
    tried = []

    def ask(_what: str) -> Secret:
        tried.append(1)
        return Secret(b"wrong-4711")

    with pytest.raises(WrongPinError) as caught:
        open_secret_store(f"pkcs11:token=a%20token?module-path={token.module}", tmp_path, ask).save(KEY)
    assert caught.value.code == "wrong_pin"
    assert "4711" not in caught.value.reason
    assert len(tried) == 1
    assert list(tmp_path.glob("store-key*")) == []


@pytest.mark.parametrize("pin", [b"", b"\xff\xfe", b"1" * 300])
def test_bytes_that_are_no_pin_are_refused(token: Any, tmp_path: Path, pin: bytes) -> None:
    uri = f"pkcs11:token=a%20token?module-path={token.module}"
    with pytest.raises(WrongPinError):
        open_secret_store(uri, tmp_path, lambda _what: Secret(pin)).save(KEY)


def test_a_pin_that_nobody_can_give_is_refused(token: Any, tmp_path: Path) -> None:
    uri = f"pkcs11:token=a%20token?module-path={token.module}"
    for each in (uri, f"{uri}&pin-source={tmp_path}/absent"):
        with pytest.raises(PinNeededError) as caught:
            open_secret_store(each, tmp_path).save(KEY)
        assert caught.value.code == "pin_needed"


def test_a_pin_file_that_others_can_read_is_refused(token: Any, tmp_path: Path) -> None:
    token.pin_file.chmod(0o644)
    with pytest.raises(KeyStoreOpenToOthersError):
        opened(token, tmp_path).save(KEY)


def test_a_token_whose_pin_is_locked_or_was_never_set_is_refused(token: Any, tmp_path: Path) -> None:
    # SoftHSM never locks itself, so what a driver raises then is raised here.
    store = opened(token, tmp_path)
    for error in (PinLocked(), UserPinNotInitialized()):

        def work(_session: object, error: Exception = error) -> None:
            raise error

        with pytest.raises(PinLockedError) as caught:
            store._token.use(work)
        assert caught.value.code == "pin_locked"


def test_a_token_that_is_not_plugged_in_is_refused(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    store.close()
    uri = f"pkcs11:token=another?{token.query}"
    with pytest.raises(TokenMissingError) as caught:
        open_secret_store(uri, tmp_path).save(OTHER)
    assert caught.value.code == "token_missing"


def test_a_token_unplugged_during_use_is_refused_and_works_again_afterwards(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)

    def fail(_session: object) -> None:
        raise DeviceRemoved

    def end(_session: object) -> None:
        raise SessionHandleInvalid

    for work in (fail, end):
        with pytest.raises(TokenUnpluggedError) as caught:
            store._token.use(work)
        assert caught.value.code == "token_unplugged"
        assert held(store) == KEY.reveal()


def test_a_file_whose_token_key_is_gone_is_refused(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    (found,) = keys_on(token)
    found.destroy()
    with pytest.raises(TokenObjectMissingError) as caught:
        store.load()
    assert caught.value.code == "token_object_missing"


@pytest.mark.parametrize("at", [0, 10, 40, 70, 100, -1])
def test_a_changed_file_is_refused(token: Any, tmp_path: Path, at: int) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    content = bytearray(store.path.read_bytes())
    content[at] ^= 1
    store.path.write_bytes(content)
    with pytest.raises((KeyStoreDamagedError, TokenObjectMissingError)):
        store.load()


def test_a_key_is_never_overwritten(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    with pytest.raises(KeyStoreTakenError):
        store.save(OTHER)
    assert len(keys_on(token)) == 1
    assert held(store) == KEY.reveal()


def test_two_objects_of_one_token_are_two_key_stores(token: Any, tmp_path: Path) -> None:
    first, second = opened(token, tmp_path, "object=one"), opened(token, tmp_path, "object=two")
    first.save(KEY)
    second.save(OTHER)
    assert (held(first), held(second)) == (KEY.reveal(), OTHER.reveal())
    first.remove()
    assert held(second) == OTHER.reveal()


def test_removing_destroys_the_key_on_the_token_so_that_a_copy_of_the_file_is_worthless(
    token: Any, tmp_path: Path
) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    copy = store.path.read_bytes()

    assert store.remove()
    assert store.remove()

    assert keys_on(token) == []
    assert list(tmp_path.glob("*store-key*")) == []
    store.path.write_bytes(copy)
    store.path.chmod(0o600)
    with pytest.raises(TokenObjectMissingError):
        store.load()


def test_a_removal_that_was_killed_goes_on(token: Any, tmp_path: Path) -> None:
    for left in (None, bytes(200)):  # the file lost its name; its bytes were overwritten
        store = opened(token, tmp_path)
        store.save(KEY)
        retired = store.path.with_name(f".{store.path.name}.removed")
        store.path.rename(retired)
        if left is not None:
            keys_on(token)[0].destroy()
            retired.write_bytes(left)
        assert store.load() is None
        assert store.remove()
        assert keys_on(token) == []
        assert list(tmp_path.glob("*store-key*")) == []


def test_the_next_key_takes_the_place_of_the_old_one(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    store.save(KEY)
    store.promote()
    store.successor.save(OTHER)
    assert held(store) == KEY.reveal()
    store.promote()
    store.promote()
    assert held(opened(token, tmp_path)) == OTHER.reveal()
    assert store.successor.load() is None
    assert len(keys_on(token)) == 1


def test_a_driver_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    for path in (tmp_path / "absent.so", tmp_path / "text.so"):
        with pytest.raises(Pkcs11ModuleMissingError):
            open_secret_store(f"pkcs11:token=t?module-path={path}", tmp_path).save(KEY)


def test_a_missing_library_says_which_extra_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.setitem(sys.modules, "pkcs11.exceptions", None)
    with pytest.raises(KeyStoreNotInstalledError) as caught:
        open_secret_store("pkcs11:token=t", tmp_path).save(KEY)
    assert "meroid[hsm]" in caught.value.next_step


def test_no_refusal_repeats_the_pin(token: Any, tmp_path: Path) -> None:
    store = opened(token, tmp_path)
    assert "98760" not in repr(store) + store.place
    token.unplug()
    try:
        with pytest.raises(MeroidError) as caught:
            store.save(KEY)
    finally:
        token.plug_in()
    assert "98760" not in str(caught.value)
