"""What handlers decode is what their contracts say, and every handler has one."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.test_http_document import endpoints

from meroid.http.contract import contract_of
from meroid.http.routes import Endpoint, SocketEndpoint

__all__ = ["endpoints"]

HTTP = Path(__file__).parents[2] / "src" / "meroid" / "http"
BY_HAND = {"_create", "_capabilities"}  # they choose a shape; the contracts have all of them


def decoded(function: ast.FunctionDef) -> list[str]:
    calls = [each for each in ast.walk(function) if isinstance(each, ast.Call)]
    return [ast.unparse(each.args[0]) for each in calls if ast.unparse(each.func) == "request.json"]


def taken(function: ast.FunctionDef) -> list[str]:
    said = [
        each for each in function.decorator_list if isinstance(each, ast.Call) and ast.unparse(each.func) == "speaks"
    ]
    return [ast.unparse(word.value) for each in said for word in each.keywords if word.arg == "takes"]


def handlers() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(HTTP.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name not in BY_HAND:
                yield f"{path.name}: {node.name}", node


def test_a_handler_decodes_the_shape_that_it_says() -> None:
    assert {name: decoded(each) for name, each in handlers() if decoded(each) and decoded(each) != taken(each)} == {}


def test_every_route_says_what_it_takes_and_gives(endpoints: tuple[Endpoint | SocketEndpoint, ...]) -> None:
    silent = [each.path for each in endpoints if isinstance(each, Endpoint) and contract_of(each.handler) is None]
    assert silent == [], "put @speaks(…) of meroid.http.contract above the handler"
