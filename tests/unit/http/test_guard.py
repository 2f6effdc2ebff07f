"""Who gets through, and what the others are told."""

import json

import pytest
from tests.unit.http.conftest import Serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from meroid.http.guard import bearer_of, split_query

ID = "11111111111111111111111111111111"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "missing_token"),
        ("nonsense", "invalid_token"),
        ("token_expired", "token_expired"),
        ("token_revoked", "token_revoked"),
    ],
)
def test_without_a_valid_token_the_answer_is_401_with_body_and_header(serve: Serve, token: str, reason: str) -> None:
    got = serve().ask("GET", "/signed", token=token)
    assert got.status == 401
    assert got.headers["x-auth-error"] == reason
    assert got.code == reason
    assert got.json["code"] == reason
    assert got.json["next"]


def test_a_head_request_is_guarded_like_get(serve: Serve) -> None:
    got = serve().ask("HEAD", "/signed")
    assert (got.status, got.headers["x-auth-error"], got.body) == (401, "missing_token", b"")


def test_a_valid_token_gets_through(serve: Serve) -> None:
    assert serve().ask("GET", "/signed", token="doer").json == {"data": "doer"}


def test_a_missing_permission_is_403_and_says_which(serve: Serve) -> None:
    node = serve()
    got = node.ask("GET", "/executed", token="lister")
    assert (got.status, got.code) == (403, "permission_denied")
    assert got.headers["x-auth-error"] == "permission_denied"
    assert "context:execute" in got.json["error"]
    assert node.ask("GET", "/executed", token="doer").status == 200
    assert node.ask("GET", f"/listed/{ID}", token="lister").status == 200
    assert node.ask("GET", "/listed/nonsense", token="lister").code == "bad_path"


def test_a_public_route_never_sends_the_auth_header(serve: Serve) -> None:
    got = serve().ask("GET", "/auth/raise/unauthenticated")
    assert got.status == 401
    assert "x-auth-error" not in got.headers
    assert got.json["code"] == "token_expired"


def test_a_guarded_handler_may_find_the_token_gone(serve: Serve) -> None:
    got = serve().ask("GET", "/guarded/raise/unauthenticated", token="admin")
    assert (got.status, got.headers["x-auth-error"]) == (401, "token_expired")


def test_the_query_token_counts_only_where_it_is_declared(serve: Serve) -> None:
    node = serve()
    got = node.ask("GET", "/sse?token=doer&x=1")
    assert got.json["data"]["query"] == {"x": "1"}
    assert node.ask("GET", "/signed?token=doer").status == 401
    assert node.ask("GET", "/sse?token=nonsense").headers["x-auth-error"] == "invalid_token"


def test_in_proxy_mode_everybody_is_the_node_and_tokens_are_not_read(serve: Serve) -> None:
    node = serve(proxy=True)
    for token in ("", "nonsense", "token_revoked"):
        assert node.ask("GET", "/listed", token=token).json == {"data": "node"}


def test_a_socket_is_admitted_by_header_or_query_and_the_token_is_taken_out(serve: Serve) -> None:
    port = serve().port
    with connect(f"ws://127.0.0.1:{port}/ws?token=doer&a=b") as socket:
        assert json.loads(socket.recv()) == {"subject": "doer", "query": "a=b"}
    with connect(f"ws://127.0.0.1:{port}/ws", additional_headers={"Authorization": "Bearer doer"}) as socket:
        assert json.loads(socket.recv())["subject"] == "doer"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/ws", 401, "missing_token"), ("/ws?token=x", 401, "invalid_token"), ("/open", 404, "no_such_path")],
)
def test_a_socket_is_refused_with_status_and_code(serve: Serve, path: str, status: int, code: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{serve().port}{path}"):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert response.headers["X-Meroid-Code"] == code


def test_a_socket_whose_handler_fails_is_closed_with_a_request_id(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        connect(f"ws://127.0.0.1:{serve().port}/ws/broken?token=hush") as socket,
        pytest.raises(ConnectionClosedError) as closed,
    ):
        socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    logged = capsys.readouterr().out
    assert closed.value.rcvd.reason.removeprefix("internal ") in logged
    assert "hush" not in logged


def test_a_socket_that_its_client_leaves_ends_quietly(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    node = serve()
    with connect(f"ws://127.0.0.1:{node.port}/ws/echo") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
    assert node.ask("GET", "/nothing").status == 200
    assert capsys.readouterr().out == ""


def test_bearer_tokens_are_read_from_the_header_first() -> None:
    assert bearer_of("Bearer  a ", "b") == "a"
    assert bearer_of("bearer a") == "a"
    assert bearer_of("Basic a", "b") == "b"
    assert bearer_of("Bearer ", None) is None
    assert bearer_of(None) is None


def test_the_token_is_taken_out_of_the_query() -> None:
    assert split_query("a=1&token=x.y&b=%20", "token") == ("a=1&b=+", "x.y")
    assert split_query("mytoken=5", "token") == ("mytoken=5", None)
    assert split_query("", "token") == ("", None)
