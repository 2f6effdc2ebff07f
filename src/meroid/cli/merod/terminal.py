"""Secrets between a person and a terminal: shown once and wiped, typed, and never in a file or a log."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from meroid import limits
from meroid.account.phrase import confirm_phrase, places_to_confirm
from meroid.errors import ConflictError, InvalidInputError
from meroid.keys.signer import Secret

_COLUMNS: Final = 4
_CLEAR: Final = "\x1b[2J\x1b[3J\x1b[H"  # screen and scrollback; cursor to the top
_YES: Final = frozenset({"y", "yes"})
_LONGEST: Final = limits.BACKUP_BYTES.value * 2


class NoTerminalError(InvalidInputError):
    """Secret words are shown and typed on a terminal only."""

    code = "needs_terminal"
    next_step = "run the command on a terminal of the node's own machine, or name files where the command takes them"


class UnreadableFileError(InvalidInputError):
    """A file that was named can't be read."""

    code = "unreadable_file"
    next_step = "check its path and rights; - stands for standard input"


class NothingTypedError(InvalidInputError):
    """The terminal was closed, or Ctrl-D was typed, where a line was asked for."""

    code = "nothing_typed"
    next_step = "nothing was changed; run it again, and type what is asked for"


class NotConfirmedError(ConflictError):
    """Whoever was asked said no, or nobody could be asked."""

    code = "not_confirmed"
    next_step = "nothing was changed; run it again and say yes, or give --yes"


def need_terminal() -> None:
    """Refuse without a terminal on both ends.

    Raises:
        NoTerminalError: there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminalError("secret words are shown and typed on a terminal only")


def show_words(title: str, words: Secret, *, asked: int = 3, behind: int = 0) -> None:
    """Show words once, wipe them from the screen, and have some of those `behind` the first ones confirmed.

    Raises:
        PhraseNotConfirmedError: a word was another one.
        NothingTypedError: the terminal gave no line.
    """
    print(title)
    try:
        print("\n".join(_lines(words.reveal().decode("ascii").split())))
        _line("Press Enter when you have written them down; they are wiped from the screen then. ")
    finally:  # also after Ctrl-C
        wipe_screen()
    places = places_to_confirm(words, asked, behind=behind)
    confirm_phrase(words, {place: _line(f"Word {place}: ") for place in places})


def type_secret(prompt: str) -> str:
    """A secret line that is typed in sight, since long words can't be typed blindly; call `wipe_screen` after the last."""
    need_terminal()
    try:
        return _line(prompt)
    except BaseException:  # Ctrl-C too: what was typed so far stands on the screen
        wipe_screen()
        raise


def wipe_screen() -> None:
    """Wipe what was typed."""
    print(_CLEAR, end="", flush=True)


def confirm(question: str, *, yes: bool) -> None:
    """Go on with a yes only.

    Raises:
        NotConfirmedError: the answer was no, or there is no terminal and no `--yes`.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or _line(f"{question} [y/N] ").strip().lower() not in _YES:
        raise NotConfirmedError("it was not confirmed")


def read_lines(name: str) -> list[str]:
    """The lines of a file or, for `-`, of standard input, without empty ones.

    Raises:
        UnreadableFileError: it can't be read, is too large, or isn't text.
    """
    return [line for line in read_text(name).splitlines() if line.strip()]


def read_text(name: str) -> str:
    """The text of a file or, for `-`, of standard input.

    Raises:
        UnreadableFileError: as `read_lines`.
    """
    try:
        if name == "-":
            text = sys.stdin.read(_LONGEST)
        else:
            with Path(name).open("r", encoding="utf-8") as file:
                text = file.read(_LONGEST)
    except OSError as error:
        raise UnreadableFileError(f"{name} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{name} is no text") from None
    if len(text) == _LONGEST:
        raise UnreadableFileError(f"{name} is too large")
    return text


def ask_until(prompt: Callable[[int], str], enough: Callable[[Sequence[str]], bool]) -> list[str]:
    """Lines that are typed one by one, until there are enough."""
    lines: list[str] = []
    while not enough(lines):
        lines.append(type_secret(prompt(len(lines) + 1)))
    return lines


def _line(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        print()
        raise NothingTypedError("nothing was typed") from None


def _lines(words: list[str]) -> Iterator[str]:
    rows = -(-len(words) // _COLUMNS)
    for row in range(rows):
        numbered = [f"{place + 1:>2}. {words[place]:<10}" for place in range(row, len(words), rows)]
        yield "  " + "".join(numbered).rstrip()
