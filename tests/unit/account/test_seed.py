"""The derivation tree: pinned paths, unlinkable keys, hidden secrets."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from meroid.account.authority import next_key_digest
from meroid.account.client_keys import ClientKeyPath
from meroid.account.key_log import account_id_of
from meroid.account.phrase import stretch
from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.commitment import GENERATIONS, NO_NEXT_KEYS, WrongNextKeysError, check_next_keys
from meroid.keys.derivation import BadKeyPathError
from meroid.keys.public import verify_signature
from meroid.keys.signer import Secret, Signer

PINNED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "derivation.json").read_text())
SEED = Seed.from_words(PINNED["phrase"])
PATHS = st.builds(
    ClientKeyPath,
    device=st.integers(0, 2**31 - 1),
    slot=st.integers(0, 2**31 - 1),
    generation=st.integers(0, GENERATIONS - 1),
)


def test_account_id_and_account_keys_are_pinned() -> None:
    assert str(account_id_of(SEED)) == PINNED["accountId"]
    for vector in PINNED["accountKeys"]:
        key = SEED.account_key(vector["generation"]).public_key
        assert str(key) == vector["publicKey"]
        assert next_key_digest(key).hex() == vector["digestHex"]


@pytest.mark.parametrize("vector", PINNED["clientKeys"], ids=lambda vector: vector["path"])
def test_client_keys_are_pinned(vector: dict[str, Any]) -> None:
    path = ClientKeyPath(device=vector["device"], slot=vector["slot"], generation=vector["generation"])
    keys = SEED.client_keys(path)
    assert str(path) == vector["path"]
    assert str(keys.public_key) == vector["publicKey"]
    assert keys.sealing.public.hex() == vector["sealingKeyHex"]
    assert SEED.next_keys_commitment(path).hex() == vector["nextKeysCommitmentHex"]


def test_the_words_alone_restore_the_account_and_its_keys() -> None:
    seed = Seed.generate()
    restored = Seed.from_words(seed.words().reveal().decode())
    path = ClientKeyPath(device=3, slot=7, generation=2)
    assert len(seed.words().reveal().split()) == 24
    assert restored.entropy.reveal() == seed.entropy.reveal()
    assert account_id_of(restored) == account_id_of(seed)
    assert restored.client_keys(path).public_key == seed.client_keys(path).public_key
    assert restored.client_keys(path).sealing.public == seed.client_keys(path).sealing.public


@settings(max_examples=30)
@given(st.lists(PATHS, min_size=2, max_size=6, unique=True))
def test_no_two_paths_share_a_key(paths: list[ClientKeyPath]) -> None:
    keys = [SEED.client_keys(path) for path in paths]
    assert len({key.public_key for key in keys} | {bytes(key.sealing.public) for key in keys}) == 2 * len(keys)


@settings(max_examples=20)
@given(PATHS, st.binary(max_size=100))
def test_client_keys_sign_for_their_public_key(path: ClientKeyPath, message: bytes) -> None:
    keys = SEED.client_keys(path)
    signer: Signer = keys
    assert keys.path == path
    verify_signature(signer.public_key, message, signer.sign(message))


def test_a_device_alone_derives_the_same_keys_as_the_seed() -> None:
    device = SEED.device(2)
    path = ClientKeyPath(device=2, slot=5, generation=1)
    assert device.device == 2
    assert device.client_keys(slot=5, generation=1).public_key == SEED.client_keys(path).public_key
    assert device.next_keys_commitment(slot=5, generation=1) == SEED.next_keys_commitment(path)


def test_each_generation_is_committed_to_by_the_one_before() -> None:
    def at(generation: int) -> ClientKeyPath:
        return ClientKeyPath(device=0, slot=1, generation=generation)

    for generation in (0, 1, 40, GENERATIONS - 2):
        after = SEED.client_keys(at(generation + 1))
        commitment = SEED.next_keys_commitment(at(generation))
        rest = SEED.next_keys_commitment(at(generation + 1))
        check_next_keys(commitment, after.public_key, after.sealing.public, rest)
        other = SEED.client_keys(ClientKeyPath(device=0, slot=2, generation=generation + 1))
        with pytest.raises(WrongNextKeysError):
            check_next_keys(commitment, other.public_key, other.sealing.public, rest)
    assert SEED.next_keys_commitment(at(GENERATIONS - 1)) == NO_NEXT_KEYS


@pytest.mark.parametrize(
    "numbers",
    [{"device": -1, "slot": 0}, {"device": 0, "slot": 2**31}, {"device": 2**31, "slot": 0}]
    + [{"device": 0, "slot": 0, "generation": generation} for generation in (-1, GENERATIONS)],
)
def test_a_path_out_of_range_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(BadKeyPathError):
        ClientKeyPath(**numbers)


@pytest.mark.parametrize("generation", [-1, 2**31])
def test_an_account_key_out_of_range_is_refused(generation: int) -> None:
    with pytest.raises(BadKeyPathError):
        SEED.account_key(generation)


@pytest.mark.parametrize("size", [0, 15, 20, 33])
def test_entropy_of_another_length_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="entropy"):
        Seed(Secret(bytes(size)))


def test_the_words_are_stretched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Secret] = []

    def counted(phrase: Secret) -> Secret:
        calls.append(phrase)
        return stretch(phrase)

    monkeypatch.setattr("meroid.account.seed.stretch", counted)
    seed = Seed.generate()
    assert not calls
    for slot in range(5):
        seed.client_keys(ClientKeyPath(device=slot % 2, slot=slot))
        seed.account_key(slot)
    assert len(calls) == 1


def test_nothing_secret_prints() -> None:
    path = ClientKeyPath(device=0, slot=0)
    keys = SEED.client_keys(path)
    shown = " ".join(map(repr, (SEED, SEED.words(), SEED.entropy, SEED.device(0), keys, SEED.account_key(0))))
    words = PINNED["phrase"].split()
    assert not set(words) & set(shown.split())
    assert PINNED["entropyHex"] not in shown


def test_a_wiped_seed_is_of_no_use() -> None:
    seed = Seed.from_words(PINNED["phrase"])
    path = ClientKeyPath(device=0, slot=0)
    key = seed.client_keys(path).public_key
    seed.wipe()
    assert seed.entropy.reveal() == bytes(32)
    assert seed.client_keys(path).public_key != key


def test_thousands_of_slots_derive_quickly() -> None:
    device = SEED.device(0)
    start = time.perf_counter()
    keys = {device.client_keys(slot=slot).public_key for slot in range(2_000)}
    assert len(keys) == 2_000
    assert time.perf_counter() - start < 5


def test_the_secret_of_backups_is_pinned() -> None:
    assert SEED.backup_secret().reveal().hex() == PINNED["backupSecretHex"]
    assert PINNED["backupSecretHex"] not in repr(SEED.backup_secret())


@pytest.mark.parametrize("vector", PINNED["cosigningKeys"])
def test_cosigning_keys_are_pinned_as_a_second_implementation_derives_them(vector: dict[str, Any]) -> None:
    signer = SEED.cosigning_key(AccountId.parse(vector["account"]), vector["number"])

    assert str(signer.public_key) == vector["publicKey"]


def test_a_cosigning_key_out_of_range_is_refused() -> None:
    for number in (-1, 2**31):
        with pytest.raises(BadKeyPathError):
            SEED.cosigning_key(AccountId(bytes(32)), number)
