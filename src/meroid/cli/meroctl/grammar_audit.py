"""The words of `meroctl audit …`: what happened to log-ins, keys and tokens."""

import argparse

from meroid.cli.meroctl.grammar_parts import Commands, command, group


def add_audit(commands: Commands) -> None:
    """`meroctl audit …`."""
    audit = group(commands, "audit", "what happened to log-ins, keys and tokens")
    listing = command(audit, "list", "audit:list_events", "the last events of the audit trail", "ls")
    listing.add_argument("--account", metavar="ID", help="only what this account did")
    listing.add_argument("--action", metavar="NAME", help="only these, like login, token or token.mint")
    listing.add_argument("--outcome", metavar="CODE", help="only these: ok, refused, or a code")
    listing.add_argument("--since", metavar="TIME", help="2026-01-31, 2026-01-31T12:00, or how long ago, like 2h")
    listing.add_argument("--until", metavar="TIME", help="the same; events from then on are left out")
    listing.add_argument("-n", "--limit", metavar="N", type=int, default=50, help="how many, at most 1000; default: 50")
    listing.add_argument("-f", "--follow", action="store_true", help="go on with what comes, a line for each event")
    listing.add_argument(
        "--json",
        dest="output_format",
        action="store_const",
        const="json",
        default=argparse.SUPPRESS,
        help="short for --output-format json; with --follow one event on each line",
    )
    export = command(audit, "export", "audit_files:export", "write the whole trail into a file, with its signed end")
    export.add_argument("--out", metavar="FILE", required=True, help="a file that isn't there yet, made with mode 0600")
    verify = command(audit, "verify", "audit_files:verify", "check that nothing in a trail was changed or left out")
    verify.add_argument("file", metavar="FILE", nargs="?", help="an export; default: the trail of the node, now")
    verify.add_argument(
        "--jwks", metavar="FILE", help="the node's /auth/jwks.json, kept from then; default: the keys in the export"
    )
    verify.add_argument(
        "--since-head",
        metavar="FILE|N:HASH",
        help="an older export, or the number and hash that `verify` showed: the trail must contain it",
    )
