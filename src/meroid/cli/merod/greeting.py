"""What `merod run` says when it starts."""

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from meroid.cli.merod.grammar import known_home

if TYPE_CHECKING:
    from meroid.app import Node


def greet(node: "Node") -> None:
    """Print the address, the mode in one line, the set-up code on a terminal, and what to type next."""
    settings = node.settings
    scheme = "http" if settings.tls is None else "https"
    addresses = [_url(scheme, address) for address in settings.listen]
    say = [f"node {settings.name} answers on {' and '.join(addresses)}"]
    if settings.auth_mode == "embedded":
        say.append("every request needs a token (auth mode: embedded)")
        say += _first_owner(node)
    else:
        say.append(
            "whoever reaches this address acts for the node: only programs of this machine (auth mode: proxy); "
            "browsers from loopback pages only"
        )
    say += _backup(node)
    say += ["next:", *(f"  {command}" for command in _commands(node, addresses[0]))]
    print("\n".join(say), flush=True)


def _first_owner(node: "Node") -> Iterable[str]:
    code = node.auth.renew_setup_code()
    if code is None:
        return []
    where = node.settings.setup_code_file
    if sys.stdout.isatty():
        return [f"no owner yet; set-up code: {code.reveal().decode()} (also in {where})"]
    return [f"no owner yet; the set-up code lies in {where}"]


def _backup(node: "Node") -> Iterable[str]:
    """One line at each start until the words of the node's own account were confirmed (`design.md` §4)."""
    owner = node.store.read(lambda tx: tx.accounts.owner())
    if owner is None or owner.backed_up_at is not None:
        return []
    command = how_to_type(node.settings.home, "account", "backup")
    return [f"no backup of its account yet; with the node stopped: {command}"]


def _commands(node: "Node", url: str) -> list[str]:
    name, meroctl = node.settings.name, _program("meroctl")
    name = shlex.quote(name)
    add = f"{meroctl} node add {name} {url}"
    generate = f"{meroctl} --node {name} context identity generate"
    if node.settings.auth_mode == "embedded":
        return [add, f"{meroctl} --node {name} login --username YOU", generate]
    return [add, generate, f"{meroctl} --node {name} context ls"]


def how_to_type(directory: Path, *words: str) -> str:
    """A command for the node in this directory, with its home where that isn't found without being named."""
    known = Path(known_home()).expanduser().absolute()
    where = [] if directory.parent == known else ["--home", str(directory.parent)]
    return shlex.join([_program("merod"), *where, "--node-name", directory.name, *words])


def _program(name: str) -> str:
    """How to type a program here: by its name where it is found, else by the path beside this one."""
    beside = Path(sys.argv[0]).with_name(name)
    if shutil.which(name) or not beside.exists():
        return name
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)


def _url(scheme: str, address: tuple[str, int]) -> str:
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
