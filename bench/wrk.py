"""wrk, a load generator in C, in a process of its own; every answer is checked (`requests.lua`)."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCRIPT: Final = Path(__file__).with_name("requests.lua")
_MISSING: Final = "wrk isn't installed; on Debian and Ubuntu: apt-get install wrk"


class WrongAnswerError(RuntimeError):
    """An answer was another one than it has to be, so no figure of this run means anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What one run of wrk measured, in seconds: `cost` of one request by the rate, and of one as its client saw it."""

    requests: int
    cost: float
    mean: float
    p50: float
    p99: float


def require_wrk() -> None:
    """End the program if there is no wrk."""
    if shutil.which("wrk") is None:
        sys.exit(_MISSING)


def shoot(url: str, mode: str, lines: Iterable[str], *, seconds: int, connections: int) -> Shot:
    """Ask for so many seconds; `mode` and `lines` are those of `requests.lua`.

    Raises:
        WrongAnswerError: an answer was wrong or none came.
        RuntimeError: there were too few lines.
    """
    with tempfile.NamedTemporaryFile("w", prefix="meroid-wrk-", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "-s", str(_SCRIPT), url]
        done = subprocess.run([*command, "--", mode, file.name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    printed = done.stdout.splitlines()
    at = next(number for number, line in enumerate(printed) if line.startswith("{"))
    said = json.loads(printed[at])
    if said["wrong"] or said["failed"] or not said["requests"]:
        raise WrongAnswerError(f"{mode} {url}: {said}, the first wrong one: {' '.join(printed[at + 1 :])[:400]}")
    if said["short"]:
        raise RuntimeError(f"{mode} {url}: {said['requests']} requests weren't enough for {seconds} s")
    scale = 1e-6
    return Shot(
        requests=said["requests"],
        cost=said["us"] * scale / said["requests"],
        mean=said["mean"] * scale,
        p50=said["p50"] * scale,
        p99=said["p99"] * scale,
    )
