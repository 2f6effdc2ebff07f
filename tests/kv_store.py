"""Builds the sample application once, with npm, and hands out its bytes."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "examples" / "kv-store"
_INPUTS = ("package-lock.json", "package.json", ".npmrc", "asconfig.json", "assembly/*.ts")
_TIMEOUT_S = 240


@cache
def kv_store_bytecode() -> bytes:
    """The compiled sample application.

    Built when it isn't there or older than its source; one process builds while the others wait.
    """
    built = SOURCE / "build" / "kv_store.wasm"
    stamp = SOURCE / "build" / "kv_store.source"
    lock = Path(tempfile.gettempdir()) / f"kv-store-{hashlib.sha256(str(SOURCE).encode()).hexdigest()[:16]}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        source = _source_digest()
        if not (built.is_file() and stamp.is_file() and stamp.read_text() == source):
            _build()
            stamp.write_text(source)
        return built.read_bytes()


def _build() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is needed to build examples/kv-store")
    for arguments in (["ci"], ["run", "build"]):
        done = subprocess.run(
            [npm, *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _INPUTS for path in SOURCE.glob(pattern)):
        digest.update(f"{path.relative_to(SOURCE)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
