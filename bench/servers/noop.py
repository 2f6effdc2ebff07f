"""What an application could do at best: it does nothing. `noop.py callable|handler PORT`, on the server that we use."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/auth/validate"


async def bare_callable(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Less than this isn't an application: no route, no handler, no framework."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def handler(_request: Request) -> Response:
    """A handler of a bare application that has one route."""
    return Response(b"")


APPLICATIONS: dict[str, ASGIApp] = {"callable": bare_callable, "handler": Starlette(routes=[Route(PATH, handler)])}

if __name__ == "__main__":
    uvicorn.run(
        APPLICATIONS[sys.argv[1]],
        port=int(sys.argv[2]),
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
