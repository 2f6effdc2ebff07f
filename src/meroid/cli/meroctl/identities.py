"""`meroctl context identity …`: client keys of a context and their aliases."""

from meroid.cli.meroctl.ages import DAY_MS, age_text
from meroid.cli.meroctl.aliases import alias_table, lookup_table
from meroid.cli.meroctl.asking import confirm, progress
from meroid.cli.meroctl.refusals import NotAllRotatedError, NotAMemberError
from meroid.cli.meroctl.session import DEFAULT_ALIAS, Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, texts_at, value_at
from meroid.client.failures import code_of
from meroid.client.routes import AliasScope
from meroid.clock import SystemClock
from meroid.errors import MeroidError


def generate_identity(session: Session) -> None:
    """A new identity, to be invited with."""
    body = session.routes.generate_identity()
    row = ["Successfully generated context identity", text_at(body, "data", "publicKey")]
    session.output.answer(body, Table(["Context Identity Generated", "Public Key"], [row]))


def rotate_identity(session: Session) -> None:
    """Replace an identity's client key by its next one; membership and rights go on."""
    if session.args.every:
        _rotate_all(session)
        return
    context_id = session.context(session.args.context)
    identity = session.acting(session.args.identity, context_id)
    body = session.routes.rotate_identity(context_id, identity)
    row = ["Successfully rotated context identity", text_at(body, "data", "publicKey")]
    session.output.answer(body, Table(["Context Identity Rotated", "Public Key"], [row]))


def _rotate_all(session: Session) -> None:
    """Rotate every identity that is a member now, one after another; one that can't be is named at the end."""
    now, oldest = SystemClock().now_ms(), session.args.older_than * DAY_MS
    keys = [
        (text_at(each, "contextId"), text_at(each, "publicKey"), number_at(each, "createdAt"))
        for each in items_at(session.routes.client_keys(), "data", "clientKeys")
        if value_at(each, "member") and not value_at(each, "restored")
    ]
    due = [(context_id, key, since) for context_id, key, since in keys if now - since >= oldest]
    rows, failed = [], 0
    for place, (context_id, key, since) in enumerate(due, start=1):
        progress(f"rotating {place} of {len(due)}")
        outcome = f"would be rotated ({age_text(since, now)} old)"
        if not session.args.dry_run:
            try:
                outcome = text_at(session.routes.rotate_identity(context_id, key), "data", "publicKey")
            except MeroidError as problem:
                outcome, failed = f"{problem.reason} ({code_of(problem)})", failed + 1
        rows.append([context_id, key, outcome])
    progress("")
    answer = {"rotated": [{"contextId": row[0], "publicKey": row[1], "outcome": row[2]} for row in rows]}
    table = Table(["Context", "Was", "Is"], rows)
    session.output.answer(answer, table if rows else "No identity is due for rotation")
    if failed:
        raise NotAllRotatedError(f"{failed} of {len(due)} identities could not be rotated")


def resume_identity(session: Session) -> None:
    """Go on with a restored identity, since its owner says that no other copy of the home runs."""
    context_id = session.context(session.args.context)
    if not session.args.yes:
        question = "If another copy of this home runs, its changes from now on count nowhere. Go on?"
        confirm(question, otherwise="the identity would be rotated without having asked a member")
    body = session.routes.resume_identity(context_id, force=session.args.force)
    row = ["Successfully resumed context identity", text_at(body, "data", "publicKey")]
    session.output.answer(body, Table(["Context Identity Resumed", "Public Key"], [row]))


def list_identities(session: Session) -> None:
    """The identities of a context, or only this node's."""
    context_id = session.context(session.args.context)
    body = session.routes.context_identities(context_id, owned=session.args.owned)
    rows = [[str(key), "Context Identity"] for key in items_at(body, "data", "identities")]
    session.output.answer(body, Table(["Identity", "Type"], rows) if rows else "No identities found in context")


def use_identity(session: Session) -> None:
    """Make an identity the default of a context."""
    context_id = session.context(session.args.context)
    member = _member(session, session.args.identity, context_id)
    session.set_alias(AliasScope.IDENTITY, DEFAULT_ALIAS, member, context_id, force=session.args.force)


def add_alias(session: Session) -> None:
    """Give an identity of a context an alias."""
    context_id = session.context(session.args.context)
    member = _member(session, session.args.target, context_id)
    session.set_alias(AliasScope.IDENTITY, session.args.alias, member, context_id, force=session.args.force)


def remove_alias(session: Session) -> None:
    """Take an alias away."""
    context_id = session.context(session.args.context)
    body = session.routes.delete_alias(AliasScope.IDENTITY, session.args.alias, context_id)
    session.output.answer(body, Table(["Alias Deleted"], [["Successfully deleted alias"]]))


def get_alias(session: Session) -> None:
    """What an alias names in a context."""
    context_id = session.context(session.args.context)
    body = session.routes.lookup_alias(AliasScope.IDENTITY, session.args.alias, context_id)
    session.output.answer(body, lookup_table(value_at(body, "data", "value")))


def list_aliases(session: Session) -> None:
    """All aliases of identities in a context."""
    body = session.routes.aliases(AliasScope.IDENTITY, session.context(session.args.context))
    session.output.answer(body, alias_table(texts_at(body, "data")))


def _member(session: Session, text: str, context_id: str) -> str:
    key = session.identity(text, context_id)
    if key not in items_at(session.routes.context_identities(context_id), "data", "identities"):
        raise NotAMemberError(f"{key} is no identity of the context {context_id}")
    return key
