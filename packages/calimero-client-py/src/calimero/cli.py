"""`calimero-client-py`: lists the contexts of a node."""

import argparse
import sys
from collections.abc import Sequence

from calimero_client_py import VERSION, create_client, create_connection


def cli(argv: Sequence[str] | None = None) -> None:
    """Run the command line; leaves with 0, or with 1 when the node can't be asked."""
    parser = argparse.ArgumentParser(prog="calimero-client-py", description="Ask a node from the command line.")
    parser.add_argument("--version", action="version", version=f"calimero-client-py {VERSION}")
    parser.add_argument("--base-url", metavar="URL", default="http://127.0.0.1:2528", help="address of the node")
    parser.add_argument("--auth-mode", choices=("none", "required"), default="none", help="accepted, means nothing")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list-contexts", help="list the contexts of the node")
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return
    try:
        contexts = create_client(create_connection(args.base_url)).list_contexts()
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"Error listing contexts: {error}\n")
        sys.exit(1)
    sys.stdout.write(f"Found {dict(contexts)} contexts:\n")


if __name__ == "__main__":
    cli()
