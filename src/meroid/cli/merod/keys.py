"""`merod keys …`, `mero-auth keys …`: store key and token signing key, on the own machine, while the service is stopped."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from meroid.cli.merod.keys_signing import rotate_signing
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.config import ServiceSettings, Settings
from meroid.vault.process import Hardening, harden_process

if TYPE_CHECKING:
    from meroid.custody.state import StoreKeyState

_MEBIBYTE = 1024 * 1024


def add_keys(keys: argparse.ArgumentParser, *, may_move: bool = True) -> None:
    """What stands behind `merod keys`; `may_move` where the configuration is one that a move can change."""
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="where the store key lies, whether it opens the database, and who could")
    show.add_argument("--json", action="store_true", help="print JSON")
    rotate = actions.add_parser("rotate-store", help="make a new store key, and seal everything anew under it")
    changing = [rotate]
    if may_move:
        move = actions.add_parser("move", help="move the store key to another key store")
        move.add_argument("uri", metavar="URI", help="file:, file:/PATH, keyring:, pkcs11:token=NAME, env:NAME")
        changing.append(move)
    signing = actions.add_parser(
        "rotate-signing", help="sign tokens with a new key; old tokens stay good until they end"
    )
    signing.add_argument("--now", action="store_true", help="end all tokens at once: everybody has to log in again")
    signing.add_argument("-y", "--yes", action="store_true", help="with --now: don't ask")
    for each in (*changing, signing):
        each.add_argument("--dry-run", action="store_true", help="look at everything, and change nothing")


def run_keys(arguments: argparse.Namespace, settings: ServiceSettings) -> None:
    """Do what was asked for.

    Raises:
        MeroidError: it is refused; nothing was changed, or what was said can be gone on with.
    """
    if arguments.action == "show":
        _show(settings, as_json=arguments.json)
    elif arguments.action == "rotate-store":
        _rotate(settings, dry_run=arguments.dry_run)
    elif arguments.action == "rotate-signing":
        rotate_signing(settings, at_once=arguments.now, yes=arguments.yes, dry_run=arguments.dry_run)
    elif isinstance(settings, Settings):
        _move(settings, arguments.uri, dry_run=arguments.dry_run)


def _show(settings: ServiceSettings, *, as_json: bool) -> None:
    from meroid.custody.state import look_at_store_key  # noqa: PLC0415  # heavy, and not needed for --help

    state = look_at_store_key(settings, ask=ask_on_terminal())
    process = harden_process()
    if as_json:
        print(json.dumps(_as_json(settings, state, process), indent=2))
    else:
        print("\n".join(_lines(state, process)))
    if state.problem is not None:
        raise state.problem


def _as_json(settings: ServiceSettings, state: "StoreKeyState", process: Hardening) -> dict[str, object]:
    protection, note, problem = state.protection, state.move_unfinished, state.problem
    return {
        "node": settings.home.name,
        "keyStore": settings.key_store,
        "place": state.place,
        "found": state.found,
        "opensDatabase": state.opens,
        "rotationUnfinished": state.rotation_unfinished,
        "moveUnfinished": None if note is None else {"from": note.source, "to": note.target},
        "memory": None
        if protection is None
        else {"locked": protection.locked, "leftOutOfCoreDumps": protection.undumpable},
        "process": {"untraceable": process.untraceable, "noCoreFiles": process.no_core_files},
        "files": [
            {"path": str(each.path), "mode": f"{each.mode:04o}", "private": each.private} for each in state.files
        ],
        "problem": None
        if problem is None
        else {"code": problem.code, "reason": problem.reason, "nextStep": problem.next_step},
    }


def _lines(state: "StoreKeyState", process: Hardening) -> Iterator[str]:
    yield f"store key         {state.place}"
    yield f"is there          {_yes(state.found)}"
    yield f"opens database    {_yes(state.opens)}"
    if state.rotation_unfinished:
        yield "rotation          interrupted; the next start finishes it, or keys rotate-store"
    if state.move_unfinished is not None:
        yield f"move              interrupted; the next start finishes it, or keys move {state.move_unfinished.target}"
    if state.protection is not None:
        yield f"swapped out       {_never(state.protection.locked)}"
        yield f"in core dumps     {_never(state.protection.undumpable and process.no_core_files)}"
    yield f"traced by others  {_never(process.untraceable)}"
    for each in state.files:
        warning = "" if each.private else "  open to others: chmod go= it"
        yield f"mode {each.mode:04o}         {each.path}{warning}"


def _yes(holds: bool) -> str:  # noqa: FBT001 - its one argument
    return "yes" if holds else "no"


def _never(holds: bool) -> str:  # noqa: FBT001 - its one argument
    return "never" if holds else "possible: the system doesn't forbid it"


def _rotate(settings: ServiceSettings, *, dry_run: bool) -> None:
    from meroid.custody.rotating import rotate  # noqa: PLC0415  # heavy, and not needed for --help

    progress = _Progress()
    try:
        done = rotate(settings, ask=ask_on_terminal(), progress=progress.show, dry_run=dry_run)
    finally:
        progress.end()
    size = f"{max(1, round(done.size / _MEBIBYTE))} MiB"
    if dry_run:
        what = "finish a rotation that was interrupted" if done.finished else "make a new store key"
        print(f"would {what} at {done.place}, and seal anew ({size}): {', '.join(done.databases)}")
        print("nothing was changed")
        return
    if done.finished:
        print("finished the rotation that was interrupted")
    print(f"new store key at {done.place}; the old one is destroyed")
    print(f"sealed anew ({size}): {', '.join(done.databases)}")
    print("copies of the home that you keep elsewhere still open with the old key")


def _move(settings: Settings, uri: str, *, dry_run: bool) -> None:
    from meroid.custody.moving import move  # noqa: PLC0415  # heavy, and not needed for --help

    moved = move(settings, uri, ask=ask_on_terminal(), dry_run=dry_run)
    if dry_run:
        print(f"would move the store key from {moved.source} to {moved.target}, and have config.toml name that")
    else:
        print(f"moved the store key from {moved.source} to {moved.target}; config.toml names that")
    if moved.left_behind is not None:
        verb = "would stay" if dry_run else "stays"
        print(f"a copy {verb} at {moved.left_behind}, which can't be removed from here: remove it there yourself")
    if dry_run:
        print("nothing was changed")


class _Progress:
    """One line on a terminal that says how far a big database has come."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, done: int, total: int) -> None:
        """Write the line over the one before."""
        if sys.stderr.isatty():
            percent = 100 * done // max(1, total)
            print(f"\rsealing anew: {percent:3} % of {total // _MEBIBYTE} MiB", end="", file=sys.stderr, flush=True)
            self._shown = True

    def end(self) -> None:
        """End the line, if there is one."""
        if self._shown:
            print(file=sys.stderr)
