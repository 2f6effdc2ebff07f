"""Moving the store key from one key store to another, so that a crash loses nothing and a copy doesn't stay.

Steps, each of which can be repeated:

1. Read the key at the source, and make sure that it is the one of the database.
2. Store it at the target, unless it is there.
3. Read it back there.
4. Switch: the node's configuration names the target.
5. Remove it at the source, and look whether it is still at the target: two URIs can name one place in
   ways that nobody foresaw.

After a crash the same call goes on where it stopped: up to step 4 the source is whole, from
step 3 on the target is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meroid.errors import ConflictError
from meroid.keys.signer import Ask, Secret
from meroid.vault.key_store import (
    KeyStore,
    KeyStoreDamagedError,
    KeyStoreReadOnlyError,
    KeyStoreTakenError,
    NoStoreKeyError,
    WrongStoreKeyError,
)
from meroid.vault.store_keys import open_secret_store


class SameKeyStoreError(ConflictError):
    """Both URIs name one place; removing the key at the source would lose it."""

    code = "same_key_store"
    next_step = "name another key store as the target"


class RotationUnfinishedError(ConflictError):
    """A rotation of the store key was interrupted, and isn't finished."""

    code = "rotation_unfinished"
    next_step = "start the rotation again; it goes on where it stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where the key was and is now; `left_behind` says what the caller still has to remove, if anything."""

    source: str
    target: str
    left_behind: str | None


def move_store_key(
    from_uri: str,
    to_uri: str,
    *,
    home: Path,
    opens: Callable[[Secret], bool],
    switch: Callable[[str], None],
    ask: Ask | None = None,
) -> Moved:
    """Move the store key of a home; call it again after a crash.

    Args:
        from_uri: where the key is.
        to_uri: where it goes.
        home: the directory of the node; nothing else may use it meanwhile.
        opens: whether the database of this home opens with a key.
        switch: makes the configuration name `to_uri`, on disk when it returns; it may be called again.
        ask: asks a person for PINs.

    Raises:
        NoStoreKeyError: neither of the two holds a key.
        WrongStoreKeyError: the key is another node's.
        SameKeyStoreError: both are one place.
        KeyStoreTakenError: the target holds another key.
        RotationUnfinishedError: finish that first.
        KeyStoreReadOnlyError: the target can't be written (`env:`), and doesn't hold the key yet.
        KeyStoreDamagedError: the target gave back something else; the source is untouched.
        MeroidError: whatever the two stores raise.
    """
    source, target = open_secret_store(from_uri, home, ask), open_secret_store(to_uri, home, ask)
    return move_between(source, target, opens=opens, switch=lambda: switch(to_uri))


def move_between(
    source: KeyStore, target: KeyStore, *, opens: Callable[[Secret], bool], switch: Callable[[], None]
) -> Moved:
    """Move the key as `move_store_key` does, between key stores that are open already."""
    key, kept, known = _look(source, target, opens)  # 1
    if key is not None:  # otherwise the call before this one came as far as step 5
        _copy(key, kept, target)  # 2, 3
    switch()  # 4
    removed = _remove(source, target, known)  # 5
    return Moved(source=source.place, target=target.place, left_behind=None if removed else source.place)


def check_movable(source: KeyStore, target: KeyStore, opens: Callable[[Secret], bool]) -> bool:
    """Look whether the key can be moved, changing nothing; whether the target holds it already.

    Raises:
        MeroidError: as `move_store_key` says.
    """
    key, kept, _ = _look(source, target, opens)
    if kept is None:
        _check_writable(target)
    elif key is not None and kept.reveal() != key.reveal():
        raise KeyStoreTakenError(f"{target.place} holds another key")
    return kept is not None


def _check_writable(target: KeyStore) -> None:
    try:
        _ = target.successor
    except KeyStoreReadOnlyError:
        raise KeyStoreReadOnlyError(
            f"{target.place} can't be written from here, and doesn't hold the key",
            next_step="set it to the store key first (what the file of file: holds), then repeat; or name another",
        ) from None


def _look(
    source: KeyStore, target: KeyStore, opens: Callable[[Secret], bool]
) -> tuple[Secret | None, Secret | None, Secret]:
    """The key at the source, what the target holds, and the one of the two that opens the database."""
    if source.place == target.place:
        raise SameKeyStoreError(f"both name {source.place}")
    for store in (source, target):
        _check_no_rotation(store)
    key = source.load()
    kept = target.load()
    known = key or kept
    if known is None:
        raise NoStoreKeyError(f"there is no store key at {source.place}")
    if not opens(known):
        raise WrongStoreKeyError("the store key isn't the one of this home's database")
    return key, kept, known


def _remove(source: KeyStore, target: KeyStore, key: Secret) -> bool:
    removed = source.remove()
    kept = target.load()
    if kept is None or kept.reveal() != key.reveal():
        source.save(key)
        raise SameKeyStoreError(f"what was removed at {source.place} was gone from {target.place} too; it is back")
    return removed


def _copy(key: Secret, kept: Secret | None, target: KeyStore) -> None:
    if kept is None:
        target.save(key)
        kept = target.load()
        if kept is None or kept.reveal() != key.reveal():
            raise KeyStoreDamagedError(
                f"{target.place} gave back something else than was stored", next_step="move it to another key store"
            )
    elif kept.reveal() != key.reveal():
        raise KeyStoreTakenError(f"{target.place} holds another key")


def _check_no_rotation(store: KeyStore) -> None:
    try:
        successor = store.successor
    except KeyStoreReadOnlyError:
        return
    if successor.load() is not None:
        raise RotationUnfinishedError(f"a rotation of the store key at {store.place} isn't finished")
