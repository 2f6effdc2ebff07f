"""A node that speaks TLS, as a process: its clients verify it, and a renewal needs no restart."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.processes import Merod, Owner, eventually, initialise, start, stop
from tests.servers import Got

SIGHUP = 1


class SecureNode(Merod):
    """A node whose certificate only those trust who are told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__("one", folder, owner=Owner("alice", "correct horse battery"))
        self.authority = Authority()
        self.root = folder / "root.pem"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def write(self, name: str) -> None:
        home = self.home / self.name
        self.authority.write(home / "cert.pem", home / "key.pem", name)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, token: str = ""
    ) -> Got:
        trust = ssl.create_default_context(cafile=self.root)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=trust)
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token or self.token:
            sent["Authorization"] = f"Bearer {token or self.token}"
        try:
            connection.request(method, path, body=json.dumps(body).encode() if body is not None else None, headers=sent)
            response = connection.getresponse()
            return Got(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def hang_up(self) -> None:
        """What a certificate's renewal does."""
        assert self._process is not None
        self._process.send_signal(SIGHUP)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureNode]:
    made = SecureNode(tmp_path_factory.mktemp("tls"))
    initialise(made)
    made.write("first")
    made.authority.write_root(made.root)
    config = made.home / made.name / "config.toml"
    config.write_text(config.read_text() + '\n[server.tls]\ncert = "cert.pem"\nkey = "key.pem"\n')
    start(made)
    try:
        yield made
    finally:
        stop(made)


def test_the_node_says_where_it_answers_and_browsers_are_told_to_stay_with_tls(node: SecureNode) -> None:
    assert f"answers on https://127.0.0.1:{node.port}" in node.log
    assert node.ask("GET", "/auth/providers").headers["strict-transport-security"] == "max-age=31536000"


def test_meroctl_works_with_a_private_authority_and_refuses_without(node: SecureNode) -> None:
    trusting = {"SSL_CERT_FILE": str(node.root)}
    password = str(node.person / "password")
    node.meroctl("login", "--username", "alice", "--password-file", password, environment=trusting)
    ran = node.meroctl("context", "ls", environment=trusting)
    assert ran.code == 0
    refused = node.meroctl("context", "ls", ends_with=None)
    assert refused.code != 0
    assert "TLS" in refused.err


def test_a_renewal_is_taken_at_a_signal_and_a_bad_one_changes_nothing(node: SecureNode) -> None:
    def shown() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", node.port)).encode()

    before = shown()
    key = node.home / node.name / "key.pem"
    key.write_text("no key")
    node.hang_up()
    eventually(lambda: "the old one stays" in node.log, "the log tells of a bad key")
    assert shown() == before
    node.write("second")
    node.hang_up()
    eventually(lambda: shown() != before, "the new certificate is shown")
    assert node.ask("GET", "/health/live").status == 200
    assert node.running
