"""What `merod init` says to type next."""

import os
import sys
from pathlib import Path

import pytest

from meroid.cli.merod import program


def init(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(program, "harden_process", lambda: None)  # would hold for the whole test run
    monkeypatch.setattr(program, "log_to_stderr", lambda: None)
    monkeypatch.setattr(sys, "argv", ["merod", *words, "--node-name", "node1", "init"])
    assert program.main() == 0


@pytest.mark.parametrize("known", ["", "here", "elsewhere"])
def test_the_command_to_run_the_node_has_its_home_where_that_is_not_the_known_one(
    known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "a b"
    monkeypatch.setenv("CALIMERO_HOME", str(home) if known == "here" else known)

    init(monkeypatch, "--home", str(home))

    told = f"--home '{home}' " if known != "here" else ""
    assert capsys.readouterr().out.endswith(f"run it with: merod {told}--node-name node1 run\n")


def test_without_a_home_the_command_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    monkeypatch.delenv("CALIMERO_HOME", raising=False)

    init(monkeypatch)

    assert capsys.readouterr().out.endswith("run it with: merod --node-name node1 run\n")
