"""Compiled modules: what may be imported, what is exported, and a bounded cache."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wasmtime import Engine, FuncType, InstancePre, Linker, MemoryType, Module, WasmtimeError

from meroid.ids import BlobId
from meroid.limits import APPLICATION_BYTES
from meroid.runtime import limits, native
from meroid.runtime.compiler import CompilationRefusedError, Compiler
from meroid.runtime.host import HOST_FUNCTIONS
from meroid.service.ports.runtime import BadModuleError, NotCompiledError

_CORE_MODULE: Final = b"\x00asm\x01\x00\x00\x00"
_PAGE_BYTES: Final = 65536
_NAMED_IMPORTS: Final = 12
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModule:
    """A module that is ready to be instantiated.

    Attributes:
        methods: exported functions; true if they take and return nothing.
        size: bytes of its machine code.
    """

    instances: InstancePre
    methods: Mapping[str, bool]
    size: int


def compile_module(engine: Engine, linker: Linker, compiler: Compiler, bytecode: bytes) -> CompiledModule:
    """Compile and link bytecode.

    Raises:
        BadModuleError: too large, not a WebAssembly module, imports that aren't offered, or
            more memory than a guest gets.
        CompilationEndedError, NotCompiledError: as `Compiler.compile`.
    """
    if len(bytecode) > APPLICATION_BYTES.value:
        raise BadModuleError(f"compilation error: the module has more than {APPLICATION_BYTES.value} bytes")
    if not bytecode.startswith(_CORE_MODULE):  # the library would take text as well
        raise BadModuleError("compilation error: the bytes are not a WebAssembly core module of version 1")
    try:
        compiled = compiler.compile(bytecode)
    except CompilationRefusedError as refused:
        raise BadModuleError(f"compilation error: {one_line(refused)}") from None
    module = _load(engine, compiled)
    _refuse_unknown_imports(module)
    _refuse_large_memory(module)
    try:
        instances = linker.instantiate_pre(module)
    except WasmtimeError as error:
        raise BadModuleError(f"link error: {one_line(error)}") from None
    return CompiledModule(instances=instances, methods=_methods(module), size=len(compiled))


def _load(engine: Engine, compiled: bytes) -> Module:
    """Machine code as a module.

    The library runs what it is given here unchecked. That is safe for one reason: these bytes come
    through a pipe from the compiler that this process has just started, from this installation's
    files. They are never kept, and never read from a store or a peer.
    """
    try:
        return Module.deserialize(engine, compiled)
    except WasmtimeError as error:
        raise NotCompiledError(f"machine code not loaded: {one_line(error)}") from None


def _refuse_unknown_imports(module: Module) -> None:
    unknown = [
        f"{item.module}.{item.name}"
        for item in module.imports
        if item.module != "env" or item.name not in HOST_FUNCTIONS or not isinstance(item.type, FuncType)
    ]
    if unknown:
        named = ", ".join(_printable(name) for name in unknown[:_NAMED_IMPORTS])
        more = f" and {len(unknown) - _NAMED_IMPORTS} more" if len(unknown) > _NAMED_IMPORTS else ""
        raise BadModuleError(f"link error: the module imports what this node doesn't offer: {named}{more}")


def _refuse_large_memory(module: Module) -> None:
    for item in module.exports:
        kind = item.type
        if isinstance(kind, MemoryType) and kind.limits.min * _PAGE_BYTES > limits.MEMORY.value:
            raise BadModuleError(f"link error: the module needs more than {limits.MEMORY.value} bytes of memory")


def _methods(module: Module) -> Mapping[str, bool]:
    kinds = ((item.name, item.type) for item in module.exports)
    return {name: native.is_plain(kind) for name, kind in kinds if isinstance(kind, FuncType)}


def one_line(error: Exception) -> str:
    """The library's message on one line of bounded length; names in it come from the module."""
    return _printable(" ".join(str(error).split()))[:_LONGEST_REASON]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST_REASON]


class _Slot:
    """Place for one module; its lock makes sure that only one thread compiles it."""

    __slots__ = ("compiled", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.compiled: CompiledModule | None = None


class ModuleCache:
    """Compiled modules by blob id; the least recently used go first. Safe to use from many threads."""

    def __init__(self, *, modules: int, size: int) -> None:
        self._most = modules
        self._size = size
        self._slots: OrderedDict[BlobId, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, blob_id: BlobId, make: Callable[[], CompiledModule]) -> CompiledModule:
        """The module, made now if it isn't here; what `make` raises goes through, and nothing is kept."""
        with self._lock:
            slot = self._slots.get(blob_id)
            if slot is None:
                slot = self._slots[blob_id] = _Slot()
            self._slots.move_to_end(blob_id)
        compiled = slot.compiled
        if compiled is not None:
            return compiled
        with slot.lock:
            if slot.compiled is None:
                slot.compiled = self._made(blob_id, slot, make)
            compiled = slot.compiled
        self._evict()
        return compiled

    def _made(self, blob_id: BlobId, slot: _Slot, make: Callable[[], CompiledModule]) -> CompiledModule:
        try:
            compiled = make()
        except BaseException:
            with self._lock:
                if self._slots.get(blob_id) is slot:
                    del self._slots[blob_id]
            raise
        with self._lock:
            self._slots.setdefault(blob_id, slot)  # who waited while another failed has a slot that is gone
        return compiled

    def __len__(self) -> int:
        return len(self._slots)

    def _evict(self) -> None:
        """Drop the oldest until count and size fit; the newest always stays."""
        with self._lock:
            held = sum(slot.compiled.size for slot in self._slots.values() if slot.compiled is not None)
            while len(self._slots) > 1 and (len(self._slots) > self._most or held > self._size):
                _, oldest = self._slots.popitem(last=False)
                held -= oldest.compiled.size if oldest.compiled is not None else 0


class EndedModules:
    """Modules whose compilation a bound ended lately: members may offer one again and again."""

    def __init__(self, *, modules: int, seconds: float) -> None:
        self._most = modules
        self._seconds = seconds
        self._ended: OrderedDict[BlobId, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, blob_id: BlobId, reason: str) -> None:
        """Keep the reason for a while; the oldest go first."""
        with self._lock:
            self._ended[blob_id] = time.monotonic(), reason
            self._ended.move_to_end(blob_id)
            if len(self._ended) > self._most:
                self._ended.popitem(last=False)

    def reason(self, blob_id: BlobId) -> str | None:
        """Why not to try it again now, or nothing."""
        with self._lock:
            at, reason = self._ended.get(blob_id, (0.0, ""))
        return reason if reason and time.monotonic() - at < self._seconds else None
