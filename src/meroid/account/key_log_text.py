"""A key log as a text file: all entries, from the inception on, for anyone to verify offline."""

from collections.abc import Iterable
from typing import Final

from meroid import limits
from meroid.account.key_log_errors import BadKeyLogEntryError
from meroid.keys.armour import armour, unarmour
from meroid.keys.canonical import canonical_bytes, parse_canonical

_KIND: Final = "MEROID KEY LOG"


def key_log_text(entries: Iterable[bytes]) -> str:
    """Write the entries of a log, in their order."""
    return armour(_KIND, canonical_bytes(list(entries)))


def parse_key_log_text(text: str) -> tuple[bytes, ...]:
    """The entries in a text file; nothing is verified yet.

    Raises:
        BadArmourError: the text isn't a key log, or was cut.
        BadKeyLogEntryError, NotCanonicalError: what it holds isn't a list of entries.
    """
    entries = parse_canonical(unarmour(_KIND, text, most=limits.BACKUP_BYTES.value))
    if not isinstance(entries, list):
        raise BadKeyLogEntryError("the text holds no list of entries")
    found = tuple(each for each in entries if isinstance(each, bytes))
    if len(found) != len(entries):
        raise BadKeyLogEntryError("an entry of the key log is a byte string")
    return found
