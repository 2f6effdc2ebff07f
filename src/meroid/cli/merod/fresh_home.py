"""The directory of a node that is being made: whole in the end, or as it was before."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meroid.config import CONFIG_FILE

_MODE = 0o700


@contextmanager
def fresh_home(directory: Path) -> Iterator[None]:
    """Make the directory; a node that is there is put aside, and thrown away once the block has ended well.

    What the block raises puts everything back. A kill leaves the old node aside, where `recover_home` finds it.

    Raises:
        StoreInUseError: the node that is there runs.
    """
    aside = _aside(directory)
    there = directory.exists()
    replaced = (directory / CONFIG_FILE).exists()
    if replaced:
        _check_stopped(directory)
        directory.rename(aside)
    try:
        directory.mkdir(mode=_MODE, parents=True, exist_ok=True)
        directory.chmod(_MODE)
        yield
    except BaseException:
        if replaced or not there:
            shutil.rmtree(directory, ignore_errors=True)
        if replaced:
            aside.rename(directory)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def recover_home(directory: Path) -> None:
    """Undo a `fresh_home` that was killed before the new node was whole; finish one that was killed after that."""
    aside = _aside(directory)
    if not aside.exists():
        return
    if (directory / CONFIG_FILE).exists():
        shutil.rmtree(aside)
    else:
        shutil.rmtree(directory, ignore_errors=True)
        aside.rename(directory)


def _aside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.replaced")


def _check_stopped(directory: Path) -> None:
    from meroid.store.lock import lock_database  # noqa: PLC0415  # heavy, and not needed for --help

    database = directory / "data" / "node.db"
    if database.exists():
        lock_database(database).release()
