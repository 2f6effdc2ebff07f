"""Rotating the store key, killed at every line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.interruption import kills

from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret
from meroid.vault import file_store, private_file, rotation
from meroid.vault.file_store import FileSecretStore
from meroid.vault.key_store import (
    KeyStore,
    KeyStoreReadOnlyError,
    KeyStoreTakenError,
    NoStoreKeyError,
    WrongStoreKeyError,
)
from meroid.vault.rotation import NotResealedError, Resealing, finish_rotation, rotate_store_key
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault
from meroid.vault.store_keys import open_secret_store

KEY, OTHER = Secret(bytes(range(32))), Secret(bytes(range(32, 64)))
VAULT = [Path(str(module.__file__)) for module in (file_store, private_file, rotation)]
SEED = Seed(Secret(bytes(range(64, 96))))
ACCOUNT = AccountId(bytes(range(1, 33)))
TOKEN_SECRET = b"a key that signs tokens"


class SealedFile:
    """A file with a sealed seed and a sealed secret, replaced in one step: a database in small."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    def fill(self, key: Secret) -> None:
        self._replace(SeedVault(key).seal(ACCOUNT, SEED), SecretBox(key).seal("token", Secret(TOKEN_SECRET)))

    def content(self, key: Secret) -> tuple[bytes, bytes]:
        seed, secret = self._parts()
        return SeedVault(key).open(ACCOUNT, seed).entropy.reveal(), SecretBox(key).open("token", secret).reveal()

    def opens_with(self, key: Secret) -> bool:
        try:
            return self.content(key) == (SEED.entropy.reveal(), TOKEN_SECRET)
        except SealBrokenError:
            return False

    def reseal(self, old: Secret, new: Secret) -> None:
        resealing = Resealing(old, new)
        seed, secret = self._parts()
        self._replace(resealing.seed(ACCOUNT, seed), resealing.secret("token", secret))

    def _parts(self) -> tuple[bytes, bytes]:
        match parse_canonical(self._path.read_bytes()):
            case [bytes() as seed, bytes() as secret]:
                return seed, secret
            case _:
                raise AssertionError("the file is damaged")

    def _replace(self, seed: bytes, secret: bytes) -> None:
        part = self._path.with_suffix(".part")
        part.write_bytes(canonical_bytes([seed, secret]))
        part.replace(self._path)


class World:
    """A key store with two things sealed under its key."""

    def __init__(self, folder: Path, uri: str = "file:") -> None:
        self.folder = folder
        self.uri = uri
        self.sealed = [SealedFile(folder / "first"), SealedFile(folder / "second")]

    @property
    def store(self) -> KeyStore:
        return open_secret_store(self.uri, self.folder)

    def fill(self) -> None:
        for path in self.folder.glob("*"):
            path.unlink()
        self.store.save(KEY)
        for each in self.sealed:
            each.fill(KEY)

    def rotate(self) -> None:
        rotate_store_key(self.store, self.sealed)

    def check_rotated(self) -> None:
        key = self.store.load()
        assert key is not None
        assert key.reveal() != KEY.reveal()
        assert self.store.successor.load() is None
        for each in self.sealed:
            assert each.opens_with(key)
            assert not each.opens_with(KEY)


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "home"
    folder.mkdir()
    world = World(folder)
    world.fill()
    return world


def test_everything_opens_with_the_new_key_alone(world: World) -> None:
    world.rotate()
    world.check_rotated()
    assert {path.name for path in world.folder.iterdir()} == {"store.key", "first", "second"}


def test_each_rotation_makes_another_key(world: World) -> None:
    seen = {KEY.reveal()}
    for _ in range(3):
        world.rotate()
        key = world.store.load()
        assert key is not None
        seen.add(key.reveal())
    assert len(seen) == 4


def test_a_rotation_that_is_killed_at_any_line_is_finished_at_the_next_start(world: World) -> None:
    count = 0
    for _ in kills(world.fill, world.rotate, VAULT):
        count += 1
        if not finish_rotation(world.store, world.sealed):
            # Killed before the new key was there, or after all was done: one key opens everything.
            key = world.store.load()
            assert key is not None
            assert all(each.opens_with(key) for each in world.sealed)
            world.rotate()
        world.check_rotated()
        assert {path.name for path in world.folder.iterdir()} <= {"store.key", "first", "second", "first.part"}
    assert count > 60


def test_a_rotation_that_is_killed_while_things_are_sealed_is_finished(world: World) -> None:
    for _ in kills(world.fill, world.rotate, [Path(__file__)]):
        world.rotate()
        world.check_rotated()


def test_finishing_may_be_killed_too(world: World) -> None:
    def half_way() -> None:
        world.fill()
        world.store.successor.save(OTHER)
        world.sealed[0].reseal(KEY, OTHER)

    for _ in kills(half_way, lambda: finish_rotation(world.store, world.sealed), VAULT):
        finish_rotation(world.store, world.sealed)
        world.check_rotated()


def test_a_key_that_opens_not_everything_is_not_rotated(world: World) -> None:
    world.sealed[1].fill(OTHER)
    with pytest.raises(WrongStoreKeyError):
        world.rotate()
    assert world.store.successor.load() is None
    assert world.sealed[0].opens_with(KEY)


def test_what_was_not_sealed_anew_keeps_the_old_key(world: World) -> None:
    class Stubborn(SealedFile):
        def reseal(self, old: Secret, new: Secret) -> None:
            """Does nothing: a store that lies."""

    stubborn = Stubborn(world.folder / "second")
    with pytest.raises(NotResealedError) as caught:
        rotate_store_key(world.store, [world.sealed[0], stubborn])
    assert caught.value.code == "not_resealed"
    key = world.store.load()
    assert key is not None
    assert key.reveal() == KEY.reveal()

    world.rotate()
    world.check_rotated()


def test_a_next_key_that_was_being_written_is_thrown_away(world: World) -> None:
    (world.folder / "store.key.next").write_bytes(b"half a k")
    (world.folder / "store.key.next").chmod(0o600)
    world.rotate()
    world.check_rotated()


def test_an_empty_store_and_a_variable_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoStoreKeyError):
        rotate_store_key(open_secret_store("file:absent", world.folder), world.sealed)
    monkeypatch.setenv("STORE_KEY", "x")
    with pytest.raises(KeyStoreReadOnlyError) as caught:
        rotate_store_key(open_secret_store("env:STORE_KEY", world.folder), world.sealed)
    assert "file:" in caught.value.next_step
    assert not finish_rotation(open_secret_store("env:STORE_KEY", world.folder), world.sealed)


def test_a_first_key_is_not_made_over_a_rotation_that_was_killed(world: World) -> None:
    """Between the removal of the old key and the promotion of the new one there is only the new one."""
    store = FileSecretStore(world.folder / "store.key")
    store.successor.save(OTHER)
    for each in world.sealed:
        each.reseal(KEY, OTHER)
    store.remove()
    with pytest.raises(KeyStoreTakenError):
        store.save(KEY)
    assert finish_rotation(store, world.sealed)
    world.check_rotated()


def rotations_in(world: World) -> list[Callable[[], None]]:
    """Ways to leave a rotation behind."""

    def begun() -> None:
        world.store.successor.save(OTHER)

    def half() -> None:
        begun()
        world.sealed[0].reseal(KEY, OTHER)

    def sealed() -> None:
        half()
        world.sealed[1].reseal(KEY, OTHER)

    return [lambda: None, begun, half, sealed]


@pytest.mark.needs("dbus-daemon", "gnome-keyring")
def test_a_keychain_rotates_from_each_state_that_a_crash_leaves(tmp_path: Path, keychain: Any) -> None:
    for number in range(4):
        world = World(tmp_path / str(number), "keyring:")
        world.folder.mkdir()
        world.fill()
        rotations_in(world)[number]()
        world.rotate()
        world.check_rotated()


@pytest.mark.needs("softhsm2")
def test_a_token_rotates_from_each_state_that_a_crash_leaves(tmp_path: Path, token: Any) -> None:
    for number in range(4):
        world = World(tmp_path / str(number), token.uri(f"object=key-{number}"))
        world.folder.mkdir()
        world.fill()
        rotations_in(world)[number]()
        world.rotate()
        world.check_rotated()


def test_what_is_sealed_under_neither_key_stays_refused() -> None:
    resealing = Resealing(KEY, OTHER)
    third = Secret(bytes(32))
    with pytest.raises(SealBrokenError):
        resealing.seed(ACCOUNT, SeedVault(third).seal(ACCOUNT, SEED))
    with pytest.raises(SealBrokenError):
        resealing.secret("token", SecretBox(third).seal("token", Secret(b"x")))
    with pytest.raises(SealBrokenError):
        resealing.secret("another", SecretBox(KEY).seal("token", Secret(b"x")))


def test_what_is_sealed_under_the_new_key_is_left_as_it_is() -> None:
    sealed = SeedVault(OTHER).seal(ACCOUNT, SEED)
    assert Resealing(KEY, OTHER).seed(ACCOUNT, sealed) == sealed
    assert Resealing(KEY, OTHER).database_keys() == (SeedVault(KEY).database_key(), SeedVault(OTHER).database_key())
