"""Routes of aliases (`wire/node.md` §1.6)."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from meroid.access.decide import Resource
from meroid.access.permissions import parse_permission
from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SocketEndpoint
from meroid.ids import ApplicationId, ContextId, Id32
from meroid.keys.public import PublicKey
from meroid.service.aliases import AliasService, BadAliasError
from meroid.service.ports.content import AliasScope
from meroid.wire import admin_api as shapes, node_answers as gives
from meroid.wire.json_body import FieldRefusedError

_Bodies: TypeAlias = shapes.ContextAliasBody | shapes.ApplicationAliasBody | shapes.IdentityAliasBody
_KIND: Final[dict[AliasScope, type[Id32]]] = {
    AliasScope.CONTEXT: ContextId,
    AliasScope.APPLICATION: ApplicationId,
    AliasScope.IDENTITY: PublicKey,
}
_BODY: Final[dict[AliasScope, type[_Bodies]]] = {
    AliasScope.CONTEXT: shapes.ContextAliasBody,
    AliasScope.APPLICATION: shapes.ApplicationAliasBody,
    AliasScope.IDENTITY: shapes.IdentityAliasBody,
}


class AliasesApi:
    """Handlers: decode, one service call, encode."""

    def __init__(self, *, aliases: AliasService) -> None:
        self._aliases = aliases

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes of all three scopes; lookup and delete are POST on the wire."""
        return [endpoint for scope in AliasScope for endpoint in self._of(scope)]

    def _of(self, scope: AliasScope) -> list[Endpoint]:
        inside = "/{context}" if scope is AliasScope.IDENTITY else ""
        one = f"/{scope}{inside}/{{name}}"

        def route(methods: str, path: str, verb: str, handler: Callable[[ApiRequest], ApiResponse]) -> Endpoint:
            needed = parse_permission(f"context:alias:{verb}:{scope}")
            resource = _in_context if inside else _nothing
            return Endpoint(methods, path, said[verb](handler), Requires(needed, resource))

        said = {
            "create": speaks(takes=_BODY[scope], refuses="alias_exists bad_alias context_not_found"),
            "lookup": speaks(gives=gives.FoundAlias),
            "delete": speaks(),
            "list": speaks(gives=gives.AliasTargets),
        }

        return [
            route("POST", f"/admin-api/alias/create/{scope}{inside}", "create", lambda r: self._create(scope, r)),
            route("POST", f"/admin-api/alias/lookup{one}", "lookup", lambda r: self._lookup(scope, r)),
            route("POST", f"/admin-api/alias/delete{one}", "delete", lambda r: self._delete(scope, r)),
            route("GET", f"/admin-api/alias/list/{scope}{inside}", "list", lambda r: self._list(scope, r)),
        ]

    def _create(self, scope: AliasScope, request: ApiRequest) -> ApiResponse:
        body = request.json(_BODY[scope])
        try:
            self._aliases.create(scope, _context(request), body.alias, body.target)
        except BadAliasError as refusal:
            raise FieldRefusedError("alias", refusal) from None
        return ApiResponse.data(None)

    def _lookup(self, scope: AliasScope, request: ApiRequest) -> ApiResponse:
        found = self._aliases.find(scope, _context(request), request.params["name"], _KIND[scope])
        return ApiResponse.data({"value": None if found is None else str(found)})

    def _delete(self, scope: AliasScope, request: ApiRequest) -> ApiResponse:
        self._aliases.delete(scope, _context(request), request.params["name"])
        return ApiResponse.data(None)

    def _list(self, scope: AliasScope, request: ApiRequest) -> ApiResponse:
        found = self._aliases.list(scope, _context(request))
        return ApiResponse.data({name: str(target) for name, target in found.items()})


def _context(request: ApiRequest) -> ContextId | None:
    return request.id_param("context", ContextId) if "context" in request.params else None


def _in_context(params: Mapping[str, str]) -> Resource:
    return Resource(context=ContextId.parse(params["context"]))


def _nothing(_: Mapping[str, str]) -> Resource:
    return Resource()
