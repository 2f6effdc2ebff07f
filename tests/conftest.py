"""What all tests share: components that a machine may lack, and a skip that counts as a failure."""

import os
from collections.abc import Generator
from typing import Final

import pytest
from scripts import components

REQUIRE_ALL: Final = "MEROID_REQUIRE_ALL"
_KNOWN: Final = components.load()


def pytest_configure(config: pytest.Config) -> None:
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
    return report


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
