"""From the words on the command line to an exit code.

Nothing heavy is imported here: help must be there at once, so each command's module is loaded when it runs.

Exit codes: 0 done, 1 refused or failed, 2 wrong arguments, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence

from meroid.cli.meroctl.grammar import build_parser

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `meroctl` with these words, by default those of the process; the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    _speak_utf8()
    for number, word in enumerate(words, 1):
        if any("\ud800" <= char <= "\udfff" for char in word):
            sys.stderr.write(f"error: argument {number} is not valid UTF-8\nadvice: type it as UTF-8 text\n")
            return 2
    args = build_parser().parse_args(words)
    try:
        from importlib import import_module  # noqa: PLC0415 - start-up time

        from meroid.cli.meroctl.session import Session  # noqa: PLC0415 - start-up time

        module, name = args.run.split(":")
        status: int | None = getattr(import_module(f"meroid.cli.meroctl.{module}"), name)(Session(args))
        sys.stdout.flush()
    except BrokenPipeError:
        # who reads our output has gone; the interpreter would complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nerror: interrupted\nadvice: nothing more was sent; run it again\n")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one exit point: every failure becomes two lines and a code
        from meroid.cli.meroctl.report import report_failure  # noqa: PLC0415 - start-up time

        report_failure(error, args)
        return 1
    return status or 0


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
