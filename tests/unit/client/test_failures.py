"""What a refusal carries, whatever form the server gave it."""

import pytest

from meroid.client.exchange import Response, refusal_of
from meroid.client.failures import (
    NodeFailedError,
    RefusedError,
    RequestConflictError,
    RequestForbiddenError,
    RequestInvalidError,
    RequestThrottledError,
    ResourceNotFoundError,
    RouteMissingError,
    TokenRefusedError,
    code_of,
)
from meroid.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)


def _refused(status: int, body: bytes = b"", **headers: str) -> RefusedError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal_of(Response(status=status, phrase="Phrase", headers=named, body=body))


@pytest.mark.parametrize(
    ("status", "leaf", "family"),
    [
        (400, RequestInvalidError, InvalidInputError),
        (422, RequestInvalidError, InvalidInputError),
        (401, TokenRefusedError, UnauthenticatedError),
        (403, RequestForbiddenError, ForbiddenError),
        (404, ResourceNotFoundError, NotFoundError),
        (409, RequestConflictError, ConflictError),
        (429, RequestThrottledError, ThrottledError),
        (500, NodeFailedError, UnavailableError),
        (503, NodeFailedError, UnavailableError),
    ],
)
def test_each_status_has_its_class_in_its_family(
    status: int, leaf: type[RefusedError], family: type[Exception]
) -> None:
    error = _refused(status)

    assert type(error) is leaf
    assert isinstance(error, family)
    assert error.status == status
    assert error.reason
    assert error.next_step
    assert code_of(error) == leaf.code


def test_code_reason_and_next_step_of_the_server_are_kept() -> None:
    error = _refused(404, b'{"error":"Context not found","code":"context_not_found","reason":"r","next":"look"}')

    assert (code_of(error), error.reason, error.next_step) == ("context_not_found", "r", "look")


@pytest.mark.parametrize(("status", "code"), [(404, "no_such_path"), (405, "wrong_method")])
def test_what_the_node_does_not_have_yet_is_no_wrong_id(status: int, code: str) -> None:
    error = _refused(status, x_meroid_code=code)

    assert type(error) is RouteMissingError
    assert isinstance(error, NotFoundError)
    assert code_of(error) == code
    assert error.reason == "this node doesn't have that yet"
    assert "id" not in error.next_step.split()
    assert "mero-auth" in error.next_step


def test_plain_text_becomes_one_line() -> None:
    assert _refused(422, b"Failed to deserialize:\n  missing field `x`").reason == (
        "Failed to deserialize: missing field `x`"
    )


def test_code_and_next_step_are_found_in_plain_text_too() -> None:
    error = _refused(400, b"Invalid URL: no id\ncode: bad_path\nnext: correct the named part\n")

    assert (code_of(error), error.reason) == ("bad_path", "Invalid URL: no id")
    assert error.next_step == "correct the named part"


def test_an_empty_body_still_gives_a_reason_and_the_code_of_the_header() -> None:
    error = _refused(401, x_meroid_code="token_revoked")

    assert error.reason == "the node answered 401 Phrase"
    assert code_of(error) == "token_revoked"


@pytest.mark.parametrize("body", [b"[]", b"17", b'{"error":17,"code":[]}', b"\xff\xfe", b"[" * 100_000])
def test_a_strange_body_is_a_refusal_all_the_same(body: bytes) -> None:
    assert _refused(400, body).status == 400


def test_a_throttled_request_says_how_long_to_wait() -> None:
    error = _refused(429, retry_after="17")

    assert isinstance(error, RequestThrottledError)
    assert error.retry_after_s == 17
