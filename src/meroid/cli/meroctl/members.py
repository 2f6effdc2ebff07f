"""`meroctl context members`, `identity grant`, `identity revoke`: who may do what, and who belongs."""

from typing import NamedTuple

from meroid.cli.meroctl.asking import confirm
from meroid.cli.meroctl.output import is_interactive
from meroid.cli.meroctl.refusals import NotConfirmedError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, texts_at, value_at
from meroid.client.failures import NotANodeError, ResourceNotFoundError
from meroid.client.routes import AliasScope

_MEMBERSHIP = "Member"


def list_members(session: Session) -> None:
    """The members of a context with their aliases and capabilities."""
    context_id = session.context(session.args.context)
    try:
        body = session.routes.context_members(context_id)
    except ResourceNotFoundError as error:
        if error.refusal.code not in {"", "no_such_path"}:
            raise
        body = session.routes.context_identities(context_id)
        rows: list[tuple[str, str, str | None]] = [
            (str(key), "not told by this node", None) for key in items_at(body, "data", "identities")
        ]
    else:
        rows = [_member_row(item) for item in items_at(body, "data", "members")]
    if not rows or session.output.json_format:
        session.output.answer(body, "No members found in context")
        return
    names = _names(session, context_id)
    lines = [[key, ", ".join(names.get(key, [])), _held(held, main, names)] for key, held, main in rows]
    session.output.answer(body, Table(["Member", "Alias", "Capabilities"], lines))


def grant(session: Session) -> None:
    """Give a capability to a member."""
    change = _resolve(session)
    answer = session.routes.grant(change.context_id, change.body())
    session.output.answer(answer, Table(["Permissions Granted"], [["Successfully granted permissions"]]))


def revoke(session: Session) -> None:
    """Take a capability, or the membership; before the latter a person is asked, and the last one goes with a yes only."""
    change = _resolve(session)
    if session.args.capability == _MEMBERSHIP and not session.args.yes:
        mains = _main_keys(session, change.context_id)
        change = change._replace(member=mains.get(change.member, change.member))
        last = set(mains.values()) == {change.member}
        if is_interactive():
            _ask(session, change, last=last)
        elif last:
            raise NotConfirmedError(f"{change.member} is the last member: nobody can ever use the context after that")
    answer = session.routes.revoke(change.context_id, change.body())
    session.output.answer(answer, Table(["Permissions Revoked"], [["Successfully revoked permissions"]]))


class Change(NamedTuple):
    """One capability given or taken, all names resolved."""

    context_id: str
    member: str
    capability: str
    signer: str

    def body(self) -> dict[str, object]:
        """The object form of the request, which names the signer."""
        return {"capabilities": [[self.member, self.capability]], "signer_id": self.signer}


def _resolve(session: Session) -> Change:
    args = session.args
    context_id = session.context(args.context)
    return Change(
        context_id=context_id,
        member=session.identity(args.member, context_id),
        capability=args.capability,
        signer=session.acting(args.acting, context_id),
    )


def _main_keys(session: Session, context_id: str) -> dict[str, str]:
    """By key of a context that of its member: a linked key stands for the member that it is linked to."""
    try:
        members = items_at(session.routes.context_members(context_id), "data", "members")
    except ResourceNotFoundError as error:
        if error.refusal.code not in {"", "no_such_path"}:
            raise
        keys = items_at(session.routes.context_identities(context_id), "data", "identities")
        return {str(key): str(key) for key in keys}
    return {key: main or key for key, _, main in map(_member_row, members)}


def _ask(session: Session, change: Change, *, last: bool) -> None:
    names = _names(session, change.context_id)
    lines = [
        f"This removes {_named(change.member, names)} from the context {change.context_id},",
        f"signed by {_named(change.signer, names)}:",
        "  - its key can sign nothing for this context any more, and no token for it works",
        "  - it gets no further update: the others continue under a new key",
        "  - what it wrote before stays valid; its account and its other contexts go on",
    ]
    if last:
        lines.append("  - it is the last member: nobody can ever use this context after that")
    confirm("Remove this member?", otherwise="the member would be removed", before=lines)


def _names(session: Session, context_id: str) -> dict[str, list[str]]:
    """Aliases by key; they are told beside the keys, so a node that has none is no failure."""
    found: dict[str, list[str]] = {}
    for alias, key in sorted(texts_at(session.routes.aliases(AliasScope.IDENTITY, context_id), "data").items()):
        found.setdefault(key, []).append(alias)
    return found


def _named(key: str, names: dict[str, list[str]]) -> str:
    return f"{names[key][0]!r} ({key})" if key in names else key


def _held(capabilities: str, main: str | None, names: dict[str, list[str]]) -> str:
    """What a member may do; of a linked key also whose it is, by the alias where there is one."""
    return capabilities if main is None else f"{capabilities} (linked to {names.get(main, [main])[0]})"


def _member_row(item: object) -> tuple[str, str, str | None]:
    key = value_at(item, "publicKey") or value_at(item, "identity")
    capabilities = items_at(item, "capabilities")
    if not isinstance(key, str):
        raise NotANodeError("the answer has another shape than a node's: a member without a key")
    held = ", ".join(str(each) for each in capabilities)
    main = value_at(item, "linkedTo")
    return key, held, main if isinstance(main, str) else None
