"""`merod account log`: the key log of a restored account, until its owner says that it is whole."""

import argparse
from pathlib import Path

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.key_log_text import key_log_text, parse_key_log_text
from meroid.app import Node, open_vaulted
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.merod.terminal import confirm, read_text
from meroid.config import Settings
from meroid.vault.private_file import write_private


def settle_log(arguments: argparse.Namespace, settings: Settings) -> None:
    """Take a later copy of the log, go on from the one here, or write a copy; and show it.

    Raises:
        FileTakenError, FileUnwritableError: the copy can't be written.
        OtherKeyLogError: the copy doesn't go on from the log that is here.
        NoLaterEntryError: it has no further entry.
        NotConfirmedError: nobody said yes.
        IntegrityError: the copy doesn't hold.
    """
    later = None if arguments.file is None else parse_key_log_text(read_text(arguments.file))
    node = Node(settings, open_vaulted(settings, make=False, ask=ask_on_terminal()))
    try:
        account_id = node.prepare()
        if later is not None:
            _show(node.key_logs.take_later(account_id, later))
            return
        if arguments.out is not None:
            write_private(Path(arguments.out), key_log_text(node.key_logs.entries(account_id)).encode())
        if not arguments.is_latest:
            _show(node.key_logs.read(account_id))
            return
        confirm(
            "If another device added an entry that isn't here, the log forks, and nothing counts until the account is "
            "rotated or recovered. Is this the latest log?",
            yes=arguments.yes,
        )
        _show(node.key_logs.say_latest(account_id))
    finally:
        node.close()


def _show(log: VerifiedKeyLog) -> None:
    state = log.state
    print(f"account {log.account_id}: {log.length} entries, key generation {state.generation}")
    print(f"devices: {', '.join(map(str, sorted(state.devices))) or 'none'}; root keys: {len(state.root_keys)}")
