import pytest
from tests.unit.runtime.guests import buffer, guest, invocation, module, number, run

from meroid.runtime import limits
from meroid.runtime.wasm import WasmRuntime

GROW = "(drop (memory.grow (i32.const 600)))"
BAD_ACCESS = "invalid memory access"


def repeat(times: int, body: str) -> str:
    return (
        f"(local $i i64) (loop $l {body} (local.set $i (i64.add (local.get $i) (i64.const 1)))"
        f"(br_if $l (i64.lt_u (local.get $i) (i64.const {times}))))"
    )


@pytest.mark.parametrize(
    ("at", "size"),
    [(1024, 2**17), (2**17 - 1, 2), (2**32, 1), (2**63, 1), (2**64 - 1, 1), (1024, 2**40), (1, 2**64 - 1)],
)
@pytest.mark.parametrize(
    "use",
    [
        "(drop (call $storage_read (i64.const 0) (i64.const 0)))",
        "(call $random_bytes (i64.const 0))",
        "(call $log_utf8 (i64.const 0))",
        "(call $value_return (i64.const 892))",
        "(drop (call $ed25519_verify (i64.const 2048) (i64.const 2064) (i64.const 0)))",
    ],
)
def test_lies_about_pointers_and_lengths_end_the_run(at: int, size: int, use: str) -> None:
    signed = bytes(3)
    as_text = f"(call $buffer (i32.const 0) (i64.const {at - 2**64 if at >= 2**63 else at}) (i64.const {size - 2**64 if size >= 2**63 else size}))"
    result = as_text.replace("(i32.const 0)", "(i32.const 900)", 1) + "(i64.store (i32.const 892) (i64.const 0))"
    key = buffer(3000, 64, slot=2048) + buffer(3100, 32, slot=2064)
    failure = run(guest(as_text + result + key + use, data=signed)).failure
    overflows = {"key length overflow", "log size overflow", "execution limit reached: returned"}
    assert failure == BAD_ACCESS or (failure in overflows and size > 16 * 1024)


@pytest.mark.parametrize("at", [2**17 - 8, 2**17, 2**40, -1])
def test_descriptors_themselves_may_lie_too(at: int) -> None:
    for use in ("(call $emit (i64.const {}))", "(call $value_return (i64.const {}))", "(call $panic (i64.const {}))"):
        assert run(guest(use.format(at))).failure == BAD_ACCESS


def test_a_guest_without_memory_gets_no_data() -> None:
    code = module('(module (import "env" "panic" (func $p (param i64))) (func (export "m") (call $p (i64.const 0))))')
    assert run(code).failure == BAD_ACCESS


def test_a_start_function_gets_no_data() -> None:
    code = module(
        '(module (import "env" "emit" (func $e (param i64))) (memory (export "memory") 1)'
        '(func $s (call $e (i64.const 0))) (start $s) (func (export "m")))'
    )
    assert run(code).failure == BAD_ACCESS


def test_memory_grows_to_1024_pages_and_not_further() -> None:
    assert number(run(guest("(call $number (i64.extend_i32_s (memory.grow (i32.const 1022))))"))) == 2
    assert number(run(guest("(call $number (i64.extend_i32_s (memory.grow (i32.const 1023))))"))) == 2**64 - 1


def test_data_in_grown_memory_is_read() -> None:
    body = GROW + "(i32.store8 (i32.const 39000000) (i32.const 65)) (call $return (i64.const 39000000) (i64.const 1))"
    assert run(guest(body)).returned == b"A"


def test_a_module_that_starts_with_too_much_memory_is_not_linked() -> None:
    assert (run(module('(module (memory 1025) (func (export "m")))')).failure or "").startswith("link error: ")


def test_deep_recursion_is_a_stack_overflow() -> None:
    code = module(
        '(module (func $f (export "m") (call $g (i64.const 1))) (func $g (param i64) (call $g (i64.const 2)) (call $f)))'
    )
    assert run(code).failure == "stack overflow"


def test_a_giant_value_is_refused() -> None:
    body = GROW + f"(call $return (i64.const 0) (i64.const {limits.RETURN_BYTES.value + 1}))"
    assert run(guest(body)).failure == "execution limit reached: returned"
    most = run(guest(body.replace(str(limits.RETURN_BYTES.value + 1), str(limits.RETURN_BYTES.value)))).returned
    assert len(most or b"") == limits.RETURN_BYTES.value


def test_a_giant_error_value_is_refused() -> None:
    body = f"(i64.store (i32.const 0) (i64.const 1)) {buffer(0, limits.ERROR_BYTES.value + 1, slot=8)}"
    assert run(guest(body + "(call $value_return (i64.const 0))")).failure == "execution limit reached: error value"


def test_a_giant_artifact_is_refused() -> None:
    body = GROW + buffer(0, 32) + buffer(0, limits.ARTIFACT_BYTES.value + 1, slot=16)
    assert (
        run(guest(body + "(call $commit (i64.const 0) (i64.const 16))")).failure == "execution limit reached: artifact"
    )


def test_a_long_panic_message_is_cut() -> None:
    body = buffer(1024, 100_000) + buffer(1024, 1, slot=32) + "(call $panic_utf8 (i64.const 0) (i64.const 32))"
    assert len(run(guest(body)).failure or "") < limits.PANIC_BYTES.value + 100


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (limits.KEY_BYTES.value + 1, 1, "key length overflow"),
        (1, limits.VALUE_BYTES.value + 1, "value length overflow"),
        (limits.KEY_BYTES.value, limits.VALUE_BYTES.value, None),
    ],
)
def test_keys_and_values_are_bounded(key: int, value: int, text: str | None) -> None:
    body = GROW + buffer(0, key) + buffer(0, value, slot=16)
    assert run(guest(body + "(drop (call $storage_write (i64.const 0) (i64.const 16) (i64.const 0)))")).failure == text


def test_all_changes_of_a_run_are_bounded() -> None:
    write = "(drop (call $storage_write (i64.const 0) (i64.const 16) (i64.const 0)))"
    body = buffer(1024, 8) + buffer(0, 9 * 1024 * 1024, slot=16)
    keys = "(i64.store (i32.const 1024) (local.get $i))"
    assert run(guest(repeat(8, GROW + body + keys + write))).failure == "execution limit reached: storage writes"


def test_logs_are_bounded() -> None:
    log = buffer(1024, 1) + "(call $log_utf8 (i64.const 0))"
    assert len(run(guest(repeat(100, log))).logs) == 100
    over = run(guest(repeat(101, log)))
    assert (over.failure, len(over.logs)) == ("logs overflow", 100)
    assert run(guest(buffer(1024, 16 * 1024 + 1) + "(call $log_utf8 (i64.const 0))")).failure == "log size overflow"


def test_events_are_bounded() -> None:
    def emitted(times: int, kind: int, data: int) -> str | None:
        event = buffer(1024, kind) + buffer(1024, data, slot=16)
        return run(guest(repeat(times, event + "(call $emit (i64.const 0))"))).failure

    assert emitted(100, 100, 16 * 1024) is None
    assert emitted(101, 1, 1) == "events overflow"
    assert emitted(1, 101, 1) == "event kind size overflow"
    assert emitted(1, 1, 16 * 1024 + 1) == "event data size overflow"
    handler = buffer(1024, 1) + buffer(1024, 101, slot=32) + "(call $emit_with_handler (i64.const 0) (i64.const 32))"
    assert run(guest(handler)).failure == "event kind size overflow"


def test_registers_are_bounded_in_number() -> None:
    assert run(guest(repeat(100, "(call $context_id (local.get $i))"))).failure is None
    assert run(guest(repeat(101, "(call $context_id (local.get $i))"))).failure == BAD_ACCESS
    assert run(guest(repeat(500, "(call $context_id (i64.const 9))"))).failure is None


def test_registers_are_bounded_in_size() -> None:
    call = invocation(input_=bytes(90 * 1024 * 1024))
    assert run(guest(repeat(11, "(call $input (local.get $i))")), call).failure is None
    assert run(guest(repeat(12, "(call $input (local.get $i))")), call).failure == BAD_ACCESS
    assert run(guest("(call $input (i64.const 0))"), invocation(input_=bytes(101 * 1024 * 1024))).failure == BAD_ACCESS


def test_calls_of_host_functions_are_counted() -> None:
    for calls, failure in ((1000, None), (1001, "execution limit reached: host calls")):
        code = guest(repeat(calls, "(drop (call $register_len (i64.const 0)))"))
        assert run(code, runtime=WasmRuntime(host_calls=1000)).failure == failure


def test_bytes_copied_by_the_host_are_counted() -> None:
    body = GROW + buffer(0, 10 * 1024 * 1024) + "(call $random_bytes (i64.const 0))"
    assert run(guest(repeat(200, body))).failure == "execution limit reached: host bytes"
