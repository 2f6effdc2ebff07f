"""`merod account …`: the node's own account, on the machine that has its store and key store.

The modules behind the actions take the server in, so each is loaded only when it runs.
"""

import argparse
from collections.abc import Callable

from meroid.config import Settings


def run_account(arguments: argparse.Namespace, existing: Callable[[], Settings], fresh: Callable[[], Settings]) -> None:
    """Run one action; `existing` reads the node's configuration, `fresh` gives that of a node to be made."""
    match arguments.action:
        case "backup":
            from meroid.cli.merod.account_backup import back_up  # noqa: PLC0415

            back_up(arguments, existing())
        case "restore":
            from meroid.cli.merod.account_restore import restore  # noqa: PLC0415

            restore(arguments, fresh())
        case "recover":
            from meroid.cli.merod.account_recover import recover  # noqa: PLC0415

            recover(arguments, fresh())
        case "cosigner" | "draft" | "sign" | "assemble" | "recovery" as action:
            from meroid.cli.merod import account_signing  # noqa: PLC0415

            runs = {
                "cosigner": account_signing.show_cosigner,
                "draft": account_signing.draft,
                "sign": account_signing.sign,
                "assemble": account_signing.assemble,
                "recovery": account_signing.recovery,
            }
            runs[action](arguments, existing())
        case _:
            from meroid.cli.merod.account_log import settle_log  # noqa: PLC0415

            settle_log(arguments, existing())
