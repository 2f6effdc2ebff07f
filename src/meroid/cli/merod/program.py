"""The program: prints, and talks to `app`."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from meroid.cli.merod.account import run_account
from meroid.cli.merod.fresh_home import fresh_home, recover_home
from meroid.cli.merod.grammar import meaningless, parser
from meroid.cli.merod.greeting import greet, how_to_type
from meroid.cli.merod.keys import run_keys
from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.service import log_to_stderr, owner_password, run_program
from meroid.config import CONFIG_FILE, DEFAULT_NAMESPACE, Settings, load_settings, write_config
from meroid.vault.process import harden_process
from meroid.vault.store_keys import open_secret_store


def main() -> int:
    """Run `merod`; the exit code is 0, 1 for a refusal, 2 for wrong arguments."""
    arguments = parser().parse_args()
    harden_process()
    log_to_stderr()
    return run_program(lambda: _do(arguments))


def _do(arguments: argparse.Namespace) -> None:
    home = Path(arguments.home).expanduser().absolute()
    if arguments.command == "init":
        _init(arguments, home)
    elif arguments.command == "account":
        run_account(
            arguments,
            existing=lambda: load_settings(home, arguments.node_name),
            fresh=lambda: _fresh_settings(arguments, home / arguments.node_name),
        )
    elif arguments.command == "keys":
        run_keys(arguments, load_settings(home, arguments.node_name))
    else:
        _run(arguments, home)


def _init(arguments: argparse.Namespace, home: Path) -> None:
    ignored = meaningless(arguments)
    if ignored:
        print(f"warning: {', '.join(ignored)} mean nothing here", file=sys.stderr)
    directory = home / arguments.node_name
    recover_home(directory)
    if (directory / CONFIG_FILE).exists() and not arguments.force:
        print(f"warning: node {arguments.node_name!r} is there already; nothing was changed", file=sys.stderr)
        return
    password = owner_password(arguments.owner, arguments.owner_password_file)
    settings = _fresh_settings(arguments, directory)
    open_secret_store(settings.key_store, directory)  # refuses a URI that names none
    with fresh_home(directory):
        _make(arguments, settings, password)
    print(f"initialised node {arguments.node_name!r}; run it with: {how_to_type(directory, 'run')}")


def _make(arguments: argparse.Namespace, settings: Settings, password: str) -> None:
    from meroid.app import initialise_node  # noqa: PLC0415  # heavy, and not needed for --help
    from meroid.auth.methods import LoginAttempt  # noqa: PLC0415  # the same

    node = initialise_node(settings, ask_on_terminal())
    try:
        if arguments.owner:
            attempt = LoginAttempt(
                method="user_password",
                public_key=arguments.owner,
                provider_data={"username": arguments.owner, "password": password},
            )
            node.login.create_owner(attempt, node.clock.now_ms())
    finally:
        node.close()
    write_config(settings)


def _fresh_settings(arguments: argparse.Namespace, directory: Path) -> Settings:
    return Settings(
        home=directory,
        name=arguments.node_name,
        auth_mode=arguments.auth_mode,
        listen=_addresses(arguments.server_host, arguments.server_port),
        swarm=_addresses(arguments.swarm_host, arguments.swarm_port),
        bootstrap=tuple(arguments.boot_nodes),
        namespace=DEFAULT_NAMESPACE if arguments.mdns else None,
        key_store=arguments.key_store,
    )


def _addresses(hosts: str, port: int) -> tuple[tuple[str, int], ...]:
    return tuple((host.strip(), port) for host in hosts.split(",") if host.strip())


def _run(arguments: argparse.Namespace, home: Path) -> None:
    settings = load_settings(home, arguments.node_name)
    if arguments.auth_mode:
        settings = replace(settings, auth_mode=arguments.auth_mode)
    if settings.ignored:
        print(f"warning: config keys {', '.join(settings.ignored)} mean nothing here", file=sys.stderr)

    from meroid.app import run_node  # noqa: PLC0415  # heavy, and not needed for --help

    run_node(settings, greet, ask_on_terminal())
