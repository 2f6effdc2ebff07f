"""Set-up does a step once, again when its sources changed or its result is gone, and again after an interruption."""

import os
import sys
from pathlib import Path

import pytest
from scripts import environment


class Step:
    """A step that counts how often it was done."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.result = folder / "result"
        self.times = 0
        self.kept: bool | None = None
        self.source.write_text("1")

    def __call__(self, *, keep: bool) -> None:
        self.times += 1
        self.kept = keep
        self.result.write_text("made")

    def once(self, do: environment.Step | None = None) -> None:
        environment.once("step", [self.source], do or self, made=self.result.is_file)


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    return Step(tmp_path)


def test_a_second_run_does_nothing(step: Step) -> None:
    step.once()
    step.once()

    assert step.times == 1


def test_a_changed_source_is_noticed(step: Step) -> None:
    step.once()
    step.source.write_text("2")
    step.once()

    assert (step.times, step.kept) == (2, True)


def test_a_result_that_is_gone_is_made_again(step: Step) -> None:
    step.once()
    step.result.unlink()
    step.once()

    assert step.times == 2


def test_an_interrupted_step_is_done_again_from_nothing(step: Step) -> None:
    def interrupted(*, keep: bool) -> None:
        step.result.write_text(f"half, {keep}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step.once(interrupted)
    step.once()

    assert (step.times, step.kept) == (1, False)


def test_a_step_without_its_result_is_an_error(step: Step) -> None:
    def idle(*, keep: bool) -> None:
        del keep

    with pytest.raises(environment.SetupError, match="without its result"):
        step.once(idle)


def test_a_missing_source_is_named(step: Step) -> None:
    step.source.unlink()

    with pytest.raises(environment.SetupError, match="source is missing"):
        step.once()


def test_a_program_that_fails_shows_its_output_and_one_that_succeeds_does_not(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    environment.run([sys.executable, "-c", "print('fine')"], os.environ)
    with pytest.raises(environment.SetupError, match="failed with code 3"):
        environment.run([sys.executable, "-c", "print('broken'); raise SystemExit(3)"], os.environ)

    assert capfdbinary.readouterr().err == b"broken\n"


def test_the_installers_see_our_environment_and_the_users_index_and_certificates() -> None:
    given = {"VIRTUAL_ENV": "x", "PIP_USER": "1", "PIP_INDEX_URL": "i", "PIP_CERT": "c", "PIP_FIND_LINKS": "f"}

    assert environment.installer_environ(given) == {
        "PIP_INDEX_URL": "i",
        "UV_DEFAULT_INDEX": "i",
        "PIP_CERT": "c",
        "SSL_CERT_FILE": "c",
        "PIP_FIND_LINKS": "f",
    }


def test_what_the_user_set_for_uv_stands() -> None:
    given = {"PIP_INDEX_URL": "pip's", "UV_DEFAULT_INDEX": "uv's"}

    assert environment.installer_environ(given)["UV_DEFAULT_INDEX"] == "uv's"
