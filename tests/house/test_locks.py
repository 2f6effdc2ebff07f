"""The locks hold what pyproject.toml asks for, by version and hash, and name no index."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("build", "dev", "run")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+?)(?: ;.*?)? \\\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)", re.M
)


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text()


def versions(lock: str) -> dict[str, str]:
    return {match["name"]: match["version"] for match in ENTRY.finditer(text(lock))}


def requirements(rows: Iterable[Any]) -> list[Requirement]:
    return [Requirement(row) for row in rows if isinstance(row, str)]


RUN = requirements(PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["node"])
DEV = requirements(row for group in PROJECT["dependency-groups"].values() for row in group)
BUILD = requirements(PROJECT["build-system"]["requires"])


@pytest.mark.parametrize(("lock", "wanted"), [("run", RUN), ("dev", RUN + DEV), ("build", BUILD)])
def test_each_direct_dependency_is_locked_at_a_version_that_fits(lock: str, wanted: list[Requirement]) -> None:
    locked = versions(lock)

    unmet = [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"))
    ]

    assert unmet == [], "make locks"


def test_the_installer_itself_is_locked() -> None:
    assert "uv" in versions("build")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_a_version_and_hashes(lock: str) -> None:
    entries = [line for line in text(lock).splitlines() if line and not line.startswith((" ", "#"))]

    assert len(entries) == len(versions(lock)) > 0


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_host_or_sets_an_option(lock: str) -> None:
    assert "://" not in text(lock)
    assert not re.search(r"^-", text(lock), re.M)


def test_the_locks_agree_on_every_version() -> None:
    development = versions("dev")

    for lock in ("run", "build"):
        shared = versions(lock).items()
        assert {name: version for name, version in shared if development.get(name, version) != version} == {}


def test_what_runs_is_part_of_what_is_tested() -> None:
    assert versions("run").keys() <= versions("dev").keys()
