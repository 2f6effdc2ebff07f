"""What a call costs on the sample store, in parts, against the bare parts that nobody could leave out.

The bare parts are the things themselves, without anything of a node around them: an instance of the
module and its run on values from plain SELECTs, one Ed25519 signature, one encryption, one commit of
the same rows in a database with the same settings. Their sum is the floor of a call.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import wasmtime
from bench.bare_call import Bare
from bench.many_callers import MOST_CALLERS, callers_over_http, group_commit, parallel_runs
from bench.measure import Report, Rounds, Stopwatch, Work, arguments, in_turn, timed
from bench.processes import NodeProcess
from tests.kv_store import kv_store_bytecode
from tests.node_world import Machine
from tests.simulators.transport import Network

from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.ledger import Ledger
from meroid.runtime import wasm
from meroid.runtime.wasm import WasmRuntime
from meroid.service import execution
from meroid.service.execution import Call
from meroid.service.feed import EventFeed
from meroid.service.payload import DeltaPayload
from meroid.store.sqlite import SqliteStore
from meroid.store.state import SqlState

TARGETS: Final = {"set": 0.5, "get": 0.7}
SAME_COST: Final = 1 / 1.2
LIBRARIES: Final = "argon2, cryptography, nacl, sqlcipher3, starlette, structlog, uvicorn, wasmtime, zenoh"
ARGUMENTS: Final[dict[str, dict[str, object]]] = {"set": {"key": "k", "value": "v"}, "get": {"key": "k"}}
FLOOR: Final = {"set": ("bare run", "bare sign", "bare encrypt", "bare commit"), "get": ("bare run",)}
BARE: Final = {"compose and sign": "bare sign", "encrypt": "bare encrypt", "commit": "bare commit"}
PARTS: Final[list[tuple[object, str, str]]] = [
    (wasm, "Store", "instance"),
    (wasmtime.InstancePre, "instantiate", "instance"),
    (WasmRuntime, "run", "run"),
    (SqliteStore, "read", "read transaction"),
    (SqlState, "read", "state reads"),
    (execution, "seal_data", "encrypt"),
    (DeltaPayload, "encoded", "encrypt"),
    (execution, "author_next", "compose and sign"),
    (Ledger, "add", "judge (ledger)"),
    (SqliteStore, "write", "commit"),
    (EventFeed, "tell", "feed"),
]
"""Where the parts of a call are: owner, attribute, part."""


class Remote:
    """A node in a process of its own, with the sample store."""

    def __init__(self, node: NodeProcess) -> None:
        self._caller = node.caller()
        self._context = self._caller.create(self._caller.install(kv_store_bytecode(), node.folder))
        self._send(self._context.request("set", **ARGUMENTS["set"]))

    def works(self, method: str) -> dict[str, Work]:
        """Requests over one open connection."""
        request = self._context.request(method, **ARGUMENTS[method])
        return {
            "live": timed(lambda: self._caller.send("GET", "/health/live"), 20),
            "validate": timed(lambda: self._caller.send("GET", "/auth/validate"), 20),
            "http": timed(lambda: self._send(request), 20),
        }

    def _send(self, request: bytes) -> bytes:
        return self._context.call(self._caller, request)


def call_in_parts(report: Report, machine: Machine, remote: Remote, method: str, folder: Path, rounds: int) -> Rounds:
    """One call through the service, whole and in parts, against the bare parts."""
    context_id, executor = machine.create(machine.install())
    call = caller_of(machine, context_id, executor, method)
    caller_of(machine, context_id, executor, "set")()
    bare = Bare(machine, context_id, executor, method, ARGUMENTS[method], folder)
    parts: dict[str, list[float]] = {}
    works = {"call": timed(call, 20)} | bare.works(20) | remote.works(method)
    measured = in_turn(works | {"in parts": split(machine, call, parts)}, rounds=rounds)
    report.section(
        f"One call of `{method}` through the service",
        "Encrypted store on this disk, compiled module in the cache, nobody else in the context. The floor of a part\n"
        "is the bare thing. The parts are measured with a stopwatch around each, which costs a little itself.",
    )
    floor = sum(measured[each] for each in FLOOR[method])
    ratio = measured.ratio(FLOOR[method], "call")
    report.cost(f"call {method}", measured["call"], floor=floor, ratio=ratio, target=TARGETS[method])
    floors = {part: measured[bare] for part, bare in BARE.items() if bare in FLOOR[method]}
    instance, reads = measured["bare instance"], measured["bare reads"]
    floors |= {"instance": instance, "state reads": reads, "run": measured["bare run"] - instance - reads}
    middle = {part: statistics.median(seconds) for part, seconds in parts.items()}
    for part in sorted(middle, key=lambda part: -middle[part]):
        report.cost(f"  {part}", middle[part], floor=floors.get(part))
    return measured


def split(machine: Machine, call: Callable[[], object], parts: dict[str, list[float]]) -> Work:
    """Calls with a stopwatch around each part; notes the seconds of each part, round by round."""
    watch = Stopwatch()
    work = timed(watch.wrap("the rest", call), 20)

    def run() -> float:
        with watch.over([*PARTS, (machine.running.execution, "_announce", "publish")]):
            cost = work()
        for part, seconds in watch.reset().items():
            parts.setdefault(part, []).append(seconds / 20)
        return cost

    return run


def caller_of(machine: Machine, context_id: ContextId, executor: PublicKey, method: str) -> Callable[[], object]:
    """Calls a method of the sample store through the service."""
    given = json.dumps(ARGUMENTS[method]).encode()
    call = Call(context_id=context_id, method=method, arguments=given, executor=executor)
    return lambda: machine.running.execution.execute(machine.me, call, machine.at)


def call_over_http(report: Report, measured: dict[str, Rounds]) -> None:
    """The same calls from outside."""
    report.section(
        "The same over HTTP",
        "A node in a process of its own, a caller with one open connection and a token. A request that does nothing\n"
        "(/health/live) and the bare parts of the call are the floor; /auth/validate checks a token and no more.",
    )
    some = next(iter(measured.values()))
    report.cost("GET /health/live", some["live"])
    report.cost("GET /auth/validate", some["validate"])
    for method, of in measured.items():
        parts = (*FLOOR[method], "live")
        floor = sum(of[each] for each in parts)
        report.cost(f"POST /jsonrpc {method}", of["http"], floor=floor, ratio=of.ratio(parts, "http"))
        report.cost("  the request that does nothing", of["live"])
        report.cost("  the service call", of["call"])
        report.cost("  JSON-RPC, token, thread", max(0.0, of["http"] - of["live"] - of["call"]))


def context_sizes(report: Report, machine: Machine, sizes: tuple[int, ...]) -> None:
    """One call in contexts with short and long histories."""
    application = machine.install()
    works: dict[str, Work] = {}
    for size in sizes:
        call = caller_of(machine, *machine.create(application), "set")
        for _ in range(size):
            call()
        works[f"{size:,}"] = timed(call, 5)
    measured = in_turn(works, rounds=60)
    report.section(
        "One call of `set` by length of the history",
        "The floor is the same call in the shortest history; it may cost a fifth more in a long one.",
    )
    short, *longer = works
    report.cost(f"with {short} deltas", measured[short])
    for length in longer:
        ratio = measured.ratio(short, length)
        report.cost(f"with {length} deltas", measured[length], floor=measured[short], ratio=ratio, target=SAME_COST)


def starting(report: Report, rounds: int) -> None:
    """From `merod run` to the first answer: one node, and three at once."""
    nodes = [NodeProcess() for _ in range(3)]
    for node in nodes:
        node.initialise()

    def start(some: list[NodeProcess]) -> float:
        began = time.perf_counter()
        for node in some:
            node.start()
        for node in some:
            node.await_answer()
        took = time.perf_counter() - began
        for node in some:
            node.stop()
        return took

    works: dict[str, Work] = {
        "libraries": lambda: imported(LIBRARIES),
        "one": lambda: start(nodes[:1]),
        "three": lambda: start(nodes),
    }
    measured = in_turn(works, rounds=rounds)
    for node in nodes:
        node.remove()
    report.section(
        "From `merod run` to the first answer of /health/live",
        "The floor is a process of Python that imports the libraries and ends.",
    )
    floor = measured["libraries"]
    report.cost("one node", measured["one"], floor=floor, ratio=measured.ratio("libraries", "one"))
    report.cost("three nodes at once", measured["three"], floor=floor, ratio=measured.ratio("libraries", "three"))


def imported(names: str) -> float:
    """Seconds of a process that imports modules."""
    began = time.perf_counter()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", f"import {names}"], env=environ, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__)
    report = Report()
    rounds, sizes = (15, (10, 300)) if options.quick else (60, (10, 1_000, 10_000))
    with tempfile.TemporaryDirectory(prefix="meroid-bench-") as name, NodeProcess() as node:
        folder = Path(name)
        machine = Machine("bench", folder, Network().transport("bench"))
        remote = Remote(node)
        try:
            calls = {method: call_in_parts(report, machine, remote, method, folder, rounds) for method in TARGETS}
            call_over_http(report, calls)
            context_sizes(report, machine, sizes)
            application = machine.install()
            places = [machine.create(application) for _ in range(MOST_CALLERS)]
            group_commit(report, machine, [caller_of(machine, *place, "set") for place in places])
            callers_over_http(report, node, ARGUMENTS["set"])
            parallel_runs(report, node)
            starting(report, 3 if options.quick else 9)
        finally:
            machine.close()
    report.show(as_json=options.json)


if __name__ == "__main__":
    main()
