"""The auth service under steady load for minutes: whether its memory stays."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.auth_home import FEW_KEYS, AuthHome, AuthProcess, Wallet
from bench.measure import Report
from bench.wrk import Shot, shoot

LOAD: Final = 0.8
_VALIDATE: Final = "/auth/validate"
_CONNECTIONS: Final = 8
_SLICE_S: Final = 10  # of which it rests as much as makes the load
_SAMPLE_S: Final = 2.0
_GROWTH: Final = 0.02  # of the second half over the first, after the first fifth: flat
_LOGINS_EACH: Final = 4_000
_FIRST_SEEN_EACH: Final = 20_000


def soak(report: Report, folder: Path, seconds: int) -> None:
    """Known and new tokens, log-ins and refreshes at 80 % of what they took before; memory is sampled meanwhile."""
    home = AuthHome(folder / "home")
    slices = max(2, seconds // _SLICE_S)
    wallet = home.fill(keys=FEW_KEYS, refreshes=_LOGINS_EACH * (slices + 1))
    with AuthProcess(home) as service:
        sampler = Sampler(service.pid)
        began = time.monotonic()
        shots: list[Shot] = []
        while time.monotonic() - began < seconds:
            shots += _slice(service.url, wallet)
            time.sleep(max(0.0, _busy(shots) / LOAD - (time.monotonic() - began)))
        whole = time.monotonic() - began
        sizes = sampler.stop()
    report.section(
        f"{whole / 60:.0f} minutes at {LOAD:.0%} load, one worker",
        "Full load with a rest after each slice: known tokens, tokens seen first, NEAR log-ins, refreshes. Memory is the\n"
        "resident set; flat is a second half that is no more than 2 % above the first, after the first fifth.",
    )
    _show(report, sizes, sum(each.requests for each in shots), _busy(shots) / whole)


class Sampler:
    """Reads the resident set of a process again and again, in a thread."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._sizes: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> Sequence[int]:
        """What it read, in KiB."""
        self._ended.set()
        self._thread.join()
        return self._sizes

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            line = next(each for each in self._status.read_text().splitlines() if each.startswith("VmRSS:"))
            self._sizes.append(int(line.split()[1]))


def _slice(url: str, wallet: Wallet) -> list[Shot]:
    user, token = wallet.known()
    steps: list[Callable[[], Shot]] = [
        lambda: shoot(f"{url}{_VALIDATE}", "known", [f"{user} {token}"], seconds=5, connections=_CONNECTIONS),
        lambda: shoot(
            f"{url}{_VALIDATE}", "first", wallet.first_seen(_FIRST_SEEN_EACH), seconds=1, connections=_CONNECTIONS
        ),
        lambda: shoot(f"{url}/auth/token", "post", wallet.near(_LOGINS_EACH), seconds=1, connections=_CONNECTIONS),
        lambda: shoot(
            f"{url}/auth/refresh", "post", wallet.refreshes(_LOGINS_EACH), seconds=1, connections=_CONNECTIONS
        ),
    ]
    return [step() for step in steps]


def _busy(shots: Sequence[Shot]) -> float:
    """Seconds under load."""
    return sum(each.cost * each.requests for each in shots)


def _show(report: Report, sizes: Sequence[int], requests: int, load: float) -> None:
    settled = sizes[len(sizes) // 5 :]
    half = len(settled) // 2
    before, after = statistics.median(settled[:half]), statistics.median(settled[half:])
    report.amount("requests", requests, "requests")
    report.amount("share of the time under load", load, "")
    report.amount("memory, first half", before / 1024, "MiB")
    report.amount("memory, second half", after / 1024, "MiB")
    report.amount("memory, most", max(sizes) / 1024, "MiB")
    report.amount("grown by", after / before - 1, "flat" if after / before - 1 <= _GROWTH else "NOT FLAT")
