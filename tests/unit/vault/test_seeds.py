"""Seeds at rest, and the process that holds them."""

import subprocess
import sys

import pytest
from hypothesis import given, strategies as st

from meroid.account.key_log import account_id_of
from meroid.account.seed import Seed
from meroid.ids import AccountId
from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret
from meroid.service.ports.sealer import StoreSealBrokenError
from meroid.vault.seeds import SeedVault

VAULT = SeedVault(Secret(bytes(range(32))))
ACCOUNT = AccountId(b"a" * 32)


@given(st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16))
def test_a_sealed_seed_opens_again(entropy: bytes) -> None:
    sealed = VAULT.seal(ACCOUNT, Seed(Secret(entropy)))
    assert entropy not in sealed
    assert VAULT.open(ACCOUNT, sealed).entropy.reveal() == entropy


def test_the_same_seed_is_never_sealed_alike() -> None:
    seed = Seed.generate()
    assert VAULT.seal(ACCOUNT, seed) != VAULT.seal(ACCOUNT, seed)


def test_it_opens_for_its_account_and_store_key_only() -> None:
    seed = Seed.generate()
    account = account_id_of(seed)
    sealed = VAULT.seal(account, seed)
    with pytest.raises(SealBrokenError):
        VAULT.open(ACCOUNT, sealed)
    with pytest.raises(StoreSealBrokenError) as refused:
        SeedVault(Secret(bytes(32))).open(account, sealed)
    assert refused.value.code == "store_seal_broken"  # not that of a sealed message
    assert "key store" in refused.value.next_step


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(VAULT.seal(ACCOUNT, Seed.generate()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBrokenError):
        VAULT.open(ACCOUNT, bytes(sealed))


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        VAULT.open(ACCOUNT, sealed)


def test_the_database_key_depends_on_the_store_key_alone() -> None:
    key = VAULT.database_key()
    assert len(key) == 64
    assert bytes.fromhex(key) != bytes(range(32))
    assert SeedVault(Secret(bytes(range(32)))).database_key() == key
    assert SeedVault(Secret(bytes(32))).database_key() != key


def test_a_store_key_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SeedVault(Secret(b"short"))


def test_the_vault_hides_its_key() -> None:
    assert bytes(range(32)).hex() not in repr(VAULT)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_hardened_process_dumps_no_core_and_says_so() -> None:
    # In a process of its own, since it can't be undone.
    program = (
        "import ctypes, resource\n"
        "from meroid.vault.process import harden_process\n"
        "print(harden_process(), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    path = ":".join(sys.path)
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": path},
    )
    assert run.stdout.strip() == "Hardening(untraceable=True, no_core_files=True) 0 (0, 0)"
