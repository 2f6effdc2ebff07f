"""A hardware token and a desktop keychain that tests can use: SoftHSM, and gnome-keyring on a bus of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import secretstorage
from secretstorage.exceptions import SecretStorageException
from tests.soft_token import PIN, SO_PIN, SoftToken, soft_token

__all__ = ["PIN", "SO_PIN", "Keychain", "SoftToken", "bus", "keychain", "token"]


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "softhsm") as made:
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Keychain:
    """A session bus, and the keychain that can be started on it."""

    start: Callable[[], None]
    lock: Callable[[], None]
    freeze: Callable[[], None]


_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={folder}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"""


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keychain]:
    """A bus without a keychain. Nothing can be activated on it, so the machine's own desktop stays untouched."""
    folder = tmp_path / "bus"
    folder.mkdir(mode=0o700)
    (folder / "conf").write_text(_BUS.format(folder=folder))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder),
    }
    with ExitStack() as stack:

        def started(*command: str, standard_input: bytes = b"") -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdin is not None
            process.stdin.write(standard_input)
            process.stdin.close()
            return process

        daemon = started(
            "dbus-daemon", f"--config-file={folder / 'conf'}", "--nofork", "--nopidfile", "--print-address"
        )
        assert daemon.stdout is not None
        environ["DBUS_SESSION_BUS_ADDRESS"] = daemon.stdout.readline().decode().strip()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", environ["DBUS_SESSION_BUS_ADDRESS"])

        keychains: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            keychain = started(
                "gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground", standard_input=b"log-in"
            )
            keychains.append(keychain)
            _wait_for_keychain()

        def freeze() -> None:
            keychains[-1].send_signal(signal.SIGSTOP)

        yield Keychain(start=start, lock=_lock, freeze=freeze)


@pytest.fixture
def keychain(bus: Keychain) -> Keychain:
    """An unlocked keychain."""
    bus.start()
    return bus


def _wait_for_keychain() -> None:
    for _ in range(200):
        with secretstorage.dbus_init() as connection:
            try:
                secretstorage.Collection(connection)
            except SecretStorageException:
                time.sleep(0.05)
            else:
                return
    pytest.fail("the keychain doesn't start")


def _lock() -> None:
    with secretstorage.dbus_init() as connection:
        secretstorage.Collection(connection).lock()
