"""Composing operations: the next one of an author, citing what it has seen."""

from meroid.errors import ForbiddenError
from meroid.ids import EpochId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Body, Genesis, Join, Operation, Rotate, VerifiedOperation
from meroid.ledger.verify import sign_operation


class NotAMemberError(ForbiddenError):
    """The key isn't a member of the context now."""

    code = "not_a_member"
    next_step = "ask a member who may invite for a new invitation"


def next_seq(ledger: Ledger, author: PublicKey) -> int:
    """The number that this author's next operation has."""
    last = ledger.last_of(author)
    return 1 if last is None else last.operation.seq + 1


def compose_genesis(author: PublicKey, body: Genesis) -> Operation:
    """The operation that makes a context."""
    return Operation(context=None, author=author, seq=1, prev=None, parents=(), auth=None, epoch=None, body=body)


def compose(ledger: Ledger, author: PublicKey, body: Body, *, epoch: EpochId | None) -> Operation:
    """The author's next operation on what the ledger holds.

    Raises:
        NotAMemberError: the author isn't a member (a `join` needs no membership).
    """
    speaks_for = body.previous if isinstance(body, Rotate) else author
    if isinstance(body, Join):
        auth = body.invitation
    else:
        member = ledger.state.members.get(speaks_for)
        if member is None:
            raise NotAMemberError(f"{speaks_for} is not a member of {ledger.context_id}")
        auth = member.admission
    last = ledger.last_of(speaks_for)
    return Operation(
        context=ledger.context_id,
        author=author,
        seq=1 if last is None else last.operation.seq + 1,
        prev=None if last is None else last.operation_id,
        parents=ledger.to_cite(),
        auth=auth,
        epoch=epoch,
        body=body,
    )


def author_next(ledger: Ledger, signer: Signer, body: Body, *, epoch: EpochId | None) -> VerifiedOperation:
    """Compose and sign the signer's next operation; the ledger isn't changed.

    Raises:
        NotAMemberError: as `compose`.
    """
    return sign_operation(compose(ledger, signer.public_key, body, epoch=epoch), signer)
