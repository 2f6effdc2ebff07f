"""The words of `meroctl` about more people on one node: links for them, and coming onto a node oneself."""

import argparse

from meroid.cli.meroctl.grammar_parts import Commands, command


def add_login_links(account: Commands) -> None:
    """Making, listing and withdrawing log-in links."""
    create = command(account, "create", "login_links:create_account", "a link for somebody's new account on the node")
    create.add_argument("--name", metavar="LABEL", default="", help="what the account is called, for the owner's list")
    link = command(account, "link", "login_links:make_link", "a link into an account, for a forgotten password")
    link.add_argument("account", metavar="ACCOUNT", help="its id, as `account list` shows it")
    for parser in (create, link):
        parser.add_argument("--valid-for", metavar="TIME", default="7d", help="10m to 30d; default: 7d")
    command(account, "links", "login_links:list_links", "the links that nobody has used yet")
    withdraw = command(account, "withdraw-link", "login_links:withdraw_link", "let a link open nothing any more")
    withdraw.add_argument("link_id", metavar="ID", help="as `account links` shows it")


def add_coming(login: argparse.ArgumentParser) -> None:
    """How `login` comes onto a node, or back into an account."""
    how = login.add_mutually_exclusive_group()
    how.add_argument("--code", action="store_true", help="use a log-in link, asked for on a terminal")
    how.add_argument("--code-file", metavar="FILE", help="use the log-in link in this file, or - for standard input")
    how.add_argument("--sign-up", action="store_true", help="make an account, where the node lets everybody do so")
