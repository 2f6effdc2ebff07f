"""Three nodes for all promises, started once for each worker of a test run; their logs beside each failure."""

from collections.abc import Generator, Iterator
from typing import Final

import pytest
from tests.three_nodes import ThreeNodes

_LOG_CHARACTERS: Final = 3000
_running: list[ThreeNodes] = []


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeNodes]:
    """Three nodes; each test makes contexts of its own on them, and leaves them running."""
    three = ThreeNodes(tmp_path_factory.mktemp("nodes"))
    _running.append(three)
    try:
        three.open()
        yield three
    finally:
        _running.remove(three)
        three.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for node in (node for three in _running for node in three.all):
            report.sections.append((f"log of {node.name}", node.log[-_LOG_CHARACTERS:]))
    return report
