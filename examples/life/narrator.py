"""Tells what happens: for people on a terminal, plain where there is none, one JSON object a step for programs."""

import json
import shlex
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, Protocol, TextIO

Fact = str | int | float | bool | None

WIDTH: Final = 100
_LONGEST_WORD: Final = 64
_INDENT: Final = "   "


class Mark(StrEnum):
    """What kind of line it is."""

    SAY = "say"
    COMMAND = "command"
    OUTPUT = "output"
    HOLDS = "holds"
    REFUSED = "refused"


class Step:
    """One step of the story while it is played: its lines for people, its facts for programs."""

    def __init__(self, number: str, title: str) -> None:
        self.number = number
        self.title = title
        self.lines: list[tuple[Mark, str]] = []
        self.facts: dict[str, Fact] = {}
        self.ms = 0

    def say(self, text: str, **facts: Fact) -> None:
        """A sentence, and the facts in it."""
        self._add(Mark.SAY, text, facts)

    def command(self, words: Sequence[str]) -> None:
        """What was typed."""
        self._add(Mark.COMMAND, typed(words), {})

    def output(self, text: str) -> None:
        """What a program printed, word for word."""
        self._add(Mark.OUTPUT, text, {})

    def holds(self, text: str, **facts: Fact) -> None:
        """Something that was checked, and is so."""
        self._add(Mark.HOLDS, text, facts)

    def refused(self, text: str, **facts: Fact) -> None:
        """Something that was refused, as it should be."""
        self._add(Mark.REFUSED, text, facts)

    def _add(self, mark: Mark, text: str, facts: Mapping[str, Fact]) -> None:
        self.lines.append((mark, text))
        self.facts |= facts


class Narrator(Protocol):
    """Where the story goes."""

    def begin(self, text: str) -> None: ...
    def tell(self, step: Step) -> None: ...
    def end(self, text: str) -> None: ...


class JsonNarrator:
    """One object a line and step: `step`, `title`, `ms`, `facts`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, text: str) -> None:
        """Nothing: programs need no introduction."""

    def tell(self, step: Step) -> None:
        """One line."""
        row = {"step": step.number, "title": step.title, "ms": step.ms, "facts": step.facts}
        print(json.dumps(row, ensure_ascii=False), file=self._out, flush=True)

    def end(self, text: str) -> None:
        """Nothing either: the exit code says how it went."""


class TextNarrator:
    """Sentences, with colours where they are wanted."""

    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self._out = out
        self._colour = colour

    def begin(self, text: str) -> None:
        """The introduction."""
        self._print(_wrapped(text))

    def tell(self, step: Step) -> None:
        """A heading with the time that the step took, then its lines."""
        heading = self._paint("1", f"{step.number}  {step.title}")
        self._print(f"\n{heading}  {self._paint('2', f'{step.ms} ms')}")
        for mark, text in step.lines:
            self._print(self._line(mark, text))

    def end(self, text: str) -> None:
        """The last words."""
        self._print("\n" + _wrapped(text))

    def _line(self, mark: Mark, text: str) -> str:
        match mark:
            case Mark.COMMAND:
                return self._paint("36", f"{_INDENT}$ {text}")
            case Mark.OUTPUT:
                return textwrap.indent(text, _INDENT)
            case Mark.HOLDS:
                return self._marked("32", "✓", text)
            case Mark.REFUSED:
                return self._marked("31", "✗", text)
            case Mark.SAY:
                return _wrapped(text, _INDENT)

    def _marked(self, colour: str, sign: str, text: str) -> str:
        body = _wrapped(text, f"{_INDENT}  ").removeprefix(f"{_INDENT}  ")
        return f"{_INDENT}{self._paint(colour, sign)} {body}"

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def narrator_for(out: TextIO, environ: Mapping[str, str], *, as_json: bool) -> Narrator:
    """The narrator for this stream: colours on a terminal only, and not where `NO_COLOR` is set."""
    if as_json:
        return JsonNarrator(out)
    colour = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return TextNarrator(out, colour=colour)


@contextmanager
def telling(narrator: Narrator, number: str, title: str) -> Iterator[Step]:
    """Play one step, and tell it; one that fails is told as far as it came."""
    step = Step(number, title)
    start = time.monotonic()
    try:
        yield step
    finally:
        step.ms = since(start)
        narrator.tell(step)


def typed(words: Sequence[str]) -> str:
    """A command as it stands in a shell; invitations, which are long and secret, are shortened."""
    return " ".join(f"{word[:10]}…{word[-6:]}" if _is_long(word) else shlex.quote(word) for word in words)


def since(start: float) -> int:
    """Whole milliseconds since a moment of `time.monotonic`."""
    return round((time.monotonic() - start) * 1000)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _is_long(word: str) -> bool:
    return len(word) > _LONGEST_WORD and word.isalnum()
