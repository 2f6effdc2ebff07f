"""Frames of WebSocket subscriptions (`wire/node.md` §2.2)."""

from typing import Annotated, Any

import msgspec

from meroid.errors import MeroidError

FrameId = Annotated[int, msgspec.Meta(ge=0)] | None
MOST_CONTEXTS = 256


class SubscriptionParams(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which contexts."""

    context_ids: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=MOST_CONTEXTS)]


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends."""

    id: FrameId = None
    method: str
    params: msgspec.Raw = msgspec.Raw(b"null")


def encode_echo(frame_id: FrameId, context_ids: list[str]) -> bytes:
    """The answer to a subscription."""
    return msgspec.json.encode({"id": frame_id, "result": {"contextIds": context_ids}})


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
