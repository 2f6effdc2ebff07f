"""What `merod` understands: the wire's flags (`wire/node.md` §4), and our own."""

import argparse
import os
from typing import Final

from meroid.cli.merod.grammar_account import add_account
from meroid.cli.merod.keys import add_keys

DEFAULT_HOME: Final = "~/.calimero"
_WITHOUT_MEANING: Final = (
    "boot_network",
    "relayer_url",
    "protocol",
    "advertise_address",
    "rendezvous_registrations_limit",
    "relay_registrations_limit",
    "autonat_probe_interval",
    "autonat_max_candidates",
    "auth_storage",
    "auth_storage_path",
)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole program."""
    top = argparse.ArgumentParser(prog="merod", description="Make and run a meroid node.")
    top.add_argument("--home", default=known_home(), help="where nodes live")
    top.add_argument("-n", "--node-name", required=True, help="name of the node")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_init(commands.add_parser("init", help="make a node"))
    run = commands.add_parser("run", aliases=["up"], help="run a node until Ctrl-C")
    run.add_argument("--auth-mode", choices=["proxy", "embedded"], help="instead of the one in config.toml")
    add_account(commands.add_parser("account", help="the node's own account, on this machine only"), add_node_flags)
    add_keys(
        commands.add_parser("keys", help="store key and token signing key, on this machine, with the node stopped")
    )
    return top


def _add_init(init: argparse.ArgumentParser) -> None:
    add_node_flags(init)
    init.add_argument("--owner", metavar="NAME", help="user name of the first owner (embedded mode)")
    init.add_argument("--owner-password-file", metavar="FILE", help="file with the owner's password, - for stdin")
    init.add_argument("--force", action="store_true", help="throw an existing node away and make a new one")
    init.add_argument("--mode", choices=["standard"], default="standard")
    kept = init.add_argument_group("accepted for scripts of the original, without meaning here")
    for name in _WITHOUT_MEANING:
        flag = "--" + name.replace("_", "-")
        if name == "advertise_address":
            kept.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
        else:
            kept.add_argument(flag, default=None, help=argparse.SUPPRESS)


def add_node_flags(init: argparse.ArgumentParser) -> None:
    """What every new node is made with."""
    init.add_argument("--server-host", default="127.0.0.1,::1", help="HTTP addresses, with commas")
    init.add_argument("--server-port", type=_port, default=2528)
    init.add_argument("--swarm-host", default="0.0.0.0,::", help="addresses for other nodes, with commas")
    init.add_argument("--swarm-port", type=_port, default=2428)
    init.add_argument("--boot-nodes", nargs="*", default=[], metavar="ENDPOINT", help="nodes to stay connected to")
    init.add_argument("--auth-mode", choices=["proxy", "embedded"], default="proxy")
    init.add_argument("--mdns", action=argparse.BooleanOptionalAction, default=True, help="find local nodes")
    init.add_argument(
        "--key-store", default="file:", metavar="URI", help="where the store key lies: file:, env:, keyring:, pkcs11:"
    )


def known_home() -> str:
    """Where nodes live when nothing else is said."""
    return os.environ.get("CALIMERO_HOME") or DEFAULT_HOME


def meaningless(arguments: argparse.Namespace) -> list[str]:
    """Flags that were given and change nothing here."""
    return ["--" + name.replace("_", "-") for name in _WITHOUT_MEANING if getattr(arguments, name, None)]


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise ValueError(text)
    return port
