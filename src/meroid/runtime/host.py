"""The host functions of module `env` that a guest may import (`wire/node.md` §6.2).

All pointers and lengths are u64; data is passed by descriptors (§6.1), answers through registers.
"""

import secrets
import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from meroid.ids import ID_BYTES
from meroid.keys.public import (
    SIGNATURE_BYTES,
    BadPublicKeyError,
    BadSignatureError,
    PublicKey,
    verify_signature,
)
from meroid.runtime import limits
from meroid.runtime.failure import INVALID_MEMORY_ACCESS, INVALID_UTF8, GuestError, limit_text, panic_text
from meroid.runtime.guest import GuestRun
from meroid.service.ports.runtime import GuestEvent

_LOCATION: Final = struct.Struct("<QQII")
_RESULT: Final = struct.Struct("<QQQ")
_EVENT: Final = struct.Struct("<QQQQ")
_ABSENT: Final = 2**64 - 1
_NS_PER_MS: Final = 1_000_000
_FETCH_ANSWER: Final = b"fetch is disabled"


class HostFunction(NamedTuple):
    """One function: how many i64 it takes, what it gives ("i32", "i64" or nothing), what it does."""

    arity: int
    result: str | None
    call: Callable[..., int | None]


# --- ending a run ---------------------------------------------------------------------------


def _panic(run: GuestRun, location: int) -> None:
    raise GuestError(_panic_at(run, "explicit panic", location))


def _panic_utf8(run: GuestRun, message: int, location: int) -> None:
    pointer, size = run.memory.buffer(message)
    text = run.memory.read(pointer, min(size, limits.PANIC_BYTES.value)).decode("utf-8", "replace")
    raise GuestError(_panic_at(run, text, location))


def _panic_at(run: GuestRun, message: str, location: int) -> str:
    pointer, size, line, column = _LOCATION.unpack(run.memory.read(location, _LOCATION.size))
    file = run.memory.read(pointer, min(size, limits.PANIC_BYTES.value)).decode("utf-8", "replace")
    return panic_text(message, file, line, column)


# --- registers and the call's own data ------------------------------------------------------


def _register_len(run: GuestRun, register: int) -> int:
    data = run.registers.get(register)
    return _ABSENT if data is None else len(data)


def _read_register(run: GuestRun, register: int, buffer: int) -> int:
    data = run.register(register)
    pointer, size = run.memory.buffer(buffer)
    if size != len(data):
        return 0
    run.memory.write(pointer, data)
    return 1


def _context_id(run: GuestRun, register: int) -> None:
    run.fill(register, bytes(run.invocation.context_id))


def _executor_id(run: GuestRun, register: int) -> None:
    run.fill(register, bytes(run.invocation.executor))


def _input(run: GuestRun, register: int) -> None:
    run.fill(register, run.invocation.input)


# --- what the call gives out ----------------------------------------------------------------


def _value_return(run: GuestRun, result: int) -> None:
    tag, pointer, size = _RESULT.unpack(run.memory.read(result, _RESULT.size))
    if tag > 1:
        raise GuestError("deserialization error")
    limit = limits.ERROR_BYTES if tag else limits.RETURN_BYTES
    if size > limit.value:
        raise GuestError(limit_text(limit))
    run.result = (bool(tag), run.memory.read(pointer, size))


def _log_utf8(run: GuestRun, buffer: int) -> None:
    if len(run.logs) >= limits.LOGS.value:
        raise GuestError("logs overflow")
    run.logs.append(_text(run.memory.content(buffer, limit=limits.LOG_BYTES, overflow="log size overflow")))


def _emit(run: GuestRun, event: int) -> None:
    _add_event(run, event, None)


def _emit_with_handler(run: GuestRun, event: int, handler: int) -> None:
    name = None
    if handler:
        overflow = "event kind size overflow"
        name = _text(run.memory.content(handler, limit=limits.EVENT_KIND_BYTES, overflow=overflow))
    _add_event(run, event, name)


def _add_event(run: GuestRun, event: int, handler: str | None) -> None:
    if len(run.events) >= limits.EVENTS.value:
        raise GuestError("events overflow")
    kind, kind_size, data, data_size = _EVENT.unpack(run.memory.read(event, _EVENT.size))
    if kind_size > limits.EVENT_KIND_BYTES.value:
        raise GuestError("event kind size overflow")
    if data_size > limits.EVENT_DATA_BYTES.value:
        raise GuestError("event data size overflow")
    name = _text(run.memory.read(kind, kind_size))
    run.events.append(GuestEvent(name, run.memory.read(data, data_size), handler))


def _commit(run: GuestRun, root: int, artifact: int) -> None:
    if run.committed is not None:
        raise GuestError("commit called twice")
    root_hash = run.memory.exactly(root, ID_BYTES)
    overflow = limit_text(limits.ARTIFACT_BYTES)
    run.committed = (root_hash, run.memory.content(artifact, limit=limits.ARTIFACT_BYTES, overflow=overflow))


# --- storage --------------------------------------------------------------------------------


def _storage_read(run: GuestRun, key: int, register: int) -> int:
    return _found(run, run.stored(_key(run, key)), register)


def _storage_write(run: GuestRun, key: int, value: int, register: int) -> int:
    name = _key(run, key)
    content = run.memory.content(value, limit=limits.VALUE_BYTES, overflow="value length overflow")
    found = _found(run, run.stored(name), register)
    run.store(name, content)
    return found


def _storage_remove(run: GuestRun, key: int, register: int) -> int:
    name = _key(run, key)
    found = _found(run, run.stored(name), register)
    if found:
        run.store(name, None)
    return found


def _key(run: GuestRun, key: int) -> bytes:
    return run.memory.content(key, limit=limits.KEY_BYTES, overflow="key length overflow")


def _found(run: GuestRun, value: bytes | None, register: int) -> int:
    if value is None:
        return 0
    run.fill(register, value)
    return 1


# --- the world ------------------------------------------------------------------------------


def _random_bytes(run: GuestRun, buffer: int) -> None:
    pointer, size = run.memory.buffer(buffer)
    run.memory.address(pointer, size)  # before so many bytes are made
    run.memory.write(pointer, secrets.token_bytes(size))


def _time_now(run: GuestRun, buffer: int) -> None:
    pointer, size = run.memory.buffer(buffer)
    if size != 8:
        raise GuestError(INVALID_MEMORY_ACCESS)
    run.memory.write(pointer, (run.invocation.at * _NS_PER_MS).to_bytes(8, "little"))


def _ed25519_verify(run: GuestRun, signature: int, key: int, message: int) -> int:
    signed = run.memory.exactly(signature, SIGNATURE_BYTES)
    public_key = PublicKey(run.memory.exactly(key, ID_BYTES))
    pointer, size = run.memory.buffer(message)
    text = run.memory.read(pointer, size)
    try:
        verify_signature(public_key.checked(), text, signed)
    except BadPublicKeyError:
        raise GuestError("incorrect ed25519 public key") from None
    except BadSignatureError:
        return 0
    return 1


def _context_is_member(run: GuestRun, key: int) -> int:
    return int(run.memory.exactly(key, ID_BYTES) in run.invocation.members)


def _context_members(run: GuestRun, register: int) -> None:
    members = run.invocation.members
    run.fill(register, len(members).to_bytes(4, "little") + b"".join(members))


def _fetch(run: GuestRun, _url: int, _method: int, _headers: int, _body: int, register: int) -> int:
    """Off, as the wire says: a replicated application must not depend on the outside."""
    run.fill(register, _FETCH_ANSWER)
    return 1


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise GuestError(INVALID_UTF8) from None


HOST_FUNCTIONS: Final[Mapping[str, HostFunction]] = {
    "panic": HostFunction(1, None, _panic),
    "panic_utf8": HostFunction(2, None, _panic_utf8),
    "register_len": HostFunction(1, "i64", _register_len),
    "read_register": HostFunction(2, "i32", _read_register),
    "context_id": HostFunction(1, None, _context_id),
    "executor_id": HostFunction(1, None, _executor_id),
    "input": HostFunction(1, None, _input),
    "value_return": HostFunction(1, None, _value_return),
    "log_utf8": HostFunction(1, None, _log_utf8),
    "emit": HostFunction(1, None, _emit),
    "emit_with_handler": HostFunction(2, None, _emit_with_handler),
    "commit": HostFunction(2, None, _commit),
    "storage_read": HostFunction(2, "i32", _storage_read),
    "storage_write": HostFunction(3, "i32", _storage_write),
    "storage_remove": HostFunction(2, "i32", _storage_remove),
    "fetch": HostFunction(5, "i32", _fetch),
    "random_bytes": HostFunction(1, None, _random_bytes),
    "time_now": HostFunction(1, None, _time_now),
    "ed25519_verify": HostFunction(3, "i32", _ed25519_verify),
    "context_is_member": HostFunction(1, "i32", _context_is_member),
    "context_members": HostFunction(1, None, _context_members),
}
