"""Authorising and renewing: without I/O first, then on a real server with threads and processes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.wire_server import Answer, Asked, WireServer, said, unsigned_jwt, wire_server

from meroid.client.exchange import Request, Response
from meroid.client.failures import TokenRefusedError
from meroid.client.flow import (
    Load,
    NoRefreshTokenError,
    Renew,
    Send,
    SessionEndedError,
    authorised,
)
from meroid.client.node import NodeClient
from meroid.client.token_cache import TokenCache
from meroid.client.tokens import TokenPair

PEERS = Request(method="GET", path="admin-api/peers")
OLD = TokenPair(access_token="old", refresh_token="r1")
NEW = TokenPair(access_token="new", refresh_token="r2")


def _response(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, phrase="", headers=named, body=b"{}")


def _bearer(step: object) -> str | None:
    assert isinstance(step, Send)
    return step.request.headers.get("Authorization")


def test_an_expired_token_is_renewed_once_and_the_new_one_is_sent() -> None:
    flow = authorised(PEERS, at_ms=0)
    assert isinstance(next(flow), Load)
    assert _bearer(flow.send(OLD)) == "Bearer old"

    assert flow.send(_response(401, x_auth_error="token_expired")) == Renew(seen=OLD)
    assert _bearer(flow.send(NEW)) == "Bearer new"
    with pytest.raises(StopIteration) as end:
        flow.send(_response(401, x_auth_error="token_expired"))

    assert end.value.value.status == 401


def test_a_revoked_token_is_not_renewed() -> None:
    flow = authorised(PEERS, at_ms=0)
    next(flow)
    flow.send(OLD)

    assert isinstance(flow.send(_response(401, x_auth_error="token_revoked")), Load)
    with pytest.raises(StopIteration) as end:
        flow.send(OLD)

    assert end.value.value.status == 401


def test_tokens_that_someone_else_put_there_meanwhile_are_tried() -> None:
    flow = authorised(PEERS, at_ms=0)
    next(flow)
    flow.send(OLD)
    flow.send(_response(401, x_auth_error="invalid_token"))

    assert _bearer(flow.send(NEW)) == "Bearer new"


def test_a_token_that_is_known_to_have_ended_is_renewed_before_it_is_sent() -> None:
    ended = TokenPair(access_token="old", refresh_token="r1", expires_at=100)
    flow = authorised(PEERS, at_ms=100_000)
    next(flow)

    assert flow.send(ended) == Renew(seen=ended)
    assert _bearer(flow.send(NEW)) == "Bearer new"


def test_health_and_the_log_in_routes_never_get_a_bearer() -> None:
    for path in ("admin-api/health", "auth/token", "auth/refresh"):
        assert _bearer(next(authorised(Request(method="GET", path=path), at_ms=0))) is None


class GuardedNode:
    """A node that knows which token is good, and spends each refresh token once."""

    def __init__(self, server: WireServer) -> None:
        self.good = unsigned_jwt(n=0)
        self.refresh_token = "r0"
        self.renewals = 0
        self._lock = threading.Lock()
        server.on("GET", "/admin-api/peers", self._peers)
        server.on("POST", "/auth/refresh", self._refresh)

    def _peers(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") == f"Bearer {self.good}":
            return said({"count": 1})
        return said({"error": "expired"}, 401, X_Auth_Error="token_expired")

    def _refresh(self, asked: Asked) -> Answer:
        with self._lock:
            if asked.json["refresh_token"] != self.refresh_token:
                return said({"data": None, "error": "spent"}, 401)
            self.renewals += 1
            self.good = unsigned_jwt(n=self.renewals, exp=4_000_000_000 + self.renewals)
            self.refresh_token = f"r{self.renewals}"
            pair = {"access_token": self.good, "refresh_token": self.refresh_token, "error": None}
            return said({"data": pair, "error": None})


@pytest.fixture
def server() -> Iterator[WireServer]:
    with wire_server() as running:
        yield running


def test_many_threads_renew_once(server: WireServer, tmp_path: Path) -> None:
    node = GuardedNode(server)
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(TokenPair(access_token="stale", refresh_token="r0"))
    client = NodeClient(server.url, tokens=cache)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: client.get("admin-api/peers"), range(64)))

    assert answers == [{"count": 1}] * 64
    assert node.renewals == 1
    kept = json.loads(cache.path.read_text())
    assert kept["access_token"] == node.good
    assert kept["refresh_token"] == "r1"
    assert kept["expires_at"] == 4_000_000_001
    client.close()


def test_many_processes_renew_once(server: WireServer, tmp_path: Path) -> None:
    node = GuardedNode(server)
    TokenCache("n1", folder=tmp_path).save(TokenPair(access_token="stale", refresh_token="r0"))
    script = (
        "import sys, pathlib\n"
        "from meroid.client.node import NodeClient\n"
        "from meroid.client.token_cache import TokenCache\n"
        "cache = TokenCache('n1', folder=pathlib.Path(sys.argv[2]))\n"
        "assert NodeClient(sys.argv[1], tokens=cache).get('admin-api/peers') == {'count': 1}\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", script, server.url, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment) for _ in range(4)]

    assert [process.wait(60) for process in processes] == [0] * 4
    assert node.renewals == 1


def test_a_refused_renewal_ends_the_session(server: WireServer, tmp_path: Path) -> None:
    GuardedNode(server)
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(TokenPair(access_token="stale", refresh_token="wrong"))

    with pytest.raises(SessionEndedError, match="spent"):
        NodeClient(server.url, tokens=cache).get("admin-api/peers")


def test_without_a_refresh_token_nothing_is_renewed(server: WireServer, tmp_path: Path) -> None:
    GuardedNode(server)
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(TokenPair(access_token="stale"))

    with pytest.raises(NoRefreshTokenError):
        NodeClient(server.url, tokens=cache).get("admin-api/peers")


def test_without_any_token_the_refusal_is_told(server: WireServer, tmp_path: Path) -> None:
    GuardedNode(server)

    with pytest.raises(TokenRefusedError):
        NodeClient(server.url, tokens=TokenCache("n1", folder=tmp_path)).get("admin-api/peers")


def test_a_node_that_fails_while_renewing_leaves_the_tokens(server: WireServer, tmp_path: Path) -> None:
    GuardedNode(server)
    server.on("POST", "/auth/refresh", said({"error": "down"}, 503))
    cache = TokenCache("n1", folder=tmp_path)
    cache.save(TokenPair(access_token="stale", refresh_token="r0"))

    with pytest.raises(Exception, match="down"):
        NodeClient(server.url, tokens=cache).get("admin-api/peers")

    assert cache.load() == TokenPair(access_token="stale", refresh_token="r0")
