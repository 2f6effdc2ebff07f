"""What to do about a failure, in commands that can be typed where the error speaks to programs."""

import os
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Final

from meroid.cli.meroctl.grammar import DEFAULT_HOME
from meroid.client.environment_token import VARIABLE
from meroid.client.failures import NodeUnreachableError, code_of
from meroid.errors import MeroidError

_SIGN_IN: Final = frozenset(
    {
        "missing_token",
        "invalid_token",
        "token_expired",
        "token_revoked",
        "sign_in_needed",
        "session_ended",
        "no_refresh_token",
        "login_not_fresh",
    }
)


def advice_for(error: MeroidError, args: Namespace) -> str:
    """The next step, with the node that this run was about."""
    if code_of(error) in _SIGN_IN:
        return f"{_without_variable()}log in: {shlex.join(['meroctl', *_same_node(args), 'login'])}"
    if isinstance(error, NodeUnreachableError) and _is_local(args):
        return f"start the node: {shlex.join(['merod', *_same_home(args), '--node-name', args.node, 'run'])}"
    return error.next_step


def _without_variable() -> str:
    return f"set {VARIABLE} to a token that is good for it, or unset it and " if os.environ.get(VARIABLE) else ""


def _same_node(args: Namespace) -> list[str]:
    if args.node is not None:
        return [*_same_home(args), "--node", args.node]
    return [] if args.api is None else ["--api", args.api]


def _same_home(args: Namespace) -> list[str]:
    known = os.environ.get("CALIMERO_HOME") or DEFAULT_HOME
    return [] if args.home == known else ["--home", args.home]


def _is_local(args: Namespace) -> bool:
    return args.node is not None and (Path(args.home).expanduser() / args.node / "config.toml").is_file()
