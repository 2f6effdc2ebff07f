"""The few calls of wasmtime's C interface that its Python classes do in a way we can't use.

Why not the classes: an exception in a host function travels through a variable that all
threads share, so one run can end with the error of another; and a host call costs 10 us
there, 0.6 us here. The names used are private to the package, so its major version is
pinned (`pyproject.toml`) and tests/unit/runtime covers each function.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from wasmtime import FuncType, Instance, Linker, Store, Trap, ValType, WasmtimeError, _ffi as ffi
from wasmtime._extern import wrap_extern

HostCallback = Callable[[Any], int]
"""Takes the raw values (arguments in, result out), returns 0 or the address of a trap."""

_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


def define(linker: Linker, name: str, *, arity: int, result: str | None, callback: HostCallback) -> object:
    """Define `env.name` for every store; keep the returned object as long as the linker.

    All parameters are i64; `result` is "i32", "i64" or nothing.
    """

    def entry(_env: object, _caller: object, values: Any, _count: int) -> int:  # noqa: ANN401
        return callback(values)

    results = {None: [], "i32": [ValType.i32()], "i64": [ValType.i64()]}[result]
    kept = ffi.wasmtime_func_unchecked_callback_t(entry)
    kind = FuncType([ValType.i64()] * arity, results)
    space, raw = _text("env"), _text(name)
    error = ffi.wasmtime_linker_define_func_unchecked(
        linker.ptr(), space, len(space), raw, len(raw), kind.ptr(), kept, None, _NO_FINALIZER
    )
    if _given(error):
        raise WasmtimeError._from_ptr(error)  # noqa: SLF001
    return kept


def new_trap() -> int:
    """A trap to return from a host function; its reason is kept by the run, not by the trap."""
    trap = Trap("host")._consume()  # noqa: SLF001
    return ctypes.cast(trap, ctypes.c_void_p).value or 0


def export(store: Store, instance: Instance, name: str) -> object:
    """One export by name, or nothing; the classes would wrap all exports for it."""
    raw = _text(name)
    item = ffi.wasmtime_extern_t()
    found = ffi.wasmtime_instance_export_get(
        store._context(),  # noqa: SLF001
        ctypes.byref(instance._instance),  # noqa: SLF001
        raw,
        len(raw),
        ctypes.byref(item),
    )
    return wrap_extern(item) if found else None


def is_plain(kind: FuncType) -> bool:
    """Whether functions of this type take and return nothing; the classes would list a thousand types for it."""
    kinds = ffi.wasm_functype_params(kind.ptr()), ffi.wasm_functype_results(kind.ptr())
    return not any(kind.contents.size for kind in kinds)


def call(store: Store, function: Any) -> Trap | WasmtimeError | None:  # noqa: ANN401
    """Call a function without arguments and results; what ended it early, or nothing.

    A trap of the machine comes as `Trap`, one that a host function returned as `WasmtimeError`.
    """
    trap = ctypes.POINTER(ffi.wasm_trap_t)()
    error = ffi.wasmtime_func_call(
        store._context(),  # noqa: SLF001
        ctypes.byref(function._func),  # noqa: SLF001
        None,
        0,
        None,
        0,
        ctypes.byref(trap),
    )
    if _given(error):
        return WasmtimeError._from_ptr(error)  # noqa: SLF001
    return Trap._from_ptr(trap) if _given(trap) else None  # noqa: SLF001


def _given(pointer: Any) -> bool:  # noqa: ANN401
    """Whether the pointer isn't null (that is what its truth value says)."""
    return bool(pointer)


def _text(text: str) -> ctypes.Array[ctypes.c_char]:
    raw = text.encode()
    return (ctypes.c_char * len(raw)).from_buffer_copy(raw)
