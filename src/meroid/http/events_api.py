"""`/ws`: events of contexts for proven members (`wire/node.md` §2.2)."""

import asyncio
from collections.abc import Sequence
from typing import Final

import base58
from starlette.websockets import WebSocket, WebSocketDisconnect

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

QUEUE: Final = 1024
_TRY_LATER: Final = 1013  # registered for RFC 6455 §7.4.2


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
        """One connection until it ends."""
        await socket.accept()
        subscriber = _Subscriber(request.principal, self._contexts, self._gate, asyncio.get_running_loop())
        stop = self._feed.listen(subscriber.hear)
        sender = asyncio.create_task(subscriber.send_to(socket))
        try:
            while True:
                frame = await socket.receive()
                if frame["type"] == "websocket.disconnect":
                    break
                if frame.get("text") is not None:
                    await subscriber.obey(frame["text"])
        except WebSocketDisconnect:
            pass
        finally:
            stop()
            sender.cancel()


class _Subscriber:
    """What one connection listens to, and what waits to be sent to it."""

    def __init__(
        self, principal: Principal, contexts: ContextService, gate: Gate, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._principal = principal
        self._contexts = contexts
        self._gate = gate
        self._loop = loop
        self._subscribed: set[ContextId] = set()
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._overflow = asyncio.Event()

    async def obey(self, text: str) -> None:
        """Subscribe or unsubscribe as a frame asks; what is no frame at all is dropped, as on the wire."""
        try:
            frame = decode_json(text.encode(), shapes.ClientFrame)
        except MeroidError:
            return
        try:
            params = decode_json(bytes(frame.params), shapes.SubscriptionParams)
            wanted = [ContextId.parse(each) for each in params.context_ids]
        except MeroidError as problem:
            self._put(shapes.encode_parse_error(frame.id, problem.reason))
            return
        if frame.method == "unsubscribe":
            self._subscribed -= set(wanted)
        elif frame.method == "subscribe":
            readable = await asyncio.to_thread(self._readable, wanted)
            if not readable:
                error = NotSubscribableError("no identity of yours reads one of these contexts")
                self._put(shapes.encode_refusal(frame.id, error))
                return
            self._subscribed |= set(wanted)
        else:
            self._put(shapes.encode_parse_error(frame.id, "the method is subscribe or unsubscribe"))
            return
        self._put(shapes.encode_echo(frame.id, params.context_ids))

    def hear(self, happening: Happening) -> None:
        """Called in the thread in which something happened."""
        if happening.context_id not in self._subscribed:
            return
        if isinstance(happening, MembershipEnded):
            if not self._readable([happening.context_id]):
                self._loop.call_soon_threadsafe(self._end, happening.context_id)
            return
        self._loop.call_soon_threadsafe(self._deliver, happening)

    async def send_to(self, socket: WebSocket) -> None:
        """Send what waits; a reader that is too slow is closed instead of being buffered for ever."""
        while not self._overflow.is_set():
            frame = await self._frames.get()
            await socket.send_text(frame.decode())
        await socket.close(_TRY_LATER, "too slow")

    def _readable(self, wanted: Sequence[ContextId]) -> bool:
        return all(
            self._contexts.may_read(self._principal, each)
            and self._gate.sees(
                self._principal, Resource(context=each, application=self._contexts.application_of(each))
            )
            for each in wanted
        )

    def _deliver(self, happening: StateMutation) -> None:
        if happening.context_id not in self._subscribed:
            return
        events = [{"kind": event.kind, "data": [*event.data], "handler": event.handler} for event in happening.events]
        root = base58.b58encode(happening.new_root).decode("ascii")
        self._put(shapes.encode_mutation(str(happening.context_id), root, events))

    def _end(self, context_id: ContextId) -> None:
        self._subscribed.discard(context_id)
        error = SubscriptionEndedError(f"the membership in {context_id} ended")
        self._put(shapes.encode_refusal(None, error))

    def _put(self, frame: bytes) -> None:
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self._overflow.set()
