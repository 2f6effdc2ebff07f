"""A real nginx with our example in front of a plain service: only good tokens get through, and nobody can pretend."""

import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import told_secrets
from tests.nginx import Nginx, Service, nginx, plain_service
from tests.processes import Merod, Owner, initialise, start, stop, stopped
from tests.servers import Got

from meroid.auth.first_owner import Peer
from meroid.client.proof_key import ProofKey
from meroid.service.login import LoginRequest

pytestmark = pytest.mark.needs("nginx")

OWNER = Owner("alice", "correct horse battery")
APP = "https://app.example"
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Edge:
    """nginx, what it guards, and the auth service that it asks."""

    auth: Merod
    nginx: Nginx
    service: Service
    expired: str

    def token(self, headers: Mapping[str, str] | None = None) -> str:
        """A new log-in through nginx."""
        proof = {"username": OWNER.name, "password": OWNER.password}
        body = {"auth_method": "user_password", "public_key": OWNER.name, "client_name": "test", "timestamp": 0}
        got = self.nginx.ask("POST", "/auth/token", {**body, "provider_data": proof}, headers=headers)
        assert got.status == 200, got.text
        return str(got.json["data"]["access_token"])

    def refused(self, got: Got, reason: str, code: str, status: int = 401) -> None:
        """That it was refused for this reason, and the service never saw it."""
        assert (got.status, got.headers.get("x-auth-error"), got.code) == (status, reason, code)
        assert got.headers["access-control-expose-headers"].startswith("X-Auth-Error")
        assert not self.service.reached


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    auth = Merod("auth", folder / "auth", owner=OWNER)
    initialise(auth)
    written = auth.home / auth.name / "config.toml"
    told = written.read_text("utf-8").replace("[server]\n", '[server]\ntrusted_proxies = ["127.0.0.1"]\n')
    written.write_text(told, "utf-8")
    expired = _logged_in_hours_ago(auth)
    start(auth)
    try:
        with plain_service() as service, nginx(folder / "n", auth_port=auth.port, service_port=service.port) as front:
            yield Edge(auth, front, service, expired)
    finally:
        stop(auth)


@pytest.fixture
def edge(world: Edge) -> Edge:
    world.service.reached.clear()
    return world


def _logged_in_hours_ago(auth: Merod) -> str:
    with auth.opened() as offline:
        request = LoginRequest(
            auth_method="user_password",
            public_key=OWNER.name,
            client_name="test",
            permissions=(),
            provider_data={"username": OWNER.name, "password": OWNER.password},
            peer=Peer(address="127.0.0.1", host="localhost"),
        )
        return offline.login.log_in(request, int(time.time() * 1000) - 3 * HOUR_MS).access


def test_a_good_token_gets_through_and_the_service_learns_who_it_is(edge: Edge) -> None:
    token = edge.token()
    got = edge.nginx.ask("POST", "/things?x=1&y=a%20b", {"a": 1}, token=token)
    assert (got.status, got.text) == (200, "the service")
    (seen,) = edge.service.reached
    assert (seen.method, seen.path) == ("POST", "/things?x=1&y=a%20b")
    told = edge.auth.ask("GET", "/auth/validate", token=token)
    assert seen.headers["x-auth-user"] == told.headers["x-auth-user"]
    assert seen.headers["x-auth-permissions"] == "admin"
    assert "authorization" not in seen.headers, "what the service doesn't have it can't lose"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "DELETE", "FOO"])
def test_without_a_token_nothing_gets_through(edge: Edge, method: str) -> None:
    for path in ("/", "/things", "/authority", "//", "/auth/../things", "/%61uth/../x", "/_meroid/other"):
        edge.refused(edge.nginx.ask(method, path), "missing_token", "missing_token")


def test_the_question_itself_can_not_be_asked_from_outside(edge: Edge) -> None:
    assert edge.nginx.ask("GET", "/_meroid/validate", token=edge.token()).status == 404
    assert not edge.service.reached


def test_an_expired_token_is_told_as_such_so_that_clients_refresh(edge: Edge) -> None:
    got = edge.nginx.ask("GET", "/things", headers={"Origin": APP}, token=edge.expired)
    edge.refused(got, "token_expired", "token_expired")
    assert got.headers["access-control-allow-origin"] == "*"
    assert got.headers["www-authenticate"] == "Bearer"


def test_a_revoked_token_is_refused_on_the_very_next_request(edge: Edge) -> None:
    token = edge.token()
    assert edge.nginx.ask("GET", "/things", token=token).status == 200
    assert edge.nginx.ask("POST", "/auth/logout", token=token).status == 200
    edge.service.reached.clear()
    edge.refused(edge.nginx.ask("GET", "/things", token=token), "token_revoked", "token_revoked")


def test_garbage_in_the_place_of_a_token_is_refused(edge: Edge) -> None:
    for each in ("x", "a.b.c", "ey" * 3000, edge.expired[:-2], "\xff\xfe"):
        edge.refused(edge.nginx.ask("GET", "/things", token=each), "invalid_token", "invalid_token")


def test_a_token_for_another_host_is_refused_and_for_this_one_let_through(edge: Edge) -> None:
    wanted = {"permissions": ["context:list"], "target_node_url": "https://here.example/app"}
    minted = edge.nginx.ask("POST", "/admin/client-key", wanted, token=edge.token())
    token = minted.json["data"]["access_token"]
    for there in ({"Host": "there.example"}, {"Host": "there.example", "X-Forwarded-Host": "here.example"}):
        got = edge.nginx.ask("GET", "/things", headers=there, token=token)
        edge.refused(got, "invalid_node", "invalid_node", status=403)
    assert edge.nginx.ask("GET", "/things", headers={"Host": "here.example:8080"}, token=token).status == 200


def test_a_token_that_is_bound_to_a_key_gets_through_with_a_proof_of_this_very_request(edge: Edge) -> None:
    key, base = ProofKey.new(), f"http://127.0.0.1:{edge.nginx.port}"

    def prove(method: str, path: str, token: str | None = None) -> dict[str, str]:
        return {"DPoP": key.prove(method, base + path, int(time.time() * 1000), token=token)}

    token = edge.token(headers=prove("POST", "/auth/token"))
    got = edge.nginx.ask("GET", "/things", headers=prove("GET", "/things", token), token=token)
    assert (got.status, got.code) == (200, None)
    edge.service.reached.clear()
    edge.refused(edge.nginx.ask("GET", "/things", token=token), "proof_required", "proof_required")
    overwritten, contradicting = (
        {"X-Forwarded-Method": "GET"},
        {"X-Original-Method": "GET", "X-Original-URI": "/things"},
    )
    for forged, code in ((overwritten, "bad_dpop_proof"), (contradicting, "proof_unjudged")):
        headers = prove("GET", "/things", token) | forged
        edge.refused(edge.nginx.ask("POST", "/things", headers=headers, token=token), code, code)


def test_nobody_can_send_the_headers_that_tell_who_it_is(edge: Edge) -> None:
    forged = dict.fromkeys(("X-Auth-User", "x-auth-permissions", "X_Auth_User", "X-AUTH-PERMISSIONS"), "admin")
    edge.refused(edge.nginx.ask("GET", "/things", headers=forged), "missing_token", "missing_token")
    minted = edge.nginx.ask("POST", "/admin/client-key", {"permissions": ["context:list"]}, token=edge.token())
    narrow = minted.json["data"]["access_token"]
    assert edge.nginx.ask("GET", "/things", headers=forged, token=narrow).status == 200
    (seen,) = edge.service.reached
    assert seen.headers["x-auth-permissions"] == "context:list"
    assert seen.headers["x-auth-user"] != "admin"
    assert not [name for name in seen.headers if "_" in name]


def test_a_client_can_not_choose_the_address_that_the_service_is_told(edge: Edge) -> None:
    forged = {"X-Forwarded-For": "10.1.1.1", "Forwarded": "for=10.1.1.1", "X-Forwarded-Host": "evil.example"}
    assert (
        edge.nginx.ask("GET", "/things", headers={**forged, "Host": "here.example"}, token=edge.token()).status == 200
    )
    (seen,) = edge.service.reached
    assert (seen.headers["x-forwarded-for"], seen.headers["x-forwarded-host"]) == ("127.0.0.1", "here.example")
    assert "forwarded" not in seen.headers


def test_a_web_socket_shows_its_token_in_the_address_and_is_let_through_without_it(edge: Edge) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    token = edge.token()
    for path, passed in (
        (f"/ws?token={token}", "/ws"),
        (f"/ws?a=1&token={token}&b=2", "/ws?a=1&&b=2"),
        (f"/ws?token={token}&b=2", "/ws?&b=2"),
    ):
        edge.service.reached.clear()
        with socket.create_connection(("127.0.0.1", edge.nginx.port), timeout=20) as wire:
            head = "".join(f"{name}: {value}\r\n" for name, value in {**upgrade, "Host": "localhost"}.items())
            wire.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
            answer = b""
            while b"switched" not in answer and (piece := wire.recv(4096)):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 101"), answer
        (seen,) = edge.service.reached
        assert seen.path == passed
        assert seen.headers["upgrade"] == "websocket"
    edge.service.reached.clear()
    edge.refused(edge.nginx.ask("GET", "/ws?token=x.y.z", headers=upgrade), "invalid_token", "invalid_token")


def test_a_preflight_passes_without_a_token_and_without_reaching_the_service(edge: Edge) -> None:
    asks = {"Origin": APP, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    got = edge.nginx.ask("OPTIONS", "/things", headers=asks)
    assert got.status == 204
    assert got.headers["access-control-allow-origin"] == "*"
    assert "authorization" in got.headers["access-control-allow-headers"].lower()
    assert not edge.service.reached


def test_answers_of_the_service_can_be_read_across_origins_and_never_speak_for_the_auth_service(edge: Edge) -> None:
    got = edge.nginx.ask("GET", "/things", headers={"Origin": APP}, token=edge.token())
    assert got.headers["access-control-allow-origin"] == "*"
    assert "x-auth-error" not in got.headers
    assert edge.nginx.ask("GET", "/broken", token=edge.token()).text == "the service", "its 500 is its own"


def test_log_in_keys_and_preflights_of_the_auth_service_go_straight_to_it(edge: Edge) -> None:
    token = edge.token()
    assert edge.nginx.ask("GET", "/auth/providers").status == 200
    assert edge.nginx.ask("GET", "/admin/keys", token=token).status == 200
    assert edge.nginx.ask("GET", "/admin/keys").headers["x-auth-error"] == "missing_token"
    got = edge.nginx.ask("OPTIONS", "/auth/token", headers={"Origin": APP, "Access-Control-Request-Method": "POST"})
    assert (got.status, got.headers["access-control-allow-origin"]) == (200, "*")
    assert not edge.service.reached


def test_headers_that_are_too_large_open_nothing(edge: Edge) -> None:
    for headers in ({"X-Large": "x" * 40_000}, {f"X-{n}": "y" * 30_000 for n in range(6)}):
        got = edge.nginx.ask("GET", "/things", headers=headers)
        assert got.status in {400, 414, 431, 494}
    assert edge.nginx.ask("GET", "/things?" + "z" * 20_000).status == 401
    assert not edge.service.reached


def test_while_the_auth_service_is_down_nothing_gets_through_and_the_answer_says_so(edge: Edge) -> None:
    token = edge.token()
    with stopped(edge.auth):
        for path in ("/things", f"/ws?token={token}"):
            got = edge.nginx.ask("GET", path, token=token)
            assert (got.status, got.json["code"]) == (503, "auth_unavailable")
            assert got.headers["retry-after"]
        assert edge.nginx.ask("POST", "/auth/token", {}).status == 502
        assert not edge.service.reached
    deadline = time.monotonic() + 15  # nginx leaves a server alone for a while that didn't answer
    while edge.nginx.ask("GET", "/things", token=token).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_no_log_of_nginx_has_a_token(edge: Edge, tmp_path: Path) -> None:
    token, mark = edge.token(), secrets.token_hex(4)
    told_secrets.note(token)
    referer = {"Referer": f"http://here/page?token={token}"}
    edge.nginx.ask("GET", f"/{mark}?token={token}", headers=referer)
    edge.nginx.ask("GET", f"/{mark}?token={token}x", headers=referer)
    with stopped(edge.auth):
        edge.nginx.ask("GET", f"/{mark}?token={token}", headers=referer)
    written = edge.nginx.written
    assert written.count(f"/{mark} ") == 3
    assert "token=" not in written
    assert token[-40:] not in written
    assert token[-40:] not in edge.auth.log
