"""A token that is for one node is refused at another, with 403 `invalid_node`, at every door."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocket
from tests.auth_world import AuthWorld, auth_world
from tests.servers import Got, Running, running
from tests.unit.http.test_auth_api import HandClock, login_body
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from meroid.auth.sign_up import SignUp, SignUpRules
from meroid.http.application import HttpApplication, HttpSettings
from meroid.http.auth_api import AuthApi
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.guard import Guard
from meroid.http.health_api import Health
from meroid.http.routes import Endpoint, SignedIn, SocketEndpoint
from meroid.service.login import LoginService
from meroid.service.newcomers import Newcomers
from meroid.service.proofs import Proofs

NODE = "http://node1.example:2528/app?x"
HERE, THERE = {"Host": "Node1.example:80"}, {"Host": "node10.example"}
LOOPBACK = {"Host": "localhost:2528"}


class Door:
    """An auth service with a guarded route and a guarded socket, under settings of choice."""

    def __init__(self, world: AuthWorld, stack: ExitStack) -> None:
        self.world = world
        self._stack = stack

    def serve(self, *, bind_logins: bool = False, **settings: Any) -> Running:
        world = self.world
        proofs = Proofs(world.store, [world.method], world.challenges)
        newcomers = Newcomers(world.store, world.ring, world.rules)
        login = LoginService(world.store, world.tokens, proofs, newcomers, bind_to_node=bind_logins)
        health = Health(probe_store=lambda: None, started_at=0)
        endpoints: list[Endpoint | SocketEndpoint] = [
            *AuthApi(login=login, tokens=world.tokens, gate=world.gate, health=health).endpoints(),
            Endpoint("GET", "/admin-api/here", lambda _: ApiResponse.data("here"), SignedIn()),
            SocketEndpoint("/ws", _say_hello, SignedIn()),
        ]
        app = HttpApplication(endpoints, guard=Guard(world.gate), clock=HandClock(), settings=HttpSettings(**settings))
        return self._stack.enter_context(running(app))


async def _say_hello(socket: WebSocket, _: ApiRequest) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with ExitStack() as stack:
        yield Door(stack.enter_context(auth_world(tmp_path)), stack)


def log_in(server: Running, client_name: str = "a script", headers: Any = LOOPBACK) -> dict[str, str]:
    got = server.ask("POST", "/auth/token", {**login_body(), "client_name": client_name}, headers)
    assert got.status == 200, got.text
    return got.json["data"]  # type: ignore[no-any-return]


def mint(server: Running, token: str, target: str | None, headers: Any = LOOPBACK) -> Got:
    body = {"permissions": ["context:list"], "target_node_url": target}
    return server.ask("POST", "/admin/client-key", body, headers, token=token)


def minted(server: Running, target: str | None) -> dict[str, str]:
    got = mint(server, log_in(server)["access_token"], target)
    assert got.status == 200, got.text
    return got.json["data"]  # type: ignore[no-any-return]


def refresh(server: Running, pair: dict[str, str], headers: Any) -> Got:
    return server.ask("POST", "/auth/refresh", {key: pair[key] for key in ("access_token", "refresh_token")}, headers)


def refused(got: Got) -> bool:
    return (got.status, got.code, got.headers.get("x-auth-error")) == (403, "invalid_node", "invalid_node")


def test_it_is_good_at_its_node_and_at_no_other(door: Door) -> None:
    server = door.serve()
    pair = minted(server, NODE)
    for path in ("/auth/validate", "/admin/identity", "/admin-api/here"):
        assert server.ask("GET", path, headers=HERE, token=pair["access_token"]).status == 200
        assert refused(server.ask("GET", path, headers=THERE, token=pair["access_token"]))
        assert refused(server.ask("GET", path, headers={"Host": ""}, token=pair["access_token"]))
    in_address = {**THERE, "X-Forwarded-Uri": f"/ws?token={pair['access_token']}"}
    assert refused(server.ask("GET", "/auth/validate", headers=in_address))


def test_it_is_refreshed_at_its_node_only_and_stays_for_it(door: Door) -> None:
    server = door.serve()
    pair = minted(server, NODE)
    assert refused(refresh(server, pair, THERE))
    got = refresh(server, pair, HERE)
    assert got.status == 200
    assert refused(server.ask("GET", "/auth/validate", headers=THERE, token=got.json["data"]["access_token"]))
    assert refused(refresh(server, got.json["data"], THERE))


def test_a_web_socket_of_another_node_is_refused(door: Door) -> None:
    server = door.serve()
    there, here = minted(server, NODE), minted(server, "http://127.0.0.1/")
    for pair, expected in ((there, 403), (here, 101)):
        address = f"ws://127.0.0.1:{server.port}/ws?token={pair['access_token']}"
        try:
            with connect(address, proxy=None):
                status = 101
        except InvalidStatus as refusal:
            status = refusal.response.status_code
        assert status == expected


@pytest.mark.parametrize("target", ["", None, "my phone", "javascript:alert(1)", "http://user:pw@node1.example/"])
def test_without_an_address_it_is_good_everywhere(door: Door, target: str | None) -> None:
    server = door.serve()
    pair = minted(server, target)
    for headers in (HERE, THERE, LOOPBACK):
        assert server.ask("GET", "/auth/validate", headers=headers, token=pair["access_token"]).status == 200
        pair = refresh(server, pair, headers).json["data"]


def test_a_host_that_a_client_claims_to_have_been_forwarded_from_counts_for_nothing(door: Door) -> None:
    server = door.serve()
    token = minted(server, NODE)["access_token"]
    forged = {**THERE, "X-Forwarded-Host": "node1.example"}
    assert refused(server.ask("GET", "/auth/validate", headers=forged, token=token))


def test_what_a_trusted_proxy_says_counts(door: Door) -> None:
    server = door.serve(trusted_proxies=["127.0.0.1"])
    token = minted(server, NODE)["access_token"]
    for host, good in (("node1.example", True), ("evil.example, node1.example", True), ("node1.example, other", False)):
        got = server.ask("GET", "/auth/validate", headers={"Host": "auth:3001", "X-Forwarded-Host": host}, token=token)
        assert got.status == 200 if good else refused(got)


def test_a_configured_host_goes_before_all_headers(door: Door) -> None:
    server = door.serve(trusted_proxies=["127.0.0.1"], node_host="node1.example")
    token = minted(server, NODE)["access_token"]
    other = minted(server, "http://node2.example")["access_token"]
    headers = {"Host": "node2.example", "X-Forwarded-Host": "node2.example"}
    assert server.ask("GET", "/auth/validate", headers=headers, token=token).status == 200
    assert refused(server.ask("GET", "/auth/validate", headers=headers, token=other))


def test_a_node_alone_does_not_bind_log_ins_and_a_service_of_several_does(door: Door) -> None:
    for bind_logins in (False, True):
        server = door.serve(bind_logins=bind_logins)
        token = log_in(server, f"{NODE}#top")["access_token"]
        assert server.ask("GET", "/auth/validate", headers=HERE, token=token).status == 200
        assert refused(server.ask("GET", "/auth/validate", headers=THERE, token=token)) is bind_logins


def test_a_bound_log_in_mints_nothing_that_is_good_elsewhere(door: Door) -> None:
    server = door.serve(bind_logins=True)
    token = log_in(server, NODE)["access_token"]
    assert refused(mint(server, token, "http://node10.example", HERE))
    for target in ("", "https://node1.example:443/x"):
        child = mint(server, token, target, HERE).json["data"]["access_token"]
        assert refused(server.ask("GET", "/auth/validate", headers=THERE, token=child))
        assert server.ask("GET", "/auth/validate", headers=HERE, token=child).status == 200


def test_what_the_client_says_in_front_of_the_proxys_line_counts_for_nothing(door: Door) -> None:
    server = door.serve(trusted_proxies=["127.0.0.1"])
    token = minted(server, NODE)["access_token"]

    def asked(*hosts: str) -> bytes:
        lines = "".join(f"X-Forwarded-Host: {each}\r\n" for each in hosts)
        head = f"GET /auth/validate HTTP/1.1\r\nHost: inner\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
        return server.raw(f"{head}X-Forwarded-For: 203.0.113.7\r\n{lines}\r\n".encode(), linger=True)

    assert asked("node10.example", "node1.example").startswith(b"HTTP/1.1 200 ")
    assert asked("node1.example", "node10.example").startswith(b"HTTP/1.1 403 ")


def test_the_log_in_of_a_new_account_is_bound_like_any_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = stack.enter_context(auth_world(tmp_path, rules=SignUpRules(policy=SignUp.OPEN)))
        world.log_in()
        server = Door(world, stack).serve(bind_logins=True)
        proof = {"username": "carol", "password": "a password of carol's", "sign_up": True}
        body = {**login_body(), "client_name": NODE, "provider_data": proof}
        pair = server.ask("POST", "/auth/token", body, LOOPBACK).json["data"]
        assert server.ask("GET", "/auth/validate", headers=HERE, token=pair["access_token"]).status == 200
        assert refused(server.ask("GET", "/auth/validate", headers=THERE, token=pair["access_token"]))
        assert refused(refresh(server, pair, THERE))
