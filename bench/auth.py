"""The auth service over HTTP, asked by wrk from a second process, against an application that does nothing."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.auth_floor import Bare
from bench.auth_home import FEW_KEYS, AuthHome, AuthProcess, NoopProcess, Wallet
from bench.auth_soak import soak
from bench.measure import Report, Rounds, Work, in_turn, parser, timed
from bench.wrk import Shot, WrongAnswerError, require_wrk, shoot

KNOWN: Final = 0.8
FIRST_SEEN: Final = 0.6
NEAR: Final = 0.5
CHECKED: Final = 0.9
SAME: Final = 0.9
MANY_KEYS: Final = 1_000_000
CONNECTIONS: Final = 8
# For one second of each, more than any machine that we know gets through.
_FIRST_SEEN_EACH: Final = 20_000
_NEAR_EACH: Final = 4_000
_REFRESHES_EACH: Final = 5_000
_PASSWORDS_EACH: Final = 100
_ASKED: Final = ("known", "first", "near", "password", "refresh")
_NAMES: Final = {
    "known": "GET /auth/validate, a known token",
    "first": "GET /auth/validate, a token seen first",
    "near": "POST /auth/token, NEAR wallet",
    "password": "POST /auth/token, password",
    "refresh": "POST /auth/refresh",
}
_VALIDATE: Final = "/auth/validate"


class Asking:
    """What one service is asked, as works; keeps what wrk saw beside the rate."""

    def __init__(self, url: str, wallet: Wallet) -> None:
        self._url = url
        self._wallet = wallet
        self.shots: dict[str, list[Shot]] = {name: [] for name in _ASKED}

    def works(self) -> dict[str, Work]:
        """One second of each; the cost is that of one request by the rate.

        A password is asked by one connection at a time, and costs what its client waits: two at once would share the
        cores that one hash alone has.
        """
        user, token = self._wallet.known()
        wallet = self._wallet
        return {
            "known": self._work("known", _VALIDATE, "known", lambda: [f"{user} {token}"]),
            "first": self._work("first", _VALIDATE, "first", lambda: wallet.first_seen(_FIRST_SEEN_EACH)),
            "near": self._work("near", "/auth/token", "post", lambda: wallet.near(_NEAR_EACH)),
            "password": self._work(
                "password", "/auth/token", "post", lambda: wallet.password(_PASSWORDS_EACH), alone=True
            ),
            "refresh": self._work("refresh", "/auth/refresh", "post", lambda: wallet.refreshes(_REFRESHES_EACH)),
        }

    def percentiles(self, name: str) -> tuple[float, float]:
        """Medians of p50 and p99 over the rounds, in seconds."""
        shots = self.shots[name]
        return statistics.median(each.p50 for each in shots), statistics.median(each.p99 for each in shots)

    def _work(
        self, name: str, path: str, mode: str, lines: Callable[[], Iterable[str]], *, alone: bool = False
    ) -> Work:
        def run() -> float:
            connections = 1 if alone else CONNECTIONS
            shot = shoot(f"{self._url}{path}", mode, lines(), seconds=1, connections=connections)
            self.shots[name].append(shot)
            return shot.mean if alone else shot.cost

        return run


def floors(stack: ExitStack, folder: Path, token: str) -> dict[str, Work]:
    """What is held against the service: applications that do nothing, asked the same, and the bare parts."""
    works: dict[str, Work] = {}
    for kind in ("callable", "handler"):
        url = f"{stack.enter_context(NoopProcess(kind)).url}{_VALIDATE}"
        works[kind] = lambda url=url: shoot(url, "noop", [token], seconds=1, connections=CONNECTIONS).cost  # type: ignore[misc]
    bare = Bare(folder)
    stack.callback(bare.close)
    return works | {
        "verify": timed(bare.verify, 500),
        "sign": timed(bare.sign, 500),
        "commit": timed(bare.commit, 100),
        "signatures": timed(bare.signatures, 200),
        "hash": timed(bare.hash, 3),
    }


def against_floors(report: Report, measured: Rounds, asking: Asking) -> None:
    """One worker against what bounds it."""
    report.section(
        "One worker",
        "wrk with 8 connections, from a process of its own; every answer is checked. The floors are applications that do\n"
        "nothing, on the same server, asked the same with the same token; the first one has no framework around it, and the\n"
        "targets are against that. Raw parts are what libsodium, Argon2 and SQLCipher take when nothing is around them: the\n"
        "limit of a token seen first is the no-op and one verification, that of a log-in two verifications, two signatures\n"
        "and one commit, one after the other. Eight log-ins at once share commits, so a slow disk flatters them: look at the\n"
        "raw commit first. Noise is how far the middle half of the rounds lies apart.",
    )
    callable_, parts = measured["callable"], ("signatures", "commit")
    report.rate("no-op, bare ASGI callable", callable_)
    _show_noise(report, measured, "callable")
    report.rate("no-op, handler of a bare Starlette", measured["handler"])
    for name in ("verify", "sign", "commit", "hash"):
        report.cost(f"raw {name}", measured[name])
        _show_noise(report, measured, name)
    limits: dict[str, tuple[tuple[str, ...], float | None]] = {
        "known": (("callable",), KNOWN),
        "first": (("callable", "verify"), FIRST_SEEN),
        "near": (parts, NEAR),
        "password": (("hash",), CHECKED),
        "refresh": (parts, None),
    }
    for name, (below, target) in limits.items():
        floor = sum(measured[each] for each in below)
        report.rate(_NAMES[name], measured[name], floor=floor, ratio=measured.ratio(below, name), target=target)
        _show_percentiles(report, asking, name)
        _show_noise(report, measured, name)
    report.rate(
        "known token by the handler's floor",
        measured["known"],
        floor=measured["handler"],
        ratio=measured.ratio("handler", "known"),
    )


def with_many_keys(report: Report, measured: Rounds, asking: Asking) -> None:
    """The same with a million keys in the store."""
    report.section(
        f"One worker, {MANY_KEYS:,} keys in the store",
        f"The floor is the same service with {FEW_KEYS:,}; it was asked in the same rounds.",
    )
    for name in _ASKED:
        ratio = measured.ratio(name, f"many {name}")
        report.rate(_NAMES[name], measured[f"many {name}"], floor=measured[name], ratio=ratio, target=SAME)
        _show_percentiles(report, asking, name)
        _show_noise(report, measured, f"many {name}")


def two_workers(report: Report, home: AuthHome, rounds: int) -> None:
    """The same service with two workers on one store."""
    wallet = home.fill(keys=FEW_KEYS, refreshes=_REFRESHES_EACH * (rounds + 1))
    with AuthProcess(home, workers=2) as service:
        asking = Asking(service.url, wallet)
        measured = in_turn(asking.works(), rounds=rounds)
    report.section(
        "Two workers", "Two processes on one store; without a target, as wrk has to share two cores with them."
    )
    for name in _ASKED:
        report.rate(_NAMES[name], measured[name])
        _show_percentiles(report, asking, name)
        _show_noise(report, measured, name)


def _show_percentiles(report: Report, asking: Asking, name: str) -> None:
    p50, p99 = asking.percentiles(name)
    report.cost("  p50", p50)
    report.cost("  p99", p99)


def _show_noise(report: Report, measured: Rounds, work: str) -> None:
    report.amount("  noise", 100 * measured.noise(work), "%")


def measure(report: Report, folder: Path, *, rounds: int, many: bool) -> None:
    """All of it; what is compared is asked in the same rounds."""
    home = AuthHome(folder / "few")
    needed = _REFRESHES_EACH * (rounds + 1)
    wallet = home.fill(keys=FEW_KEYS, refreshes=needed)
    big = home.copy(folder / "many") if many else None
    two = home.copy(folder / "two")
    with ExitStack() as stack:
        asking = Asking(stack.enter_context(AuthProcess(home)).url, wallet)
        works = floors(stack, folder, wallet.known()[1]) | asking.works()
        asking_big: Asking | None = None
        if big is not None:
            big_wallet = big.fill(keys=MANY_KEYS, refreshes=needed)
            asking_big = Asking(stack.enter_context(AuthProcess(big)).url, big_wallet)
            works |= {f"many {name}": work for name, work in asking_big.works().items()}
        measured = in_turn(works, rounds=rounds)
    against_floors(report, measured, asking)
    if asking_big is not None:
        with_many_keys(report, measured, asking_big)
    two_workers(report, two, max(2, rounds // 2))


def main() -> None:
    """Measure and report; an answer that was wrong ends the program with 1."""
    command = parser(__doc__)
    command.add_argument(
        "--soak", type=int, metavar="SECONDS", help="load one worker for so long, and watch its memory"
    )
    command.add_argument("--rounds", type=int, help="how often each is measured (9, or 5 with --quick)")
    options = command.parse_args()
    require_wrk()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="meroid-bench-") as name:
        try:
            if options.soak:
                soak(report, Path(name), options.soak)
            else:
                rounds = options.rounds or (5 if options.quick else 9)
                measure(report, Path(name), rounds=rounds, many=not options.quick)
        except WrongAnswerError as error:
            sys.exit(f"void: {error}")
    report.show(as_json=options.json)


if __name__ == "__main__":
    main()
