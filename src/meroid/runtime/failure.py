"""The texts of failed calls, as `wire/node.md` §2.1 has them, and what ends a run early."""

from collections.abc import Mapping
from typing import Final

from wasmtime import Trap, TrapCode, WasmtimeError

from meroid.limits import Limit

_INDETERMINATE: Final = "indeterminate trap"
_TRAPS: Final[Mapping[TrapCode, str]] = {
    TrapCode.STACK_OVERFLOW: "stack overflow",
    TrapCode.MEMORY_OUT_OF_BOUNDS: "memory out of bounds",
    TrapCode.HEAP_MISALIGNED: "heap misaligned",
    TrapCode.TABLE_OUT_OF_BOUNDS: "table access out of bounds",
    TrapCode.INDIRECT_CALL_TO_NULL: "indirect call to null",
    TrapCode.BAD_SIGNATURE: "bad signature",
    TrapCode.INTEGER_OVERFLOW: "illegal arithmetic operation",
    TrapCode.INTEGER_DIVISION_BY_ZERO: "illegal arithmetic operation",
    TrapCode.BAD_CONVERSION_TO_INTEGER: "illegal arithmetic operation",
    TrapCode.UNREACHABLE: "unreachable code reached",
    TrapCode.OUT_OF_FUEL: "execution limit reached: fuel",
}

INVALID_MEMORY_ACCESS: Final = "invalid memory access"
INVALID_UTF8: Final = "invalid UTF-8 string"


class GuestError(Exception):
    """The guest broke a rule or gave up; the text is the failure of the call."""


def trap_text(reason: Trap | WasmtimeError) -> str:
    """What an early end is called on the wire."""
    code = reason.trap_code if isinstance(reason, Trap) else None
    return _INDETERMINATE if code is None else _TRAPS.get(code, _INDETERMINATE)


def limit_text(limit: Limit) -> str:
    """The failure for a bound that the wire has no text for."""
    return f"execution limit reached: {limit.name.replace('_', ' ')}"


def error_value_text(value: bytes) -> str:
    """The failure for an error value: its bytes as a decimal list."""
    return f"the method call returned an error: {list(value)}"


def panic_text(message: str, file: str, line: int, column: int) -> str:
    """The failure for a panic; line and column count from one."""
    return f"guest panicked: {message} at {file}:{line}:{column}"


def missing_text(method: str) -> str:
    """The failure for a method that isn't exported."""
    return f'method "{method}" not found'


def signature_text(method: str) -> str:
    """The failure for an export that takes or returns something."""
    return f'method "{method}" has invalid signature: expected no arguments and no return value'
