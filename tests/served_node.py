"""Whole nodes behind real servers, in either auth mode, over a simulated network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.openapi_answers import Promises
from tests.servers import Got, Running, running
from tests.simulators.transport import Network

from meroid.app import Node, RunningNode, initialise_node
from meroid.config import AuthSettings, Settings
from meroid.ids import ContextId

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A context with an identity of the node in it."""

    context: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedNode:
    """One node that takes requests; `token` is its owner's in embedded mode, and empty in proxy mode."""

    name: str
    mode: str
    folder: Path
    node: Node
    running: RunningNode
    server: Running
    token: str
    promises: Promises

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Got:
        """One request, with the owner's token where none is given; paths are below `/admin-api` unless rooted.

        The answer has to be one of those that the OpenAPI document has.
        """
        whole = path if path.startswith("/") else f"/admin-api/{path}"
        got = self.server.ask(method, whole, body, headers, token=self.token if token is None else token)
        self.promises.check(method, whole, got.status, got.headers, got.body)
        return got

    def data(self, method: str, path: str, body: Any = None) -> Any:
        """The data of a success."""
        got = self.ask(method, path, body)
        assert got.status == 200, got.text
        return got.json["data"]

    def install(self, bytecode: bytes, name: str = "module.wasm") -> str:
        """Install a module through a file; its application id."""
        path = self.folder / name
        path.write_bytes(bytecode)
        body = {"path": str(path), "metadata": []}
        return str(self.data("POST", "install-dev-application", body)["applicationId"])

    def create(self, application_id: str, **more: Any) -> Member:
        """Make a context."""
        body = {"protocol": "near", "applicationId": application_id, "initializationParams": [], **more}
        made = self.data("POST", "contexts", body)
        return Member(context=made["contextId"], key=made["memberPublicKey"])

    def identity(self) -> str:
        """A new client key."""
        return str(self.data("POST", "identity/context", b"null")["publicKey"])

    def call(self, member: Member, method: str, arguments: Any = None, *, token: str | None = None, **more: Any) -> Got:
        """One JSON-RPC call."""
        params = {
            "contextId": member.context,
            "executorPublicKey": member.key,
            "method": method,
            "argsJson": arguments,
            **more,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": params}
        return self.ask("POST", "/jsonrpc", body, token=token)

    def admit(self, other: ServedNode, member: Member) -> Member:
        """Let a fresh identity of another node join a context."""
        key = other.identity()
        body = {"contextId": member.context, "inviterId": member.key, "inviteeId": key}
        payload = self.data("POST", "contexts/invite", body)
        joined = other.data("POST", "contexts/join", {"invitationPayload": payload})
        assert joined == {"contextId": member.context, "memberPublicKey": key}
        return Member(context=member.context, key=key)

    def mint(self, *permissions: str, bound_to: Member | None = None) -> str:
        """A token of the owner with these permissions only."""
        body: dict[str, Any] = {"permissions": list(permissions)}
        if bound_to is not None:
            body |= {"context_id": bound_to.context, "context_identity": bound_to.key}
        got = self.ask("POST", "/admin/client-key", body)
        assert got.status == 200, got.text
        return str(got.json["data"]["access_token"])

    def stored(self, context: str) -> tuple[int, str]:
        """How many operations a context has on disk, and its root hash."""
        context_id = ContextId.parse(context)
        count = self.node.store.read(lambda tx: sum(1 for _ in tx.operations.scan(context_id)))
        return count, str(self.data("GET", f"contexts/{context}")["rootHash"])


@contextmanager
def served_node(
    folder: Path,
    network: Network,
    *,
    mode: str,
    name: str = "one",
    fuel: int | None = None,
    auth: AuthSettings | None = None,
) -> Iterator[ServedNode]:
    """Start a node; it is gone when the block ends. With less `fuel`, calls that never end are ended sooner."""
    settings = Settings(
        home=folder / name,
        name=name,
        auth_mode=mode,
        listen=(("127.0.0.1", 0),),
        swarm=(("127.0.0.1", 0),),
        auth=auth or AuthSettings(),
    )
    settings.home.mkdir(mode=0o700, parents=True)
    node = initialise_node(settings)
    started = RunningNode(node, node.prepare(), network.transport(name))
    if fuel is not None:
        started.contexts._runtime._fuel = fuel  # type: ignore[attr-defined]  # the composition has no setting for it
    try:
        with running(started.application) as server:
            token = _sign_in(server) if mode == "embedded" else ""
            yield ServedNode(
                name=name,
                mode=mode,
                folder=folder,
                node=node,
                running=started,
                server=server,
                token=token,
                promises=Promises(started.application.table),
            )
    finally:
        started.close()
        node.close()


@contextmanager
def network() -> Iterator[Network]:
    """A network that delivers by itself until the block ends."""
    made = Network()
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _sign_in(server: Running) -> str:
    body = {
        "auth_method": "user_password",
        "public_key": "alice",
        "client_name": f"http://127.0.0.1:{server.port}",
        "timestamp": 1,
        "provider_data": {"username": "alice", "password": PASSWORD},
    }
    got = server.ask("POST", "/auth/token", body)
    assert got.status == 200, got.text
    return str(json.loads(got.body)["data"]["access_token"])
