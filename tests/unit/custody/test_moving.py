"""A node's store key is moved: copy, configuration and removal, killed anywhere, and taken back where it is refused."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.homes import HomeOfNode
from tests.interruption import kills

from meroid import config
from meroid.config import ConfigUnwritableError
from meroid.custody import databases, finishing, moving, starting
from meroid.custody.moving import move
from meroid.custody.rotating import rotate
from meroid.errors import MeroidError
from meroid.keys.signer import Secret
from meroid.store import StoreInUseError
from meroid.store.lock import lock_database
from meroid.vault import file_store, move_note, moving as vault_moving, private_file
from meroid.vault.key_store import (
    KeyStoreDamagedError,
    KeyStoreOpenToOthersError,
    KeyStoreReadOnlyError,
    KeyStoreTakenError,
    KeyStoreUnavailableError,
    NoStoreKeyError,
    UnknownKeyStoreError,
    WrongStoreKeyError,
)
from meroid.vault.keyring_store import KeychainLockedError
from meroid.vault.move_note import NAME, MoveNoteDamagedError
from meroid.vault.moving import SameKeyStoreError
from meroid.vault.pkcs11_token import PinNeededError, TokenMissingError, WrongPinError
from meroid.vault.pkcs11_uri import PinInUriError
from meroid.vault.store_keys import open_secret_store

CODE = [
    Path(str(module.__file__))
    for module in (config, databases, finishing, moving, starting, vault_moving, move_note, file_store, private_file)
]
FILES = {"config.toml", "home-mark", "starts", "data/node.db", "data/node.db.lock"}


@pytest.fixture
def home(tmp_path: Path) -> HomeOfNode:
    return HomeOfNode(tmp_path / "nodes")


def restored(home: HomeOfNode) -> Callable[[], None]:
    kept = home.folder.with_name("kept")
    shutil.copytree(home.folder, kept)

    def restore() -> None:
        shutil.rmtree(home.folder)
        shutil.copytree(kept, home.folder)

    return restore


def content(home: HomeOfNode) -> dict[str, bytes]:
    return {name: (home.directory / name).read_bytes() for name in home.names() if not name.endswith("node.db.lock")}


def test_the_key_is_at_the_target_the_configuration_names_it_and_no_copy_stays(home: HomeOfNode) -> None:
    key, before = home.key(), home.opened()
    assert key is not None

    moved = move(home.settings, "file:deeper/key")

    assert home.settings.key_store == "file:deeper/key"
    assert home.holders(key) == {"deeper/key"}
    assert home.opened() == before
    assert moved.left_behind is None
    assert home.names() == {*FILES, "deeper/key"}
    assert (home.directory / "deeper").stat().st_mode & 0o777 == 0o700
    assert (home.directory / "deeper" / "key").stat().st_mode & 0o777 == 0o600
    assert (home.directory / "config.toml").stat().st_mode & 0o777 == 0o600


def test_a_dry_run_changes_nothing(home: HomeOfNode) -> None:
    before = content(home)
    assert move(home.settings, "file:other", dry_run=True).target.endswith("/other")
    assert content(home) == before


def test_killed_at_any_line_the_next_start_opens_everything_and_one_place_holds_the_key(home: HomeOfNode) -> None:
    key, before = home.key(), home.opened()
    assert key is not None
    count = 0
    for _ in kills(restored(home), lambda: move(home.settings, "file:new"), CODE, stride=7):
        count += 1
        assert home.opened() == before
        where = home.settings.key_store
        assert home.holders(key) == {"store.key" if where == "file:" else "new"}
        assert NAME not in home.names()

        if where == "file:":
            move(home.settings, "file:new")
        assert home.holders(key) == {"new"}
        assert home.names() - {".config.toml.part"} == {*FILES, "new"}
    assert count > 30


def test_killed_at_any_line_the_same_command_goes_on(home: HomeOfNode) -> None:
    key = home.key()
    assert key is not None
    for _ in kills(restored(home), lambda: move(home.settings, "file:new"), CODE, stride=9):
        try:
            move(home.settings, "file:new")
        except SameKeyStoreError:
            assert home.settings.key_store == "file:new"  # it was killed behind its last step
        assert home.holders(key) == {"new"}
        assert home.settings.key_store == "file:new"
        assert NAME not in home.names()


def test_an_interrupted_move_is_finished_before_another_one_and_before_a_rotation(home: HomeOfNode) -> None:
    key = home.key()
    assert key is not None
    note = json.dumps({"from": "file:", "to": "file:first"})
    (home.directory / NAME).write_text(note)
    open_secret_store("file:first", home.directory).save(Secret(key))

    move(home.settings, "file:second")
    assert home.holders(key) == {"second"}

    (home.directory / NAME).write_text(json.dumps({"from": "file:second", "to": "file:third"}))
    rotate(home.settings)
    assert home.settings.key_store == "file:third"
    assert home.key() != key
    assert home.holders(key) == set()
    assert home.names() == {*FILES, "third"}


def test_a_copy_that_can_not_be_reached_hinders_no_start_and_a_rotation_makes_it_worthless(
    home: HomeOfNode, capsys: pytest.CaptureFixture[str]
) -> None:
    key, before = home.key(), home.opened()
    assert key is not None
    gone = home.directory / "gone"
    gone.write_text("no directory")
    (home.directory / NAME).write_text(json.dumps({"from": "file:gone/key", "to": "file:"}))

    assert home.opened() == before
    assert "a copy of the key may lie elsewhere" in capsys.readouterr().out

    rotate(home.settings)
    assert NAME not in home.names()
    assert home.key() != key
    assert home.opened() == before


def test_a_note_that_says_nothing_hinders_no_start_and_is_named_by_the_next_move(home: HomeOfNode) -> None:
    before = home.opened()
    for note in ("", "[]", '{"from": 1}', json.dumps({"from": "file:a", "to": "file:b"})):
        (home.directory / NAME).write_text(note)
        assert home.opened() == before
        with pytest.raises(MoveNoteDamagedError):
            move(home.settings, "file:new")
    assert home.settings.key_store == "file:"


def prepared(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, type[MeroidError]]]:
    """Targets that are refused."""
    (home.directory / "taken").write_bytes(b"A" * 43 + b"=")
    (home.directory / "damaged").write_bytes(b"no key")
    (home.directory / "open").write_bytes((home.directory / "store.key").read_bytes())
    for name, mode in (("taken", 0o600), ("damaged", 0o600), ("open", 0o644)):
        (home.directory / name).chmod(mode)
    (home.directory / "link").symlink_to("store.key")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    return [
        ("nothing:", UnknownKeyStoreError),
        ("file", UnknownKeyStoreError),
        ("file:a\nb", UnknownKeyStoreError),
        ("pkcs11:token=t?pin-value=1234", PinInUriError),
        ("file:store.key", SameKeyStoreError),
        (f"file:{home.directory}/store.key", SameKeyStoreError),
        ("file:link", SameKeyStoreError),
        ("file:taken", KeyStoreTakenError),
        ("file:damaged", KeyStoreDamagedError),
        ("file:open", KeyStoreOpenToOthersError),
        ("file:config.toml/below", KeyStoreUnavailableError),
        ("env:NO_SUCH_KEY", KeyStoreReadOnlyError),
    ]


def test_every_bad_target_has_a_code_of_its_own_and_changes_nothing(
    home: HomeOfNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = prepared(home, monkeypatch)
    before = content(home)
    for uri, refusal in cases:
        for dry_run in (True, False):
            with pytest.raises(refusal) as caught:
                move(home.settings, uri, dry_run=dry_run)
            assert content(home) == before, uri
            assert caught.value.code == refusal.code
            assert caught.value.next_step


def test_a_bad_source_is_refused_and_changes_nothing(home: HomeOfNode, tmp_path: Path) -> None:
    key = home.directory / "store.key"
    foreign = (HomeOfNode(tmp_path / "others").directory / "store.key").read_bytes()

    def put(text: bytes, mode: int = 0o600) -> Callable[[], object]:
        def work() -> None:
            key.write_bytes(text)
            key.chmod(mode)

        return work

    cases: list[tuple[Callable[[], object], type[MeroidError]]] = [
        (put(b"damaged"), KeyStoreDamagedError),
        (put(foreign), WrongStoreKeyError),
        (put(key.read_bytes(), 0o640), KeyStoreOpenToOthersError),
        (key.unlink, NoStoreKeyError),
    ]
    for spoil, refusal in cases:
        spoil()
        before = content(home)
        with pytest.raises(refusal):
            move(home.settings, "file:new")
        assert content(home) == before


def test_a_configuration_that_can_not_be_switched_takes_the_copy_back(
    home: HomeOfNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(home)

    def refuse(_home: Path, _uri: str) -> None:
        raise ConfigUnwritableError("the disk is full")

    monkeypatch.setattr(moving, "switch_key_store", refuse)
    with pytest.raises(ConfigUnwritableError):
        move(home.settings, "file:new")
    assert content(home) == before


def test_a_node_that_runs_is_in_the_way(home: HomeOfNode) -> None:
    lock = lock_database(home.database)
    with pytest.raises(StoreInUseError):
        move(home.settings, "file:new")
    lock.release()
    assert home.settings.key_store == "file:"


def test_a_variable_keeps_its_copy_and_that_is_said(home: HomeOfNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_KEY", (home.directory / "store.key").read_text())
    assert move(home.settings, "env:STORE_KEY").left_behind is None
    assert home.names() == FILES

    assert move(home.settings, "file:back", dry_run=True).left_behind == "env:STORE_KEY"
    assert move(home.settings, "file:back").left_behind == "env:STORE_KEY"
    assert len(home.opened()[0]) == 3


@pytest.mark.needs("softhsm2", "dbus-daemon", "gnome-keyring")
def test_the_key_goes_through_every_kind_of_key_store_and_back(home: HomeOfNode, token: Any, keychain: Any) -> None:
    key, before = home.key(), home.opened()
    assert key is not None
    stations = ["file:", "keyring:", token.uri(), token.uri("object=second"), "keyring:named", "file:back"]
    for source, target in pairwise(stations):
        move(home.settings, target)
        assert home.settings.key_store == target
        assert home.key(source) is None
        assert home.opened() == before
    assert home.holders(key) == {"back"}
    assert home.names() == {*FILES, "back"}


@pytest.mark.needs("softhsm2")
def test_a_token_that_is_gone_locked_or_nobody_can_unlock_leaves_the_key_where_it_is(
    home: HomeOfNode, token: Any
) -> None:
    before = content(home)
    asking = f"pkcs11:token=a%20token?module-path={token.module}"
    with pytest.raises(WrongPinError):
        move(home.settings, asking, ask=lambda _what: Secret(b"0000"))
    with pytest.raises(PinNeededError):
        move(home.settings, asking)
    with pytest.raises(TokenMissingError):
        move(home.settings, f"pkcs11:token=another?{token.query}")
    with pytest.raises(KeyboardInterrupt):
        move(home.settings, asking, ask=_interrupt)
    assert content(home) == before


def _interrupt(_what: str) -> Secret:
    raise KeyboardInterrupt


@pytest.mark.needs("softhsm2")
def test_the_pin_is_asked_for_once(home: HomeOfNode, token: Any) -> None:
    asked: list[str] = []

    def ask(what: str) -> Secret:
        asked.append(what)
        return Secret(token.pin_file.read_bytes().strip())

    move(home.settings, f"pkcs11:token=a%20token?module-path={token.module}", ask=ask)
    assert asked == ["PIN of token a token"]


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_locked_keychain_leaves_the_key_where_it_is(home: HomeOfNode, keychain: Any) -> None:
    before = content(home)
    keychain.lock()
    with pytest.raises(KeychainLockedError):
        move(home.settings, "keyring:")
    assert content(home) == before
