"""docs/http-api.md has every route with what it needs, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.simulators.transport import Network

from meroid.app import RunningNode, initialise_node
from meroid.config import Settings
from meroid.http.routes import Endpoint, Needs, Public, SignedIn, SocketEndpoint

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text("utf-8")
ROW = re.compile(r"^\| (GET POST|[A-Z]+) \| `([^`]+)` \| (.+?) \| (.*) \|$", re.M)


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint | SocketEndpoint, ...]]:
    """All routes of a node in embedded mode, which has those of proxy mode and more."""
    home = tmp_path_factory.mktemp("home") / "n"
    home.mkdir()
    settings = Settings(
        home=home, name="n", auth_mode="embedded", listen=(("127.0.0.1", 0),), swarm=(("127.0.0.1", 0),)
    )
    node = initialise_node(settings)
    network = Network()
    network.start()
    running = RunningNode(node, node.prepare(), network.transport("n"))
    yield running.application.table.endpoints
    running.close()
    node.close()
    network.stop()


def told(needs: Needs) -> str:
    """How the document names what a route needs."""
    if isinstance(needs, Public):
        return "open"
    return "token" if isinstance(needs, SignedIn) else f"`{needs.permission}`"


def test_every_route_is_told_with_what_it_needs(endpoints: tuple[Endpoint | SocketEndpoint, ...]) -> None:
    documented = {(method, path): needs.partition(" → ")[0] for method, path, needs, _ in ROW.findall(DOCUMENT)}

    built = {
        (each.methods if isinstance(each, Endpoint) else "WEBSOCKET", each.path): told(each.needs) for each in endpoints
    }

    assert documented == built


def test_every_route_says_what_it_takes_or_gives() -> None:
    assert [path for _, path, _, shapes in ROW.findall(DOCUMENT) if not shapes.strip()] == []
