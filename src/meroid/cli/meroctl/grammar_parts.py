"""What the parts of the grammar share: a command, a group of commands, and the flags that many have."""

import argparse
from typing import TypeAlias

# argparse has no public name for what `add_subparsers` gives
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def command(commands: Commands, name: str, run: str, text: str, *aliases: str) -> argparse.ArgumentParser:
    """A command that is run by `module:function`."""
    parser = commands.add_parser(name, aliases=aliases, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def group(commands: Commands, name: str, text: str) -> Commands:
    """A group of commands."""
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def in_context(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The flag that names a context."""
    parser.add_argument(
        "-c", "--context", metavar="CONTEXT", required=required, help="alias or id; default: the alias 'default'"
    )


def as_identity(parser: argparse.ArgumentParser) -> None:
    """The flag that names who acts."""
    parser.add_argument(
        "--as",
        dest="acting",
        metavar="IDENTITY",
        help="alias or key to act as; default: the alias 'default', or the only identity of this node there",
    )
