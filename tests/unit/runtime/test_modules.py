import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.runtime.guests import RUNTIME, blob_id_of, buffer, check, guest, invocation, module, number, run

from meroid.ids import BlobId
from meroid.limits import APPLICATION_BYTES
from meroid.runtime.host import HOST_FUNCTIONS
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import BadModuleError


def nothing(_key: bytes) -> None:
    """Read an empty state."""


def test_a_module_with_known_imports_passes() -> None:
    check(guest(""))


@pytest.mark.parametrize("bytecode", [b"", b"\0asm", b"(module)", b"\0asm\1\0\0\0garbage", b"\0asm\x0d\0\1\0"])
def test_what_is_not_webassembly_is_refused(bytecode: bytes) -> None:
    with pytest.raises(BadModuleError):
        check(bytecode)


def test_too_large_a_module_is_refused() -> None:
    with pytest.raises(BadModuleError, match="more than"):
        check(b"\0asm\1\0\0\0" + bytes(APPLICATION_BYTES.value))


@pytest.mark.parametrize("name", ["js_crdt_map_new", "blob_create", "xcall", "persist_root_state", "send_proposal"])
def test_imports_that_are_not_offered_are_named(name: str) -> None:
    code = module(f'(module (import "env" "{name}" (func)) (import "wasi" "x" (func)) (func (export "m")))')
    with pytest.raises(BadModuleError, match=f"env.{name}, wasi.x"):
        check(code)


def test_many_unknown_imports_are_cut_and_made_printable() -> None:
    many = "".join(f'(import "env" "evil\\0a{i}" (func))' for i in range(40))
    with pytest.raises(BadModuleError, match="and 28 more") as refused:
        check(module(f"(module {many})"))
    assert "\n" not in refused.value.reason


def test_an_import_of_the_wrong_type_is_refused() -> None:
    for code in ('(import "env" "input" (func (param i32)))', '(import "env" "input" (global i32))'):
        with pytest.raises(BadModuleError, match="link error"):
            check(module(f"(module {code})"))


@pytest.mark.parametrize(
    "code", ["(memory 1 1 shared)", "(memory i64 1)", "(memory 1) (memory 1)", '(memory (export "memory") 1025)']
)
def test_unsupported_kinds_of_memory_are_refused(code: str) -> None:
    with pytest.raises(BadModuleError):
        check(module(f"(module {code})"))


def test_the_functions_that_plain_rust_applications_import_are_all_there() -> None:
    plain = (
        "value_return log_utf8 input register_len read_register panic_utf8 emit context_id executor_id commit "
        "storage_read time_now random_bytes storage_write storage_remove ed25519_verify"
    )
    assert set(plain.split()) <= set(HOST_FUNCTIONS)


def test_nan_bits_do_not_depend_on_the_machine() -> None:
    code = guest(
        "(call $number (i64.reinterpret_f64 (f64.mul (f64.reinterpret_i64 (i64.const 0x7ff8000000000123)) (f64.const 2))))"
    )
    assert number(run(code)) == 0x7FF8000000000000


def test_nothing_in_memory_survives_a_run() -> None:
    count = "(i64.store (i32.const 4096) (i64.add (i64.load (i32.const 4096)) (i64.const 1)))"
    code = guest(count + "(call $number (i64.load (i32.const 4096)))")
    assert [number(run(code)) for _ in range(3)] == [1, 1, 1]


def test_a_module_is_loaded_once_and_the_oldest_is_dropped() -> None:
    runtime = WasmRuntime(cached_modules=2)
    loaded: list[int] = []

    def use(i: int) -> None:
        def load() -> bytes:
            loaded.append(i)
            return guest(f"(call $number (i64.const {i}))")

        assert number(runtime.run(BlobId(bytes([i]) * 32), load, invocation(), nothing)) == i

    for i in (1, 1, 2, 1, 3, 1, 2):
        use(i)
    assert loaded == [1, 2, 3, 2]


def test_a_module_that_could_not_be_loaded_is_tried_again() -> None:
    runtime = WasmRuntime()
    code = guest("")
    answers = [b"nonsense", code]
    outcomes = [runtime.run(BlobId(b"x" * 32), lambda: answers.pop(0), invocation(), nothing) for _ in range(2)]
    assert [outcome.failure is None for outcome in outcomes] == [False, True]


def test_many_threads_share_one_runtime_and_load_a_module_once() -> None:
    runtime = WasmRuntime()
    code = guest("(call $input (i64.const 0)) (call $give (i64.const 0))")
    loads: list[int] = []
    start = threading.Barrier(8)

    def load() -> bytes:
        loads.append(1)
        return code

    def work(worker: int) -> bool:
        start.wait()
        name = blob_id_of(code)
        inputs = [f"{worker}-{i}".encode() for i in range(100)]
        return all(runtime.run(name, load, invocation(input_=x), nothing).returned == x for x in inputs)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert len(loads) == 1


def test_failures_of_one_thread_never_show_in_another() -> None:
    runtime = WasmRuntime(fuel=200_000)
    codes = {
        "execution limit reached: fuel": guest("(loop $l (br $l))"),
        "unreachable code reached": guest("(unreachable)"),
        "invalid register id: 1": guest(f"{buffer(1, 1)} (drop (call $read_register (i64.const 1) (i64.const 0)))"),
        "guest panicked: explicit panic at :0:0": guest("(call $panic (i64.const 0))"),
        "stack overflow": guest("(call $deep)", more="(func $deep (call $deep))"),
    }
    start = threading.Barrier(len(codes) * 2)

    def work(expected: str) -> list[str | None]:
        start.wait()
        return [run(codes[expected], runtime=runtime).failure for _ in range(100)]

    with ThreadPoolExecutor(len(codes) * 2) as pool:
        for expected, failures in zip([*codes, *codes], pool.map(work, [*codes, *codes]), strict=True):
            assert set(failures) == {expected}


def test_a_run_inside_a_run_keeps_both_apart() -> None:
    inner = guest("(call $number (i64.const 5))")
    outer = guest(
        buffer(1024, 1) + "(drop (call $storage_read (i64.const 0) (i64.const 0))) (call $give (i64.const 0))",
        data=b"k",
    )

    def read(_key: bytes) -> bytes | None:
        return run(inner).returned

    assert number(RUNTIME.run(blob_id_of(outer), lambda: outer, invocation(), read)) == 5
