import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.runtime.guests import blob_id_of, check, guest, invocation, module, number, run

from meroid.runtime import limits
from meroid.runtime.compiler import BROKE_OFF, TOO_LONG, CompilationEndedError, Compiler, _environment
from meroid.runtime.modules import EndedModules
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import BadModuleError, NotCompiledError

TINY = module('(module (func (export "m")))')
NO_STATE: dict[bytes, bytes] = {}


def bomb(loops: int = 1000, variables: int = 600) -> bytes:
    """12 kB that take minutes and gigabytes: each variable has a value of its own in each loop."""
    local = "(local" + " i32" * variables + ")"
    use = "".join(f" local.get {i} i32.const 1 i32.add local.set {i}" for i in range(variables))
    return module(f"(module (func {local}" + " loop" * loops + use + " i32.const 1 br_if 0 end" * loops + "))")


BOMB = bomb()


def number_guest(value: int) -> bytes:
    return guest(f"(call $number (i64.const {value}))")


def children() -> set[int]:
    """Processes of this one that compile, those included that ended and weren't waited for."""
    found = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        try:
            found |= {int(each) for each in listed.read_text().split()}
        except OSError:  # the thread has ended
            continue
    return found


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    before, open_before = children(), descriptors()
    yield
    assert children() - before == set()
    assert descriptors() <= open_before


def wait_for_child(known: set[int]) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in children() - known:
            name = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"compiler_process" in name:
                return child
        time.sleep(0.005)
    raise AssertionError("no process compiles")


def test_a_bomb_is_refused_when_its_time_is_over() -> None:
    start = time.monotonic()
    with pytest.raises(BadModuleError) as refused:
        check(BOMB, runtime=WasmRuntime(compile_seconds=1))
    assert time.monotonic() - start < 10
    assert refused.value.code == "bad_module"
    assert refused.value.reason == TOO_LONG


def test_a_bomb_that_is_offered_again_costs_nothing() -> None:
    runtime = WasmRuntime(compile_seconds=1)
    for most in (10, 0.5):
        start = time.monotonic()
        with pytest.raises(BadModuleError, match=TOO_LONG):
            check(BOMB, runtime=runtime)
        assert time.monotonic() - start < most


def test_ended_modules_are_forgotten_in_time_and_in_number() -> None:
    ended = EndedModules(modules=2, seconds=600)
    names = [blob_id_of(bytes([i])) for i in range(3)]
    for name in names:
        ended.note(name, TOO_LONG)
    assert [ended.reason(name) for name in names] == [None, TOO_LONG, TOO_LONG]
    brief = EndedModules(modules=2, seconds=0)
    brief.note(names[0], TOO_LONG)
    assert brief.reason(names[0]) is None


def test_calls_and_new_modules_are_served_while_a_bomb_is_compiled() -> None:
    runtime = WasmRuntime(compile_seconds=8)
    known = number_guest(1)
    check(known, runtime=runtime)
    before = children()
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(check, BOMB, runtime=runtime)
        wait_for_child(before)
        assert [number(run(known, runtime=runtime)) for _ in range(200)] == [1] * 200
        assert number(run(number_guest(2), runtime=runtime)) == 2  # compiled now, in a process of its own
        assert not refused.done()
        with pytest.raises(BadModuleError, match=TOO_LONG):
            refused.result()


def test_too_much_memory_ends_the_compilation_only() -> None:
    many = module("(module " + "(func)" * 20_000 + ")")
    runtime = WasmRuntime(compile_memory_bytes=150 * 1024**2)
    with pytest.raises(BadModuleError, match=BROKE_OFF):
        check(many, runtime=runtime)
    check(TINY, runtime=runtime)


def test_a_compiler_that_can_not_even_start_is_no_harm() -> None:
    with pytest.raises(BadModuleError, match=BROKE_OFF):
        check(TINY, runtime=WasmRuntime(compile_memory_bytes=1024**2))


def test_a_compiler_that_is_killed_is_no_harm_and_the_next_one_works() -> None:
    runtime = WasmRuntime()
    before = children()
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(check, BOMB, runtime=runtime)
        os.kill(wait_for_child(before), signal.SIGKILL)
        with pytest.raises(BadModuleError, match=BROKE_OFF):
            refused.result()
    check(TINY, runtime=runtime)


def test_what_was_checked_is_not_compiled_again() -> None:
    runtime = WasmRuntime()
    code = number_guest(3)
    check(code, runtime=runtime)

    def load() -> bytes:
        raise AssertionError

    assert number(runtime.run(blob_id_of(code), load, invocation(), NO_STATE.get)) == 3


def test_a_run_whose_compilation_is_ended_does_not_fail_the_call() -> None:
    runtime = WasmRuntime(compile_memory_bytes=1024**2)
    with pytest.raises(NotCompiledError):
        run(TINY, runtime=runtime)


def test_refused_modules_push_no_good_one_out() -> None:
    runtime = WasmRuntime(cached_modules=2)
    codes = [number_guest(4), number_guest(5)]
    for code in codes:
        check(code, runtime=runtime)
    for i in range(5):
        with pytest.raises(BadModuleError):
            check(b"\0asm\1\0\0\0" + bytes([i] * 9), runtime=runtime)
    for code in codes:
        assert runtime.run(blob_id_of(code), lambda: b"", invocation(), NO_STATE.get).failure is None


def test_new_modules_are_compiled_one_after_the_other() -> None:
    runtime = WasmRuntime()
    before, most, done = children(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, len(children() - before))

    watcher = threading.Thread(target=watch)
    watcher.start()
    codes = [number_guest(100 + i) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda code: check(code, runtime=runtime), codes))
    done.set()
    watcher.join()
    assert most == 1
    assert [number(run(code, runtime=runtime)) for code in codes] == [100 + i for i in range(6)]


def test_who_gets_no_turn_in_time_is_told_so() -> None:
    compiler = Compiler(seconds=3, wait_seconds=0)
    before = children()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(compiler.compile, BOMB)
        wait_for_child(before)
        with pytest.raises(NotCompiledError, match="too many"):
            compiler.compile(TINY)
        with pytest.raises(CompilationEndedError, match=TOO_LONG):
            ended.result()


def test_without_a_process_nothing_is_said_about_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(NotCompiledError, match="no process"):
        check(TINY, runtime=WasmRuntime())


def test_compiling_depends_neither_on_the_directory_nor_on_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("meroid", "wasmtime", "resource", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "meroid.py"))
    check(TINY, runtime=WasmRuntime())


def test_the_process_gets_no_variable_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEROID_PASSPHRASE", "secret")
    assert set(_environment()) <= {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "RAYON_NUM_THREADS"}


def test_the_number_of_imports_and_exports_is_bounded() -> None:
    imports = '(import "env" "input" (func (param i64)))' * (limits.IMPORTS.value + 1)
    exports = "".join(f'(export "m{i}" (func 0))' for i in range(limits.EXPORTS.value + 1))
    for code in (f"(module {imports})", f"(module (func) {exports})"):
        with pytest.raises(BadModuleError, match="compilation error: the module has more than"):
            check(module(code), runtime=WasmRuntime())


def test_exports_with_many_parameters_are_no_methods() -> None:
    code = module(f'(module (func (export "m") (param {"i64 " * 900})) (func (export "n") (result i32) (i32.const 1)))')
    for name in ("m", "n"):
        assert "invalid signature" in (run(code, invocation(name)).failure or "")
