"""`meroctl account …`: one's own account on the node, and for the node's owner those of others."""

import base64
from collections.abc import Iterator

from meroid.account.key_log_text import key_log_text
from meroid.account.sheet import date_of
from meroid.cli.meroctl.ages import DAY_MS, age_text
from meroid.cli.meroctl.asking import confirm
from meroid.cli.meroctl.files import deliver
from meroid.cli.meroctl.refusals import LocalOnlyError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, value_at
from meroid.client.failures import NotANodeError
from meroid.clock import SystemClock


def show_account(session: Session) -> None:
    """The account, its key log, and what still has to be done about it."""
    body = session.routes.account()
    _answer_account(session, body)


def list_client_keys(session: Session) -> None:
    """Client keys with their contexts and ages, the old ones named below."""
    body, now = session.routes.client_keys(), SystemClock().now_ms()
    keys = [each for each in items_at(body, "data", "clientKeys") if session.args.every or value_at(each, "current")]
    rows = [
        [
            text_at(each, "publicKey"),
            str(value_at(each, "contextId") or "-"),
            age_text(number_at(each, "createdAt"), now),
            _key_state(each),
        ]
        for each in keys
    ]
    session.output.answer(body, Table(["Client Key", "Context", "Age", "State"], rows) if rows else "No client keys")
    limit = number_at(body, "data", "rotateAfterDays")
    old = [each for each in keys if limit and value_at(each, "member") and _days(each, now) >= limit]
    if old:
        session.output.detail(
            "warning",
            f"client keys of {limit} days or more: {len(old)}; rotate them: "
            f"meroctl context identity rotate --all --older-than {limit}",
        )


def rotate_account(session: Session) -> None:
    """The next account key takes over."""
    if session.args.dry_run:
        body = session.routes.account()
        log = value_at(body, "data", "keyLog")
        generation = number_at(log, "generation")
        session.output.info(
            f"would let account key {generation + 1} take over from key {generation}; the account's id, its client "
            "keys and its memberships stay, and the words still open it"
        )
        return
    _answer_account(session, session.routes.rotate_account())


def export_log(session: Session) -> None:
    """The key log as a text file."""
    body = session.routes.key_log()
    entries = [_bytes(each) for each in items_at(body, "data", "entries")]
    deliver(session, body, key_log_text(entries), f"{len(entries)} entries")


def list_accounts(session: Session) -> None:
    """The accounts that the node keeps, as far as the caller may see them."""
    body = session.routes.accounts()
    rows = [
        [
            text_at(each, "accountId"),
            text_at(each, "label") or "-",
            "owner" if value_at(each, "owner") else "",
            date_of(number_at(each, "createdAt")),
            str(number_at(each, "rootKeys")),
            "enabled" if value_at(each, "disabledAt") is None else "disabled",
        ]
        for each in items_at(body, "data", "accounts")
    ]
    session.output.answer(body, Table(["Account", "Label", "Role", "Since", "Root Keys", "State"], rows))


def disable_account(session: Session) -> None:
    """Let an account open nothing here; its log-ins end at once."""
    account_id = session.args.account
    if not session.args.yes:
        question = f"All log-ins of {account_id} end at once; its memberships and its data stay. Disable it?"
        confirm(question, otherwise=f"all log-ins of {account_id} would end")
    body = session.routes.disable_account(account_id)
    session.output.answer(body, Table(["Account Disabled"], [["Successfully disabled account"]]))


def enable_account(session: Session) -> None:
    """Let a disabled account log in again."""
    body = session.routes.enable_account(session.args.account)
    session.output.answer(body, Table(["Account Enabled"], [["Successfully enabled account"]]))


def come_back(session: Session) -> None:
    """Look for the contexts of a restored account at members' nodes."""
    body = session.routes.come_back(session.args.addresses)
    rows = [
        [
            text_at(each, "contextId"),
            str(value_at(each, "publicKey") or "-"),
            str(value_at(each, "reason") or ("back" if value_at(each, "publicKey") else "found")),
        ]
        for each in items_at(body, "data", "contexts")
    ]
    none = "No further contexts were found at the nodes in reach; if one is missing, name the address of a member's node that runs"
    session.output.answer(body, Table(["Context", "Identity", "State"], rows) if rows else none)


def local_only(_: Session) -> None:
    """Refuse what only the node's own machine does."""
    raise LocalOnlyError("the words of an account never travel to or from a node")


def _answer_account(session: Session, body: object) -> None:
    account = value_at(body, "data")
    log = value_at(account, "keyLog")
    rows = [
        ["Account", text_at(account, "accountId")],
        ["Since", date_of(number_at(account, "createdAt"))],
        ["Account key", ", ".join(str(each) for each in items_at(log, "keys"))],
        ["Generation", str(number_at(log, "generation"))],
        ["Signatures needed", f"{number_at(log, 'threshold')} of {len(items_at(log, 'keys'))}"],
        ["Recovery set", _recovery(value_at(log, "recovery"))],
        ["Devices", ", ".join(str(each) for each in items_at(log, "devices")) or "-"],
        ["This device", str(number_at(account, "device"))],
        ["Root keys", str(number_at(account, "rootKeys"))],
        ["Delegations", ", ".join(str(each) for each in items_at(log, "delegations")) or "-"],
        ["Key log", f"{number_at(log, 'length')} entries"],
    ]
    session.output.answer(body, Table(["Account", "Value"], rows))
    for note in _notes(account):
        session.output.detail("note", note)


def _notes(account: object) -> Iterator[str]:
    if value_at(account, "backedUpAt") is None:
        yield "there is no backup of the words yet; on the node's machine, with the node stopped: merod account backup"
    if value_at(account, "logUnsettledAt") is not None:
        yield (
            "it came from a backup, so its key log may have later entries elsewhere; on the node's machine, with the "
            "node stopped: merod account log --file FILE, or --is-latest"
        )


def _recovery(value: object) -> str:
    if value is None:
        return "none"
    return f"{number_at(value, 'threshold')} of {len(items_at(value, 'members'))}"


def _key_state(key: object) -> str:
    if not value_at(key, "current"):
        return "rotated away"
    if value_at(key, "restored"):
        return "restored, not resumed"
    if value_at(key, "contextId") is None:
        return "not used yet"
    return "member" if value_at(key, "member") else "no member now"


def _days(key: object, now: int) -> int:
    return (now - number_at(key, "createdAt")) // DAY_MS


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise NotANodeError("the answer has another shape than a node's: an entry is no text")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
