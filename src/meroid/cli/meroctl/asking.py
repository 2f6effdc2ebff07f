"""Asking a person before what can't be undone, and showing how far long work is."""

import sys
from collections.abc import Iterable

from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.refusals import CancelledError, NotConfirmedError

_YES = frozenset({"y", "yes"})


def confirm(question: str, *, otherwise: str, before: Iterable[str] = ()) -> None:
    """Go on with a yes only; `before` are lines that say what would happen.

    Raises:
        NotConfirmedError: there is no terminal to ask; `otherwise` says what would have happened.
        CancelledError: the answer was no.
    """
    if not is_interactive():
        raise NotConfirmedError(otherwise)
    sys.stderr.write("".join(f"{printable(line)}\n" for line in before))
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in _YES:
        raise CancelledError("it was not confirmed")


def progress(text: str) -> None:
    """How far it is, on a terminal only; the next line takes its place."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{printable(text)}")
        sys.stderr.flush()
