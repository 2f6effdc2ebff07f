"""Prepares the checkout: `.venv` from the locked requirements, and the sample application.

- Runs on a bare Python 3.11 with pip; needs no uv, no compiler and no root, and compiles nothing.
- Everything installed was named with its hash in `requirements/`.
- A stamp holds the digest of what a step read, so a second run does nothing. While a step is at work its stamp says
  so: one that was interrupted starts from nothing. One process at a time.
"""
# ruff: noqa: S603 - it runs the programs named here, on nothing from outside

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
LOCKS: Final = (ROOT / "requirements" / "build.txt", ROOT / "requirements" / "dev.txt")
DISTRIBUTIONS: Final = (ROOT, ROOT / "packages" / "calimero-client-py")
SAMPLE: Final = ROOT / "examples" / "kv-store"
SAMPLE_MODULE: Final = SAMPLE / "build" / "kv_store.wasm"
SAMPLE_MADE: Final = ("node_modules", "build")
AT_WORK: Final = "at work"

# Set for another environment, they would lead pip and uv away from ours.
FOREIGN: Final = (
    "CONDA_PREFIX", "PIP_PREFIX", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV",
)  # fmt: skip


class SetupError(Exception):
    """A step can't be done; the text says what is missing."""


class Step(Protocol):
    """What brings a part of the checkout up to date; `keep`: it may build on what it finds."""

    def __call__(self, *, keep: bool) -> None: ...


def main() -> int:
    """Bring environment and sample application up to date."""
    with (ROOT / ".setup-lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            projects = [folder / "pyproject.toml" for folder in DISTRIBUTIONS]
            once("environment", (*LOCKS, *projects), make_environment, made=environment_works)
            once("sample", sample_sources(), build_sample, made=SAMPLE_MODULE.is_file)
        except SetupError as error:
            say(str(error))
            return 1
        except KeyboardInterrupt:
            say("interrupted; the next run goes on")
            return 130
    return 0


def once(name: str, sources: Iterable[Path], step: Step, *, made: Callable[[], bool]) -> None:
    """Do a step unless it was done on the same sources, in the same place, and its result still stands.

    It may build on what it finds, but not on what an interrupted run left behind.
    """
    stamp = ROOT / f".setup-{name}"
    digest = digest_of(sources)
    before = stamp.read_text() if stamp.is_file() else ""
    if before == digest and made():
        return
    stamp.write_text(AT_WORK)
    started = time.monotonic()
    step(keep=before != AT_WORK)
    if not made():
        raise SetupError(f"the step '{name}' ended without its result")
    stamp.write_text(digest)
    say(f"{name} ready after {time.monotonic() - started:.0f} s")


def digest_of(sources: Iterable[Path]) -> str:
    """SHA-256, in hex, over the place of the checkout and each file's name and bytes."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in sources:
        if not path.is_file():
            raise SetupError(f"{path.relative_to(ROOT)} is missing from the checkout")
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def environment_works() -> bool:
    """Whether `.venv` was made in this place (programs name it in their first line), and its Python starts."""
    activate = VENV / "bin" / "activate"
    if not activate.is_file() or str(VENV) not in activate.read_text():
        return False
    return succeeds([str(PYTHON), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])


def make_environment(*, keep: bool) -> None:
    """Make `.venv` hold exactly the locked packages and, editable, the distributions of this repository."""
    environ = installer_environ(os.environ)
    if not keep or not environment_works():
        say(f"making .venv with Python {sys.version.split()[0]}")
        bootstrap = () if importlib.util.find_spec("ensurepip") else ("--without-pip",)
        run([sys.executable, "-m", "venv", "--clear", *bootstrap, str(VENV)], environ)
    say("installing the locked packages")
    install_tools(environ)
    uv = [str(PYTHON), "-m", "uv", "pip"]
    where = ["--quiet", "--python", str(PYTHON)]
    run([*uv, "sync", *where, "--require-hashes", "--no-build", *map(str, LOCKS)], environ)
    editable = [option for folder in DISTRIBUTIONS for option in ("--editable", str(folder))]
    run([*uv, "install", *where, "--no-deps", "--no-build-isolation", *editable], environ)


def install_tools(environ: Mapping[str, str]) -> None:
    """Install the locked uv by pip: the environment's own, or that of the Python that runs this."""
    if succeeds([str(PYTHON), "-m", "pip", "--version"]):
        pip = [str(PYTHON), "-m", "pip"]
    elif importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    else:
        raise SetupError(f"{sys.executable} has neither pip nor ensurepip (Debian: apt-get install python3-pip)")
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    run([*pip, "install", *options, "--requirement", str(LOCKS[0])], environ)


def installer_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip and uv: nothing of another one, and pip's index and certificates for uv too."""
    result = {name: value for name, value in environ.items() if name not in FOREIGN}
    for theirs, ours in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if theirs in result:
            result.setdefault(ours, result[theirs])
    return result


def sample_sources() -> list[Path]:
    """The files from which the sample application is built, in a fixed order."""
    made = tuple(SAMPLE / name for name in SAMPLE_MADE)
    files = (path for path in SAMPLE.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(path.is_relative_to(folder) for folder in made))


def build_sample(*, keep: bool) -> None:
    """Build the sample application with the compiler that its lock names."""
    del keep  # npm ci never builds on what it finds
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm is missing: install Node.js 20 or newer, with npm")
    say("building the sample application")
    run([npm, "ci", "--no-audit", "--no-fund"], os.environ, SAMPLE)
    run([npm, "run", "build"], os.environ, SAMPLE)


def run(command: list[str], environ: Mapping[str, str], folder: Path = ROOT) -> None:
    """Run a program; its output is shown only where it fails."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=dict(environ),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if ended.returncode != 0:
        sys.stderr.buffer.write(ended.stdout)
        sys.stderr.flush()
        raise SetupError(f"{Path(command[0]).name} failed with code {ended.returncode}; its output stands above")


def succeeds(command: list[str]) -> bool:
    """Whether a program is there and ends well."""
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return ended.returncode == 0


def say(text: str) -> None:
    """Tell the user where the set-up is."""
    sys.stderr.write(f"setup: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
