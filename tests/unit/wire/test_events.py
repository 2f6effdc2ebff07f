"""Frames of `/ws` (`wire/node.md` §2.2)."""

import json
from typing import Any

import pytest

from meroid import limits
from meroid.errors import ForbiddenError
from meroid.ids import ContextId
from meroid.wire import events
from meroid.wire.json_body import WrongShapeError, decode_json

CONTEXT = ContextId(b"\x01" * 32)


def test_a_frame_is_read_with_or_without_its_id() -> None:
    for text, number in (('{"id":5,"method":"subscribe"}', 5), ('{"method":"subscribe"}', None), ("{}", None)):
        assert decode_json(text.encode(), events.ClientFrame).id == number


@pytest.mark.parametrize("number", ['"5"', "-1", "1.5", "true", "[]", str(2**64)])
def test_an_id_of_another_kind_is_no_frame(number: str) -> None:
    with pytest.raises(WrongShapeError):
        decode_json(f'{{"id":{number},"method":"subscribe"}}'.encode(), events.ClientFrame)


@pytest.mark.parametrize("given", [None, {}, {"contextIds": None}, {"contextIds": ["x"]}, {"context_ids": []}])
def test_params_of_another_shape_are_refused(given: Any) -> None:
    with pytest.raises(WrongShapeError):
        decode_json(json.dumps(given).encode(), events.SubscriptionParams)


def test_a_subscription_names_a_bounded_number_of_contexts() -> None:
    most = limits.SOCKET_CONTEXTS.value
    body = json.dumps({"contextIds": [str(CONTEXT)] * most}).encode()
    assert len(decode_json(body, events.SubscriptionParams).context_ids) == most
    assert len(body) < limits.SOCKET_FRAME.value
    with pytest.raises(WrongShapeError):
        decode_json(json.dumps({"contextIds": [str(CONTEXT)] * (most + 1)}).encode(), events.SubscriptionParams)


def test_the_answers_have_the_shapes_of_the_wire() -> None:
    assert json.loads(events.encode_echo(3, [CONTEXT])) == {"id": 3, "result": {"contextIds": [str(CONTEXT)]}}
    assert json.loads(events.encode_parse_error(None, "why")) == {
        "id": None,
        "error": {"type": "ParseError", "data": "why"},
    }
    refusal = json.loads(events.encode_refusal(1, ForbiddenError("why")))
    assert refusal["error"]["type"] == "Unauthorized"
    assert refusal["error"]["meroid"]["code"] == "forbidden"


def test_an_event_has_integers_for_bytes_and_no_id() -> None:
    event = {"kind": "Set", "data": [0, 255], "handler": None}
    assert json.loads(events.encode_mutation("ctx", "root", [event])) == {
        "id": None,
        "result": {
            "contextId": "ctx",
            "type": "StateMutation",
            "data": {"newRoot": "root", "events": [event]},
        },
    }
