"""Access to the guest's linear memory; every pointer and length comes from the guest and may lie."""

import ctypes
import struct
from typing import Final

from wasmtime import Memory, Store

from meroid.limits import Limit
from meroid.runtime import limits
from meroid.runtime.failure import INVALID_MEMORY_ACCESS, GuestError, limit_text

_BUFFER: Final = struct.Struct("<QQ")


class GuestMemory:
    """Reads and writes the memory of one instance, within its bounds and a budget of bytes.

    Before `attach` (a start function is running, or the module exports no memory) every access
    fails. The memory doesn't move while it grows: the engine reserves its whole address space.
    """

    __slots__ = ("_base", "_left", "_length", "_memory", "_store")

    def __init__(self) -> None:
        self._left = limits.HOST_BYTES.value
        self._base = 0
        self._length = 0
        self._memory: Memory | None = None
        self._store: Store | None = None

    def attach(self, store: Store, memory: Memory) -> None:
        """Use this memory from now on."""
        self._store = store
        self._memory = memory
        self._length = memory.data_len(store)
        self._base = ctypes.addressof(memory.data_ptr(store).contents) if self._length else 0

    def read(self, at: int, size: int) -> bytes:
        """Copy bytes out.

        Raises:
            GuestError: out of bounds, or more than a run may copy.
        """
        if not size:
            return b""
        return ctypes.string_at(self.address(at, size), size)

    def write(self, at: int, data: bytes) -> None:
        """Copy bytes in; raises as `read`."""
        if data:
            ctypes.memmove(self.address(at, len(data)), data, len(data))

    def address(self, at: int, size: int) -> int:
        """Where these bytes lie in this process; raises as `read`."""
        end = at + size
        if end > self._length and end > self._refreshed():
            raise GuestError(INVALID_MEMORY_ACCESS)
        self._left -= size
        if self._left < 0:
            raise GuestError(limit_text(limits.HOST_BYTES))
        return self._base + at

    def buffer(self, at: int) -> tuple[int, int]:
        """A Buffer descriptor: pointer and length, both unchecked."""
        pointer, size = _BUFFER.unpack_from(self.read(at, limits.DESCRIPTOR_BYTES))
        return pointer, size

    def content(self, at: int, *, limit: Limit, overflow: str) -> bytes:
        """The bytes that a Buffer descriptor names; `overflow` is the failure beyond the limit."""
        pointer, size = self.buffer(at)
        if size > limit.value:
            raise GuestError(overflow)
        return self.read(pointer, size)

    def exactly(self, at: int, size: int) -> bytes:
        """The bytes that a Buffer descriptor names, which must be so many."""
        pointer, given = self.buffer(at)
        if given != size:
            raise GuestError(INVALID_MEMORY_ACCESS)
        return self.read(pointer, size)

    def _refreshed(self) -> int:
        if self._memory is not None and self._store is not None:
            self._length = self._memory.data_len(self._store)
            if not self._base and self._length:
                self._base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        return self._length
