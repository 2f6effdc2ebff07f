"""The route table refuses what isn't declared."""

from typing import Any, cast

import pytest

from meroid.access.permissions import LIST_CONTEXTS
from meroid.http.exchange import ApiResponse
from meroid.http.routes import Endpoint, Public, Requires, RouteTable, SignedIn, UndeclaredRouteError
from meroid.wire.faults import BadPathError, NoSuchPathError, WrongMethodError


def handler(_: object) -> ApiResponse:
    return ApiResponse.data(None)


OPEN = Public("a test")


def test_a_route_without_needs_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        cast("Any", Endpoint)("GET", "/x", handler)


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("GET", "/x", handler, cast("Any", None)),
        Endpoint("GET", "/x", handler, cast("Any", LIST_CONTEXTS)),
        Endpoint("GET", "/x", handler, Public(" ")),
        Endpoint("FETCH", "/x", handler, OPEN),
        Endpoint("", "/x", handler, OPEN),
        Endpoint("GET", "x", handler, OPEN),
        Endpoint("GET", "/x", handler, SignedIn(), inline=True),
    ],
)
def test_an_undeclared_or_malformed_route_fails_the_build(endpoint: Endpoint) -> None:
    with pytest.raises(UndeclaredRouteError):
        RouteTable([endpoint])


@pytest.mark.parametrize(("one", "other"), [("/x", "/x"), ("/x/{a}", "/x/{a}"), ("/x/{a}/y", "/x/{b}/y")])
def test_two_routes_that_clash_fail_the_build(one: str, other: str) -> None:
    with pytest.raises(UndeclaredRouteError):
        RouteTable([Endpoint("GET", one, handler, OPEN), Endpoint("GET", other, handler, Requires(LIST_CONTEXTS))])


def test_paths_are_matched_decoded_and_exactly() -> None:
    table = RouteTable([Endpoint("GET", "/a/{x}/c", handler, OPEN), Endpoint("POST", "/a/b/c", handler, OPEN)])
    assert table.find("GET", b"/a/%62/%63").params == {"x": "b"}
    assert table.find("HEAD", b"/a/x%2Fy/c").params == {"x": "x/y"}
    assert table.find("POST", b"/a/b/c").params == {}
    with pytest.raises(WrongMethodError) as refused:
        table.find("DELETE", b"/a/b/c")
    assert refused.value.allowed == "GET, HEAD, POST"
    for path in (b"/a/b", b"/a/b/c/", b"/A/b/c", b"a/b/c", b"", b"/a//c"):
        with pytest.raises(NoSuchPathError):
            table.find("GET", path)
    with pytest.raises(BadPathError):
        table.find("GET", b"/a/%ff/c")
