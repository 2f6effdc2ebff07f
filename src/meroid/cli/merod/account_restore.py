"""`merod account restore`: a new home for an account that was lost, from words or shares, and a backup where there is one."""

import argparse
from collections.abc import Sequence

from meroid.account.backup import BackupContents, open_backup, parse_backup_text
from meroid.account.key_log import verify_key_log
from meroid.account.key_log_text import parse_key_log_text
from meroid.account.seed import Seed
from meroid.account.shares import TooFewSharesError, join_shares
from meroid.account.sheet import date_of, join_codes
from meroid.account.succession import seed_generation
from meroid.app import Node, open_vaulted
from meroid.cli.merod.fresh_home import fresh_home
from meroid.cli.merod.greeting import how_to_type
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.merod.terminal import ask_until, confirm, read_lines, read_text, type_secret, wipe_screen
from meroid.config import CONFIG_FILE, Settings, write_config
from meroid.errors import ConflictError
from meroid.service.backups import Kept

_SHARE_WORDS = (20, 33)


class NodePresentError(ConflictError):
    """There is a node under this name already."""

    code = "node_present"
    next_step = "restore under another --node-name, or take that home away first"


def restore(arguments: argparse.Namespace, settings: Settings) -> None:
    """Make a home whose own account is the restored one; nothing is made before the owner has seen which it is.

    Raises:
        NodePresentError: there is a node under this name.
        NoTerminalError: nothing was named to read the words from, and there is no terminal.
        NotConfirmedError: it is the wrong account.
        SeedNotOfAccountError: the account was handed to another seed since.
        InvalidInputError: words, shares, codes or backup don't hold; nothing was made.
    """
    if (settings.home / CONFIG_FILE).exists():
        raise NodePresentError(f"there is a node {settings.name!r} in this home")
    kept = _kept(arguments)
    log = verify_key_log(kept.entries())
    seed_generation(log.state, kept.seed)
    print(f"This restores account {log.account_id}.")
    if kept.contents is not None:
        made, contexts = date_of(kept.contents.created_at), len(kept.contents.contexts)
        print(f"Its backup is of {made} and names {contexts} context{'' if contexts == 1 else 's'}.")
    confirm("Is it the account that you expect?", yes=arguments.yes)
    make_home(settings, kept)
    print(f"restored as node {settings.name!r}; run it with: {how_to_type(settings.home, 'run')}")
    if not kept.latest:
        print(
            "Its key log may have later entries on another device, so nothing is added to it. Before it runs, give a later "
            f"copy (--file FILE), or say that there is none: {how_to_type(settings.home, 'account', 'log', '--is-latest')}"
        )
    if kept.contents is None and not kept.addresses:
        print(
            "To find its contexts again, tell the running node where a member's node is: meroctl account return ADDRESS"
        )


def make_home(settings: Settings, kept: Kept) -> None:
    """Make the node around an account; what is refused on the way leaves nothing behind.

    Raises:
        SeedNotOfAccountError: no key of the seed is in force.
        MeroidError: the key store or the disk refuses.
    """
    seed_generation(verify_key_log(kept.entries()).state, kept.seed)
    with fresh_home(settings.home):
        node = Node(settings, open_vaulted(settings, make=True, ask=ask_on_terminal()))
        try:
            node.backups.restore(kept, node.clock.now_ms())
            node.prepare()
        finally:
            node.close()
        write_config(settings)


def _kept(arguments: argparse.Namespace) -> Kept:
    seed = read_seed(arguments)
    sealed = _sealed(arguments)
    contents: BackupContents | None = None if sealed is None else open_backup(sealed, seed)
    key_log = None if arguments.log is None else parse_key_log_text(read_text(arguments.log))
    return Kept(
        seed=seed,
        contents=contents,
        key_log=key_log,
        addresses=tuple(arguments.address),
        latest=arguments.log_is_latest,
    )


def read_seed(arguments: argparse.Namespace) -> Seed:
    """The seed, from a file with words or shares, or typed on the terminal."""
    if arguments.words_file is not None:
        return Seed.from_words(read_text(arguments.words_file).strip("\r\n"))
    if arguments.shares_file is not None:
        return join_shares(read_lines(arguments.shares_file))
    first = type_secret("Type the words, or the first share, with one space between them:\n")
    if len(first.split()) not in _SHARE_WORDS:
        wipe_screen()
        return Seed.from_words(first)
    try:
        others = ask_until(lambda number: f"Share {number + 1}:\n", lambda typed: _is_enough([first, *typed]))
    finally:
        wipe_screen()
    return join_shares([first, *others])


def _is_enough(shares: Sequence[str]) -> bool:
    try:
        join_shares(shares)
    except TooFewSharesError:
        return False
    return True


def _sealed(arguments: argparse.Namespace) -> bytes | None:
    if arguments.backup is not None:
        return parse_backup_text(read_text(arguments.backup))
    if arguments.codes_file is not None:
        return join_codes(read_lines(arguments.codes_file))
    return None
