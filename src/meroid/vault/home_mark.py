"""Noticing that a home was copied or put back: a restored home is a new device (`design.md` §4).

Two things beside the database tell:

- `home-mark` is written once and never again. A copy has another inode and another time of change, which
  no copying tool can set; so the database remembers both.
- `starts` counts the starts, and so does the database. Where the file is ahead, an older database was put
  in the place of the one that counted it.

A whole machine that is put back from a snapshot shows neither.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from meroid.vault.private_file import write_private

_MARK: Final = "home-mark"
_STARTS: Final = "starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeMark:
    """What the database remembers of the home that it lies in; times in ns since the epoch."""

    mark: str
    device: int
    inode: int
    changed: int
    starts: int

    @property
    def encoded(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `encoded` gave."""
        return cls(**json.loads(text))

    def is_of(self, home: Path) -> bool:
        """Whether this is still the home that was remembered, and no older state of it."""
        here = _look(home)
        if here is None or here.mark != self.mark or here.starts > self.starts:
            return False
        # the number of a device may change with a restart, the time of change with a chmod; a copy changes both
        return here.inode == self.inode and (here.changed == self.changed or here.device == self.device)


def renew_mark(home: Path) -> HomeMark:
    """Mark a home anew, as one that nothing else was copied from."""
    path = home / _MARK
    path.unlink(missing_ok=True)
    write_private(path, (secrets.token_hex(16) + "\n").encode())
    count_start(home, 0)
    made = _look(home)
    if made is None:
        raise FileNotFoundError(path)
    return made


def count_start(home: Path, starts: int) -> None:
    """Write down how often the home was started; the database says it first."""
    path = home / _STARTS
    part = path.with_suffix(".part")
    part.write_text(f"{starts}\n", "ascii")
    part.chmod(0o600)
    part.replace(path)


def _look(home: Path) -> HomeMark | None:
    try:
        path = home / _MARK
        found = path.stat()
        mark = path.read_text("ascii").strip()
        starts = int((home / _STARTS).read_text("ascii"))
    except (OSError, ValueError):
        return None
    return HomeMark(mark=mark, device=found.st_dev, inode=found.st_ino, changed=found.st_ctime_ns, starts=starts)
