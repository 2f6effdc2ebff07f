import pytest
from tests.unit.runtime.guests import buffer, guest, invocation, module, run

from meroid.ids import BlobId
from meroid.runtime.wasm import WasmRuntime

LOCATION = (
    buffer(1024, 6, slot=32) + "(i32.store (i32.const 48) (i32.const 12)) (i32.store (i32.const 52) (i32.const 5))"
)
ROOT = buffer(1024, 32) + buffer(0, 0, slot=16) + "(call $commit (i64.const 0) (i64.const 16))"


def test_an_error_value_is_a_decimal_list() -> None:
    code = guest(
        f"(i64.store (i32.const 0) (i64.const 1)) {buffer(1024, 2, slot=8)} (call $value_return (i64.const 0))",
        data=b'{"',
    )
    assert run(code).failure == "the method call returned an error: [123, 34]"


def test_an_empty_error_value_is_an_empty_list() -> None:
    code = guest("(i64.store (i32.const 0) (i64.const 1)) (call $value_return (i64.const 0))")
    assert run(code).failure == "the method call returned an error: []"


def test_a_panic_says_where() -> None:
    code = guest(f"{LOCATION} {buffer(1030, 3)} (call $panic_utf8 (i64.const 0) (i64.const 32))", data=b"lib.rsboo")
    assert run(code).failure == "guest panicked: boo at lib.rs:12:5"
    code = guest(f"{LOCATION} (call $panic (i64.const 32))", data=b"lib.rs")
    assert run(code).failure == "guest panicked: explicit panic at lib.rs:12:5"


def test_a_missing_export_is_not_found() -> None:
    assert run(guest(""), invocation("nope")).failure == 'method "nope" not found'
    assert run(guest(""), invocation("memory")).failure == 'method "memory" not found'


@pytest.mark.parametrize("kind", ["(param i32)", "(result i32)", "(param i64) (result f32)"])
def test_an_export_with_arguments_or_results_has_an_invalid_signature(kind: str) -> None:
    code = module(f'(module (func (export "m") {kind} unreachable))')
    expected = 'method "m" has invalid signature: expected no arguments and no return value'
    assert run(code).failure == expected


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("(call $m)", "stack overflow"),
        ("(drop (i32.load (i32.const -8)))", "memory out of bounds"),
        ("(call_indirect $t (type $v) (i32.const 99))", "table access out of bounds"),
        ("(call_indirect $t (type $v) (i32.const 1))", "indirect call to null"),
        ("(call_indirect $t (type $r) (i32.const 0)) drop", "bad signature"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "illegal arithmetic operation"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "illegal arithmetic operation"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "illegal arithmetic operation"),
        ("(unreachable)", "unreachable code reached"),
    ],
)
def test_traps_have_their_texts(body: str, text: str) -> None:
    code = module(
        f"(module (memory 1) (type $v (func)) (type $r (func (result i32))) (table $t 2 funcref) (elem (i32.const 0) $m)"
        f'(func $m (export "m") {body}))'
    )
    assert run(code).failure == text


def test_an_endless_loop_runs_out_of_fuel() -> None:
    code = module('(module (func (export "m") (loop $l (br $l))))')
    assert run(code, runtime=WasmRuntime(fuel=1_000_000)).failure == "execution limit reached: fuel"


def test_an_unknown_register_is_named() -> None:
    code = guest(f"{buffer(4096, 1)} (drop (call $read_register (i64.const 77) (i64.const 0)))")
    assert run(code).failure == "invalid register id: 77"


def test_a_second_commit_fails() -> None:
    assert run(guest(ROOT + ROOT)).failure == "commit called twice"


def test_a_root_that_is_not_32_bytes_fails() -> None:
    code = guest(f"{buffer(1024, 31)} (call $commit (i64.const 0) (i64.const 0))")
    assert run(code).failure == "invalid memory access"


def test_a_value_that_is_neither_success_nor_error_fails() -> None:
    code = guest("(i64.store (i32.const 0) (i64.const 2)) (call $value_return (i64.const 0))")
    assert run(code).failure == "deserialization error"


@pytest.mark.parametrize("use", ["(call $log_utf8 (i64.const 0))", "(call $emit (i64.const 0))"])
def test_texts_must_be_utf8(use: str) -> None:
    assert run(guest(buffer(1024, 1) + use, data=b"\xff")).failure == "invalid UTF-8 string"


def test_code_that_does_not_compile_or_link_says_so() -> None:
    assert (run(b"nonsense").failure or "").startswith("compilation error: ")
    unknown = module('(module (import "env" "js_std_d_print" (func)) (func (export "m")))')
    assert run(unknown).failure == "link error: the module imports what this node doesn't offer: env.js_std_d_print"
    bad_data = module('(module (memory 1) (data (i32.const 65536) "x") (func (export "m")))')
    assert run(bad_data).failure == "memory out of bounds"


def test_a_failing_registration_of_merge_functions_is_ignored() -> None:
    register = f'(func (export "__calimero_register_merge") {ROOT} (call $panic (i64.const 32)))'
    body = ROOT + "(call $return (i64.const 1024) (i64.const 2))"
    outcome = run(guest(body, data=b"ok", more=register))
    assert (outcome.failure, outcome.returned) == (None, b"ok")
    loop = '(func (export "__calimero_register_merge") (loop $l (br $l)))'
    outcome = run(guest(body, data=b"ok", more=loop), runtime=WasmRuntime(fuel=100_000))
    assert (outcome.failure, outcome.returned) == (None, b"ok")


def test_registration_of_merge_functions_comes_before_the_method() -> None:
    register = (
        "(global $seen (mut i64) (i64.const 0))"
        '(func (export "__calimero_register_merge") (global.set $seen (i64.const 1)))'
    )
    assert run(guest("(call $number (global.get $seen))", more=register)).returned == b"\1" + b"\0" * 7


def test_what_the_state_raises_comes_out_unchanged() -> None:
    class LostError(Exception):
        pass

    def read(_key: bytes) -> bytes | None:
        raise LostError

    code = guest(buffer(1024, 32) + "(drop (call $storage_read (i64.const 0) (i64.const 0)))")
    runtime = WasmRuntime()
    with pytest.raises(LostError):
        runtime.run(BlobId(b"b" * 32), lambda: code, invocation(), read)
    with pytest.raises(LostError):
        runtime.run(BlobId(b"c" * 32), lambda: read(b"") or b"", invocation(), read)
