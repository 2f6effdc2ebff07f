"""What `mero-auth` understands: the wire's flags (`wire/auth.md` §1.1), and our own."""

import argparse
from pathlib import Path
from typing import Final

from meroid import __version__
from meroid.cli.merod.keys import add_keys

DEFAULT_FILE: Final = "auth.toml"
_ABOUT: Final = "Make and run the auth service alone, in front of one or many nodes, or of any service behind a proxy."
_MORE: Final = (
    f"Without -c the file {DEFAULT_FILE} of the working directory is read, if it is there. Every key of it can be given as "
    "MERO_AUTH__TABLE__KEY in the environment, which goes before the file. Without a command it runs."
)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole program."""
    top = argparse.ArgumentParser(prog="mero-auth", description=_ABOUT, epilog=_MORE)
    top.add_argument("--version", action="version", version=f"mero-auth (meroid) {__version__}")
    top.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration, TOML or JSON (*.json)")
    top.add_argument("-b", "--bind", metavar="ADDR", help="IP address and port to listen on, with commas")
    top.add_argument("--workers", type=int, metavar="N", help="processes that answer")
    top.add_argument("-v", "--verbose", action="count", default=0, help="log more")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("run", help="run it until Ctrl-C; what isn't there yet is made")
    init = commands.add_parser("init", help="make configuration, store key and database, and if named the first owner")
    init.add_argument("--owner", metavar="NAME", help="user name of the first owner")
    init.add_argument("--owner-password-file", metavar="FILE", help="file with the owner's password, - for stdin")
    init.add_argument("--key-store", metavar="URI", help="where the store key lies: file:, env:, keyring:, pkcs11:")
    check = commands.add_parser("check", help="what it would run with, and where each setting comes from")
    check.add_argument("--json", action="store_true", help="print JSON")
    add_keys(
        commands.add_parser("keys", help="store key and token signing key, with the service stopped"), may_move=False
    )
    return top
