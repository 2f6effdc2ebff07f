"""`meroctl context invite`, `join` and their open forms."""

import json

from meroid.cli.meroctl.contexts import name_joined
from meroid.cli.meroctl.output import compact
from meroid.cli.meroctl.refusals import BadArgumentError, NothingDoneError
from meroid.cli.meroctl.session import Session, check_alias, is_id
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import text_at, value_at
from meroid.client.routes import AliasScope


def invite(session: Session) -> None:
    """Invite a key; the invitation is shown below the table."""
    args = session.args
    _check_key(args.invitee, "the invitee")
    context_id = session.context(args.context)
    if args.alias is not None:
        session.check_free(AliasScope.IDENTITY, args.alias, context_id)
    inviter = session.acting(args.acting, context_id)
    body = session.routes.invite({"contextId": context_id, "inviterId": inviter, "inviteeId": args.invitee})
    payload = value_at(body, "data")
    if not isinstance(payload, str):
        raise NothingDoneError("the node made no invitation")
    session.output.answer(body, Table(["Invitation Sent"], [["Successfully sent invitation"]]))
    session.output.detail("Invitation", payload)
    if args.alias is not None:
        session.give_alias(AliasScope.IDENTITY, args.alias, args.invitee, context_id)


def join(session: Session) -> None:
    """Join by an invitation to one of this node's identities."""
    args = session.args
    if args.context_alias is not None:
        session.check_free(AliasScope.CONTEXT, args.context_alias)
    if args.identity_alias is not None:
        check_alias(args.identity_alias)
    _joined(session, session.routes.join({"invitationPayload": args.invitation.strip()}), args.identity_alias)


def invite_open(session: Session) -> None:
    """Make an invitation for whoever holds it; it is shown below the table, as one line of JSON."""
    args = session.args
    if not 0 < args.valid_for_blocks < 2**64:
        raise BadArgumentError("--valid-for-blocks must be from 1 to 2^64 - 1")
    context_id = session.context(args.context)
    inviter = session.acting(args.acting, context_id)
    body = session.routes.invite_open(
        {"contextId": context_id, "inviterId": inviter, "validForBlocks": args.valid_for_blocks}
    )
    invitation = value_at(body, "data")
    if invitation is None:
        raise NothingDoneError("the node made no invitation")
    table = Table(["Open Invitation Created"], [["Successfully created an open invitation"]])
    session.output.answer(body, table)
    session.output.detail("Invitation", compact(invitation))


def join_open(session: Session) -> None:
    """Join by an open invitation, with an identity that was generated before."""
    args = session.args
    _check_key(args.member, "--as")
    if args.context_alias is not None:
        session.check_free(AliasScope.CONTEXT, args.context_alias)
    invitation = _open_invitation(args.invitation)
    _joined(session, session.routes.join_open({"invitation": invitation, "newMemberPublicKey": args.member}), None)


def _joined(session: Session, body: object, identity_alias: str | None) -> None:
    if value_at(body, "data") is None:
        raise NothingDoneError("the node didn't join the context")
    context_id, member = text_at(body, "data", "contextId"), text_at(body, "data", "memberPublicKey")
    session.output.answer(body, Table(["Context Joined"], [["Successfully joined context"]]))
    name_joined(session, context_id, member, session.args.context_alias, identity_alias)


def _open_invitation(text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgumentError(
            "the invitation is not JSON", next_step="give it in single quotes, as it was printed"
        ) from None
    return value["data"] if isinstance(value, dict) and "data" in value else value


def _check_key(text: str, what: str) -> None:
    if not is_id(text):
        raise BadArgumentError(
            f"{what} must be a public key, in base58", next_step="make one: meroctl context identity generate"
        )
