"""CORS in both modes, and the Host rule of proxy mode."""

import pytest
from tests.unit.http.conftest import Serve
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

APP = "https://app.example"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def test_any_origin_may_read_answers_but_never_with_credentials(serve: Serve) -> None:
    got = serve().ask("GET", "/nothing", headers={"Origin": APP})
    assert got.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in got.headers
    exposed = got.headers["access-control-expose-headers"].split(", ")
    assert {"X-Auth-Error", "X-Auth-User", "X-Auth-Permissions", "X-Meroid-Code", "Retry-After"} <= set(exposed)


def test_refusals_can_be_read_across_origins_too(serve: Serve) -> None:
    node = serve()
    for path in ("/signed", "/nowhere", "/raise/bug"):
        assert node.ask("GET", path, headers={"Origin": APP}).headers["access-control-allow-origin"] == "*"


def test_without_an_origin_there_are_no_cors_headers(serve: Serve) -> None:
    assert not [name for name in serve().ask("GET", "/nothing").headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/signed", "/nowhere", "/item"])
def test_a_preflight_passes_without_a_token(serve: Serve, path: str) -> None:
    got = serve().ask(
        "OPTIONS", path, headers={"Origin": APP, **ASKS, "Access-Control-Request-Private-Network": "true"}
    )
    assert (got.status, got.body) == (200, b"")
    assert got.headers["access-control-allow-origin"] == "*"
    assert "authorization" in got.headers["access-control-allow-headers"].lower()
    assert {"PUT", "DELETE", "PATCH", "HEAD"} <= set(got.headers["access-control-allow-methods"].split(", "))
    assert got.headers["access-control-allow-private-network"] == "true"


def test_configured_origins_narrow_it(serve: Serve) -> None:
    node = serve(allowed_origins=[APP, "https://other.example"])
    got = node.ask("GET", "/nothing", headers={"Origin": APP})
    assert got.headers["access-control-allow-origin"] == APP
    assert got.headers["vary"] == "Origin"
    got = node.ask("GET", "/nothing", headers={"Origin": "https://evil.example"})
    assert got.status == 200
    assert "access-control-allow-origin" not in got.headers


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:2528", "http://[::1]:5", "http://node1.127.0.0.1.nip.io", APP]
)
def test_in_proxy_mode_pages_of_this_machine_and_configured_ones_pass(serve: Serve, origin: str) -> None:
    node = serve(proxy=True, allowed_origins=[APP])
    got = node.ask("GET", "/signed", headers={"Origin": origin})
    assert (got.status, got.headers["access-control-allow-origin"]) == (200, origin)
    assert node.ask("OPTIONS", "/signed", headers={"Origin": origin, **ASKS}).status == 200
    with connect(f"ws://127.0.0.1:{node.port}/ws", origin=Origin(origin)) as socket:
        assert "node" in str(socket.recv())


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://127.0.0.1.nip.io.evil.example",
        "file://",
    ],
)
def test_in_proxy_mode_other_pages_are_refused(serve: Serve, origin: str) -> None:
    node = serve(proxy=True, allowed_origins=[APP])
    for method in ("GET", "OPTIONS"):
        got = node.ask(method, "/signed", headers={"Origin": origin, **ASKS})
        assert (got.status, got.code) == (403, "origin_refused")
        assert "access-control-allow-origin" not in got.headers
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{node.port}/ws", origin=Origin(origin)):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:2528", "127.0.0.1", "127.9.9.9:1", "[::1]:2528", "n.127.0.0.1.nip.io", "node.lan:80"],
)
def test_in_proxy_mode_the_node_answers_to_loopback_and_configured_names(serve: Serve, host: str) -> None:
    assert serve(proxy=True, allowed_hosts=["node.lan"]).ask("GET", "/signed", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "192.168.0.1", "", "127.0.0.1@evil", "localhost:x", "evilnip.io"]
)
def test_in_proxy_mode_the_node_does_not_answer_to_other_names(serve: Serve, host: str) -> None:
    got = serve(proxy=True).ask("GET", "/signed", headers={"Host": host})
    assert (got.status, got.code) == (403, "host_refused")
    assert got.json["next"]


def test_in_proxy_mode_two_hosts_or_none_are_refused(serve: Serve) -> None:
    node = serve(proxy=True)
    two = b"GET /signed HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    none = b"GET /signed HTTP/1.0\r\n\r\n"
    for head in (two, none):
        assert node.raw(head).split()[1] in {b"403", b"400"}


def test_in_embedded_mode_any_host_is_answered(serve: Serve) -> None:
    assert serve().ask("GET", "/nothing", headers={"Host": "node.example"}).status == 200


def test_auth_and_admin_routes_carry_security_headers(serve: Serve) -> None:
    node = serve()
    for path in ("/auth/raise/missing", "/admin/signed", "/auth/nowhere"):
        got = node.ask("GET", path, headers={"X-Forwarded-Proto": "https"})
        assert got.headers["x-frame-options"] == "DENY"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "strict-transport-security" not in got.headers, "it came in the clear, whatever it says"
    got = node.ask("GET", "/nothing")
    assert (got.headers["x-content-type-options"], got.headers["cache-control"]) == ("nosniff", "no-store")
    assert "x-frame-options" not in got.headers


def test_behind_a_trusted_proxy_with_tls_browsers_are_told_to_stay_with_it(serve: Serve) -> None:
    node = serve(trusted_proxies=["127.0.0.1"])
    for path in ("/auth/raise/missing", "/nothing"):
        got = node.ask("GET", path, headers={"X-Forwarded-Proto": "https"})
        assert got.headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in node.ask("GET", path, headers={"X-Forwarded-Proto": "http"}).headers
