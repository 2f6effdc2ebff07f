"""Uvicorn's protocols with the bounds that they lack.

HTTP/1.1: size of the head, time for it, discarded bytes. WebSocket: time for a client to take what it is sent.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from meroid import limits
from meroid.http.exchange import Written

_CLOSING_S: Final = 12.0  # Uvicorn waits ten seconds for the answer to its closing frame

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\nx-meroid-code: head_too_large\r\n\r\n"
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection; a head that is too large or too slow ends it.

    Answers that the application has at once are written without a task, and without messages between the two: that is
    half of what a short request costs. Of what came in one piece only the first request is, so that a client that
    sends hundreds together waits its turn behind others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to Uvicorn
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._received = 0  # bytes of a head that isn't complete, without the piece in which it began
        self._piece = 0  # bytes of the piece that is being read
        self._began = False  # a head, in that piece
        self._discarded = 0
        self._at_once: Callable[[Any], Written | None] | None = getattr(self.app, "at_once", None)
        self._own_headers: list[tuple[bytes, bytes]] = []
        self._own_lines = b""
        self._asked_at_once = False  # in the piece that is being read
        self._answered = False  # at once, the request that is being read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began = self._asked_at_once = False
        self._piece = len(data)
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._head_timer is None:  # most heads come in one piece and need none
            self._start_timer()
        if not self._began:
            self._received += len(data)
            if self._received > limits.HTTP_HEAD.value:
                self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._began = True
        self._answered = False
        self._received = 0
        self._stop_timer()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        may_be_large = not self._began or self._piece > limits.HTTP_HEAD.value
        if may_be_large and self._head_bytes() > limits.HTTP_HEAD.value:
            self._refuse_head()
            raise ValueError("the head is too large")  # stops the parser; the connection is closing
        if not self._answer_at_once():
            self._unset_keepalive_if_required()  # armed by an answer at once to what came before in the same piece
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > limits.HTTP_DISCARD.value:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _answer_at_once(self) -> bool:
        """Write the answer that needs nothing more than the head; false if the request has to go the long way."""
        if self._asked_at_once or self._at_once is None or not self._is_free():
            return False
        self._asked_at_once = True
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["raw_path"] = self.url
        written = self._at_once(self.scope)
        if written is None:
            return False
        self._answered = True
        own = self.server_state.default_headers
        if own is not self._own_headers:  # a new list each second, with the date
            self._own_headers, self._own_lines = own, b"".join([b"%b: %b\r\n" % header for header in own])
        self.transport.write(b"".join((STATUS_LINE[written.status], self._own_lines, written.rest)))
        self.on_response_complete()
        return True

    def _is_free(self) -> bool:
        """Whether an answer can go out now, by the rules by which Uvicorn would let a task begin."""
        limit, before = self.limit_concurrency, cast("RequestResponseCycle | None", self.cycle)
        return (
            (before is None or before.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and (limit is None or (len(self.connections) < limit and len(self.tasks) < limit))
        )

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(limits.HTTP_HEAD_TIME.value, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse_head(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()


class BoundedSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket; a client that doesn't take what it is sent is cut off.

    Uvicorn waits for ever until what it has written is taken, also after it has decided to close;
    and with an opening whose lines are longer than its library takes, it never answers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to Uvicorn
        super().__init__(*args, **kwargs)
        self._stalled: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_complete = self.close_sent = True  # nothing more is sent when the server stops
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self.transport.is_closing():
            self.transport.pause_reading()  # pings would be answered into the same full buffer
        self._stalled = self._cut_off_after(limits.SOCKET_STALL.value)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stalled)
        if not self.transport.is_closing() and not self.read_paused:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._stalled)
        _cancel(self._closing)
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._end_soon()

    def _end_soon(self) -> None:
        if not self.disconnected:
            _cancel(self._closing)
            self._closing = self._cut_off_after(_CLOSING_S)

    def _cut_off_after(self, seconds: float) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
