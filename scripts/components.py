"""Programs that tests need and a machine may lack: finds them, and installs them where that is possible.

The one list is `tests/components.toml`. As root on Debian, `python -m scripts.components` installs what is
missing; otherwise it says so, and `tests/conftest.py` skips the tests that need it.
"""
# ruff: noqa: S603 - it runs the programs of the list above, on nothing from outside

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).resolve().parent.parent / "tests" / "components.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program: Debian's package that brings it, and a command that ends well where it is there."""

    name: str
    package: str
    probe: tuple[str, ...]


def load(table: Path = TABLE) -> dict[str, Component]:
    """The components by name."""
    rows = tomllib.loads(table.read_text())
    return {name: Component(name=name, package=row["package"], probe=tuple(row["probe"])) for name, row in rows.items()}


@cache
def is_present(component: Component) -> bool:
    """Whether the component's probe ends well on this machine."""
    try:
        ended = subprocess.run(component.probe, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def can_install() -> bool:
    """Whether this process may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(components: Iterable[Component], environ: Mapping[str, str]) -> None:
    """Install Debian packages without a question; one that fails is found out by its probe."""
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = sorted({component.package for component in components})
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-qq", *command], env=quiet, check=False, stdout=sys.stderr)  # noqa: S607


def main() -> int:
    """Install what is missing, or say what will be skipped."""
    missing = [component for component in load().values() if not is_present(component)]
    if missing and can_install():
        install(missing, os.environ)
        is_present.cache_clear()
    for component in missing:
        if not is_present(component):
            sys.stderr.write(f"test: {component.name} is missing (Debian: apt-get install {component.package})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
