"""How the demo's story looks: for people on a terminal, plain elsewhere, as JSON for programs."""

import io
import json

import pytest
from examples.life.narrator import Narrator, narrator_for, telling, typed


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def play(narrator: Narrator) -> None:
    narrator.begin("Once.")
    with telling(narrator, "7.1", "A title") as step:
        step.command(["meroctl", "call", "--args", '{"a": 1}'])
        step.output("| a |")
        step.say("A sentence.", count=2)
        step.holds("It is so.")
        step.refused("It is refused.", code="membership_ended")
    narrator.end("The end.")


def test_without_a_terminal_the_text_is_plain() -> None:
    out = io.StringIO()

    play(narrator_for(out, {}, as_json=False))

    lines = out.getvalue().splitlines()
    assert lines[2].startswith("7.1  A title  ")
    assert lines[3:8] == [
        """   $ meroctl call --args '{"a": 1}'""",
        "   | a |",
        "   A sentence.",
        "   ✓ It is so.",
        "   ✗ It is refused.",
    ]
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_they_are_not_wanted(environ: dict[str, str], coloured: bool) -> None:  # noqa: FBT001
    out = Terminal()

    play(narrator_for(out, environ, as_json=False))

    assert ("\x1b[32m✓\x1b[0m It is so." in out.getvalue()) is coloured
    assert ("\x1b" in out.getvalue()) is coloured


def test_programs_get_one_object_a_step() -> None:
    out = io.StringIO()

    play(narrator_for(out, {}, as_json=True))

    (row,) = map(json.loads, out.getvalue().splitlines())
    assert row.pop("ms") >= 0
    assert row == {"step": "7.1", "title": "A title", "facts": {"count": 2, "code": "membership_ended"}}


def test_a_step_that_fails_is_told_as_far_as_it_came() -> None:
    out = io.StringIO()
    narrator = narrator_for(out, {}, as_json=False)

    def fail() -> None:
        with telling(narrator, "1", "A title") as step:
            step.say("So far.")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert "So far." in out.getvalue()


def test_an_invitation_is_shortened_where_a_command_is_shown() -> None:
    invitation = "3aVQtNxiD7" + "x" * 400 + "FgTaBS"

    assert typed(["meroctl", "context", "join", invitation]) == "meroctl context join 3aVQtNxiD7…FgTaBS"
