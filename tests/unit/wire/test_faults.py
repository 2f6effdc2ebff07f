"""Each error has one status, and the shape of its family."""

import json

import pytest

from meroid.errors import (
    ConflictError,
    ForbiddenError,
    IntegrityError,
    InvalidInputError,
    MeroidError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)
from meroid.wire.envelope import Envelope, encode_data, encode_fault
from meroid.wire.faults import (
    CODE_HEADER,
    EXPOSED_HEADERS,
    REASON_HEADER,
    BadPathError,
    InternalFaultError,
    NoSuchPathError,
    SlowBodyError,
    WrongMethodError,
    headers_of,
    status_of,
)
from meroid.wire.json_body import BodyTooLargeError, FieldLengthError, MalformedJsonError, NotJsonError, WrongShapeError


class RevokedError(UnauthenticatedError):
    code = "token_revoked"


class OtherNodeError(ForbiddenError):
    code = "invalid_node"


TABLE: list[tuple[MeroidError, int]] = [
    (InvalidInputError("x"), 400),
    (IntegrityError("x"), 400),
    (UnauthenticatedError("x"), 401),
    (RevokedError("x"), 401),
    (ForbiddenError("x"), 403),
    (NotFoundError("x"), 404),
    (NoSuchPathError("x"), 404),
    (WrongMethodError("GET"), 405),
    (SlowBodyError("x"), 408),
    (ConflictError("x"), 409),
    (BodyTooLargeError("x"), 413),
    (NotJsonError("x"), 415),
    (MalformedJsonError("x"), 400),
    (WrongShapeError("f", "x"), 422),
    (FieldLengthError("f", "x"), 422),
    (BadPathError("x"), 400),
    (ThrottledError("x", retry_after_s=3), 429),
    (UnavailableError("x"), 503),
    (InternalFaultError("id"), 500),
    (MeroidError("x"), 500),
]


@pytest.mark.parametrize(("error", "status"), TABLE)
def test_every_refusal_has_its_status_and_its_code(error: MeroidError, status: int) -> None:
    assert status_of(error) == status
    for envelope in Envelope:
        answer = encode_fault(error, envelope)
        headers = dict(answer.headers)
        assert headers[CODE_HEADER] == error.code
        if answer.body and headers["Content-Type"] == "application/json":
            told = json.loads(answer.body)
            assert told["code"] == error.code
            assert told["reason"] == error.reason
            assert told["next"] == error.next_step
            assert isinstance(told["error"], str)
        elif answer.body:
            assert f"\ncode: {error.code}\nnext: {error.next_step}\n" in answer.body.decode()


def test_the_auth_header_is_sent_on_guarded_routes_only_but_for_another_node() -> None:
    def reason(error: MeroidError, *, guarded: bool) -> str | None:
        return dict(headers_of(error, guarded=guarded)).get(REASON_HEADER)

    assert reason(RevokedError("x"), guarded=True) == "token_revoked"
    assert reason(RevokedError("x"), guarded=False) is None
    assert reason(UnauthenticatedError("x"), guarded=True) == "invalid_token"
    assert reason(ForbiddenError("x"), guarded=True) == "permission_denied"
    assert reason(OtherNodeError("x"), guarded=False) == "invalid_node"
    assert reason(NotFoundError("x"), guarded=True) is None


def test_waiting_and_allowed_methods_stand_in_headers() -> None:
    assert ("Retry-After", "3") in headers_of(ThrottledError("x", retry_after_s=3), guarded=False)
    assert ("Retry-After", "1") in headers_of(ThrottledError("x", retry_after_s=0), guarded=False)
    assert ("Allow", "GET") in headers_of(WrongMethodError("GET"), guarded=False)
    assert {CODE_HEADER, REASON_HEADER, "Retry-After"} <= set(EXPOSED_HEADERS)


def test_successes_have_the_envelope_of_their_family() -> None:
    assert encode_data(None, Envelope.NODE) == b'{"data":null}'
    assert encode_data({"a": 1}, Envelope.NODE) == b'{"data":{"a":1}}'
    assert encode_data("", Envelope.AUTH) == b'{"data":"","error":null}'


def test_refusals_have_the_envelope_of_their_family() -> None:
    error = NotFoundError("no such thing")
    node = json.loads(encode_fault(error, Envelope.NODE).body)
    assert node == {"error": "no such thing", "code": "not_found", "reason": "no such thing", "next": error.next_step}
    assert json.loads(encode_fault(error, Envelope.AUTH, text="Key not found").body) == {
        "data": None,
        **node,
        "error": "Key not found",
    }
