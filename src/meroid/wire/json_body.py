"""JSON bodies, decoded strictly into typed structs (RFC 8259, UTF-8).

Refused beyond what the shape asks: NaN and infinities, two equal keys in one object, nesting
beyond `limits.JSON_DEPTH`, unpaired surrogates, text after the value. Unknown fields are ignored.
A field whose type is an id of `ids` is read from base58 text.
"""

import json
import re
from collections.abc import Hashable
from functools import cache
from typing import Annotated, Any, ClassVar, Final, TypeVar, cast

import msgspec

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.ids import Id32

T = TypeVar("T")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
"""A text that must not be empty."""

OptionalText = Annotated[str, msgspec.Meta(max_length=4096)]
"""A text that may be empty."""

Texts = Annotated[list[Text], msgspec.Meta(max_length=1024)]
"""A list of texts that must not be empty."""

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A whole number that fits 63 bits."""

_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_PLACE: Final = re.compile(r" - at `\$?\.?([^`]*)`$")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # possessive and to the end: linear on any input
_BRACKET: Final = re.compile(rb"[\[\]{}]")


class BodyError(InvalidInputError):
    """A JSON body can't be taken.

    Attributes:
        status: what the node's routes answer.
        phrase: how the plain text of the node's routes begins (`wire/node.md` §0.3).
    """

    status: ClassVar[int] = 400
    phrase: ClassVar[str] = ""


class NotJsonError(BodyError):
    """The content type isn't JSON."""

    code = "not_json"
    next_step = "send the body with Content-Type: application/json"
    status = 415
    phrase = "Expected request with `Content-Type: application/json`"


class MalformedJsonError(BodyError):
    """The bytes aren't one JSON value, or not one that every reader understands alike."""

    code = "bad_json"
    next_step = "send one JSON value in UTF-8"
    phrase = "Failed to parse the request body as JSON"


class WrongShapeError(BodyError):
    """JSON, but a field is missing or of the wrong type; `field` names it, `body` is the whole."""

    code = "bad_shape"
    next_step = "correct the named field"
    status = 422
    phrase = "Failed to deserialize the JSON body into the target type"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class FieldLengthError(WrongShapeError):
    """A field is empty where it must not be, or too long."""

    code = "bad_length"


class FieldRefusedError(WrongShapeError):
    """A field of the right type with a value that its own parser refuses; code and next step are that parser's."""

    def __init__(self, field: str, refusal: InvalidInputError) -> None:
        super().__init__(field, refusal.reason)
        self.code = refusal.code  # type: ignore[misc]  # one class for all fields; the parser gives the code
        self.next_step = refusal.next_step


class BodyTooLargeError(InvalidInputError):
    """The body is larger than this endpoint takes."""

    code = "body_too_large"
    next_step = "send less in one request"


def refuse_beyond_u64(field: str, value: object) -> None:
    """For `__post_init__` of a shape: msgspec bounds numbers to 63 bits only.

    Raises:
        ValueError: a whole number of more than 64 bits; msgspec makes it a refusal of the shape.
    """
    if isinstance(value, int) and value >= 2**64:
        raise ValueError(f"`{field}` has at most 64 bits")


def decode_body(body: bytes, content_type: str | None, shape: type[T]) -> T:
    """Decode a JSON body into a msgspec struct (or any type that msgspec knows).

    Raises:
        BodyTooLargeError: more than `limits.JSON_BODY`.
        NotJsonError: the content type isn't `application/json` or `application/…+json`.
        MalformedJsonError: not JSON, or JSON that this module's head refuses.
        WrongShapeError: a field is missing or of the wrong type (FieldLengthError: too long or empty;
            FieldRefusedError: no id of its kind).
    """
    if len(body) > limits.JSON_BODY.value:
        raise BodyTooLargeError(f"a JSON body has at most {limits.JSON_BODY.value} bytes")
    if not _is_json(content_type):
        raise NotJsonError("the content type is not JSON")
    return decode_json(body, shape)


def decode_json(data: bytes, shape: type[T]) -> T:
    """Decode JSON bytes of any origin with the same strictness; raises as `decode_body`."""
    _refuse_deep(data)
    try:
        value: T = _decoder(cast("Hashable", shape)).decode(data)
    except msgspec.ValidationError as problem:
        raise _shape_error(problem) from None
    except UnicodeDecodeError:
        raise MalformedJsonError("the text is not UTF-8") from None
    except RecursionError:
        raise MalformedJsonError("the value is nested too deep") from None
    except msgspec.DecodeError as problem:
        raise MalformedJsonError(str(problem)) from None
    _refuse_duplicates(data)
    return value


@cache
def _decoder(shape: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("type[Any]", shape), dec_hook=_read_id)


class _NoIdError(ValueError):
    """Carries a refusal through msgspec, which adds the place and lets nothing but ValueError through."""

    def __init__(self, refusal: InvalidInputError) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def _read_id(kind: type[Any], value: object) -> object:
    if not issubclass(kind, Id32):
        raise NotImplementedError(f"a shape has a field of {kind}")
    if not isinstance(value, str):
        raise ValueError("Expected `str`")  # noqa: TRY004  # msgspec turns only this into a refusal with its place
    try:
        return kind.parse(value)
    except InvalidInputError as refusal:
        raise _NoIdError(refusal) from None


def _is_json(content_type: str | None) -> bool:
    essence = (content_type or "").split(";", 1)[0].strip().lower()
    kind, _, subtype = essence.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _refuse_deep(data: bytes) -> None:
    """Bound the nesting; the scan is skipped where there are too few brackets to nest."""
    deepest = limits.JSON_DEPTH.value
    if data.count(b"[") + data.count(b"{") <= deepest:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > deepest:
            raise MalformedJsonError(f"the value is nested deeper than {deepest} levels")


def _refuse_duplicates(data: bytes) -> None:
    """Refuse two equal keys in one object: readers differ in which of them they take (RFC 8259 §4)."""
    try:
        json.loads(data, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except MalformedJsonError:
        raise
    except (ValueError, RecursionError):
        raise MalformedJsonError("the text is not UTF-8 or not JSON") from None


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise MalformedJsonError("an object has the same key twice")


def _shape_error(problem: msgspec.ValidationError) -> WrongShapeError:
    message = str(problem)
    place = _PLACE.search(message)
    parent = place.group(1) if place else ""
    detail = _PLACE.sub("", message)
    missing = _MISSING.search(detail)
    if missing:
        field = f"{parent}.{missing.group(1)}" if parent else missing.group(1)
        return WrongShapeError(field, f"missing field `{missing.group(1)}`")
    if isinstance(problem.__cause__, _NoIdError):
        return FieldRefusedError(parent or "body", problem.__cause__.refusal)
    kind = FieldLengthError if " of length " in detail else WrongShapeError
    return kind(parent or "body", detail[:1].lower() + detail[1:])
