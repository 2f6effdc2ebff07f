"""Memory for long-lived secrets that the system neither swaps out nor dumps, where it allows that.

What this gives: the bytes lie in a page of their own, which is locked (`mlock`), left out of core
dumps (`MADV_DONTDUMP`) and not shared with forked children's writes, and which the system empties
when it is given back. What it doesn't: `reveal` hands out an ordinary copy, as every library that
takes `bytes` needs one; those copies live in ordinary memory until it is used again. Hibernation
writes locked pages too.
"""

import ctypes
import mmap
from dataclasses import dataclass
from typing import Final, NoReturn

from meroid.keys.signer import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What was achieved for one page: never swapped out, left out of core dumps."""

    locked: bool
    undumpable: bool


class LockedSecret(Secret):
    """A `Secret` in locked memory; where the system refuses, in ordinary memory, and `protection` says so."""

    __slots__ = ("_length", "_page", "_protection")

    def __init__(self, raw: bytes | bytearray) -> None:
        self._length = len(raw)
        self._page, self._protection = _protected_page(self._length)
        self._page[: self._length] = bytes(raw)

    @classmethod
    def taking(cls, secret: Secret) -> "LockedSecret":
        """Move a secret into locked memory; the given copy is wiped."""
        taken = cls(secret.reveal())
        secret.wipe()
        return taken

    @property
    def protection(self) -> Protection:
        """What the system granted."""
        return self._protection

    def reveal(self) -> bytes:
        """The bytes; keep the copy short-lived."""
        return self._page[: self._length]

    def wipe(self) -> None:
        """Overwrite the page with zeros."""
        self._page[: self._length] = bytes(self._length)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"LockedSecret({self._length} bytes)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


_PRIVATE: Final = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


def _protected_page(length: int) -> tuple[mmap.mmap, Protection]:
    size = max(length, 1)
    page = mmap.mmap(-1, size, flags=_PRIVATE) if _PRIVATE else mmap.mmap(-1, size)
    return page, Protection(locked=_lock(page, size), undumpable=_forbid_dump(page))


def _lock(page: mmap.mmap, size: int) -> bool:
    try:
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        return bool(ctypes.CDLL(None).mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0)
    except (OSError, AttributeError, TypeError):  # no mlock on this system, or no way to the C library
        return False


def _forbid_dump(page: mmap.mmap) -> bool:
    try:
        page.madvise(mmap.MADV_DONTDUMP)
    except (OSError, AttributeError):  # Linux's alone
        return False
    return True
