"""`POST /jsonrpc` (`wire/node.md` §2.1): calls of an application's methods."""

from collections.abc import Callable

from meroid import limits
from meroid.access.decide import Resource
from meroid.access.permissions import EXECUTE
from meroid.errors import MeroidError
from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, SignedIn, SocketEndpoint
from meroid.ids import BadIdError, ContextId
from meroid.keys.public import PublicKey
from meroid.service.aliases import AliasService
from meroid.service.contexts import ContextService
from meroid.service.execution import Call, ExecutionService
from meroid.service.gate import Gate
from meroid.service.ports.content import AliasScope
from meroid.wire import jsonrpc as shapes, node_answers as gives
from meroid.wire.envelope import JSON


class JsonRpcApi:
    """The one method, `execute`."""

    def __init__(
        self, *, execution: ExecutionService, contexts: ContextService, aliases: AliasService, gate: Gate
    ) -> None:
        self._execution = execution
        self._contexts = contexts
        self._aliases = aliases
        self._gate = gate

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The route; context and executor stand in the body, so the handler authorises."""
        return [Endpoint("POST", "/jsonrpc", self.call, SignedIn())]

    @speaks(takes=shapes.RpcRequest, gives=(gives.CallSucceeded, gives.CallFailed), bare=True, asks="context:execute")
    def call(self, request: ApiRequest) -> ApiResponse:
        """One call; whatever fails after the envelope was read is status 200."""
        envelope = request.json(shapes.RpcRequest)
        details: dict[str, object] = {}
        try:
            params = shapes.decode_params(envelope)
            details |= {"context_id": str(params.context_id), "public_key": str(params.executor_public_key)}
            output = self._execute(request, params, details)
        except MeroidError as error:
            return _failure(envelope.id, error, details)
        return ApiResponse(body=shapes.encode_result(envelope.id, output), content_type=JSON)

    def _execute(self, request: ApiRequest, params: shapes.ExecuteParams, details: dict[str, object]) -> bytes | None:
        context_id, executor = params.context_id, params.executor_public_key
        application = self._contexts.application_of(context_id)
        details["application_id"] = str(application)
        resource = Resource(
            context=context_id,
            application=application,
            executor=executor,
            executor_account=self._contexts.account_of(executor),
            method=params.method,
        )
        self._gate.authorise(request.principal, EXECUTE, resource)
        arguments = _substituted(
            shapes.compact(params.args_json), params.substitute, lambda name: self._key_of(context_id, name)
        )
        call = Call(context_id=context_id, method=params.method, arguments=arguments, executor=executor)
        return self._execution.execute(request.principal, call, request.at)

    def _key_of(self, context_id: ContextId, name: str) -> PublicKey:
        found = self._aliases.find(AliasScope.IDENTITY, context_id, name, PublicKey)
        if found is not None:
            return found
        try:
            return PublicKey.parse(name)
        except BadIdError:
            raise shapes.AliasUnresolvedError(name) from None


def _substituted(arguments: bytes, names: list[str], key_of: Callable[[str], PublicKey]) -> bytes:
    """Every `{name}` of the listed names, replaced by the key that it stands for, in one pass over each.

    Raises:
        AliasUnresolvedError: a name is neither an alias nor a key.
        BadParamsError: the arguments would grow beyond the limit of a body.
    """
    for name in names:
        arguments = arguments.replace(b"{%s}" % name.encode(), str(key_of(name)).encode())
        if len(arguments) > limits.JSON_BODY.value:
            raise shapes.BadParamsError("substitute: the arguments would be larger than a body may be")
    return arguments


def _failure(request_id: shapes.Id, error: MeroidError, details: dict[str, object]) -> ApiResponse:
    body = shapes.encode_failure(request_id, error, details)
    return ApiResponse(body=body, content_type=JSON, headers=(("X-Meroid-Code", error.code),))
