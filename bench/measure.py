"""What the benchmarks share: works measured in turn, figures with floor and target, two ways to print them.

A claim is a ratio of two works that were measured in the same run, round by round, so that a slow
moment of the machine hits both. A time alone says something about the machine, a ratio about us.
"""

import argparse
import contextlib
import gc
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Work = Callable[[], float]
"""Does something and gives what one unit of it cost, in seconds."""

_UNITS: Final = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of a report.

    Attributes:
        name: a part of the figure before it is indented.
        floor: what the value is held against, in the same unit.
        ratio: how near the value comes to its floor; more is better.
        target: the least ratio that was asked for.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    target: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; nothing without a target."""
        return None if self.target is None else self.ratio is not None and self.ratio >= self.target

    def as_json(self, *above: str) -> str:
        """One line of JSON; what stands above goes before the name."""
        names = ("value", "unit", "floor", "ratio", "target", "ok")
        path = " / ".join((*above, self.name.strip()))
        return json.dumps({"name": path} | {name: getattr(self, name) for name in names}, ensure_ascii=False)


def timed(work: Callable[[], object], calls: int) -> Work:
    """A work that calls something so many times; the unit is one call."""

    def run() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) / calls

    return run


def timed_together(work: Callable[[int], object], callers: int, calls: int) -> Work:
    """A work in which `callers` threads, by number, call something `calls` times each; the unit is one call."""

    def run() -> float:
        gate = threading.Barrier(callers + 1)

        def serve(number: int) -> None:
            gate.wait()
            for _ in range(calls):
                work(number)

        threads = [threading.Thread(target=serve, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        gate.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - start) / (callers * calls)

    return run


@dataclass(frozen=True, slots=True)
class Rounds:
    """What each work cost in each round, in seconds."""

    seconds: Mapping[str, Sequence[float]]

    def __getitem__(self, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds[name])

    def noise(self, name: str) -> float:
        """How far the rounds lie apart: the middle half of them, as a part of the median. Two rounds at least."""
        low, middle, high = statistics.quantiles(self.seconds[name], n=4, method="inclusive")
        return (high - low) / middle

    def ratio(self, floor: str | Sequence[str], value: str) -> float:
        """How near a work came to its floor (the sum of several, if they are several), as the median over the rounds."""
        floors = [floor] if isinstance(floor, str) else floor
        sums = map(sum, zip(*(self.seconds[each] for each in floors), strict=True))
        return statistics.median(below / above for below, above in zip(sums, self.seconds[value], strict=True))


def in_turn(works: Mapping[str, Work], *, rounds: int, warm_up: int = 1) -> Rounds:
    """Measure works one after the other, again and again; the first rounds don't count.

    Many short rounds are better than few long ones: whatever else the machine does then hits all
    works alike, or single rounds that the median leaves out.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    for number in range(warm_up + rounds):
        for name, work in works.items():
            cost = work()
            if number >= warm_up:
                seconds[name].append(cost)
    return Rounds(seconds)


class Stopwatch:
    """Splits the time of a call into parts: what is wrapped counts for its part, and not for the part around it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[float] = []

    def reset(self) -> dict[str, float]:
        """The seconds of each part since the last time."""
        seconds, self.seconds = self.seconds, {}
        return seconds

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed_call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # whatever the function takes and gives
            self._stack.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self.seconds[part] = self.seconds.get(part, 0.0) + spent - self._stack.pop()
                if self._stack:
                    self._stack[-1] += spent

        return timed_call

    @contextlib.contextmanager
    def over(self, places: Sequence[tuple[object, str, str]]) -> Iterator[None]:
        """Time these attributes (owner, name, part) until the end of the block; for one thread."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
        for owner, name, part in places:
            setattr(owner, name, self.wrap(part, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, function in before:
                setattr(owner, name, function)


@dataclass(slots=True)
class Section:
    """Figures that belong together, and a word on what they are."""

    title: str
    about: str
    figures: list[Figure] = field(default_factory=list)

    def as_json(self) -> Iterator[str]:
        """The figures as lines of JSON, named by their place."""
        whole = ""
        for figure in self.figures:
            if figure.name.startswith(" "):
                yield figure.as_json(self.title, whole)
            else:
                whole = figure.name
                yield figure.as_json(self.title)


class Report:
    """Figures in sections; prints a table, or JSON lines."""

    def __init__(self) -> None:
        self.sections: list[Section] = []

    def section(self, title: str, about: str) -> None:
        """Begin a section."""
        self.sections.append(Section(title, about))

    def add(self, figure: Figure) -> None:
        """Add a figure to the last section."""
        self.sections[-1].figures.append(figure)

    def cost(
        self,
        name: str,
        seconds: float,
        *,
        floor: float | None = None,
        ratio: float | None = None,
        target: float | None = None,
    ) -> None:
        """Add a figure that is a time."""
        unit, size = next((each for each in _UNITS if seconds >= each[1]), _UNITS[-1])
        below = None if floor is None else floor / size
        self.add(Figure(name=name, value=seconds / size, unit=unit, floor=below, ratio=ratio, target=target))

    def rate(
        self,
        name: str,
        seconds: float,
        *,
        floor: float | None = None,
        ratio: float | None = None,
        target: float | None = None,
    ) -> None:
        """Add a figure that is a rate of calls, given what one call costs; so for the floor."""
        below = None if floor is None else 1 / floor
        self.add(Figure(name=name, value=1 / seconds, unit="calls/s", floor=below, ratio=ratio, target=target))

    def amount(self, name: str, value: float, unit: str) -> None:
        """Add a figure that is held against nothing."""
        self.add(Figure(name=name, value=value, unit=unit))

    def show(self, *, as_json: bool) -> None:
        """Print everything."""
        for section in self.sections:
            if as_json:
                print("\n".join(section.as_json()))
            else:
                print(f"\n{section.title}\n{section.about}\n\n{_table(section.figures)}")
        sys.stdout.flush()


def _table(figures: Sequence[Figure]) -> str:
    rows = [("", "value", "unit", "floor", "ratio", "target", "")]
    rows += [
        (
            figure.name,
            _number(figure.value),
            figure.unit,
            _number(figure.floor),
            _ratio(figure.ratio),
            "" if figure.target is None else f"≥ {_ratio(figure.target)}",
            {None: "", True: "ok", False: "missed"}[figure.ok],
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = (0, 2, 6)
    lines = (
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(f"  {line}" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def parser(about: str | None) -> argparse.ArgumentParser:
    """What every benchmark understands: `--json`, and `--quick` for small sizes."""
    options = argparse.ArgumentParser(description=about)
    options.add_argument("--json", action="store_true", help="one JSON object a line instead of tables")
    options.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    return options


def arguments(about: str | None) -> argparse.Namespace:
    """What was given of that."""
    return parser(about).parse_args()
