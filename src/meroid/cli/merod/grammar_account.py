"""The words of `merod account …`: what works on the machine of the key store only."""

import argparse
from collections.abc import Callable

AddFlags = Callable[[argparse.ArgumentParser], None]


def add_account(account: argparse.ArgumentParser, add_node_flags: AddFlags) -> None:
    """The actions on the node's own account."""
    actions = account.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_backup(actions.add_parser("backup", help="show the 24 words once, and confirm three of them; or make files"))
    restore = actions.add_parser("restore", help="a new home for an account that was lost")
    add_node_flags(restore)
    _add_restore(restore)
    log = actions.add_parser(
        "log", help="the key log of a restored account: take a later copy, or say that it is whole"
    )
    which = log.add_mutually_exclusive_group()
    which.add_argument("--file", metavar="FILE", help="a later copy, from `meroctl account export-log`")
    which.add_argument("--is-latest", action="store_true", help="no other device added anything to it")
    _add_yes(log)


def _add_backup(backup: argparse.ArgumentParser) -> None:
    backup.add_argument("--file", metavar="FILE", help="write the encrypted list: key log, contexts, addresses")
    backup.add_argument("--sheet", metavar="FILE", help="write a sheet to print, words included: .html, or .pdf")
    backup.add_argument("--shares", metavar="M/N", help="shares of the words (SLIP-39): any M of N restore the account")
    backup.add_argument("--paper", choices=["a4", "letter"], default="a4", help="of a PDF; default: a4")
    backup.add_argument("--without-list", action="store_true", help="no encrypted list on the sheet")


def _add_restore(restore: argparse.ArgumentParser) -> None:
    source = restore.add_mutually_exclusive_group()
    source.add_argument(
        "--words-file", metavar="FILE", help="file with the words, - for stdin; default: they are typed"
    )
    source.add_argument("--shares-file", metavar="FILE", help="file with a share on each line, - for stdin")
    listed = restore.add_mutually_exclusive_group()
    listed.add_argument("--backup", metavar="FILE", help="the backup file")
    listed.add_argument("--codes-file", metavar="FILE", help="file with the codes of the sheet, one on each line")
    restore.add_argument("--log", metavar="FILE", help="a copy of the key log, from `meroctl account export-log`")
    restore.add_argument(
        "--address", metavar="ADDRESS", action="append", default=[], help="of a member's node, like tcp/host:port"
    )
    restore.add_argument(
        "--log-is-latest", action="store_true", help="no device that still exists added anything to the key log since"
    )
    _add_yes(restore)


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask")
