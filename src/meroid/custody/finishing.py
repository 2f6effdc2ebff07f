"""Going on with what was interrupted: a rotation of the store key, a move of it."""

from meroid.config import ServiceSettings, switch_key_store
from meroid.custody.databases import SealedDatabase, forget_leftovers, sealed_databases
from meroid.keys.signer import Ask
from meroid.store.rekeying import Progress
from meroid.vault.key_store import KeyStore
from meroid.vault.move_note import MoveNote, MoveNoteDamagedError, read_move_note, remove_move_note
from meroid.vault.moving import Moved, move_store_key
from meroid.vault.rotation import finish_rotation


def finish_rotating(settings: ServiceSettings, key_store: KeyStore, progress: Progress | None = None) -> bool:
    """Finish a rotation that was interrupted, and remove what interruptions left; whether there was one.

    Raises:
        MeroidError: what the key store and the database raise; the rotation stays unfinished.
    """
    forget_leftovers(settings)
    return finish_rotation(key_store, sealed_databases(settings, progress))


def finish_moving(settings: ServiceSettings, ask: Ask | None) -> tuple[MoveNote, Moved] | None:
    """Finish a move that was interrupted, if there was one; the configuration names its target then.

    Raises:
        MoveNoteDamagedError: its note can't be read, or the configuration was changed meanwhile.
        MeroidError: whatever `move_store_key` raises; the move stays unfinished.
    """
    note = read_move_note(settings.home)
    if note is None:
        return None
    if settings.key_store not in {note.source, note.target}:
        raise MoveNoteDamagedError("the configuration names neither key store of the interrupted move")
    moved = move_store_key(
        note.source,
        note.target,
        home=settings.home,
        opens=SealedDatabase(settings.database).opens_with,
        switch=lambda uri: switch_key_store(settings.home, uri),
        ask=ask,
    )
    remove_move_note(settings.home)
    return note, moved
