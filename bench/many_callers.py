"""Calls from many callers at the same time: what they share, and what keeps them from going faster."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import wasmtime
from bench.measure import Report, Work, in_turn, timed, timed_together
from bench.processes import NodeProcess
from tests.kv_store import kv_store_bytecode
from tests.node_world import Machine

from meroid.ids import BlobId, ContextId
from meroid.keys.public import PublicKey
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import Invocation

MOST_CALLERS: Final = 50
PARALLEL: Final = 1.6
SPIN_S: Final = 0.006
_COUNTS: Final = (1, 10, MOST_CALLERS)


def group_commit(report: Report, machine: Machine, calls: Sequence[Callable[[], object]]) -> None:
    """Threads in this process, each in a context of its own."""
    grouped: dict[int, list[float]] = {count: [] for count in _COUNTS}

    def together(count: int) -> Work:
        each = max(10, 200 // count)
        work = timed_together(lambda number: calls[number](), count, each)

        def run() -> float:
            before = machine.node.store.commits
            cost = work()
            grouped[count].append(count * each / (machine.node.store.commits - before))
            return cost

        return run

    report.section(
        "Callers of `set` at the same time through the service, each in a context of its own",
        "What waits is committed at once, so callers share a flush of the disk. What is left is Python on one core, and\n"
        "that so many threads of one process ask for its lock. The floor is one caller.",
    )
    _rates(report, {count: together(count) for count in _COUNTS}, grouped)


def callers_over_http(report: Report, node: NodeProcess, given: Mapping[str, object]) -> None:
    """Connections from this process, each in a context of its own."""
    owner = node.caller()
    application = owner.install(kv_store_bytecode(), node.folder)
    places = [owner.create(application) for _ in range(MOST_CALLERS)]
    requests = [place.request("set", **given) for place in places]
    callers = [node.caller() for _ in places]

    def call(number: int) -> bytes:
        return places[number].call(callers[number], requests[number])

    report.section(
        "Callers of `set` at the same time over HTTP, each in a context of its own",
        "The same in a process of its own. The limit is Python on one core: HTTP, JSON, the call's own steps.",
    )
    _rates(report, {count: timed_together(call, count, max(4, 200 // count)) for count in _COUNTS}, {})
    for each in (owner, *callers):
        each.close()


def _rates(report: Report, works: Mapping[int, Work], grouped: Mapping[int, Sequence[float]]) -> None:
    measured = in_turn({str(count): work for count, work in works.items()}, rounds=9)
    alone = str(min(works))
    for count in works:
        ratio = measured.ratio(alone, str(count))
        report.rate(f"{count} callers", measured[str(count)], floor=measured[alone], ratio=ratio)
        if count in grouped:
            report.amount("  calls in a commit", sum(grouped[count]) / len(grouped[count]), "calls")


def parallel_runs(report: Report, node: NodeProcess) -> None:
    """A method that works for some milliseconds in WASM, from one caller and from fifty."""
    owner = node.caller()
    application = owner.install(_spinner(), node.folder)
    places = [owner.create(application) for _ in range(10)]
    callers = [node.caller() for _ in range(MOST_CALLERS)]

    def call(number: int) -> bytes:
        place = places[number % len(places)]
        return place.call(callers[number], place.request("spin"))

    works = {"one": timed_together(call, 1, 40), "all": timed_together(call, MOST_CALLERS, 4)}
    measured = in_turn(works, rounds=9)
    for each in (owner, *callers):
        each.close()
    report.section(
        f"A method that works {SPIN_S * 1e3:.0f} ms in WASM, over HTTP from this process",
        "Runs of different contexts go on side by side: WASM doesn't hold Python's lock.",
    )
    report.rate("1 caller, 1 context", measured["one"])
    ratio = measured.ratio("one", "all")
    name = f"{MOST_CALLERS} callers, {len(places)} contexts"
    report.rate(name, measured["all"], floor=measured["one"], ratio=ratio, target=PARALLEL)


def _spinner() -> bytes:
    """A module whose `spin` takes about `SPIN_S` on this machine."""
    trial = 1_000_000
    seconds = in_turn({"spin": timed(_spin(WasmRuntime(), _spinning(trial)), 1)}, rounds=3)["spin"]
    return _spinning(int(trial * SPIN_S / seconds))


def _spin(runtime: WasmRuntime, bytecode: bytes) -> Callable[[], object]:
    blob_id = BlobId(os.urandom(32))
    invocation = Invocation(
        method="spin", input=b"{}", context_id=ContextId(bytes(32)), executor=PublicKey(bytes(32)), at=0
    )
    return lambda: runtime.run(blob_id, lambda: bytecode, invocation, lambda _: None)


def _spinning(turns: int) -> bytes:
    """A module whose `spin` counts to a number."""
    return bytes(
        wasmtime.wat2wasm(f"""(module
          (memory (export "memory") 1)
          (func (export "init"))
          (func (export "spin") (local $n i64)
            (loop $on
              (local.set $n (i64.add (local.get $n) (i64.const 1)))
              (br_if $on (i64.lt_u (local.get $n) (i64.const {turns}))))))""")
    )
