"""TLS on the listener, on real certificates and real connections."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from tests.certificates import Authority
from tests.servers import running
from tests.unit.http.test_auth_api import HandClock

from meroid.http.tls import LOOK_AGAIN_MS, BadTlsFilesError, TlsListener


async def say_scheme(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    body = scope["scheme"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Place:
    """A server with a certificate of an authority that only its clients here trust."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    clock: HandClock = field(default_factory=lambda: HandClock(int(datetime.now(UTC).timestamp() * 1000)))
    port: int = 0
    listening: TlsListener | None = None
    opened: list[http.client.HTTPSConnection | ssl.SSLSocket] = field(default_factory=list)

    def write(self, name: str = "localhost", *, days: int = 90) -> None:
        self.authority.write(self.cert, self.key, name, days=days)

    @property
    def cert(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    def listener(self) -> TlsListener:
        return TlsListener(self.cert, self.key, self.clock)

    def connect(self, name: str = "localhost") -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=self.authority.write_root(self.folder / "root.pem"))
        connection = http.client.HTTPSConnection(name, self.port, timeout=10, context=trust)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sock = trust.wrap_socket(raw, server_hostname=name)
        self.opened.append(connection)
        return connection

    def ask(self, connection: http.client.HTTPSConnection) -> str:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()

    def name_shown(self) -> str:
        with self.connect_any() as connection:
            shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
        return str(shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def connect_any(self) -> ssl.SSLSocket:
        trust = ssl.create_default_context(cafile=self.authority.write_root(self.folder / "root.pem"))
        trust.check_hostname = False
        connection = trust.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=10))
        self.opened.append(connection)
        return connection


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write()
    return made


@pytest.fixture
def served(place: Place) -> Iterator[Place]:
    with ExitStack() as stack:
        place.listening = place.listener()
        place.port = stack.enter_context(running(say_scheme, place.listening)).port
        yield place
        for each in place.opened:
            each.close()


def test_it_speaks_tls_and_knows_it(served: Place) -> None:
    assert served.ask(served.connect()) == "https"
    assert served.connect_any().version() == "TLSv1.3"


def test_plain_http_gets_no_answer(served: Place) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    plain.request("GET", "/")
    with closing(plain), pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()
    assert served.ask(served.connect()) == "https"


def test_what_is_older_than_tls_1_2_is_refused(served: Place) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        old.wrap_socket(raw)


def test_a_renewed_certificate_is_shown_to_new_connections_and_open_ones_stay(served: Place) -> None:
    open_one = served.connect()
    assert served.ask(open_one) == "https"
    served.write("renewed")
    assert served.name_shown() == "localhost", "it doesn't look at every handshake"
    served.clock.ms += LOOK_AGAIN_MS
    assert served.name_shown() == "renewed"
    assert served.ask(open_one) == "https"


def test_a_signal_has_it_read_at_once(served: Place) -> None:
    served.write("renewed")
    assert served.listening is not None
    assert served.listening.reload(), "what SIGHUP calls"
    assert served.name_shown() == "renewed"


@pytest.mark.parametrize("what", ["other key", "no key", "garbage", "password"])
def test_files_that_can_not_serve_change_nothing_and_are_told_in_the_log(served: Place, what: str) -> None:
    spoil(served, what)
    served.clock.ms += LOOK_AGAIN_MS
    with capture_logs() as lines:
        assert served.name_shown() == "localhost"
        served.clock.ms += LOOK_AGAIN_MS
        assert served.name_shown() == "localhost"
    (line,) = [each for each in lines if each["log_level"] == "error"]
    assert "PEM" in line["next"]
    served.write("repaired")
    served.clock.ms += LOOK_AGAIN_MS
    assert served.name_shown() == "repaired"


@pytest.mark.parametrize("what", ["other key", "no key", "garbage", "password"])
def test_it_does_not_start_with_them(place: Place, what: str) -> None:
    spoil(place, what)
    with pytest.raises(BadTlsFilesError) as caught:
        place.listener()
    assert "key.pem" in caught.value.reason


def test_a_file_that_is_not_there_is_the_one_that_is_named(place: Place) -> None:
    spoil(place, "no key")
    with pytest.raises(BadTlsFilesError, match=r"^[^ ]*key\.pem can't be read: No such file") as caught:
        place.listener()
    assert "cert.pem" not in caught.value.reason


def test_the_log_warns_of_a_certificate_that_has_ended_or_ends_soon(place: Place) -> None:
    for days, expected in ((90, []), (5, ["the certificate ends soon"]), (-1, ["the certificate has expired"])):
        place.write(days=days)
        with capture_logs() as lines:
            place.listener()
        assert [each["event"] for each in lines if each["log_level"] == "warning"] == expected


def spoil(place: Place, what: str) -> None:
    match what:
        case "other key":
            Authority().write(place.folder / "x.pem", place.key, "other")
        case "no key":
            place.key.unlink()
        case "garbage":
            place.cert.write_text("no certificate")
        case _:
            place.authority.write(place.cert, place.key, "locked", password=b"secret")


def test_an_ended_certificate_is_refused_by_a_client_that_looks(place: Place) -> None:
    place.write(days=-1)
    with ExitStack() as stack:
        place.port = stack.enter_context(running(say_scheme, place.listener())).port
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            place.connect()


def test_a_second_client_is_served_while_one_never_finishes_its_handshake(served: Place) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10):
        assert served.ask(served.connect()) == "https"
