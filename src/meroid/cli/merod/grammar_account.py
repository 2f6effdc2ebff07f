"""The words of `merod account …`: what works on the machine of the key store only."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

AddFlags: TypeAlias = Callable[[argparse.ArgumentParser], None]
# argparse has no public name for what `add_subparsers` gives
Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


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
    which.add_argument("--out", metavar="FILE", help="write a copy of it")
    which.add_argument("--is-latest", action="store_true", help="no other device added anything to it")
    _add_yes(log)
    recover = actions.add_parser("recover", help="an account whose words are lost, by its recovery set")
    add_node_flags(recover)
    _add_recover(recover)
    _add_together(actions)


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


def _add_recover(recover: argparse.ArgumentParser) -> None:
    recover.add_argument("--log", metavar="FILE", help="to begin: a copy of the account's key log")
    recover.add_argument("--out", metavar="FILE", help="to begin: where the draft goes that the members sign")
    recover.add_argument("--finish", metavar="FILE", nargs="+", help="to end: the drafts that the members signed")
    recover.add_argument("--words-file", metavar="FILE", help="the new words, - for stdin; default: made, or typed")
    recover.set_defaults(shares_file=None)
    _add_yes(recover)


def _add_together(actions: Actions) -> None:
    """What several people sign: cosigning keys, drafts, recovery sets."""
    cosigner = actions.add_parser("cosigner", help="the keys with which you sign for somebody else's account")
    cosigner.add_argument("account", metavar="ACCOUNT", help="id of that account")
    cosigner.add_argument("--number", metavar="N", type=int, default=0, help="of the key, after changes; default: 0")
    people = actions.add_parser("recovery", help="the people who together can recover the account: show, set, remove")
    people.add_argument("--member", metavar="NAME=KEY", action="append", default=[], help="one of them; repeat it")
    people.add_argument("--threshold", metavar="M", type=int, help="how many it takes; default: more than half")
    people.add_argument("--remove", action="store_true", help="nobody but who has the words")
    _add_yes(people)
    draft = actions.add_parser("draft", help="a change of the account that others sign too; default: what is pending")
    draft.add_argument("--rotate", action="store_true", help="the next account key takes over")
    draft.add_argument(
        "--key", metavar="KEY", action="append", default=[], help="a further key that signs from then on"
    )
    draft.add_argument("--threshold", metavar="K", type=int, help="how many of the keys sign together; default: 1")
    draft.add_argument(
        "--next", metavar="DIGEST", action="append", default=[], help="of a further key that may come next"
    )
    draft.add_argument("--next-threshold", metavar="K", type=int, help="how many of those make the next change")
    draft.add_argument("--out", metavar="FILE", required=True, help="where the draft goes")
    sign = actions.add_parser("sign", help="say what somebody drafted, and sign it")
    sign.add_argument("file", metavar="FILE")
    sign.add_argument("--out", metavar="FILE", required=True, help="where the signed draft goes")
    _add_yes(sign)
    assemble = actions.add_parser("assemble", help="put signed drafts together and add the entry to the key log")
    assemble.add_argument("files", metavar="FILE", nargs="+")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask")
