"""`meroctl account keys|add-root-key|remove-root-key|password`: what opens your account."""

import sys

from meroid.cli.meroctl.ages import DAY_MS, ago_text
from meroid.cli.meroctl.asking import confirm
from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.proof_input import bind, named_key
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.secret_input import need_terminal, new_password, secret_from, typed_secret
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, value_at
from meroid.client.failures import SignInNeededError
from meroid.client.proofs import USER_PASSWORD, password_proof
from meroid.client.tokens import claims_of
from meroid.clock import SystemClock
from meroid.errors import NotFoundError
from meroid.ids import AccountId


class NoSuchRootKeyError(NotFoundError):
    """The account has no such root key, or none that fits."""

    code = "no_such_root_key"
    next_step = "see them: meroctl account keys"


def list_keys(session: Session) -> None:
    """The root keys with their ages; those that are older than asked for are named below."""
    body = session.routes.root_keys(every=session.args.every)
    live = [each for each in items_at(body, "data") if value_at(each, "revoked_at") is None]
    now = SystemClock().now_ms()
    rows = [_row(each, now) for each in live]
    header = ["ID", "Method", "Name", "Set", "Last Used", "This Log-In"]
    if session.args.every:
        header.append("Account")
        rows = [[*row, text_at(each, "account_id")] for row, each in zip(rows, live, strict=True)]
    session.output.answer(body, Table(header, rows) if rows else "No root keys found")
    for each in live:
        days = (now - _set_at(each)) // DAY_MS
        if days > session.args.old_after:
            label = printable(text_at(each, "label"))
            sys.stderr.write(f"warning: {label} is {days} days old; replace it, or change its password\n")


def add_key(session: Session) -> None:
    """Bind one more root key to the account that is logged in."""
    args = session.args
    if args.password:
        body = _bind_password(session)
    elif args.username is not None or args.password_file is not None:
        raise BadArgumentError("a user name or password belongs to --password", next_step="leave it out")
    else:
        key = named_key(args)
        assert key is not None  # noqa: S101 - argparse asks for one of them
        body = bind(session, key, _account(session))
    row = [text_at(body, "data", "message"), text_at(body, "data", "key_id")]
    session.output.answer(body, Table(["Root Key Added", "ID"], [row]))


def remove_key(session: Session) -> None:
    """Take a root key away, with the log-ins and tokens that hang on it; a person is asked before."""
    args = session.args
    if not args.yes:
        last = "; if it is the last, nobody logs in but with the recovery words" if args.force else ""
        what = f"the root key {args.key_id} would open your account no more, and its log-ins would end{last}"
        confirm("Remove it?", otherwise=what, before=[what])
    body = session.routes.remove_root_key(args.key_id, force=args.force)
    session.output.answer(body, Table(["Root Key Removed"], [["Successfully removed root key"]]))
    session.output.detail("Tokens that ended with it", str(number_at(body, "data", "clients_revoked")))
    lost = value_at(body, "data", "lost")
    if isinstance(lost, str):
        session.output.detail("It was the last one", lost)


def change_password(session: Session) -> None:
    """Change the password of a root key; the old one is asked for where this log-in was made with it."""
    args = session.args
    key_id, current = _password_key(session, args.key_id)
    old = None
    if args.old_password_file is not None:
        old = secret_from(args.old_password_file, "old password")
    elif current:
        need_terminal("old password", "--old-password-file")
        old = typed_secret("Old password: ")
    change: dict[str, object] = {
        "password": new_password(args.password_file),
        "end_sessions": not args.keep_sessions,
    }
    if old is not None:
        change["old_password"] = old
    body = session.routes.change_password(key_id, change)
    session.output.answer(body, Table(["Password Changed"], [["Successfully changed password"]]))
    session.output.detail("Other log-ins that ended", str(number_at(body, "data", "sessions_ended")))


def _bind_password(session: Session) -> object:
    args = session.args
    if args.username is None:
        need_terminal("user name", "--username NAME and --password-file")
        sys.stderr.write("User name: ")
        sys.stderr.flush()
    username = args.username if args.username is not None else sys.stdin.readline().strip()
    return session.routes.bind_root_key(password_proof(username, new_password(args.password_file)).body())


def _account(session: Session) -> AccountId:
    """The account that is logged in, which a proof names."""
    tokens = session.tokens.load()
    account = claims_of(tokens.access_token).get("account_id") if tokens is not None else None
    if not isinstance(account, str):
        raise SignInNeededError("a root key is added to the account that is logged in, and none is")
    return AccountId.parse(account)


def _password_key(session: Session, wanted: str | None) -> tuple[str, bool]:
    """Id of the root key whose password is meant, and whether this log-in was made with it."""
    listed = items_at(session.routes.root_keys(every=False), "data")
    found = [
        each
        for each in listed
        if value_at(each, "auth_method") == USER_PASSWORD
        and value_at(each, "revoked_at") is None
        and wanted in (None, value_at(each, "key_id"))
    ]
    if len(found) != 1:
        many = "several passwords; name one with --key" if found else "no such password"
        raise NoSuchRootKeyError(f"your account has {many}")
    return text_at(found[0], "key_id"), value_at(found[0], "current") is True


def _row(key: object, now: int) -> list[str]:
    used = value_at(key, "last_used_at")
    return [
        text_at(key, "key_id"),
        text_at(key, "auth_method"),
        text_at(key, "label"),
        ago_text(_set_at(key), now),
        ago_text(used * 1000, now) if isinstance(used, int) else "never",
        "yes" if value_at(key, "current") is True else "",
    ]


def _set_at(key: object) -> int:
    """When the key was bound, or its password changed; in ms."""
    changed = value_at(key, "changed_at")
    return 1000 * (changed if isinstance(changed, int) else number_at(key, "created_at"))
