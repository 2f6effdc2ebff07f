"""The program: prints, and talks to `app`."""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from meroid.cli.mero_auth.checking import check, warnings
from meroid.cli.mero_auth.grammar import DEFAULT_FILE, parser
from meroid.cli.mero_auth.greeting import greet
from meroid.cli.merod.keys import run_keys
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.service import log_to_stderr, owner_password, run_program
from meroid.config import BadConfigError, StandaloneSettings, load_standalone, write_standalone
from meroid.errors import ConflictError, MeroidError
from meroid.vault.process import harden_process


class ServiceExistsError(ConflictError):
    """`init` was asked for an owner or a key store, and there is a service already."""

    code = "service_exists"
    next_step = (
        "run it, and log in as its owner, or with its set-up code while there is none; `mero-auth keys show` says where "
        "the store key lies; for another service name another storage.path"
    )


def main() -> int:
    """Run `mero-auth`; the exit code is 0, 1 for a refusal, 2 for wrong arguments."""
    arguments = parser().parse_args()
    harden_process()
    log_to_stderr(more=arguments.verbose > 0)
    return run_program(lambda: _do(arguments))


def _do(arguments: argparse.Namespace) -> None:
    if arguments.command == "init":
        _init(arguments)
    elif arguments.command == "check":
        check(_load(arguments), as_json=arguments.json)
    elif arguments.command == "keys":
        run_keys(arguments, _load(arguments))
    else:
        _run(arguments)


def _load(arguments: argparse.Namespace) -> StandaloneSettings:
    """The settings; without a file that is named, those of the working directory's, if it is there."""
    return load_standalone(_file(arguments), os.environ, bind=arguments.bind, workers=arguments.workers)


def _file(arguments: argparse.Namespace) -> Path | None:
    if arguments.config is not None:
        return Path(arguments.config).absolute()
    known = Path(DEFAULT_FILE).absolute()
    return known if known.exists() else None


def _run(arguments: argparse.Namespace) -> None:
    settings = _load(arguments)
    for line in warnings(settings):
        print(f"warning: {line}", file=sys.stderr)

    from meroid.app import run_auth  # noqa: PLC0415  # heavy, and not needed for --help

    run_auth(settings, greet, ask_on_terminal())


def _init(arguments: argparse.Namespace) -> None:
    file = Path(arguments.config or DEFAULT_FILE).absolute()
    fresh = not file.exists()
    settings = load_standalone(None if fresh else file, os.environ, bind=arguments.bind, workers=arguments.workers)
    if settings.temporary:
        raise BadConfigError("storage.type is memory, which keeps nothing", next_step="choose sqlite, or just run it")
    if settings.database.exists():
        if arguments.owner or arguments.key_store:
            raise ServiceExistsError(f"there is an auth service in {settings.home} already; nothing was changed")
        print(f"warning: there is an auth service in {settings.home} already; nothing was changed", file=sys.stderr)
        return
    if arguments.key_store:
        if not fresh:
            raise BadConfigError(f"{file} says where the store key lies", next_step="change key_store there")
        settings = replace(settings, key_store=arguments.key_store)
    owner = _owner(arguments)

    with _all_or_nothing(settings, file if fresh else None):
        _make(settings, owner)
    if fresh:
        print(f"wrote {file}")
    print(f"made the auth service in {settings.home}; run it with: mero-auth -c {file}")


def _make(settings: StandaloneSettings, owner: tuple[str, str] | None) -> None:
    from meroid.app import initialise_auth  # noqa: PLC0415  # heavy, and not needed for --help

    initialise_auth(settings, owner, ask_on_terminal())


@contextlib.contextmanager
def _all_or_nothing(settings: StandaloneSettings, file: Path | None) -> Iterator[None]:
    """Write the configuration, where one is wanted; what the block raises takes it and the database away again.

    A store key may stay: it opens nothing, and the next try takes it.
    """
    home_was_there = settings.home.exists()
    if file is not None:
        write_standalone(settings, file)
    try:
        yield
    except BaseException:
        if file is not None:
            file.unlink(missing_ok=True)
        with contextlib.suppress(MeroidError):
            _remove_database(settings, and_home=not home_was_there)
        raise


def _remove_database(settings: StandaloneSettings, *, and_home: bool) -> None:
    """Remove what was begun; not where another process has it.

    Raises:
        StoreInUseError: it has.
        StoreFailedError: there is no home.
    """
    from meroid.store.lock import lock_database  # noqa: PLC0415  # heavy, and not needed for --help

    lock = lock_database(settings.database)
    try:
        for each in settings.home.glob(f"{settings.database.name}*"):
            each.unlink(missing_ok=True)
        if and_home:
            shutil.rmtree(settings.home, ignore_errors=True)
    finally:
        lock.release()


def _owner(arguments: argparse.Namespace) -> tuple[str, str] | None:
    if not arguments.owner:
        return None
    return arguments.owner, owner_password(arguments.owner, arguments.owner_password_file)
