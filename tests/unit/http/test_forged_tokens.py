"""Tokens that somebody made up open nothing, wherever they are sent (`wire/auth.md` §1.4, K3, K4)."""

import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.served_node import PASSWORD, ServedNode, network, served_node
from tests.servers import Got
from tests.unit.http.forged_tokens import FORGERIES, Draw, Forge
from websockets.sync.client import connect

from meroid.service.ports.sealer import signing_key_label

Forgery = Callable[[Forge, Draw], str]

LONGEST_LINE = 8_000  # of a WebSocket's opening; what is longer is answered, with 431
LOOSE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
GUARDED = [
    ("GET", "/admin/keys"),
    ("GET", "/admin-api/contexts"),
    ("POST", "/jsonrpc"),
    ("GET", "/admin-api/is-authed"),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as made:
        yield made


@pytest.fixture(scope="module")
def pair(node: ServedNode) -> dict[str, str]:
    data = {"username": "alice", "password": PASSWORD}
    body = {"auth_method": "user_password", "public_key": "alice", "client_name": "x", "timestamp": 1}
    got = node.ask("POST", "/auth/token", {**body, "provider_data": data})
    return got.json["data"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def forge(node: ServedNode, pair: dict[str, str]) -> Forge:
    """The node's own signing key in a forger's hands: what it signs is caught by what it says."""
    keys = node.node.gate._keys
    signing = keys.active()
    seed = keys._sealer.open(signing_key_label(signing.kid), signing.sealed_secret).reveal()
    public = bytes(signing.public)
    return Forge(access=pair["access_token"], refresh=pair["refresh_token"], secret=seed + public, public=public)


def raw(node: ServedNode, method: str, path: str, headers: dict[str, bytes], body: bytes = b"") -> Got:
    """A request whose header values are bytes as they are; `http.client` refuses some of them."""
    sent = {"Host": b"localhost", "Connection": b"close", "Content-Length": b"%d" % len(body), **headers}
    head = f"{method} {path} HTTP/1.1\r\n".encode()
    head += b"".join(f"{name}: ".encode() + value + b"\r\n" for name, value in sent.items()) + b"\r\n"
    first, _, rest = node.server.raw(head + body, linger=True).partition(b"\r\n\r\n")
    lines = first.decode("latin-1").split("\r\n")
    named = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Got(int(lines[0].split(" ")[1]), named, rest)


def refused_as_guarded(got: Got, *reasons: str) -> None:
    """401 with the header that existing clients look at, on whatever route."""
    assert got.status == 401, got.text
    assert got.code in (reasons or {"invalid_token"}), got.text
    assert got.headers["x-auth-error"] == got.code
    assert got.headers["www-authenticate"].lower() == "bearer"


def refused_as_login(got: Got) -> None:
    """401 without that header: there it would make existing clients hang or forget (K4)."""
    assert got.status == 401, got.text
    assert got.json["data"] is None
    assert isinstance(got.json["error"], str)
    assert "x-auth-error" not in got.headers


def upgrade(token: str) -> tuple[str, dict[str, bytes]]:
    """Path and headers of a WebSocket that has its token in the query."""
    headers = {"Upgrade": b"websocket", "Connection": b"Upgrade", "Sec-WebSocket-Version": b"13"}
    return f"/ws?token={quote(token)}", {**headers, "Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ=="}


def everywhere(node: ServedNode, token: str) -> Iterator[Got]:
    """The answers to a token, in each place where one is taken."""
    bearer = {"Authorization": b"Bearer " + token.encode("utf-8", "surrogatepass")}
    yield raw(node, "GET", "/auth/validate", bearer)
    yield raw(node, "POST", "/auth/validate", {"X-Forwarded-Uri": f"/ws?token={token}".encode("utf-8", "replace")})
    for method, path in GUARDED:
        yield raw(node, method, path, bearer)
    opening = raw(node, "GET", *upgrade(token))
    if opening.status != 431 or len(quote(token)) < LONGEST_LINE:
        yield opening


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.__name__)
@settings(max_examples=8, deadline=None, suppress_health_check=LOOSE, derandomize=True)
@given(data=st.data())
def test_a_forged_token_is_401_on_every_guarded_route(
    node: ServedNode, forge: Forge, forgery: Forgery, data: st.DataObject
) -> None:
    for got in everywhere(node, forgery(forge, data.draw)):
        refused_as_guarded(got)


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.__name__)
@settings(max_examples=8, deadline=None, suppress_health_check=LOOSE, derandomize=True)
@given(data=st.data())
def test_a_forged_token_refreshes_and_ends_nothing(
    node: ServedNode, forge: Forge, forgery: Forgery, data: st.DataObject
) -> None:
    forged = forgery(forge, data.draw)
    for access, refresh in ((forged, forge.refresh), (forge.access, forged), (forged, forged)):
        if (access, refresh) != (forge.access, forge.refresh):
            got = node.ask("POST", "/auth/refresh", {"access_token": access, "refresh_token": refresh})
            refused_as_login(got)

    assert node.ask("GET", "/auth/validate", token=forge.access).status == 200


@pytest.mark.parametrize("ago", [61 + 1, 3_600, 10**9])
def test_an_expired_token_says_so_on_every_guarded_route(node: ServedNode, forge: Forge, ago: int) -> None:
    for got in everywhere(node, forge.with_claims(exp=int(time.time()) - ago)):
        refused_as_guarded(got, "token_expired")


def test_the_leeway_of_a_minute_is_the_wires(node: ServedNode, forge: Forge) -> None:
    header = {"Authorization": b"Bearer " + forge.with_claims(exp=int(time.time()) - 30).encode()}
    for path in ("/auth/validate", "/admin/keys", "/admin-api/is-authed"):
        assert raw(node, "GET", path, header).status == 200


@settings(max_examples=60, deadline=None, suppress_health_check=LOOSE, derandomize=True)
@given(written=st.binary(max_size=200).map(lambda raw: bytes(each for each in raw if each >= 32 and each != 127)))
def test_whatever_stands_in_the_header_is_answered_with_401(node: ServedNode, written: bytes) -> None:
    for path in ("/auth/validate", "/admin/keys"):
        got = raw(node, "GET", path, {"Authorization": written})
        refused_as_guarded(got, "missing_token", "invalid_token")


@pytest.mark.parametrize(
    ("before", "after", "validate", "elsewhere"),
    [
        ("Bearer ", "", 200, 200),
        ("Bearer   ", "  ", 200, 200),
        ("bearer ", "", 401, 200),  # the wire's look-up is exact there; RFC 9110 is taken elsewhere
        ("BEARER ", "", 401, 200),
        ("Bearer", "", 401, 401),
        ("Bearer\t", "", 401, 401),
        ("Token ", "", 401, 401),
        ("Basic ", "", 401, 401),
        ("Bearer Bearer ", "", 401, 401),
        ("Bearer ", ",", 401, 401),
        ("Bearer ", " x", 401, 401),
        ("", "", 401, 401),
    ],
)
def test_a_good_token_is_taken_in_the_spellings_of_the_wire(
    node: ServedNode, forge: Forge, before: str, after: str, validate: int, elsewhere: int
) -> None:
    header = {"Authorization": f"{before}{forge.access}{after}".encode()}

    assert raw(node, "GET", "/auth/validate", header).status == validate
    assert raw(node, "GET", "/admin/keys", header).status == elsewhere
    assert raw(node, "GET", "/admin-api/contexts", header).status == elsewhere


def test_a_token_in_the_query_counts_where_the_wire_has_it_and_nowhere_else(node: ServedNode, forge: Forge) -> None:
    with connect(f"ws://127.0.0.1:{node.server.port}/ws?token={forge.access}") as socket:
        socket.ping().wait(10)
    for path in ("/admin/keys", "/admin-api/contexts", "/auth/validate"):
        refused_as_guarded(raw(node, "GET", f"{path}?token={forge.access}", {}), "missing_token")


def test_a_tokens_payload_can_be_read_with_plain_atob(forge: Forge) -> None:
    for token in (forge.access, forge.refresh):
        assert not {"-", "_"} & set(token.split(".")[1])


@pytest.mark.parametrize("opening", [f"/ws?token={'x' * 9_000}", f"/ws?{'a=1&' * 3_000}", f"/{'x' * 20_000}"])
def test_an_opening_that_is_too_long_is_answered_at_once(node: ServedNode, opening: str) -> None:
    _, headers = upgrade("")
    before = time.monotonic()

    got = raw(node, "GET", opening, headers)

    assert (got.status, got.code) == (431, "head_too_large")
    assert time.monotonic() - before < 5
