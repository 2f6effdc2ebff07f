"""The demo's machines: what is said when a node does not start."""

import socket
import tempfile
from pathlib import Path

import pytest
from examples.life.machines import StoryError, machines


def start_on_a_taken_port() -> None:
    with socket.socket() as taken, machines([("ada", "node1")]) as (machine,):
        machine.begin_init()
        machine.finish_init()
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        machine.begin_run()
        machine.finish_start()


def test_a_node_that_does_not_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(StoryError, match="node1 ended while it started"):
        start_on_a_taken_port()

    said = capsys.readouterr().err
    assert "the end of node1's log" in said
    assert "address_in_use" in said
    assert list(tmp_path.iterdir()) == []
