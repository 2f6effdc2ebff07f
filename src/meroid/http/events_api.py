"""`/ws`: events of contexts for proven members (`wire/node.md` §2.2)."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Sequence
from functools import lru_cache
from typing import Any, Final

import base58
from starlette.websockets import WebSocket, WebSocketDisconnect

from meroid import limits
from meroid.access.decide import Resource
from meroid.access.principal import Principal
from meroid.errors import ForbiddenError, MeroidError
from meroid.http.exchange import ApiRequest
from meroid.http.routes import Endpoint, SignedIn, SocketEndpoint
from meroid.ids import ContextId
from meroid.service.contexts import ContextService
from meroid.service.feed import EventFeed, Happening, MembershipEnded, StateMutation
from meroid.service.gate import Gate
from meroid.wire import events as shapes
from meroid.wire.json_body import decode_json

_TRY_LATER: Final = 1013  # registered for RFC 6455 §7.4.2
_FAREWELL_S: Final = 1.0  # for telling a slow reader why; the server cuts it off after that


class NotSubscribableError(ForbiddenError):
    """No identity of the caller reads that context, or its token doesn't reach it."""

    code = "not_a_reader"
    next_step = "subscribe to contexts that you are a member of"


class SubscriptionEndedError(ForbiddenError):
    """The membership behind a subscription ended."""

    code = "membership_ended"
    next_step = "ask a member who may invite for a new invitation"


class EventsApi:
    """WebSocket subscriptions."""

    def __init__(self, *, feed: EventFeed, contexts: ContextService, gate: Gate) -> None:
        self._feed = feed
        self._contexts = contexts
        self._gate = gate

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The route."""
        return [SocketEndpoint("/ws", self.serve, SignedIn())]

    async def serve(self, socket: WebSocket, request: ApiRequest) -> None:
        """One connection until either side ends it, or its reader is too slow."""
        await socket.accept()
        subscriber = _Subscriber(request.principal, self._contexts, self._gate, asyncio.get_running_loop())
        outbox = subscriber.outbox
        stop = self._feed.listen(subscriber.hear)
        try:
            await _until_one_ends(subscriber.listen_to(socket), outbox.send_to(socket), outbox.overflow.wait())
        finally:
            stop()
        if outbox.overflow.is_set():
            with contextlib.suppress(TimeoutError):  # its buffers are full, so this may not get through
                await asyncio.wait_for(socket.close(_TRY_LATER, "too slow"), _FAREWELL_S)


async def _until_one_ends(*works: Coroutine[Any, Any, object]) -> None:
    """Run works side by side until the first ends; the others are cancelled and waited for."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


class _Outbox:
    """Frames that wait to be sent, bounded in bytes; belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.overflow = asyncio.Event()
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._filled = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Queue a frame; one too many sets `overflow`, and nothing is taken any more."""
        if self._size + len(frame) > limits.SOCKET_QUEUE.value:
            self.overflow.set()
        if not self.overflow.is_set():
            self._frames.append(frame)
            self._size += len(frame)
            self._filled.set()

    async def send_to(self, socket: WebSocket) -> None:
        """Send what waits, for ever; waits itself while the client takes nothing."""
        while True:
            while not self._frames:
                self._filled.clear()
                await self._filled.wait()
            frame = self._frames.popleft()
            self._size -= len(frame)
            try:
                await socket.send_text(frame.decode())
            except RuntimeError:  # the server has begun to close it
                raise WebSocketDisconnect(1006) from None


class _Subscriber:
    """What one connection listens to."""

    def __init__(
        self, principal: Principal, contexts: ContextService, gate: Gate, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.outbox = _Outbox()
        self._principal = principal
        self._contexts = contexts
        self._gate = gate
        self._loop = loop
        self._subscribed: set[ContextId] = set()
        self._endings = 0

    async def listen_to(self, socket: WebSocket) -> None:
        """Obey frames until the client goes; binary ones are ignored."""
        while True:
            frame = await socket.receive()
            if frame["type"] == "websocket.disconnect":
                return
            if frame.get("text") is not None:
                await self._obey(frame["text"])

    def hear(self, happening: Happening) -> None:
        """Called in the thread in which something happened."""
        if isinstance(happening, MembershipEnded):
            self._endings += 1  # before the look at what is subscribed: see `_admitted`
        if happening.context_id not in self._subscribed:
            return
        if isinstance(happening, StateMutation):
            self._on_loop(happening.context_id, _encode_mutation(happening), ends=False)
        elif not self._readable([happening.context_id]):
            error = SubscriptionEndedError(f"the membership in {happening.context_id} ended")
            self._on_loop(happening.context_id, shapes.encode_refusal(None, error), ends=True)

    def _on_loop(self, context_id: ContextId, frame: bytes, *, ends: bool) -> None:
        def deliver() -> None:
            if context_id in self._subscribed:
                self.outbox.put(frame)
                if ends:
                    self._subscribed.discard(context_id)

        with contextlib.suppress(RuntimeError):  # the server stopped in between
            self._loop.call_soon_threadsafe(deliver)

    async def _obey(self, text: str) -> None:
        """Subscribe or unsubscribe as a frame asks; what is no frame at all is dropped, as on the wire."""
        if len(text) > limits.SOCKET_FRAME.value:
            self.outbox.put(shapes.encode_parse_error(None, f"a frame has at most {limits.SOCKET_FRAME.value} bytes"))
            return
        try:
            frame = decode_json(text.encode(), shapes.ClientFrame)
        except MeroidError:
            return
        if frame.method not in ("subscribe", "unsubscribe"):  # it may be of any kind: no set
            self.outbox.put(shapes.encode_parse_error(frame.id, "the method is subscribe or unsubscribe"))
            return
        try:
            wanted = decode_json(bytes(frame.params), shapes.SubscriptionParams).context_ids
        except MeroidError as problem:
            self.outbox.put(shapes.encode_parse_error(frame.id, problem.reason))
            return
        if frame.method == "unsubscribe":
            self._subscribed -= set(wanted)
        elif not await self._admitted(wanted):
            error = NotSubscribableError("no identity of yours reads one of these contexts")
            self.outbox.put(shapes.encode_refusal(frame.id, error))
            return
        self.outbox.put(shapes.encode_echo(frame.id, wanted))

    async def _admitted(self, wanted: Sequence[ContextId]) -> bool:
        """Subscribe to contexts if the caller reads all of them.

        A membership may end while it is being looked at. Then either `hear` finds the subscription
        that was made here, or it has counted before the comparison, and this looks again.
        """
        new = set(wanted) - self._subscribed
        while True:
            seen = self._endings
            if not await asyncio.to_thread(self._readable, wanted):
                self._subscribed -= new
                return False
            self._subscribed |= new
            if seen == self._endings:
                return True

    def _readable(self, wanted: Sequence[ContextId]) -> bool:
        return all(
            self._contexts.may_read(self._principal, each)
            and self._gate.sees(
                self._principal, Resource(context=each, application=self._contexts.application_of(each))
            )
            for each in wanted
        )


@lru_cache(maxsize=4)
def _encode_mutation(happening: StateMutation) -> bytes:
    """The frame of an event, made once for all who listen."""
    events = [{"kind": event.kind, "data": [*event.data], "handler": event.handler} for event in happening.events]
    root = base58.b58encode(happening.new_root).decode("ascii")
    return shapes.encode_mutation(str(happening.context_id), root, events)
