"""What a node says at its start, and the set-up code that goes with it."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from meroid.app import Node, initialise_node
from meroid.cli.merod.greeting import greet
from meroid.config import Settings
from meroid.service.login import LoginRequest, Peer


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    home = tmp_path / "node1"
    home.mkdir()
    settings = Settings(
        home=home, name="node1", auth_mode="embedded", listen=(("127.0.0.1", 2528),), swarm=(("127.0.0.1", 2428),)
    )
    made = initialise_node(settings)
    yield made
    made.close()


def test_the_set_up_code_lies_in_its_file_as_a_person_types_it(node: Node) -> None:
    code = node.auth.renew_setup_code()

    assert code is not None
    text = node.settings.setup_code_file.read_text("ascii").strip()
    assert text == code.reveal().decode("ascii")
    assert len(text.replace("-", "")) == 26
    assert stat.S_IMODE(node.settings.setup_code_file.stat().st_mode) == 0o600


def test_once_somebody_owns_the_node_the_file_of_the_set_up_code_is_gone(node: Node) -> None:
    node.auth.renew_setup_code()
    assert node.settings.setup_code_file.exists()
    proof = {"username": "ann", "password": "correct horse battery"}

    node.login.log_in(
        LoginRequest(
            auth_method="user_password",
            public_key="ann",
            client_name="http://127.0.0.1:2528",
            permissions=(),
            provider_data=proof,
            peer=Peer(address="127.0.0.1", host="127.0.0.1:2528"),
        ),
        node.clock.now_ms(),
    )

    assert not node.settings.setup_code_file.exists()


def test_on_a_terminal_the_greeting_shows_the_set_up_code_itself(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    greet(node)

    code = node.settings.setup_code_file.read_text("ascii").strip()
    assert f"set-up code: {code} " in capsys.readouterr().out


def test_in_a_log_the_greeting_names_only_the_file(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    greet(node)

    out = capsys.readouterr().out
    assert node.settings.setup_code_file.read_text("ascii").strip() not in out
    assert f"the set-up code lies in {node.settings.setup_code_file}" in out
