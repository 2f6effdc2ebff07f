"""What all tests share: components that a machine may lack, a skip that counts as a failure, a search for secrets."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from scripts import components
from tests import told_secrets

REQUIRE_ALL: Final = "MEROID_REQUIRE_ALL"
_KNOWN: Final = components.load()
_TOLD: Final = pytest.StashKey[Path]()
_FOUND: Final = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    folder = told_secrets.begin()
    if folder is not None:  # not a worker of a run that has several
        config.stash[_TOLD] = folder
    config.addinivalue_line("markers", "needs(name): skip where this component of tests/components.toml is missing")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if name not in _KNOWN:
                pytest.fail(f"tests/components.toml has no component '{name}'", pytrace=False)
            component = _KNOWN[name]
            if not components.is_present(component):
                pytest.skip(f"{name} is missing (Debian: apt-get install {component.package})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    if report.when == "teardown":  # by now it has what all the phases of the test wrote
        for name, text in report.sections:
            told_secrets.wrote(f"{report.nodeid} ({name})", text)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look for the secrets of the run's processes in all that was written; one that is found fails the run."""
    folder = session.config.stash.get(_TOLD, None)
    if folder is not None:
        found = session.config.stash[_FOUND] = told_secrets.end(folder)
        if found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_FOUND, []):
        terminalreporter.write_line(f"SECRET TOLD: {line}", red=True)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where every test is required, turn a skip into a failure that keeps its reason."""
    if report.skipped and os.environ.get(REQUIRE_ALL) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL}=1, so a skip is a failure. {reason}"
