"""What the programs that run a service have in common: how they end, log, the password of a first owner."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from meroid.config.log_lines import LEVEL, configure_log
from meroid.errors import InvalidInputError, MeroidError

_REFUSED: Final = 1
_INTERRUPTED: Final = 130


class NoPasswordError(InvalidInputError):
    """An owner was named without a password."""

    code = "no_password"
    next_step = "give the password in a file: --owner-password-file FILE, or - for stdin"


def run_program(work: Callable[[], object]) -> int:
    """Do the work of a program; its exit code is 0, 1 for a refusal, 130 for Ctrl-C."""
    try:
        work()
    except MeroidError as error:
        print_refusal(error)
        return _REFUSED
    except BrokenPipeError:
        # who reads our output has gone; the interpreter would complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _REFUSED
    except KeyboardInterrupt:
        print("\nerror: interrupted\nhint: run it again", file=sys.stderr)
        return _INTERRUPTED
    return 0


def owner_password(owner: str | None, file: str | None) -> str:
    """The password of the first owner, from a file or stdin, never from an argument; empty if there is no owner.

    Raises:
        NoPasswordError: no file was named, or it can't be read.
    """
    if not owner:
        return ""
    if not file:
        raise NoPasswordError("an owner needs a password")
    if file == "-":
        text = sys.stdin.readline()
    else:
        try:
            text = Path(file).read_text("utf-8")
        except OSError as problem:
            raise NoPasswordError(f"the password file {file} can't be read: {problem.strerror}") from None
        except UnicodeDecodeError:
            raise NoPasswordError(f"the password file {file} isn't UTF-8") from None
    return text.rstrip("\r\n")


def print_refusal(error: MeroidError) -> None:
    """Say on standard error what was refused, and what to do."""
    print(f"error: {error.reason} ({error.code})", file=sys.stderr)
    print(f"hint: {error.next_step}", file=sys.stderr)


def log_to_stderr(*, more: bool = False) -> None:
    """Log lines as `config.log_lines` has them; `more` takes debug lines too."""
    chosen = {LEVEL: "debug"} if more else {}
    configure_log(sys.stderr, {**os.environ, **chosen})
