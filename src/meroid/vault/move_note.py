"""The note of a move of the store key that has begun: which two key stores it is between.

After the switch the configuration names the target alone. Without the note nobody would know after a crash
where a copy of the key may still lie. It is a file in the home, and holds no secret.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meroid.errors import InvalidInputError
from meroid.vault.key_store import KeyStoreUnavailableError
from meroid.vault.private_file import sync_folder, write_private

NAME: Final = "store-key.move"

_LONGEST: Final = 8192


class MoveNoteDamagedError(InvalidInputError):
    """What should say between which key stores a move was interrupted can't be read."""

    code = "move_note_damaged"
    next_step = f"look for a copy of the store key that was left behind, remove it, and then {NAME} in the node's home"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveNote:
    """The URIs of a move that isn't finished."""

    source: str
    target: str


def read_move_note(home: Path) -> MoveNote | None:
    """The move that was interrupted, if one was.

    Raises:
        MoveNoteDamagedError: the note is there and can't be read.
    """
    try:
        with (home / NAME).open("rb") as file:
            found = json.loads(file.read(_LONGEST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise MoveNoteDamagedError("the note of an interrupted move can't be read") from None
    match found:
        case {"from": str() as source, "to": str() as target}:
            return MoveNote(source=source, target=target)
        case _:
            pass
    raise MoveNoteDamagedError("the note of an interrupted move doesn't name two key stores")


def write_move_note(home: Path, note: MoveNote) -> None:
    """Note a move before it begins, on disk when this returns.

    Raises:
        FileTakenError: another move isn't finished.
        FileUnwritableError: the note can't be written.
    """
    write_private(home / NAME, json.dumps({"from": note.source, "to": note.target}).encode())


def remove_move_note(home: Path) -> None:
    """Remove the note of a move that is over; nothing happens if there is none.

    Raises:
        KeyStoreUnavailableError: it can't be removed.
    """
    try:
        (home / NAME).unlink(missing_ok=True)
        sync_folder(home)
    except OSError as error:
        raise KeyStoreUnavailableError(f"{NAME} can't be removed: {error.strerror}") from None
