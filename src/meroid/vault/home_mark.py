"""Noticing that a home was copied or put back: a restored home is a new device (`design.md` §4).

Two things beside the database tell:

- `home-mark` is written once and never again. A copy has another time of birth, which no copying tool can
  set, and mostly another inode (a home that was deleted and put back often gets the old numbers again); so
  the database remembers both. Where the file system keeps no time of birth, the time of change stands for it,
  which a chmod changes as well.
- `starts` counts the starts, and so does the database. Where the file is ahead, an older database was put
  in the place of the one that counted it. The file is made anew at each start, and the database remembers
  its birth too: where it is another one, the whole home was put back over itself.

A whole machine that is put back from a snapshot shows neither.
"""

import ctypes
import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from meroid.vault.private_file import write_private

_MARK: Final = "home-mark"
_STARTS: Final = "starts"
# of statx(2): struct and constants are part of the kernel's interface
_AT_FDCWD: Final = -100
_STATX_BTIME: Final = 0x800
_STATX_BYTES: Final = 256
_BTIME_AT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeMark:
    """What the database remembers of the home that it lies in; times in ns since the epoch.

    Attributes:
        born: when `home-mark` was made.
        starts_born: when `starts` was made; `None` while a start is being counted.
    """

    mark: str
    inode: int
    born: int
    starts: int
    starts_born: int | None = None

    @property
    def encoded(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `encoded` gave."""
        fields = json.loads(text)
        if "born" not in fields:  # of a version that took a home for itself too easily: it can't be told any more
            fields = {"mark": fields["mark"], "inode": fields["inode"], "born": 0, "starts": fields["starts"]}
        return cls(**fields)

    def is_of(self, home: Path) -> bool:
        """Whether this is still the home that was remembered, and no older state of it."""
        here = _look(home)
        if here is None or here.mark != self.mark or here.starts > self.starts:
            return False
        if self.starts_born is not None and here.starts_born != self.starts_born:
            return False
        return here.inode == self.inode and here.born == self.born


def renew_mark(home: Path) -> HomeMark:
    """Mark a home anew, as one that nothing else was copied from."""
    path = home / _MARK
    path.unlink(missing_ok=True)
    write_private(path, (secrets.token_hex(16) + "\n").encode())
    return count_start(home, 0)


def count_start(home: Path, starts: int) -> HomeMark:
    """Write down how often the home was started, which the database says first, and look at it then."""
    path = home / _STARTS
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    write_private(part, f"{starts}\n".encode("ascii"))
    part.replace(path)
    made = _look(home)
    if made is None:
        raise FileNotFoundError(path)
    return made


def _look(home: Path) -> HomeMark | None:
    try:
        path = home / _MARK
        mark = path.read_text("ascii").strip()
        starts = int((home / _STARTS).read_text("ascii"))
        return HomeMark(
            mark=mark,
            inode=path.stat().st_ino,
            born=_born(path),
            starts=starts,
            starts_born=_born(home / _STARTS),
        )
    except (OSError, ValueError):
        return None


def _born(path: Path) -> int:
    """When a file was made, in ns since the epoch; when it was last changed, where that isn't kept.

    Raises:
        OSError: it isn't there.
    """
    found = ctypes.create_string_buffer(_STATX_BYTES)
    statx = getattr(ctypes.CDLL(None), "statx", None)  # Linux; Python's own `stat` has no time of birth there
    if statx is None or statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) != 0:
        return path.stat().st_ctime_ns
    if not int.from_bytes(found.raw[:4], sys.byteorder) & _STATX_BTIME:
        return path.stat().st_ctime_ns
    seconds = int.from_bytes(found.raw[_BTIME_AT : _BTIME_AT + 8], sys.byteorder, signed=True)
    return seconds * 10**9 + int.from_bytes(found.raw[_BTIME_AT + 8 : _BTIME_AT + 12], sys.byteorder)
