"""Bounds on applications; the numbers of `wire/node.md` §6.2 unless the reason says otherwise."""

from typing import Final

from meroid.limits import Limit

MEMORY = Limit("memory", 64 * 1024 * 1024, "bytes", "1024 pages of 64 KiB, the wire's limit")
STACK = Limit("stack", 200 * 1024, "bytes", "the wire's limit; deeper recursion is a stack overflow")
TABLE = Limit("table", 100_000, "elements", "ours: more functions than any application has")
FUEL = Limit("fuel", 5_000_000_000, "instructions", "ours: a few seconds of work; the wire has no limit of time")
HOST_CALLS = Limit("host_calls", 2_000_000, "calls", "ours: a few seconds of work; fuel doesn't count host functions")
HOST_BYTES = Limit("host_bytes", 1024**3, "bytes", "ours: what may be copied into and out of the guest in one run")
REGISTERS = Limit("registers", 100, "registers", "the wire's limit")
REGISTER_BYTES = Limit("register", 100 * 1024 * 1024, "bytes", "the wire's limit")
REGISTERS_BYTES = Limit("registers_total", 1024**3, "bytes", "the wire's limit for all registers")
LOGS = Limit("logs", 100, "lines", "the wire's limit")
LOG_BYTES = Limit("log", 16 * 1024, "bytes", "the wire's limit")
EVENTS = Limit("events", 100, "events", "the wire's limit")
EVENT_KIND_BYTES = Limit("event_kind", 100, "bytes", "the wire's limit; the name of a handler has the same")
EVENT_DATA_BYTES = Limit("event_data", 16 * 1024, "bytes", "the wire's limit")
KEY_BYTES = Limit("storage_key", 1024 * 1024, "bytes", "the wire's limit")
VALUE_BYTES = Limit("storage_value", 10 * 1024 * 1024, "bytes", "the wire's limit")
WRITES_BYTES = Limit("storage_writes", 64 * 1024 * 1024, "bytes", "ours: as much as the guest's memory holds")
RETURN_BYTES = Limit("returned", 16 * 1024 * 1024, "bytes", "ours: an answer is held in memory several times over")
ERROR_BYTES = Limit("error_value", 64 * 1024, "bytes", "ours: its text takes five characters a byte")
ARTIFACT_BYTES = Limit("artifact", 10 * 1024 * 1024, "bytes", "ours: as a storage value; operations are smaller still")
PANIC_BYTES = Limit("panic_message", 16 * 1024, "bytes", "ours: as a log line; longer messages are cut")
CACHED_MODULES = Limit("cached_modules", 32, "modules", "ours: more applications than a node uses at once")
CACHED_BYTES = Limit("cached_bytes", 256 * 1024 * 1024, "bytes", "ours: machine code of all cached modules")
COMPILE_TIME = Limit(
    "compile_time", 20, "seconds", "ours: of processor and of clock; 1 MB of ordinary code takes about a second"
)
COMPILE_MEMORY = Limit(
    "compile_memory", 2 * 1024**3, "bytes", "ours: address space; the sample application takes a twentieth"
)
COMPILE_THREADS = Limit("compile_threads", 2, "threads", "ours: the node goes on working beside them")
COMPILE_WAIT = Limit("compile_wait", 60, "seconds", "ours: three modules that use up their time")
ENDED_MODULES = Limit("ended_modules", 256, "modules", "ours: more than members offer in the time that they are kept")
ENDED_TIME = Limit(
    "ended_time", 600, "seconds", "ours: a busy machine may have been the reason, so that it isn't for ever"
)
COMPILED_BYTES = Limit("compiled", 128 * 1024 * 1024, "bytes", "ours: machine code of one module")
IMPORTS = Limit("imports", 1000, "imports", "ours: far more than there are host functions")
EXPORTS = Limit("exports", 10_000, "exports", "ours: more methods than any application has")

DESCRIPTOR_BYTES: Final = 16
"""Size of a Buffer: ptr u64, len u64."""
