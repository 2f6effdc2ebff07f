"""`meroctl account create|link|links|withdraw-link`: letting people onto the node, and back into their accounts."""

import sys
from typing import Final

from meroid.cli.meroctl.ages import span_ms
from meroid.cli.meroctl.printable import printable
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, value_at

_KINDS: Final = {"new": "new account", "reset": "new password or key"}


def create_account(session: Session) -> None:
    """Make a link for a new account, and show it once."""
    body: dict[str, object] = {"valid_for": span_ms(session.args.valid_for) // 1000}
    if session.args.name:
        body["label"] = session.args.name
    _show(session, session.routes.invite_person(body))


def make_link(session: Session) -> None:
    """Make a link into an account that is there, and show it once."""
    body = {"valid_for": span_ms(session.args.valid_for) // 1000}
    _show(session, session.routes.make_link(session.args.account, body))


def list_links(session: Session) -> None:
    """The open links."""
    body = session.routes.login_links()
    rows = [
        [
            text_at(each, "link_id"),
            _KINDS.get(text_at(each, "kind"), text_at(each, "kind")),
            text_at(each, "label") or "-",
            str(value_at(each, "account_id") or "-"),
            _minute(number_at(each, "expires_at")),
        ]
        for each in items_at(body, "data")
    ]
    session.output.answer(body, Table(["ID", "For", "Label", "Account", "Ends"], rows) if rows else "No open links")


def withdraw_link(session: Session) -> None:
    """Let a link open nothing any more."""
    body = session.routes.withdraw_link(session.args.link_id)
    session.output.answer(body, Table(["Link Withdrawn"], [["Successfully withdrew link"]]))


def _show(session: Session, body: object) -> None:
    made = value_at(body, "data")
    link = value_at(made, "link")
    session.output.answer(body, str(link or text_at(made, "code")))
    if session.output.json_format:
        return
    ends, account = _minute(number_at(made, "expires_at")), value_at(made, "account_id")
    lines = [
        f"This is shown once, opens the account for whoever has it, works once, and ends on {ends} UTC.",
        "Send it privately. It is opened in a browser, or used with: meroctl login --code",
        f"Withdraw it: meroctl account withdraw-link {text_at(made, 'link_id')}",
    ]
    if isinstance(account, str):
        lines.insert(0, f"Account: {account}")
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))


def _minute(seconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - start-up time

    whole = min(max(0, seconds), 253_402_300_799)  # of the year 9999
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%d %H:%M")
