"""Locked memory: what the kernel says about the page, and what happens where it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from meroid.keys.signer import Secret
from meroid.vault.file_store import FileSecretStore
from meroid.vault.key_store import make_store_key
from meroid.vault.locked_memory import LockedSecret, Protection

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")


@given(st.binary(max_size=9000))
def test_what_goes_in_comes_out(raw: bytes) -> None:
    secret = LockedSecret(raw)
    assert secret.reveal() == raw
    assert len(secret) == len(raw)
    secret.wipe()
    assert secret.reveal() == bytes(len(raw))


def test_moving_a_secret_wipes_what_was_given() -> None:
    given_ = Secret(b"a secret of some length")
    assert LockedSecret.taking(given_).reveal() == b"a secret of some length"
    assert given_.reveal() == bytes(23)


def flags_of_mappings() -> list[set[str]]:
    return [set(line.split()) for line in re.findall(r"VmFlags: (.*)", Path("/proc/self/smaps").read_text())]


@on_linux
def test_the_kernel_confirms_that_the_page_is_locked_and_left_out_of_dumps() -> None:
    before = sum({"lo", "dd"} <= flags for flags in flags_of_mappings())
    secret = LockedSecret(b"x" * 32)
    if not secret.protection.locked:
        pytest.skip("this system allows no locked memory")
    assert secret.protection == Protection(locked=True, undumpable=True)
    assert sum({"lo", "dd"} <= flags for flags in flags_of_mappings()) >= before
    assert any({"lo", "dd"} <= flags for flags in flags_of_mappings())


@on_linux
def test_a_secret_that_is_let_go_gives_its_page_back() -> None:
    count = len(list(Path("/proc/self/maps").read_text().splitlines()))
    for _ in range(2000):
        LockedSecret(b"x" * 32)
    assert len(list(Path("/proc/self/maps").read_text().splitlines())) < count + 200


@on_linux
def test_where_locking_is_refused_the_secret_works_and_says_so() -> None:
    # In a process of its own, without the right to lock any memory.
    program = (
        "import os, resource\n"
        "from meroid.vault.locked_memory import LockedSecret\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\n"
        "try: os.setuid(65534)\n"
        "except OSError: pass\n"
        "secret = LockedSecret(b'y' * 32)\n"
        "print(secret.protection, secret.reveal() == b'y' * 32)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.strip() == "Protection(locked=False, undumpable=True) True"


def test_store_keys_are_kept_in_it(tmp_path: Path) -> None:
    store = FileSecretStore(tmp_path / "key")
    store.save(make_store_key())
    assert isinstance(make_store_key(), LockedSecret)
    assert isinstance(store.load(), LockedSecret)


@on_linux
@pytest.mark.parametrize("hardened", [False, True])
def test_a_hardened_process_that_crashes_leaves_no_core(tmp_path: Path, *, hardened: bool) -> None:
    program = (
        "import os, resource\n"
        "from meroid.vault.process import harden_process\n"
        "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))\n"
        f"if {hardened}: harden_process()\n"
        "os.abort()\n"
    )
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{program}"],
        {"PYTHONPATH": ":".join(sys.path)},
    )
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    if hardened:
        assert not os.WCOREDUMP(status)
        assert list(tmp_path.iterdir()) == []
