"""The words of `meroctl account …` about root keys, and the root keys that `login` and these commands take."""

import argparse
from typing import Final, TypeAlias

from meroid.cli.meroctl.grammar_parts import Commands, command

# argparse has no public name for groups of options
Options: TypeAlias = "argparse._ActionsContainer"  # noqa: SLF001

OLD_AFTER_DAYS: Final = 365


def add_root_keys(group: Commands) -> None:
    """The commands about root keys."""
    keys = command(group, "keys", "root_keys:list_keys", "the root keys of your account, with their ages")
    keys.add_argument("-a", "--all", dest="every", action="store_true", help="those of all accounts; needs admin")
    keys.add_argument(
        "--old-after",
        metavar="DAYS",
        type=int,
        default=OLD_AFTER_DAYS,
        help=f"warn of keys that are older; default: {OLD_AFTER_DAYS}",
    )
    add = command(group, "add-root-key", "root_keys:add_key", "let one more root key open your account")
    which = add.add_mutually_exclusive_group(required=True)
    which.add_argument("--password", action="store_true", help="a user name with a password")
    add_other_keys(which)
    add.set_defaults(account=None)
    add.add_argument("--username", metavar="NAME", help="with --password; asked for on a terminal")
    add.add_argument("--password-file", metavar="FILE", help="with --password: file with it, or -")
    remove = command(group, "remove-root-key", "root_keys:remove_key", "let a root key open your account no more")
    remove.add_argument("key_id", metavar="ID", help="as `account keys` shows it")
    remove.add_argument("-f", "--force", action="store_true", help="also the last one")
    remove.add_argument("-y", "--yes", action="store_true", help="don't ask")
    password = command(group, "password", "root_keys:change_password", "change a password of your account")
    password.add_argument("--key", dest="key_id", metavar="ID", help="root key; default: the only one with a password")
    password.add_argument("--old-password-file", metavar="FILE", help="file with the old one, or -")
    password.add_argument("--password-file", metavar="FILE", help="file with the new one, or -")
    password.add_argument("--keep-sessions", action="store_true", help="other log-ins with the old one go on")


def add_other_keys(which: Options) -> None:
    """The root keys beside passwords, of which one is named."""
    which.add_argument("--near-key-file", metavar="FILE", help="key pair of a NEAR account as near-cli writes it")
    which.add_argument("--phrase", action="store_true", help="the recovery words, asked for on a terminal")
    which.add_argument("--phrase-file", metavar="FILE", help="file with the recovery words, or -")
    which.add_argument("--pkcs11", metavar="URI", help="key on a hardware token: pkcs11:token=NAME;object=LABEL?…")
