"""What JSON is taken and what is refused, without a server."""

import contextlib
import json
import time
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from meroid import limits
from meroid.wire.json_body import (
    BodyTooLargeError,
    FieldLengthError,
    MalformedJsonError,
    NotJsonError,
    WrongShapeError,
    decode_body,
    decode_json,
)

JSON = "application/json"


class Inner(msgspec.Struct, frozen=True):
    key: str


class Shape(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    inner: Inner | None = None
    rest: Any = None


def test_unknown_fields_are_ignored_and_null_is_as_absent() -> None:
    assert decode_body(b'{"name":"a","inner":null,"other":[1]}', JSON, Shape) == Shape("a")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "name"),
        (b'{"name":"a","inner":{}}', "inner.key"),
        (b'{"name":"a","inner":{"key":1}}', "inner.key"),
        (b'{"name":"a","inner":[]}', "inner"),
        (b"[]", "body"),
        (b"null", "body"),
    ],
)
def test_a_wrong_shape_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(WrongShapeError) as refused:
        decode_body(body, JSON, Shape)
    assert refused.value.field == field


def test_an_empty_field_is_told_apart() -> None:
    with pytest.raises(FieldLengthError) as refused:
        decode_body(b'{"name":""}', JSON, Shape)
    assert refused.value.field == "name"


def test_refusals_never_repeat_what_was_sent() -> None:
    for body in (
        b'{"name":"a","inner":"hush"}',
        b'{"name":"hush","hush":1',
        b'{"name":"a","rest":{"hush":1,"hush":1}}',
    ):
        with pytest.raises((WrongShapeError, MalformedJsonError)) as refused:
            decode_body(body, JSON, Shape)
        assert "hush" not in refused.value.reason


@pytest.mark.parametrize("content_type", [None, "", "text/json", "application/jsonx", "application", "json"])
def test_only_json_content_types_are_taken(content_type: str | None) -> None:
    with pytest.raises(NotJsonError):
        decode_body(b'{"name":"a"}', content_type, Shape)


def test_size_and_depth_are_bounded() -> None:
    with pytest.raises(BodyTooLargeError):
        decode_body(b" " * (limits.JSON_BODY.value + 1), JSON, Shape)
    deepest = limits.JSON_DEPTH.value
    assert decode_json(b"[" * deepest + b"]" * deepest, list[Any])
    with pytest.raises(MalformedJsonError):
        decode_json(b"[" * (deepest + 1) + b"]" * (deepest + 1), list[Any])


def test_brackets_in_texts_and_wide_values_do_not_count_as_depth() -> None:
    assert decode_json(json.dumps(["[" * 5000, '\\"[{' * 500]).encode(), list[str])
    assert len(decode_json(json.dumps([[]] * 5000).encode(), list[Any])) == 5000


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"[", b'"[', b"{", b'{"a":', b"[[],", b"\\", b'"\\'])
def test_hostile_bodies_of_full_size_are_refused_in_linear_time(piece: bytes) -> None:
    body = (b'{"rest":["' + piece * (limits.JSON_BODY.value // len(piece)))[: limits.JSON_BODY.value]
    started = time.monotonic()
    with pytest.raises(MalformedJsonError):
        decode_body(body, JSON, Shape)
    assert time.monotonic() - started < 5


def test_long_numbers_are_no_trap() -> None:
    assert decode_json(b'{"name":"a","other":' + b"9" * 10_000 + b"}", Shape).name == "a"
    for number in (b"9" * 100_000, b"1e999", b"-" + b"9" * 5000, b"1." + b"0" * 5000 + b"1"):
        try:
            decode_json(b'{"name":"a","rest":' + number + b"}", Shape)
        except (WrongShapeError, MalformedJsonError):
            continue


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(plain)
def test_every_honest_value_is_taken(value: Any) -> None:
    assert decode_json(json.dumps(value).encode(), Any) == value


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(MalformedJsonError, WrongShapeError):
        decode_body(body, JSON, Shape)
