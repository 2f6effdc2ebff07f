"""The words of `meroctl token …`: tokens for scripts."""

from meroid.cli.meroctl.grammar_parts import Commands, as_identity, command, group


def add_tokens(commands: Commands) -> None:
    """`meroctl token …`."""
    token = group(commands, "token", "tokens for scripts: scoped, with an end, revocable")
    create = command(token, "create", "service_tokens:create_token", "make a token for a script; it is shown once")
    create.add_argument("name", metavar="NAME", help="what it is for, as the list shows it")
    create.add_argument(
        "--permission",
        dest="permissions",
        metavar="NAME",
        action="append",
        default=[],
        help="what it may do; several times for more. Default with --context: context:execute",
    )
    create.add_argument("-c", "--context", metavar="CONTEXT", help="alias or id; it acts there and nowhere else")
    as_identity(create)
    create.add_argument(
        "--valid-for", metavar="TIME", default="30d", help="like 24h or 90d, at most 365d; default: 30d"
    )
    create.add_argument("--out", metavar="FILE", help="a file that isn't there yet; default: standard output")
    listing = command(token, "list", "service_tokens:list_tokens", "the minted keys of your account", "ls")
    listing.add_argument("-a", "--all", dest="every", action="store_true", help="also those that have ended")
    revoke = command(token, "revoke", "service_tokens:revoke_token", "end a token, from the next request on")
    revoke.add_argument("token", metavar="TOKEN", help="its id or its name, as `token list` shows them")
