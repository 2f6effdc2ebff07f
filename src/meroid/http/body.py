"""Reading a request's body, bounded in bytes and in time."""

import asyncio
from typing import Final

from starlette.types import Receive, Scope

from meroid import limits
from meroid.wire.faults import SlowBodyError
from meroid.wire.json_body import BodyTooLargeError

_DRAIN_TIME: Final = 5.0  # seconds that a refused body may still take


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLargeError: more than `limit` bytes, announced or sent.
        SlowBodyError: it didn't arrive within `limits.HTTP_BODY_TIME`.
        ClientGoneError: the connection ended first.
    """
    announced = _content_length(scope)
    if announced == 0:
        return b""
    if announced is not None and announced > limit:
        raise _too_large(limit)  # the server discards what still comes, up to `limits.HTTP_DISCARD`
    try:
        async with asyncio.timeout(limits.HTTP_BODY_TIME.value):
            return await _collect(receive, limit)
    except TimeoutError:
        raise SlowBodyError(f"the body took longer than {limits.HTTP_BODY_TIME.value} seconds") from None


async def _collect(receive: Receive, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > limit:
            if more:
                await _drain(receive)
            raise _too_large(limit)
        if not more and not pieces:
            return bytes(piece)
        pieces.append(piece)
        if not more:
            return b"".join(pieces)


async def _drain(receive: Receive) -> None:
    """Read on for a while, so that a client that only listens after sending gets the answer."""
    left = limits.HTTP_DISCARD.value
    try:
        async with asyncio.timeout(_DRAIN_TIME):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _content_length(scope: Scope) -> int | None:
    """The announced length; 0 if there is no body. The server's parser has checked the digits."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else None
        if name == b"transfer-encoding":
            length = None
    return length


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body has more than {limit} bytes")
