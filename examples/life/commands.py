"""`meroctl` as a person types it, and what it answered."""

import json
from dataclasses import dataclass

from examples.life.machines import PROGRAMS, Machine, StoryError
from examples.life.narrator import Step, typed

from meroid.client.answers import text_at, value_at


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command was refused: the stable code and the reason."""

    code: str
    reason: str


class Meroctl:
    """The command line of one person; each command is shown in the step in which it is typed, unless `quiet`.

    Commands run with `--output-format json`, which the story leaves out when it shows them.
    """

    def __init__(self, machine: Machine, step: Step, *, quiet: bool = False) -> None:
        self._machine = machine
        self._step = step
        self._quiet = quiet

    def ask(self, *words: str) -> object:
        """The body of a command's first answer."""
        status, out, err = self._run(words, as_json=True)
        if status != 0:
            raise StoryError(f"meroctl {typed(words)} ended with {status}: {err or out}")
        return json.loads(out.splitlines()[0])

    def call(self, method: str, context: str, executor: str, **arguments: str) -> object:
        """What a method of the application returned."""
        return value_at(self.ask(*_call(method, context, executor, arguments)), "result", "output")

    def call_refused(self, method: str, context: str, executor: str, **arguments: str) -> Refusal:
        """Why a call was refused; a call that is let through is a failure of the story."""
        words = _call(method, context, executor, arguments)
        status, out, _ = self._run(words, as_json=True)
        if status != 1:
            raise StoryError(f"meroctl {typed(words)} should be refused, and ended with {status}")
        why = value_at(json.loads(out.splitlines()[0]), "error", "meroid")
        return Refusal(text_at(why, "code"), text_at(why, "reason"))

    def show(self, *words: str) -> str:
        """What a command prints for people, which the story shows."""
        status, out, err = self._run(words, as_json=False)
        if status != 0:
            raise StoryError(f"meroctl {typed(words)} ended with {status}: {err or out}")
        self._step.output(out.rstrip("\n"))
        return out

    def _run(self, words: tuple[str, ...], *, as_json: bool) -> tuple[int, str, str]:
        node = ["--node", self._machine.node]
        if not self._quiet:
            self._step.command(["meroctl", *node, *words])
        output = ["--output-format", "json"] if as_json else []
        done = self._machine.run(PROGRAMS / "meroctl", *node, *output, *words)
        return done.returncode, done.stdout, done.stderr


def _call(method: str, context: str, executor: str, arguments: dict[str, str]) -> tuple[str, ...]:
    words = ("call", method, "--context", context, "--as", executor)
    return (*words, "--args", json.dumps(arguments)) if arguments else words
