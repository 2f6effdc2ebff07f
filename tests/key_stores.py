"""A hardware token and a desktop keychain that tests can use: SoftHSM, and gnome-keyring on a bus of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pkcs11
import pytest
import secretstorage
from secretstorage.exceptions import SecretStorageException

PIN = b"pin-98760"
SO_PIN = "12345678"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """An initialised SoftHSM token; `tokens` is the folder that stands for the slot."""

    name: str
    module: Path
    tokens: Path
    pin_file: Path

    @property
    def query(self) -> str:
        return f"module-path={self.module}&pin-source=file:{self.pin_file}"

    def uri(self, *path: str) -> str:
        return f"pkcs11:{';'.join((f'token={quote(self.name)}', *path))}?{self.query}"

    def unplug(self) -> None:
        self.tokens.rename(self.tokens.with_name("gone"))
        self.tokens.mkdir()  # the slot is still there

    def plug_in(self) -> None:
        self.tokens.rmdir()
        self.tokens.with_name("gone").rename(self.tokens)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    folder = tmp_path / "softhsm"
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    (folder / "conf").write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
    program = shutil.which("softhsm2-util")
    assert program is not None
    subprocess.run(
        [program, "--init-token", "--free", "--label", "a token", "--so-pin", SO_PIN, "--pin", PIN.decode()],
        check=True,
        capture_output=True,
        timeout=30,
    )
    pin_file = folder / "pin"
    pin_file.write_bytes(PIN + b"\n")
    pin_file.chmod(0o600)
    module = Path(program).resolve().parent.parent / "lib" / "softhsm" / "libsofthsm2.so"
    driver = pkcs11.lib(str(module))
    driver.reinitialize()
    yield SoftToken(name="a token", module=module, tokens=tokens, pin_file=pin_file)
    driver.finalize()


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
