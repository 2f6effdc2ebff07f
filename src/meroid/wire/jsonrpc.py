"""JSON-RPC on the wire (`wire/node.md` §2.1): one method, failures with status 200 and `{type, data}`."""

from typing import Annotated, Any, Literal

import msgspec

from meroid.errors import ForbiddenError, InvalidInputError, MeroidError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.wire.json_body import decode_json, refuse_beyond_u64

Id = str | Annotated[int, msgspec.Meta(ge=0)] | None


class RpcRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope; `id` must be there, and may be null."""

    jsonrpc: Literal["2.0"]
    id: Id
    method: Any = None  # what isn't `execute` is answered inside the envelope, whatever it is
    params: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))  # a schema can't show it

    def __post_init__(self) -> None:
        """Bound the id."""
        refuse_beyond_u64("id", self.id)


class ExecuteParams(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The params of `execute`; `argsJson` is any JSON value."""

    context_id: ContextId
    method: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    args_json: msgspec.Raw
    executor_public_key: PublicKey
    substitute: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=64)] = []


class BadParamsError(InvalidInputError):
    """Method or params aren't of the form that JSON-RPC has here."""

    code = "bad_params"
    next_step = "send method `execute` with contextId, method, argsJson and executorPublicKey"


class AliasUnresolvedError(InvalidInputError):
    """A name in `substitute` is neither an alias nor a key."""

    code = "alias_unresolved"
    next_step = "make the alias in this context, or give the key itself"

    def __init__(self, alias: str) -> None:
        super().__init__("a name to substitute is neither an alias nor a key")
        self.alias = alias


def decode_params(request: RpcRequest) -> ExecuteParams:
    """The params of a request.

    Raises:
        BadParamsError: another method, or params of another shape.
    """
    if request.method != "execute":
        named = repr(request.method[:40]) if isinstance(request.method, str) else "of that kind"
        raise BadParamsError(f"there is no method {named}")
    try:
        return decode_json(bytes(request.params), ExecuteParams)
    except InvalidInputError as problem:
        raise BadParamsError(problem.reason) from None


def compact(value: msgspec.Raw) -> bytes:
    """A JSON value without white space between its parts."""
    return msgspec.json.format(bytes(value), indent=-1)


def encode_result(request_id: Id, output: bytes | None) -> bytes:
    """A success; `output` is JSON, or nothing."""
    result = {"output": None if output is None else msgspec.Raw(output)}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_failure(request_id: Id, error: MeroidError, details: dict[str, object]) -> bytes:
    """A failure after the envelope was read; `details` gives what the types need as data."""
    kind, data = _type_of(error, details)
    failure: dict[str, object] = {"type": kind}
    if data is not None:
        failure["data"] = data
    failure["meroid"] = {"code": error.code, "reason": error.reason, "next": error.next_step}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": failure})


def _type_of(error: MeroidError, details: dict[str, object]) -> tuple[str, object]:
    code = error.code
    simple: dict[str, tuple[str, object]] = {
        "function_call_failed": ("FunctionCallError", getattr(error, "failure", error.reason)),
        "delta_too_large": ("FunctionCallError", error.reason),
        "output_not_json": ("SerdeError", {"message": error.reason}),
        "context_not_found": ("ContextNotFound", None),
        "uninitialized": ("Uninitialized", None),
        "application_not_installed": ("ApplicationNotInstalled", {"application_id": details.get("application_id")}),
        "alias_unresolved": ("AliasResolutionFailed", {"alias": getattr(error, "alias", "")}),
    }
    if code in simple:
        return simple[code]
    if isinstance(error, ForbiddenError):
        return "Unauthorized", {key: details.get(key) for key in ("context_id", "public_key")}
    if isinstance(error, InvalidInputError):
        return "ParseError", error.reason
    return "InternalError", None
