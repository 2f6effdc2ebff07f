"""`meroctl token create|list|revoke`: tokens for scripts, which give them back in `MEROID_TOKEN`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from meroid.cli.meroctl.ages import age_text, span_ms
from meroid.cli.meroctl.files import write_new
from meroid.cli.meroctl.refusals import BadArgumentError, FileProblemError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, value_at
from meroid.clock import SystemClock
from meroid.errors import ConflictError, NotFoundError

_IN_CONTEXT: Final = "context:execute"
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


class NoSuchTokenError(NotFoundError):
    """The account has no such minted key that is valid."""

    code = "no_such_token"
    next_step = "see them: meroctl token list"


class TokenNameSharedError(ConflictError):
    """Several valid tokens have this name, so it says of none which one is meant."""

    code = "token_name_shared"
    next_step = "name it by its id: meroctl token list"


def create_token(session: Session) -> None:
    """Make a token, and show it once or write it into a file of mode 0600."""
    args = session.args
    wanted = _wanted(session)
    if args.out is not None and os.path.lexists(args.out):
        raise FileProblemError(f"{args.out} is there already")
    body = session.routes.mint(wanted)
    token, key_id = text_at(body, "data", "access_token"), text_at(body, "data", "client_id")
    ends = _day(number_at(body, "data", "expires_at"))
    if args.out is None:
        session.output.answer(body, token)
        if not session.output.json_format:
            sys.stderr.write(f"This is shown once. Its id is {key_id}, and it ends on {ends}.\n")
        return
    try:
        write_new(Path(args.out), token + "\n")
    except FileProblemError:
        _revoke(session, key_id)  # nobody has it, so nobody should
        raise
    told = {"client_id": key_id, "expires_at": number_at(body, "data", "expires_at"), "file": args.out}
    session.output.answer(told, Table(["Token Created", "ID", "Ends"], [[str(args.name), key_id, ends]]))
    session.output.detail("Written to", args.out)


def list_tokens(session: Session) -> None:
    """The minted keys that are valid, or all of them."""
    body = session.routes.minted_keys()
    every = session.args.every
    shown = [each for each in items_at(body, "data") if every or value_at(each, "is_valid") is True]
    now = SystemClock().now_ms()
    header = ["ID", "Name", "May", "Age", "Ends"]
    rows = [_row(each, now) for each in shown]
    if every:
        header.append("Valid")
        rows = [
            [*row, "yes" if value_at(each, "is_valid") is True else ""] for row, each in zip(rows, shown, strict=True)
        ]
    session.output.answer(body, Table(header, rows) if rows else "No tokens found")


def revoke_token(session: Session) -> None:
    """End a minted key; a root key is never touched."""
    body = _revoke(session, session.args.token)
    session.output.answer(body, Table(["Token Revoked"], [["Successfully revoked token"]]))


def _wanted(session: Session) -> dict[str, object]:
    args = session.args
    wanted: dict[str, object] = {"name": args.name, "expires_in": span_ms(args.valid_for) // 1000}
    permissions = list(args.permissions)
    if args.context is not None:
        context_id = session.context(args.context)
        wanted |= {"context_id": context_id, "context_identity": session.acting(args.acting, context_id)}
        permissions = permissions or [_IN_CONTEXT]
    elif args.acting is not None:
        raise BadArgumentError("an identity acts in a context", next_step="name the context with --context")
    if not permissions:
        raise BadArgumentError(
            "no permission was named, so the token could do nothing",
            next_step="name what it may do with --permission, or bind it with --context",
        )
    return wanted | {"permissions": permissions}


def _revoke(session: Session, named: str) -> object:
    """End the token with this id, else the only one with this name."""
    valid = [each for each in items_at(session.routes.minted_keys(), "data") if value_at(each, "is_valid") is True]
    found = [each for each in valid if value_at(each, "client_id") == named]
    found = found or [each for each in valid if value_at(each, "name") == named]
    if not found:
        raise NoSuchTokenError(f"your account has no valid token {named}")
    if len(found) > 1:
        raise TokenNameSharedError(f"{len(found)} valid tokens of your account are named {named}")
    return session.routes.remove_minted_key(text_at(found[0], "root_key_id"), text_at(found[0], "client_id"))


def _row(key: object, now: int) -> list[str]:
    ends = value_at(key, "expires_at")
    permissions = ", ".join(str(each) for each in items_at(key, "permissions"))
    age = age_text(number_at(key, "created_at") * 1000, now)
    return [
        text_at(key, "client_id"),
        text_at(key, "name"),
        permissions,
        age,
        _day(ends) if isinstance(ends, int) else "when revoked",
    ]


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(min(max(0, seconds), _LAST_SECOND), UTC).strftime("%Y-%m-%d")
