"""Where results go: tables for people, the wire's body for programs, both on standard output."""

import json
import os
import sys

from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.tables import Table, draw


class Output:
    """The answers of one run, in the format that was asked for."""

    def __init__(self, *, json_format: bool) -> None:
        self.json_format = json_format

    def answer(self, body: object, shown: Table | str) -> None:
        """One answer of the node: its body as one JSON line, or a table or sentence."""
        if self.json_format:
            self._print(compact(body))
        elif isinstance(shown, Table):
            self._print(draw(shown, colour=_wants_colour()))
        else:
            self._print(printable(shown))

    def detail(self, name: str, value: str) -> None:
        """A further line for people, below the table."""
        if not self.json_format:
            self._print(f"{name}: {printable(value)}")

    def value(self, name: str, value: object) -> None:
        """A JSON value for people, below the table."""
        if not self.json_format:
            text = json.dumps(value, ensure_ascii=False, indent=2)
            self._print(f"{name}: " + "\n".join(printable(line) for line in text.split("\n")))

    def info(self, text: str) -> None:
        """A note: `[INFO] …`, in JSON a bare string."""
        self._print(compact(text) if self.json_format else f"[INFO] {printable(text)}")

    def _print(self, text: str) -> None:
        sys.stdout.write(text + "\n")


def compact(body: object) -> str:
    """JSON on one line, as the wire has it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def is_interactive() -> bool:
    """Whether a person can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
