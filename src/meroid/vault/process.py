"""Keeping the memory of the process that holds seeds from others, where the system allows."""

import ctypes
import sys
from dataclasses import dataclass
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""`prctl(2)`: without it no core is dumped, and no other process of this user may trace this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """What was achieved: no tracing by other processes, no core files."""

    untraceable: bool
    no_core_files: bool


def harden_process() -> Hardening:
    """Forbid core dumps and tracing of this process; never fails, says what it could do.

    A child that is started by `exec` can be traced again; its core limit is inherited.
    """
    return Hardening(untraceable=_forbid_tracing(), no_core_files=_forbid_core_files())


def _forbid_tracing() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _forbid_core_files() -> bool:
    try:
        import resource  # noqa: PLC0415 - this module doesn't exist on every system

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return False
    return True
