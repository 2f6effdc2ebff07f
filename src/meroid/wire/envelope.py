"""The wire's two envelopes, for successes and refusals.

Node routes: `{"data": …}` and `{"error": text, …}`. Auth routes: `{"data": …, "error": null}` and
`{"data": null, "error": text, …}`. Every refusal with a body carries `code`, `reason` and `next`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from meroid.errors import MeroidError
from meroid.wire.faults import (
    BadPathError,
    InternalFaultError,
    NoSuchPathError,
    WrongMethodError,
    headers_of,
    status_of,
)
from meroid.wire.json_body import BodyError, BodyTooLargeError, FieldLengthError, WrongShapeError

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

_encoder: Final = msgspec.json.Encoder()


class Envelope(Enum):
    """Which of the two families of shapes a route speaks."""

    NODE = "node"
    AUTH = "auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole HTTP answer: status, headers in order (`Content-Type` among them) and body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def encode_json(value: object) -> bytes:
    """JSON without an envelope, compact; structs, mappings, lists, texts, numbers."""
    return _encoder.encode(value)


def encode_data(value: object, envelope: Envelope) -> bytes:
    """A success; `None` gives exactly `{"data":null}` on node routes."""
    if envelope is Envelope.NODE:
        return _encoder.encode({"data": value})
    return _encoder.encode({"data": value, "error": None})


def encode_fault(error: MeroidError, envelope: Envelope, *, guarded: bool = False, text: str | None = None) -> Answer:
    """A refusal, as the family of the route shows it (`wire/node.md` §0.3, `wire/auth.md` §1.2).

    Args:
        error: what was refused and why.
        envelope: the family of the route.
        guarded: whether `X-Auth-Error` may be sent; see `faults.headers_of`.
        text: the value of `error`, where the wire composes it from more than the reason.
    """
    status = status_of(error)
    headers = headers_of(error, guarded=guarded)
    if isinstance(error, NoSuchPathError | WrongMethodError):
        return Answer(status=status, headers=tuple(headers), body=b"")
    if isinstance(error, BodyError) and envelope is Envelope.AUTH:
        return _auth_body_fault(error, headers)
    plain = _plain_text(error)
    if plain is not None:
        lines = f"{plain}\ncode: {error.code}\nnext: {error.next_step}\n"
        return Answer(status=status, headers=(*headers, ("Content-Type", TEXT)), body=lines.encode())
    body: dict[str, object] = {"data": None} if envelope is Envelope.AUTH else {}
    body |= {"error": text or error.reason, **_explained(error)}
    return Answer(status=status, headers=(*headers, ("Content-Type", JSON)), body=_encoder.encode(body))


def speaks_text(kind: type[MeroidError], envelope: Envelope) -> bool:
    """Whether refusals of a class are plain text on the routes of a family."""
    if issubclass(kind, BodyError):
        return envelope is Envelope.NODE
    return issubclass(kind, BodyTooLargeError | BadPathError)


def _plain_text(error: MeroidError) -> str | None:
    """The first line, where the wire has plain text."""
    match error:
        case WrongShapeError() | BodyTooLargeError():
            phrase = getattr(error, "phrase", "")
            return f"{phrase}: {error.reason}" if phrase else error.reason
        case BodyError():
            return error.phrase if error.status == 415 else f"{error.phrase}: {error.reason}"
        case BadPathError():
            return f"Invalid URL: {error.reason}"
        case _:
            return None


def _auth_body_fault(error: BodyError, headers: list[tuple[str, str]]) -> Answer:
    """Bodies that the auth routes can't take have a shape of their own, without `data`."""
    length = isinstance(error, FieldLengthError)
    status, begins = (422, "Validation error") if length else (400, "Invalid JSON")
    body = {"error": f"{begins}: {error.reason}", "status": status, **_explained(error)}
    return Answer(status=status, headers=(*headers, ("Content-Type", JSON)), body=_encoder.encode(body))


def _explained(error: MeroidError) -> dict[str, object]:
    told: dict[str, object] = {"code": error.code, "reason": error.reason, "next": error.next_step}
    if isinstance(error, InternalFaultError):
        told["request_id"] = error.request_id
    return told
