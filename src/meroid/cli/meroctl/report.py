"""A failure as people and programs read it: one line of reason, one of advice; JSON on standard output."""

import json
import sys
import traceback
from argparse import Namespace

from meroid.cli.meroctl.advice import advice_for
from meroid.cli.meroctl.printable import printable
from meroid.client.failures import RefusedError, code_of
from meroid.errors import MeroidError


def report_failure(error: Exception, args: Namespace) -> None:
    """Print why a command failed. With `--verbose` the trace goes to standard error as well."""
    if args.verbose:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, MeroidError):
        reason, advice, code = error.reason, advice_for(error, args), code_of(error)
    else:
        reason, advice, code = (
            f"unexpected {type(error).__name__}",
            "run it again with --verbose and report it",
            "internal",
        )
    status = error.status if isinstance(error, RefusedError) else None
    if args.output_format == "json":
        facts: dict[str, object] = {"Other": [reason], "code": code, "reason": reason, "next": advice}
        if status is not None:
            facts["status"] = status
        print(json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
        return
    where = code if status is None else f"{code}, HTTP {status}"
    print_problem(reason, advice, where)


def print_problem(reason: str, advice: str, code: str) -> None:
    """The two lines for people, on standard error."""
    mark = f" [{code}]" if code else ""
    sys.stderr.write(f"error: {printable(reason)}{printable(mark)}\nadvice: {printable(advice)}\n")
