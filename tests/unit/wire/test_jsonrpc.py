"""JSON-RPC in the wire's own dialect (`wire/node.md` §2.1)."""

import json
from typing import Any

import msgspec
import pytest

from meroid.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    MeroidError,
    NotFoundError,
    UnavailableError,
)
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.wire import jsonrpc
from meroid.wire.json_body import WrongShapeError, decode_json

ONES = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"
PARAMS = {"contextId": ONES, "executorPublicKey": ONES, "method": "set", "argsJson": {"a": 1}}
ENVELOPE = {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": PARAMS}


def envelope(**changes: Any) -> jsonrpc.RpcRequest:
    return decode_json(json.dumps({**ENVELOPE, **changes}).encode(), jsonrpc.RpcRequest)


def test_params_are_read_into_typed_values() -> None:
    params = jsonrpc.decode_params(envelope())
    assert (type(params.context_id), type(params.executor_public_key)) == (ContextId, PublicKey)
    assert (params.method, params.substitute) == ("set", [])
    assert json.loads(bytes(params.args_json)) == {"a": 1}


@pytest.mark.parametrize("given", [None, 0, 2**64 - 1, "", "x"])
def test_ids_of_all_kinds_of_the_wire_are_taken(given: Any) -> None:
    assert envelope(id=given).id == given


@pytest.mark.parametrize("given", [-1, 1.5, True, [], {}, 2**64, 10**500])
def test_other_ids_are_refused(given: Any) -> None:
    with pytest.raises(WrongShapeError):
        envelope(id=given)


def test_an_envelope_without_an_id_is_refused() -> None:
    with pytest.raises(WrongShapeError) as refused:
        decode_json(b'{"jsonrpc":"2.0","method":"execute","params":{}}', jsonrpc.RpcRequest)
    assert refused.value.field == "id"


@pytest.mark.parametrize("method", ["query", "mutate", "Execute", "execute ", "", None, 5, [], "x" * 100_000])
def test_another_method_is_refused_inside_the_envelope(method: Any) -> None:
    with pytest.raises(jsonrpc.BadParamsError) as refused:
        jsonrpc.decode_params(envelope(method=method))
    assert len(refused.value.reason) < 100


@pytest.mark.parametrize("field", PARAMS)
def test_a_missing_param_is_refused_inside_the_envelope(field: str) -> None:
    with pytest.raises(jsonrpc.BadParamsError, match=field):
        jsonrpc.decode_params(envelope(params={name: value for name, value in PARAMS.items() if name != field}))


@pytest.mark.parametrize(
    "raw", [b'{"n":123456789012345678901234567890,"f":1.50e2}', b"null", b'" a "', b'{"a":"\\u00e9"}', b"[1,[2]]"]
)
def test_arguments_stay_as_they_were_written(raw: bytes) -> None:
    spread = raw.replace(b":", b" : ").replace(b",", b" ,\n")
    body = b'{"jsonrpc":"2.0","id":1,"method":"execute","params":{"contextId":"%s","executorPublicKey":"%s",' % (
        ONES.encode(),
        ONES.encode(),
    )
    request = decode_json(body + b'"method":"m","argsJson":' + spread + b"}}", jsonrpc.RpcRequest)
    assert jsonrpc.compact(jsonrpc.decode_params(request).args_json) == raw


def test_a_success_carries_the_output_as_json() -> None:
    assert jsonrpc.encode_result(7, b'{"b": 1}') == b'{"jsonrpc":"2.0","id":7,"result":{"output":{"b": 1}}}'
    assert jsonrpc.encode_result(None, None) == b'{"jsonrpc":"2.0","id":null,"result":{"output":null}}'


def coded(family: type[MeroidError], code: str) -> MeroidError:
    error = family("a reason")
    error.code = code  # type: ignore[misc]
    return error


@pytest.mark.parametrize(
    ("error", "kind", "data"),
    [
        (coded(NotFoundError, "context_not_found"), "ContextNotFound", None),
        (coded(UnavailableError, "uninitialized"), "Uninitialized", None),
        (coded(UnavailableError, "application_not_installed"), "ApplicationNotInstalled", {"application_id": "app"}),
        (coded(ForbiddenError, "anything"), "Unauthorized", {"context_id": "ctx", "public_key": "key"}),
        (coded(InvalidInputError, "output_not_json"), "SerdeError", {"message": "a reason"}),
        (coded(InvalidInputError, "delta_too_large"), "FunctionCallError", "a reason"),
        (coded(InvalidInputError, "anything"), "ParseError", "a reason"),
        (coded(ConflictError, "anything"), "InternalError", None),
        (coded(UnavailableError, "store_failed"), "InternalError", None),
        (jsonrpc.AliasUnresolvedError("bob"), "AliasResolutionFailed", {"alias": "bob"}),
    ],
)
def test_each_failure_has_its_type_and_says_more_beside(error: MeroidError, kind: str, data: Any) -> None:
    details: dict[str, object] = {"application_id": "app", "context_id": "ctx", "public_key": "key"}
    failure = json.loads(jsonrpc.encode_failure("i", error, details))
    assert (failure["jsonrpc"], failure["id"]) == ("2.0", "i")
    assert failure["error"]["type"] == kind
    assert failure["error"].get("data") == data
    assert ("data" in failure["error"]) == (data is not None)
    assert failure["error"]["meroid"] == {"code": error.code, "reason": error.reason, "next": error.next_step}
    assert "code" not in failure["error"]


def test_the_failure_of_an_application_goes_out_whole() -> None:
    class FailedError(InvalidInputError):
        code = "function_call_failed"
        failure = "guest panicked: " + "x" * 1000

    failure = msgspec.json.decode(jsonrpc.encode_failure(1, FailedError("short"), {}))
    assert failure["error"]["data"] == FailedError.failure
