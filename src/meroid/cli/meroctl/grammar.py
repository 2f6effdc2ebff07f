"""The words that `meroctl` understands (`wire/node.md` §3.1, §3.5): commands, aliases, flags. No behaviour.

Each command names the function that runs it as `module:function`, so that only its own module is loaded.
"""

import argparse
import os
from typing import Final

from meroid.cli.meroctl.grammar_account import add_account, add_identity
from meroid.cli.meroctl.grammar_audit import add_audit
from meroid.cli.meroctl.grammar_login_links import add_coming
from meroid.cli.meroctl.grammar_parts import (
    Commands,
    as_identity as _as_identity,
    command as _command,
    group as _group,
    in_context as _in_context,
)
from meroid.cli.meroctl.grammar_root_keys import add_other_keys
from meroid.cli.meroctl.grammar_tokens import add_tokens

DEFAULT_HOME: Final = "~/.calimero"
CONTEXT_PARTS: Final = ("info", "client-keys", "storage")
_CAPABILITIES = ("ManageApplication", "ManageMembers", "Proxy", "Read", "Write", "Invite", "Propose")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command tree."""
    parser = argparse.ArgumentParser(
        prog="meroctl", description="Work with a node: contexts, identities, applications, calls.", allow_abbrev=False
    )
    default_home = os.environ.get("CALIMERO_HOME") or DEFAULT_HOME
    parser.add_argument(
        "--home", metavar="PATH", default=default_home, help="where local nodes live (env CALIMERO_HOME)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--api", metavar="URL", help="talk to this base address")
    where.add_argument("--node", metavar="NAME", help="registered node, or a local one below the home")
    parser.add_argument("--output-format", choices=("json", "human"), default="human", help="default: human")
    parser.add_argument("--verbose", action="store_true", help="show the trace of a failure")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_context(commands)
    _add_call(commands)
    _add_app(commands)
    _command(commands, "peers", "nodes:show_peers", "how many peers the node is connected to")
    _add_node(commands)
    add_account(commands)
    add_identity(commands)
    add_tokens(commands)
    add_audit(commands)
    _add_login(commands)
    return parser


def _add_context(commands: Commands) -> None:
    group = _group(commands, "context", "contexts, their members and identities")
    _command(group, "list", "contexts:list_contexts", "list the contexts of the node", "ls")
    create = _command(group, "create", "contexts:create_context", "create a context")
    create.add_argument("--protocol", metavar="NAME", required=True, help="accepted and kept, for example near")
    create.add_argument(
        "-a", "--application-id", metavar="ID", required=True, help="alias or id of an installed application"
    )
    create.add_argument(
        "-p", "--params", metavar="TEXT", default="", help="argument of the application's init, as JSON"
    )
    create.add_argument("-s", "--seed", metavar="HASH", help="base58 of 32 bytes")
    create.add_argument("--as", dest="identity_alias", metavar="ALIAS", help="alias to give to your identity in it")
    create.add_argument("--name", dest="context_alias", metavar="ALIAS", help="alias to give to the context")
    get = _command(group, "get", "contexts:get_context", "show one context")
    get.add_argument("context", metavar="CONTEXT", nargs="?", help="alias or id; default: the alias 'default'")
    get.add_argument("what", choices=CONTEXT_PARTS, nargs="?", help="default: info")
    delete = _command(group, "delete", "contexts:delete_context", "take a context off this node", "del")
    delete.add_argument("context", metavar="CONTEXT", help="alias or id")
    sync = _command(group, "sync", "contexts:sync_contexts", "ask for synchronisation")
    _in_context(sync)
    sync.add_argument("-a", "--all", dest="every", action="store_true", help="all contexts of the node")
    use = _command(group, "use", "contexts:use_context", "make a context the default")
    use.add_argument("context", metavar="CONTEXT", help="alias or id")
    use.add_argument("-f", "--force", action="store_true", help="also when another one is the default")
    _in_context(_command(group, "members", "members:list_members", "list the members with their capabilities"))
    _add_membership(group)
    _add_alias(group, "contexts", "CONTEXT_ID", "aliases of contexts")
    _add_identity(group)


def _add_membership(group: Commands) -> None:
    invite = _command(group, "invite", "invitations:invite", "invite a key into a context")
    invite.add_argument("invitee", metavar="INVITEE", help="the key that is invited")
    invite.add_argument("alias", metavar="ALIAS", nargs="?", help="alias to give to it")
    _in_context(invite)
    _as_identity(invite)
    join = _command(group, "join", "invitations:join", "join a context by an invitation")
    join.add_argument("invitation", metavar="INVITATION", help="the invitation as it was printed")
    join.add_argument("--name", dest="context_alias", metavar="ALIAS", help="alias to give to the context")
    join.add_argument("--as", dest="identity_alias", metavar="ALIAS", help="alias to give to your identity in it")
    invite_open = _command(
        group,
        "invite-by-open-invitation",
        "invitations:invite_open",
        "make an invitation for whoever holds it",
        "invite-open",
    )
    _in_context(invite_open)
    _as_identity(invite_open)
    invite_open.add_argument("--valid-for-blocks", metavar="N", type=int, default=1000, help="default: 1000")
    join_open = _command(
        group, "join-by-open-invitation", "invitations:join_open", "join by an open invitation", "join-open"
    )
    join_open.add_argument("invitation", metavar="JSON", help="the invitation as JSON")
    join_open.add_argument("--as", dest="member", metavar="PUBLIC_KEY", required=True, help="your new identity")
    join_open.add_argument("--name", dest="context_alias", metavar="ALIAS", help="alias to give to the context")


def _add_alias(group: Commands, module: str, target: str, text: str) -> None:
    """The four alias commands; those of identities stand inside a context."""
    of_identity = module == "identities"
    alias = _group(group, "alias", text)
    add = _command(alias, "add", f"{module}:add_alias", "give an alias", "new", "create")
    add.add_argument("alias", metavar="ALIAS")
    add.add_argument("target", metavar=target)
    add.add_argument("-f", "--force", action="store_true", help="replace an alias that names another one")
    remove = _command(alias, "remove", f"{module}:remove_alias", "take an alias away", "rm", "del", "delete")
    remove.add_argument("alias", metavar="ALIAS")
    get = _command(alias, "get", f"{module}:get_alias", "what an alias names")
    get.add_argument("alias", metavar="ALIAS", nargs="?", default="default", help="default: 'default'")
    listing = _command(alias, "list", f"{module}:list_aliases", "list the aliases", "ls")
    if of_identity:
        for parser in (add, get, listing):
            _in_context(parser)
        _in_context(remove, required=True)


def _add_identity(context: Commands) -> None:
    group = _group(context, "identity", "identities: the client keys in a context")
    listing = _command(group, "list", "identities:list_identities", "list the identities of a context", "ls")
    _in_context(listing)
    listing.add_argument("--owned", action="store_true", help="only those whose key this node holds")
    _command(group, "generate", "identities:generate_identity", "make an identity to be invited with", "new")
    rotate = _command(group, "rotate", "identities:rotate_identity", "replace an identity's key by its next one")
    rotate.add_argument("identity", metavar="IDENTITY", nargs="?", help="alias or key; default: as for --as")
    _in_context(rotate)
    rotate.add_argument("-a", "--all", dest="every", action="store_true", help="your identities in all contexts")
    rotate.add_argument(
        "--older-than", metavar="DAYS", type=int, default=0, help="with --all: only those of that age; default: 0"
    )
    rotate.add_argument("--dry-run", action="store_true", help="with --all: say what would be rotated")
    resume = _command(
        group, "resume", "identities:resume_identity", "go on with a restored identity when nobody else can be asked"
    )
    _in_context(resume)
    resume.add_argument("--force", action="store_true", help="also when there are other members to ask")
    resume.add_argument("-y", "--yes", action="store_true", help="don't ask")
    _add_links(group)
    use = _command(group, "use", "identities:use_identity", "make an identity the default of a context")
    use.add_argument("identity", metavar="IDENTITY", help="alias or key")
    _in_context(use)
    use.add_argument("-f", "--force", action="store_true", help="also when another one is the default")
    grant = _command(group, "grant", "members:grant", "give a capability to a member")
    grant.add_argument("member", metavar="MEMBER", help="alias or key")
    grant.add_argument("capability", metavar="CAPABILITY", choices=_CAPABILITIES, help=", ".join(_CAPABILITIES))
    revoke = _command(group, "revoke", "members:revoke", "take a capability, or with Member the membership")
    revoke.add_argument("member", metavar="MEMBER", help="alias or key")
    takeable = (*_CAPABILITIES, "Member")
    revoke.add_argument("capability", metavar="CAPABILITY", choices=takeable, help=", ".join(takeable))
    revoke.add_argument("-y", "--yes", action="store_true", help="don't ask before a member is removed")
    for parser in (grant, revoke):
        _in_context(parser)
        _as_identity(parser)
    _add_alias(group, "identities", "IDENTITY", "aliases of identities in a context")


def _add_links(identity: Commands) -> None:
    """A second device in one membership: `link` on either device, `unlink`, `show`."""
    link = _command(identity, "link", "links:link_identity", "add a device: make a link code, or take one")
    link.add_argument("key", metavar="KEY", nargs="?", help="the other device's key; default: for who has the code")
    _in_context(link)
    link.add_argument("--as", dest="acting", metavar="IDENTITY", help="whom to link to; with --join: the key to link")
    rights = link.add_mutually_exclusive_group()
    rights.add_argument("--capabilities", metavar="A,B", help="what it may do; default: Read,Write as far as you may")
    rights.add_argument("--all", dest="every", action="store_true", help="all that you may do yourself")
    source = link.add_mutually_exclusive_group()
    source.add_argument(
        "--join", dest="code", metavar="CODE", nargs="?", const="", help="take this code; asked for when left out"
    )
    source.add_argument("--code-file", metavar="FILE", help="take the code in this file, or - for standard input")
    link.add_argument("--name", dest="context_alias", metavar="ALIAS", help="with --join: alias for the context")
    unlink = _command(identity, "unlink", "links:unlink_identity", "take a linked device away")
    unlink.add_argument("key", metavar="KEY", help="alias or key of the device")
    _in_context(unlink)
    _as_identity(unlink)
    unlink.add_argument("-y", "--yes", action="store_true", help="don't ask before")
    show = _command(identity, "show", "links:show_identity", "show a member's key and what is linked to it")
    show.add_argument("identity", metavar="KEY", nargs="?", help="alias or key; default: as for --as")
    _in_context(show)


def _add_call(commands: Commands) -> None:
    call = _command(commands, "call", "calls:call", "call a method of a context's application")
    call.add_argument("method", metavar="METHOD")
    _in_context(call)
    call.add_argument("--args", dest="arguments", metavar="JSON", default="{}", help="arguments by name; default: {}")
    _as_identity(call)
    call.add_argument("--id", dest="request_id", metavar="TEXT", help="id of the request; default: null")
    call.add_argument("--substitute", metavar="A,B", default="", help="aliases to put in for {A}, {B} in the arguments")


def _add_app(commands: Commands) -> None:
    group = _group(commands, "app", "applications")
    _command(group, "list", "applications:list_applications", "list the installed applications", "ls")
    get = _command(group, "get", "applications:get_application", "show one application")
    get.add_argument("application", metavar="ID", help="alias or id")
    install = _command(group, "install", "applications:install_application", "install an application")
    source = install.add_mutually_exclusive_group(required=True)
    source.add_argument("-p", "--path", metavar="PATH", help="a file that the node can read")
    source.add_argument("-u", "--url", metavar="URL", help="where the node fetches it")
    install.add_argument("-m", "--metadata", metavar="TEXT", default="")
    install.add_argument("--hash", metavar="HASH", help="base58 of its SHA-256; only with --url")
    install.add_argument("--package", metavar="NAME", default="unknown")
    install.add_argument("--version", metavar="VERSION", default="0.0.0")
    uninstall = _command(group, "uninstall", "applications:uninstall_application", "remove an application")
    uninstall.add_argument("application", metavar="ID", help="alias or id")


def _add_node(commands: Commands) -> None:
    group = _group(commands, "node", "the nodes that meroctl knows by name")
    add = _command(group, "add", "nodes:add_node", "register a node", "connect")
    add.add_argument("name", metavar="NAME")
    add.add_argument("location", metavar="LOCATION", help="address (http, https), or the home of a local node")
    add.add_argument("--access-token", metavar="TOKEN", help="others can see it while this runs; better: login")
    add.add_argument("--refresh-token", metavar="TOKEN", help="others can see it while this runs; better: login")
    remove = _command(group, "remove", "nodes:remove_node", "forget a node", "rm", "disconnect")
    remove.add_argument("name", metavar="NAME")
    use = _command(group, "use", "nodes:use_node", "make a node the active one")
    use.add_argument("name", metavar="NAME")
    _command(group, "list", "nodes:list_nodes", "list the nodes", "ls")


def _add_login(commands: Commands) -> None:
    login = _command(
        commands,
        "login",
        "sign_in:login",
        "log in to the node and keep its tokens; with a password where no other key is named",
    )
    login.add_argument("--username", metavar="NAME", help="asked for on a terminal")
    login.add_argument("--password-file", metavar="FILE", help="file with the password, or - for standard input")
    login.add_argument("--setup-code-file", metavar="FILE", help="file with the node's set-up code")
    add_coming(login)
    login.add_argument(
        "--dpop", action="store_true", help="bind the tokens to a key in a file of its own: alone they open nothing"
    )
    add_other_keys(login.add_mutually_exclusive_group())
    login.add_argument("--account", metavar="ID", help="with words that a recovery put in the place of others")
    _command(commands, "logout", "sign_in:logout", "end this log-in on the node, and forget its tokens")
    _command(commands, "whoami", "sign_in:whoami", "who you are to the node")
