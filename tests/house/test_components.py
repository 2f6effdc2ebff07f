"""Components that a machine lacks are named once each; where all tests are required, a skip is a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import components

ROOT = Path(__file__).parents[2]

NEEDS_GIT = """
import pytest

@pytest.mark.needs("git")
def test_that_needs_git(): pass
"""
SKIPS_ITS_MODULE = """
import pytest

pytest.skip("nothing here today", allow_module_level=True)
"""
XFAILS = """
import pytest

@pytest.mark.xfail(reason="known", strict=True)
def test_that_fails_as_expected(): raise AssertionError
"""
NEEDS_THE_UNKNOWN = """
import pytest

@pytest.mark.needs("perpetuum-mobile")
def test_that_needs_it(): pass
"""


def run_pytest(folder: Path, source: str, **environ: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text(source)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MEROID_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml",
         f"--rootdir={folder}", folder],
        cwd=folder, env=outside | environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_test_whose_component_is_missing_is_skipped_with_the_package_that_brings_it(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, NEEDS_GIT, PATH="")

    assert run.returncode == 0
    assert "git is missing (Debian: apt-get install git)" in run.stdout
    assert "1 skipped" in run.stdout


def test_where_all_tests_are_required_a_skip_is_a_failure(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, NEEDS_GIT, PATH="", MEROID_REQUIRE_ALL="1")

    assert run.returncode == 1
    assert "a skip is a failure. Skipped: git is missing" in run.stdout


def test_where_all_tests_are_required_a_skipped_module_is_a_failure(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS_ITS_MODULE, MEROID_REQUIRE_ALL="1")

    assert run.returncode != 0
    assert "nothing here today" in run.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, XFAILS, MEROID_REQUIRE_ALL="1")

    assert run.returncode == 0
    assert "1 xfailed" in run.stdout


def test_a_component_that_the_table_does_not_know_is_a_failure(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, NEEDS_THE_UNKNOWN)

    assert run.returncode == 1
    assert "no component 'perpetuum-mobile'" in run.stdout


def test_a_probe_that_fails_or_is_not_there_means_missing() -> None:
    absent = components.Component(name="a", package="a", probe=("no-such-program-here",))
    failing = components.Component(name="b", package="b", probe=(sys.executable, "-c", "raise SystemExit(1)"))
    present = components.Component(name="c", package="c", probe=(sys.executable, "-c", ""))

    assert [components.is_present(each) for each in (absent, failing, present)] == [False, False, True]


def test_missing_packages_are_installed_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $@" >> {log}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    wanted = [components.Component(name=name, package=name, probe=("x",)) for name in ("nginx", "chromium")]

    components.install(wanted, os.environ)

    assert log.read_text().splitlines() == [
        "noninteractive -qq update",
        "noninteractive -qq install --yes --no-install-recommends chromium nginx",
    ]
