"""Killing a work at every line of the code under test, to see what is left and whether it can go on."""

import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

_KILLED: Final = 77
_FAILED: Final = 78


def kills(
    prepare: Callable[[], Any], work: Callable[[], Any], inside: Collection[Path], *, stride: int = 1
) -> Iterator[int]:
    """Prepare, run the work in a child that dies before its n-th line inside of some files, yield n; for all n.

    Dies as by SIGKILL: no `finally`, no `except`. Ends when the work comes to its end; `stride` takes every n-th only.
    """
    step = 0
    sync, os.fsync = os.fsync, _no_sync  # the system survives, so its disk needn't keep up
    try:
        while True:
            prepare()
            if not killed(work, inside, step):
                assert step > 0, "the work ran no line inside of the files"
                return
            yield step
            step += stride
    finally:
        os.fsync = sync


def _no_sync(fd: object) -> None:
    """Do nothing."""


def killed(work: Callable[[], Any], inside: Collection[Path], step: int) -> bool:
    """Run the work in a child that dies before a line; whether it came that far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the runner's own threads don't matter to the child
        child = os.fork()
    if child == 0:
        _run_and_die(work, frozenset(map(str, inside)), step)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, _KILLED}, f"the work failed by itself before line {step}"
    return code == _KILLED


def _run_and_die(work: Callable[[], Any], inside: frozenset[str], step: int) -> None:
    left = step

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in inside:
            return None
        if event == "line":
            if left == 0:
                os._exit(_KILLED)
            left -= 1
        return trace

    try:
        sys.settrace(trace)
        work()
        sys.settrace(None)
    except BaseException as error:  # noqa: BLE001 - whatever it was, the child must not come back into the runner
        sys.stderr.write(f"{error!r}\n")
        os._exit(_FAILED)
    os._exit(0)
