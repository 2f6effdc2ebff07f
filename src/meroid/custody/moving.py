"""Moving a node's store key to another key store, with a note that outlives a crash.

1. Look at both key stores and the configuration: what can be refused is refused before anything is written.
2. Note the move.
3. Copy, switch the configuration, remove at the source (`vault.moving`).
4. Remove the note.

A refusal before the switch takes the copy back. After a crash, or a refusal behind the switch, the note stays: the
node's next start, or the same command, goes on from it.
"""

from contextlib import suppress

from meroid.config import Settings, check_switchable, load_settings, switch_key_store
from meroid.custody.databases import SealedDatabase, alone
from meroid.custody.finishing import finish_moving, finish_rotating
from meroid.errors import MeroidError
from meroid.keys.signer import Ask
from meroid.vault.key_store import KeyStore
from meroid.vault.move_note import MoveNote, remove_move_note, write_move_note
from meroid.vault.moving import Moved, SameKeyStoreError, check_movable, move_between
from meroid.vault.store_keys import open_secret_store


def move(settings: Settings, uri: str, *, ask: Ask | None = None, dry_run: bool = False) -> Moved:
    """Move the store key to the key store that `uri` names, and have the configuration name that one.

    With `dry_run` both are looked at, and nothing is changed.

    Raises:
        StoreInUseError: the node runs.
        ConfigUnwritableError: the configuration can't be changed without a loss.
        NoDatabaseError, AnotherUsersHomeError: as they say.
        MeroidError: whatever `move_store_key` raises, and what was interrupted before and can't be finished.
    """
    target = open_secret_store(uri, settings.home, ask)
    check_switchable(settings.home, uri)
    opens = SealedDatabase(settings.database).opens_with
    with alone(settings, writes=not dry_run):
        source_uri = settings.key_store
        source = open_secret_store(source_uri, settings.home, ask)
        if not dry_run:
            finish_rotating(settings, source)
            finished = finish_moving(settings, ask)
            if finished is not None:
                note, moved = finished
                if moved.target == target.place:
                    return moved
                source_uri = note.target
                source = open_secret_store(source_uri, settings.home, ask)
        held = check_movable(source, target, opens)
        if dry_run:
            left_behind = source.place if source_uri.startswith("env:") else None
            return Moved(source=source.place, target=target.place, left_behind=left_behind)
        note = MoveNote(source=source_uri, target=uri)
        write_move_note(settings.home, note)
        try:
            moved = move_between(source, target, opens=opens, switch=lambda: switch_key_store(settings.home, uri))
        except SameKeyStoreError:  # there is one place, and the key is in it
            remove_move_note(settings.home)
            raise
        except (MeroidError, KeyboardInterrupt):
            _take_back(settings, note, target, held=held)
            raise
        remove_move_note(settings.home)
        return moved


def _take_back(settings: Settings, note: MoveNote, target: KeyStore, *, held: bool) -> None:
    """Undo what came before the switch; the refusal that led here matters more than one from here."""
    with suppress(MeroidError):
        if load_settings(settings.home.parent, settings.name).key_store == note.target:
            return  # the key is there now, and the note tells of the copy at the source
        if not held:
            target.remove()
        remove_move_note(settings.home)
