"""The words of `meroctl account …` and `meroctl identity …`: one's account, and proofs of what belongs to it."""

from meroid.cli.meroctl.grammar_login_links import add_login_links
from meroid.cli.meroctl.grammar_parts import Commands, as_identity, command, group, in_context
from meroid.cli.meroctl.grammar_root_keys import add_root_keys


def add_account(commands: Commands) -> None:
    """`meroctl account …`."""
    account = group(commands, "account", "your account on the node: its keys and its key log")
    command(account, "show", "accounts:show_account", "what your account is, and what its key log says")
    keys = command(account, "client-keys", "accounts:list_client_keys", "your client keys with their age")
    keys.add_argument("-a", "--all", dest="every", action="store_true", help="also those that were rotated away")
    rotate = command(account, "rotate", "accounts:rotate_account", "let the next account key take over")
    rotate.add_argument("--dry-run", action="store_true", help="say what would change")
    export = command(account, "export-log", "accounts:export_log", "write your key log, for anyone to verify")
    export.add_argument("--out", metavar="FILE", help="a file that isn't there yet; default: standard output")
    verify = command(account, "verify-log", "key_logs:verify_log", "verify copies of a key log, offline")
    verify.add_argument("files", metavar="FILE", nargs="+", help="one copy, or several that may have forked")
    verify.add_argument("--account", metavar="ID", help="the account that it has to be of")
    command(account, "list", "accounts:list_accounts", "the accounts of the node", "ls")
    add_login_links(account)
    disable = command(account, "disable", "accounts:disable_account", "let an account open nothing here any more")
    disable.add_argument("account", metavar="ID")
    disable.add_argument("-y", "--yes", action="store_true", help="don't ask")
    enable = command(account, "enable", "accounts:enable_account", "let a disabled account log in again")
    enable.add_argument("account", metavar="ID")
    back = command(account, "return", "accounts:come_back", "find the contexts of a restored account again")
    back.add_argument("addresses", metavar="ADDRESS", nargs="*", help="of members' nodes, like tcp/host:port")
    add_root_keys(account)
    for name in ("backup", "restore", "recover"):
        command(account, name, "accounts:local_only", f"works on the node's own machine only: merod account {name}")


def add_identity(commands: Commands) -> None:
    """`meroctl identity …`: what belongs to an account, shown to others by choice."""
    identity = group(commands, "identity", "prove to others that a client key is yours")
    prove = command(identity, "prove", "proofs:prove", "a file that proves a client key to be your account's")
    in_context(prove)
    as_identity(prove)
    prove.add_argument("--to", dest="audience", metavar="AUDIENCE", required=True, help="whom it is for")
    prove.add_argument("--valid-for", metavar="TIME", default="24h", help="like 10m, 24h or 30d; default: 24h")
    prove.add_argument("--hide-context", action="store_true", help="don't name the context in it")
    prove.add_argument("--serial", metavar="N", type=int, help="of a delegation on which it depends")
    prove.add_argument("--out", metavar="FILE", help="a file that isn't there yet; default: standard output")
    verify = command(identity, "verify", "proofs:verify", "check a proof, or a certificate, offline")
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--to", dest="audience", metavar="AUDIENCE", help="whom the proof has to be for")
    trust = verify.add_mutually_exclusive_group(required=True)
    trust.add_argument("--key", metavar="KEY", help="the account's public key")
    trust.add_argument("--log", metavar="FILE", help="the account's key log")
    delegate = command(identity, "delegate", "proofs:delegate", "a certificate that a client key acts for your account")
    delegate.add_argument("key", metavar="KEY", help="the client key, wherever it is held")
    in_context(delegate)
    delegate.add_argument("--everywhere", action="store_true", help="not bound to one context")
    delegate.add_argument("--permission", dest="permissions", metavar="NAME", action="append", default=[])
    delegate.add_argument("--valid-for", metavar="TIME", help="like 24h or 30d; default: until it is ended")
    delegate.add_argument("--out", metavar="FILE", help="a file that isn't there yet; default: standard output")
    end = command(identity, "end-delegation", "proofs:end_delegation", "take a certificate out of force")
    end.add_argument("serial", metavar="SERIAL", type=int)
