"""Small guests in WAT text, and what runs them."""

import hashlib
from collections.abc import Mapping

import wasmtime

from meroid.ids import BlobId, ContextId
from meroid.keys.public import PublicKey
from meroid.runtime.host import HOST_FUNCTIONS
from meroid.runtime.wasm import WasmRuntime
from meroid.service.ports.runtime import Invocation, Outcome

CONTEXT = ContextId(bytes(range(32)))
EXECUTOR = PublicKey(b"\x07" * 32)
AT = 1_700_000_000_123
RUNTIME = WasmRuntime()

# $buffer writes a Buffer descriptor. $return returns bytes as success. $give returns a register's content,
# $number a number as 8 bytes. Data of a test lies from 1024 on; 0 to 1023 is for descriptors.
_PRELUDE = """
(memory (export "memory") 2)
(func $buffer (param $at i32) (param $ptr i64) (param $len i64)
  (i64.store (local.get $at) (local.get $ptr))
  (i64.store offset=8 (local.get $at) (local.get $len)))
(func $return (param $ptr i64) (param $len i64)
  (i64.store (i32.const 900) (i64.const 0))
  (call $buffer (i32.const 908) (local.get $ptr) (local.get $len))
  (call $value_return (i64.const 900)))
(func $give (param $register i64)
  (call $buffer (i32.const 880) (i64.const 65536) (call $register_len (local.get $register)))
  (if (i32.eqz (call $read_register (local.get $register) (i64.const 880))) (then (unreachable)))
  (call $return (i64.const 65536) (call $register_len (local.get $register))))
(func $number (param $value i64)
  (i64.store (i32.const 860) (local.get $value))
  (call $return (i64.const 860) (i64.const 8)))
"""


def module(source: str) -> bytes:
    """A whole module from WAT text."""
    return bytes(wasmtime.wat2wasm(source))


def guest(body: str, *, data: bytes = b"", more: str = "") -> bytes:
    """A module that imports every host function and exports `m` with this body; `data` lies at 1024."""
    imports = "".join(
        f'(import "env" "{name}" (func ${name} {"(param i64)" * f.arity} {f"(result {f.result})" if f.result else ""}))'
        for name, f in HOST_FUNCTIONS.items()
    )
    text = "".join(f"\\{byte:02x}" for byte in data)
    return module(f'(module {imports} {_PRELUDE} (data (i32.const 1024) "{text}") {more} (func (export "m") {body}))')


def invocation(method: str = "m", input_: bytes = b"", members: tuple[PublicKey, ...] = ()) -> Invocation:
    return Invocation(method=method, input=input_, context_id=CONTEXT, executor=EXECUTOR, at=AT, members=members)


def blob_id_of(bytecode: bytes) -> BlobId:
    """A name for the module in the cache; the node's own is another hash, which makes no difference here."""
    return BlobId(hashlib.sha256(bytecode).digest())


def check(bytecode: bytes, *, runtime: WasmRuntime = RUNTIME) -> None:
    """What installing does."""
    runtime.check(blob_id_of(bytecode), bytecode)


def run(
    bytecode: bytes,
    call: Invocation | None = None,
    *,
    state: Mapping[bytes, bytes] | None = None,
    runtime: WasmRuntime = RUNTIME,
) -> Outcome:
    """One run on a state; the module is cached under its hash."""
    return runtime.run(blob_id_of(bytecode), lambda: bytecode, call or invocation(), (state or {}).get)


def buffer(at: int, size: int, *, slot: int = 0) -> str:
    """WAT that writes a Buffer descriptor for data at an address."""
    return f"(call $buffer (i32.const {slot}) (i64.const {at}) (i64.const {size}))"


def number(outcome: Outcome) -> int:
    """What `$number` returned."""
    assert outcome.failure is None
    assert outcome.returned is not None
    return int.from_bytes(outcome.returned, "little")
