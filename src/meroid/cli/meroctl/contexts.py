"""`meroctl context …`: contexts themselves and their aliases."""

from meroid.cli.meroctl.aliases import alias_table, lookup_table
from meroid.cli.meroctl.grammar import CONTEXT_PARTS
from meroid.cli.meroctl.refusals import BadArgumentError, NotInstalledError
from meroid.cli.meroctl.session import DEFAULT_ALIAS, Session, check_alias
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import items_at, number_at, text_at, texts_at, value_at
from meroid.client.routes import AliasScope


def list_contexts(session: Session) -> None:
    """All contexts of the node."""
    body = session.routes.contexts()
    rows = [_row(item) for item in items_at(body, "data", "contexts")]
    session.output.answer(body, _context_table(rows) if rows else "No contexts found")


def create_context(session: Session) -> None:
    """A new context; its aliases are checked before anything is made."""
    args = session.args
    if args.context_alias is not None:
        session.check_free(AliasScope.CONTEXT, args.context_alias)
    if args.identity_alias is not None:
        check_alias(args.identity_alias)
    application = session.application(args.application_id)
    if value_at(session.routes.application(application), "data", "application") is None:
        raise NotInstalledError("Application is not installed on node.")
    body = session.routes.create_context(
        {
            "protocol": args.protocol,
            "applicationId": application,
            "contextSeed": args.seed,
            "initializationParams": list(args.params.encode()),
        }
    )
    context_id, member = text_at(body, "data", "contextId"), text_at(body, "data", "memberPublicKey")
    session.output.answer(body, Table(["Context Created"], [["Successfully created context"]]))
    name_joined(session, context_id, member, args.context_alias, args.identity_alias)


def name_joined(
    session: Session, context_id: str, member: str, context_alias: str | None, identity_alias: str | None
) -> None:
    """Show the ids, then give the aliases that were asked for; a refused alias must not hide what was made."""
    session.output.detail("Context ID", context_id)
    session.output.detail("Member public key", member)
    if context_alias is not None:
        session.give_alias(AliasScope.CONTEXT, context_alias, context_id)
    if identity_alias is not None:
        session.give_alias(AliasScope.IDENTITY, identity_alias, member, context_id)


def get_context(session: Session) -> None:
    """One context: its ids, its size, or who signs in for it."""
    named, what = session.args.context, session.args.what
    if what is None and named in CONTEXT_PARTS:
        named, what = None, named
    context_id = session.context(named)
    if what in {None, "info"}:
        body = session.routes.context(context_id)
        session.output.answer(body, _context_table([_row(value_at(body, "data"))]))
    elif what == "storage":
        body = session.routes.context_storage(context_id)
        size = str(number_at(body, "data", "sizeInBytes"))
        session.output.answer(body, Table(["Storage Size", "Value"], [["Size in bytes", size]]))
    else:
        body = session.routes.context_client_keys(context_id)
        rows = [_client_key_row(item) for item in items_at(body, "data", "clientKeys")]
        table = Table(["Wallet Type", "Signing Key", "Created At"], rows)
        session.output.answer(body, table if rows else "No client keys found in context")


def delete_context(session: Session) -> None:
    """Take a context off this node."""
    body = session.routes.delete_context(session.context(session.args.context))
    deleted = str(value_at(body, "data", "isDeleted")).lower()
    session.output.answer(body, Table(["Context Deleted"], [[f"Successfully deleted context (deleted: {deleted})"]]))


def sync_contexts(session: Session) -> None:
    """Ask for synchronisation of one context, or of all."""
    if session.args.every and session.args.context is not None:
        raise BadArgumentError("--all and --context exclude each other", next_step="leave one of them out")
    context_id = None if session.args.every else session.context(session.args.context)
    body = session.routes.sync_context(context_id)
    session.output.answer(body, Table(["Context Synced"], [["Successfully synced context"]]))


def use_context(session: Session) -> None:
    """Make a context the default."""
    context_id = session.context(session.args.context)
    session.routes.context(context_id)  # refuses what this node doesn't have
    session.set_alias(AliasScope.CONTEXT, DEFAULT_ALIAS, context_id, force=session.args.force)


# --- aliases of contexts


def add_alias(session: Session) -> None:
    """Give a context an alias; the context must be there."""
    context_id = session.context(session.args.target)
    session.routes.context(context_id)
    session.set_alias(AliasScope.CONTEXT, session.args.alias, context_id, force=session.args.force)


def remove_alias(session: Session) -> None:
    """Take an alias away."""
    body = session.routes.delete_alias(AliasScope.CONTEXT, session.args.alias)
    session.output.answer(body, Table(["Alias Deleted"], [["Successfully deleted alias"]]))


def get_alias(session: Session) -> None:
    """What an alias names."""
    body = session.routes.lookup_alias(AliasScope.CONTEXT, session.args.alias)
    session.output.answer(body, lookup_table(value_at(body, "data", "value")))


def list_aliases(session: Session) -> None:
    """All aliases of contexts."""
    body = session.routes.aliases(AliasScope.CONTEXT)
    session.output.answer(body, alias_table(texts_at(body, "data")))


def _context_table(rows: list[list[str]]) -> Table:
    return Table(["Context ID", "Application ID", "Root Hash"], rows)


def _row(item: object) -> list[str]:
    return [text_at(item, "id"), text_at(item, "applicationId"), f'Hash("{text_at(item, "rootHash")}")']


def _client_key_row(item: object) -> list[str]:
    wallet = value_at(item, "wallet")
    kind = value_at(wallet, "type") if isinstance(wallet, dict) else wallet
    return [str(kind), str(value_at(item, "signingKey")), str(value_at(item, "createdAt"))]
