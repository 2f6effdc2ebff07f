"""What the benchmarks share counts right; how long anything takes is no matter here."""

import json

import pytest
from bench.measure import Figure, Report, Rounds, Stopwatch, in_turn, timed_together


def test_works_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    costs = {"one": iter([9.0, 1.0, 3.0, 2.0]), "two": iter([9.0, 10.0, 30.0, 40.0])}

    def work(name: str) -> float:
        order.append(name)
        return next(costs[name])

    rounds = in_turn({"one": lambda: work("one"), "two": lambda: work("two")}, rounds=3)

    assert order == ["one", "two"] * 4
    assert (rounds["one"], rounds["two"]) == (2.0, 30.0)


def test_a_ratio_is_taken_round_by_round() -> None:
    rounds = Rounds({"bare": [1.0, 10.0, 2.0], "more": [1.0, 10.0, 2.0], "whole": [4.0, 80.0, 8.0]})

    assert rounds.ratio("bare", "whole") == 0.25
    assert rounds.ratio(("bare", "more"), "whole") == 0.5


def test_noise_is_how_far_the_middle_half_of_the_rounds_lies_apart() -> None:
    assert Rounds({"still": [2.0, 2.0, 2.0]}).noise("still") == 0
    assert Rounds({"restless": [1.0, 9.0, 2.0, 3.0, 2.0]}).noise("restless") == 0.5


@pytest.mark.parametrize(
    ("ratio", "target", "ok"), [(0.7, 0.7, True), (0.69, 0.7, False), (None, 0.7, False), (0.1, None, None)]
)
def test_a_figure_is_ok_when_it_comes_near_enough_to_its_floor(
    *, ratio: float | None, target: float | None, ok: bool | None
) -> None:
    assert Figure(name="x", value=1, unit="s", ratio=ratio, target=target).ok is ok


def test_json_is_one_object_a_line_with_a_name_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.section("Title", "About.")
    report.cost("call", 0.002, floor=0.001, ratio=0.5, target=0.4)
    report.amount("  part", 3, "µs")
    report.rate("calls", 0.002)

    report.show(as_json=True)

    bare = dict.fromkeys(("floor", "ratio", "target", "ok"))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        bare
        | {"name": "Title / call", "value": 2.0, "unit": "ms", "floor": 1.0, "ratio": 0.5, "target": 0.4, "ok": True},
        bare | {"name": "Title / call / part", "value": 3, "unit": "µs"},
        bare | {"name": "Title / calls", "value": 500.0, "unit": "calls/s"},
    ]


def test_the_table_names_what_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.section("Title", "About.")
    report.cost("call", 0.002, floor=0.001, ratio=0.5, target=0.6)

    report.show(as_json=False)

    assert "≥ 0.60  missed" in capsys.readouterr().out


def test_the_time_of_an_inner_part_is_not_counted_for_the_outer_one() -> None:
    watch = Stopwatch()
    inner = watch.wrap("inner", lambda: sum(range(200_000)))
    outer = watch.wrap("outer", inner)

    outer()
    seconds = watch.reset()

    assert seconds["outer"] < seconds["inner"]
    assert watch.reset() == {}


def test_callers_that_are_timed_together_all_do_their_calls() -> None:
    calls: list[int] = []

    timed_together(calls.append, 3, 5)()

    assert sorted(calls) == [0] * 5 + [1] * 5 + [2] * 5
