"""A node for each module, and what every refusal must leave as it is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bad_input import Target


@pytest.fixture(scope="module", params=["proxy", "embedded"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Target"]:
    # The engine of applications has to come after pytest's own handlers of signals, or its traps end the process.
    from tests.bad_input import FUEL, Target  # noqa: PLC0415
    from tests.served_node import network, served_node  # noqa: PLC0415

    folder = tmp_path_factory.mktemp(request.param)
    with network() as joined, served_node(folder, joined, mode=request.param, fuel=FUEL) as node:
        yield Target(node)


@pytest.fixture
def unchanged(target: "Target") -> Iterator["Target"]:
    """The target; the test fails if anything changed."""
    before = target.snapshot()
    yield target
    assert target.snapshot() == before
