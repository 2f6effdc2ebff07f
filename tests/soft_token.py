"""A hardware token that tests can use: SoftHSM in a folder of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pkcs11

PIN = b"pin-98760"
SO_PIN = "12345678"
CONF = "SOFTHSM2_CONF"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """An initialised SoftHSM token; `tokens` is the folder that stands for the slot."""

    name: str
    module: Path
    tokens: Path
    pin_file: Path
    conf: Path

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


@contextmanager
def soft_token(folder: Path) -> Iterator[SoftToken]:
    """A token in a new folder, for this process and for those that get its `SOFTHSM2_CONF`."""
    tokens, conf = folder / "tokens", folder / "conf"
    tokens.mkdir(parents=True)
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    program = shutil.which("softhsm2-util")
    assert program is not None
    line = [program, "--init-token", "--free", "--label", "a token", "--so-pin", SO_PIN, "--pin", PIN.decode()]
    subprocess.run(line, check=True, capture_output=True, timeout=30, env={**os.environ, CONF: str(conf)})
    pin_file = folder / "pin"
    pin_file.write_bytes(PIN + b"\n")
    pin_file.chmod(0o600)
    module = Path(program).resolve().parent.parent / "lib" / "softhsm" / "libsofthsm2.so"
    before = os.environ.get(CONF)
    os.environ[CONF] = str(conf)
    driver = pkcs11.lib(str(module))
    driver.reinitialize()
    try:
        yield SoftToken(name="a token", module=module, tokens=tokens, pin_file=pin_file, conf=conf)
    finally:
        driver.finalize()
        if before is None:
            del os.environ[CONF]
        else:
            os.environ[CONF] = before
