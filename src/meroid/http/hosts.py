"""Which names the node answers to in proxy mode, so that no foreign name can be pointed at it; plain ASGI."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from meroid.errors import ForbiddenError
from meroid.http.cors import send_refusal
from meroid.http.exchange import ApiResponse
from meroid.http.peers import host_name, is_loopback_name
from meroid.wire.envelope import Envelope


class HostRefusedError(ForbiddenError):
    """The Host header names no host of this node."""

    code = "host_refused"
    next_step = "use localhost or 127.0.0.1, or add the name to server.allowed_hosts"


class Hosts:
    """Lets through loopback names, `*.127.0.0.1.nip.io` and the `allowed` names, in any letter case."""

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if self._answers_to([value for name, value in scope["headers"] if name == b"host"]):
            await self._app(scope, receive, send)
            return
        error = HostRefusedError("the Host header names no host of this node")
        await send_refusal(ApiResponse.refusal(error, Envelope.NODE), scope, send)

    def _answers_to(self, hosts: list[bytes]) -> bool:
        name = host_name(hosts[0].decode("latin-1")) if len(hosts) == 1 else None
        return name is not None and (name in self._allowed or is_loopback_name(name))
