"""The OpenAPI 3.1 document of the HTTP surface, made of the routes, their contracts and the shapes of `wire`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from meroid import __version__
from meroid.errors import MeroidError
from meroid.http.contract import POSSESSION, Contract, contract_of, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Needs, Public, Requires, SignedIn, SocketEndpoint
from meroid.ids import Id32
from meroid.service.refusals import RULE_CODES, RuleRefusalError
from meroid.wire.envelope import Envelope, speaks_text
from meroid.wire.faults import CODE_HEADER, REASON_HEADER, status_of
from meroid.wire.json_body import BodyError, FieldLengthError

Schema = dict[str, Any]

PATH: Final = "/openapi.json"
_EVERY: Final = "internal busy store_failed store_closed body_too_large body_too_slow"
_GUARDED: Final = f"missing_token invalid_token token_expired token_revoked permission_denied outside_binding invalid_node {POSSESSION}"
_WITH_BODY: Final = "bad_json not_json bad_shape bad_length bad_id bad_public_key"
_OF_FIELDS: Final = frozenset({"bad_id", "bad_public_key", "bad_alias"})
_RETRY: Final = frozenset({429, 503})
_TEMPLATE: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_ID: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": "^[1-9A-HJ-NP-Za-km-z]{32,44}$",
    "description": "32 bytes in base58 (Bitcoin alphabet)",
}
_TEXT: Final[Mapping[str, Any]] = {"type": "string", "minLength": 1}
_IDS: Final = frozenset({"context_id", "context", "application_id", "account_id", "identity"})
_REFUSAL_FIELDS: Final[Mapping[str, Any]] = {
    "error": {"type": "string", "description": "the wire's text"},
    "code": {"type": "string", "description": "stable; docs/errors.md lists them"},
    "reason": {"type": "string", "description": "one sentence for a person"},
    "next": {"type": "string", "description": "what to do about it"},
}


class UnknownCodeError(TypeError):
    """A contract names a code that no error has: a defect of this build."""


def openapi_endpoint(endpoints: Iterable[Endpoint | SocketEndpoint]) -> Endpoint:
    """The route of the document; it describes itself too."""
    described: list[Endpoint | SocketEndpoint] = [*endpoints]

    @cache
    def text() -> bytes:
        return msgspec.json.encode(document(described))

    @speaks(gives=dict[str, Any], bare=True)
    def show(_: ApiRequest) -> ApiResponse:
        """This document."""
        return ApiResponse(body=text())

    endpoint = Endpoint("GET", PATH, show, Public("says what is in docs/http-api.md, and holds no data"))
    described.append(endpoint)
    return endpoint


def document(endpoints: Iterable[Endpoint | SocketEndpoint]) -> Schema:
    """The whole document as a JSON value.

    Raises:
        UnknownCodeError: a contract names a code that no error has.
    """
    known = [*endpoints]
    schemas, components = _shapes(known)
    paths: dict[str, Schema] = defaultdict(dict)
    sockets: Schema = {}
    for endpoint in known:
        if isinstance(endpoint, SocketEndpoint):
            sockets[endpoint.path] = {"security": _security(endpoint.needs, query_token=endpoint.query_token)}
            continue
        for method in endpoint.methods.split():
            paths[endpoint.path][method.lower()] = _operation(endpoint, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "meroid",
            "version": __version__,
            "summary": "Identity for shared, replicated applications",
            "description": "HEAD works where GET does; trailing slashes count. docs/http-api.md says it in words.",
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components | _refusals(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "queryToken": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
        "x-websockets": sockets,
    }


def _operation(endpoint: Endpoint, method: str, schemas: Mapping[Any, Schema]) -> Schema:
    contract = contract_of(endpoint.handler) or Contract()
    needs, asks = endpoint.needs, contract.asks
    operation: Schema = {
        "operationId": _operation_id(method, endpoint.path),
        "summary": (endpoint.handler.__doc__ or "").strip().split("\n", 1)[0] or f"{method} {endpoint.path}",
        "description": _needs_in_words(needs, asks),
        "tags": [endpoint.path.split("/")[1]],
        "x-permission": _permission(needs, asks),
        "security": _security(needs, query_token=endpoint.query_token),
        "responses": _responses(endpoint, contract, schemas),
    }
    parameters = [*_path_parameters(endpoint.path), *_query_parameters(contract)]
    if parameters:
        operation["parameters"] = parameters
    if contract.takes is not None:
        operation["requestBody"] = {
            "required": not contract.optional,
            "description": f"at most {endpoint.body_limit} bytes; unknown fields are ignored",
            "content": {"application/json": {"schema": schemas[contract.takes]}},
        }
    return operation


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path)
    return "_".join([method.lower(), *words])


def _permission(needs: Needs, asks: str) -> str | None:
    if isinstance(needs, Public):
        return None
    return str(needs.permission) if isinstance(needs, Requires) else asks or "token"


def _needs_in_words(needs: Needs, asks: str) -> str:
    match needs:
        case Public(reason):
            return f"Open to everybody: {reason}."
        case Requires(permission):
            return f"Needs a token that holds `{permission}`."
        case SignedIn():
            more = f" that holds `{asks}` for what the request names" if asks else ""
            return f"Needs a valid token{more}."


def _security(needs: Needs, *, query_token: bool) -> list[Schema]:
    if isinstance(needs, Public):
        return []
    return [{"bearer": []}, *([{"queryToken": []}] if query_token else [])]


def _path_parameters(path: str) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": dict(_ID if name in _IDS else _TEXT)}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(contract: Contract) -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": False, "schema": dict(schema)}
        for name, schema in contract.query.items()
    ]


def _responses(endpoint: Endpoint, contract: Contract, schemas: Mapping[Any, Schema]) -> Schema:
    responses: Schema = {"200": _success(endpoint, contract, schemas)}
    if contract.unchanged:
        responses["304"] = {"description": "as you have it", "content": {}, "headers": {}}
    for status, codes in sorted(_codes(endpoint, contract).items()):
        responses[str(status)] = _refusal(endpoint, status, codes)
    return responses


def _success(endpoint: Endpoint, contract: Contract, schemas: Mapping[Any, Schema]) -> Schema:
    if contract.media is not None:
        shape = {"schema": {"type": "string"}} if contract.media.startswith("text/") else {}
        return {"description": "done", "content": {contract.media: shape}}
    data = schemas[contract.gives] if contract.gives is not None else {}
    whole: Schema = data
    if not contract.bare:
        fields: Schema = {"data": data}
        if endpoint.envelope is Envelope.AUTH:
            fields["error"] = {"type": "null"}
        whole = {"type": "object", "properties": fields, "required": [*fields]}
    headers: Schema = {}
    if endpoint.envelope is Envelope.AUTH and not isinstance(endpoint.needs, Public):
        headers = {name: {"schema": {"type": "string"}} for name in ("X-Auth-User", "X-Auth-Permissions")}
    return {
        "description": "done",
        "content": {"application/json": {"schema": whole}},
        **({"headers": headers} if headers else {}),
    }


def _codes(endpoint: Endpoint, contract: Contract) -> dict[int, list[str]]:
    """The codes of an operation by status, sorted."""
    codes = {*_EVERY.split(), *contract.refuses.split()}
    if not isinstance(endpoint.needs, Public):
        codes.update(_GUARDED.split())
    if contract.takes is not None:
        codes.update(_WITH_BODY.split())
    if _IDS.intersection(_PARAMETER.findall(endpoint.path)) or contract.query:
        codes.add("bad_path")
    found: dict[int, set[str]] = defaultdict(set)
    for code in codes:
        for kind in _classes(code):
            found[_status(kind, endpoint.envelope)].add(code)
    if contract.takes is not None:  # what the parser of a field refuses counts as a wrong shape
        found[400 if endpoint.envelope is Envelope.AUTH else 422] |= codes & _OF_FIELDS
    for status, others in contract.refuses_as.items():
        for code in others.split():
            _classes(code)
            found[status].add(code)
    return {status: sorted(each) for status, each in found.items()}


def _status(kind: type[MeroidError], envelope: Envelope) -> int:
    if issubclass(kind, BodyError) and envelope is Envelope.AUTH:
        return 422 if issubclass(kind, FieldLengthError) else 400
    return status_of(kind)


def _refusal(endpoint: Endpoint, status: int, codes: Sequence[str]) -> Schema:
    kinds = [kind for code in codes for kind in _classes(code)]
    auth = endpoint.envelope is Envelope.AUTH
    text = any(speaks_text(kind, endpoint.envelope) for kind in kinds) or (status == 422 and not auth)
    plain_only = all(speaks_text(kind, endpoint.envelope) for kind in kinds) and bool(kinds)
    content: Schema = {}
    if not plain_only:
        name = "AuthRefusal" if auth else "Refusal"
        content["application/json"] = {"schema": {"$ref": _TEMPLATE.format(name=name)}}
    if text:
        content["text/plain"] = {"schema": {"type": "string"}}
    headers: Schema = {CODE_HEADER: {"schema": {"type": "string", "enum": [*codes]}, "required": True}}
    if not isinstance(endpoint.needs, Public) and status in {401, 403}:
        headers[REASON_HEADER] = {"schema": {"type": "string"}}
    if status in _RETRY:
        headers["Retry-After"] = {"schema": {"type": "integer", "minimum": 1}, "required": True}
    return {"description": f"refused: {', '.join(codes)}", "headers": headers, "content": content}


def _refusals() -> Schema:
    fields = dict(_REFUSAL_FIELDS)
    more = {"request_id": {"type": "string"}}
    node: Schema = {"type": "object", "properties": fields | more, "required": [*fields]}
    auth: Schema = {
        "type": "object",
        "properties": {"data": {"type": "null"}, "status": {"type": "integer"}} | fields | more,
        "required": [*fields],
        "description": "`status` instead of `data` where the body itself couldn't be taken",
    }
    return {"Refusal": node, "AuthRefusal": auth}


def _shapes(endpoints: Iterable[Endpoint | SocketEndpoint]) -> tuple[dict[Any, Schema], Schema]:
    """The schema of everything that a contract takes or gives, and the components that they share."""
    contracts = [contract_of(each.handler) for each in endpoints if isinstance(each, Endpoint)]
    said = {kind for each in contracts if each is not None for kind in (each.takes, each.gives) if kind is not None}
    types = [*{kind for each in said for kind in _alternatives(each)}]
    made, components = msgspec.json.schema_components(types, schema_hook=_schema_of, ref_template=_TEMPLATE)
    schemas = dict(zip(types, made, strict=True))
    return {each: _any_of([schemas[kind] for kind in _alternatives(each)]) for each in said}, components


def _alternatives(said: Any) -> tuple[Any, ...]:  # noqa: ANN401  # types of every kind that msgspec knows
    return said if isinstance(said, tuple) else (said,)


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _schema_of(kind: type[Any]) -> Schema:
    if issubclass(kind, Id32):
        return dict(_ID)
    raise NotImplementedError(f"a contract has a type that JSON Schema can't say: {kind}")


@cache
def _classes(code: str) -> tuple[type[MeroidError], ...]:
    """The error classes of a code."""
    found = [kind for kind in _below(MeroidError) if vars(kind).get("code") == code]
    if code in RULE_CODES:
        found.append(RuleRefusalError)
    if not found:
        raise UnknownCodeError(f"no error has the code {code!r}")
    return tuple(found)


def _below(kind: type[MeroidError]) -> list[type[MeroidError]]:
    return [each for below in kind.__subclasses__() for each in (below, *_below(below))]
