"""Frames of WebSocket subscriptions (`wire/node.md` §2.2)."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from meroid import limits
from meroid.errors import MeroidError
from meroid.ids import ContextId
from meroid.wire.json_body import refuse_beyond_u64

FrameId = Annotated[int, msgspec.Meta(ge=0)] | None


class SubscriptionParams(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which contexts."""

    context_ids: Annotated[list[ContextId], msgspec.Meta(max_length=limits.SOCKET_CONTEXTS.value)]


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends."""

    id: FrameId = None
    method: Any = None  # what is neither of the two is answered, whatever it is
    params: msgspec.Raw = msgspec.Raw(b"null")

    def __post_init__(self) -> None:
        """Bound the id."""
        refuse_beyond_u64("id", self.id)


def encode_echo(frame_id: FrameId, context_ids: Iterable[ContextId]) -> bytes:
    """The answer to a subscription."""
    return msgspec.json.encode({"id": frame_id, "result": {"contextIds": [str(each) for each in context_ids]}})


def encode_parse_error(frame_id: FrameId, detail: str) -> bytes:
    """The answer to a frame that isn't understood."""
    return msgspec.json.encode({"id": frame_id, "error": {"type": "ParseError", "data": detail}})


def encode_refusal(frame_id: FrameId, error: MeroidError) -> bytes:
    """The answer to a subscription that isn't allowed, or the news that one ended."""
    meroid = {"code": error.code, "reason": error.reason, "next": error.next_step}
    return msgspec.json.encode(
        {"id": frame_id, "error": {"type": "Unauthorized", "data": error.reason, "meroid": meroid}}
    )


def encode_mutation(context_id: str, new_root: str, events: list[dict[str, Any]]) -> bytes:
    """An event: kind, data as integers, handler."""
    data = {"newRoot": new_root, "events": events}
    return msgspec.json.encode({"id": None, "result": {"contextId": context_id, "type": "StateMutation", "data": data}})
