"""Rule 1: what an operation's own cut must allow. Each rule is a named function that answers with the code of its refusal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from meroid.ids import OperationId
from meroid.keys.commitment import WrongNextKeysError, check_next_keys
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature
from meroid.ledger.capability import Capability
from meroid.ledger.evaluate import is_senior
from meroid.ledger.graph import Node, OperationGraph, Rank, Step
from meroid.ledger.operation import (
    Admit,
    Body,
    Delta,
    Grant,
    Invite,
    Join,
    Leave,
    Link,
    Rekey,
    Remove,
    Revoke,
    Rotate,
    Unlink,
)
from meroid.ledger.standing import given_capabilities, needed_capability, relied_on
from meroid.ledger.state import Invitation, Member, MembershipState
from meroid.ledger.verdict import VALID, Verdict, void
from meroid.ledger.verify import invitation_proof_message, link_proof_message


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation and the state that follows from its own ancestors."""

    graph: OperationGraph
    state: MembershipState
    node: Node

    @property
    def body(self) -> Body:
        """The body of the operation."""
        return self.node.operation.body

    @property
    def member(self) -> Member | None:
        """The author's membership at this cut."""
        return self.state.members.get(self.node.author)


Rule = Callable[[Asked], str | None]


def judge(graph: OperationGraph, state: MembershipState, node: Node) -> Verdict:
    """The verdict of an operation at its own cut; the first rule that refuses gives the code."""
    asked = Asked(graph, state, node)
    for rule in (*_FOR_ALL, *_FOR_KIND.get(type(node.operation.body), ())):
        code = rule(asked)
        if code is not None:
            return void(code)
    return VALID


def epoch_is_known(asked: Asked) -> str | None:
    """The epoch that an operation names was made among its ancestors."""
    epoch = asked.node.operation.epoch
    return "unknown_epoch" if epoch is not None and epoch not in asked.state.epochs else None


def author_is_member(asked: Asked) -> str | None:
    """Only members speak; who joins is judged by the invitation, a next key by the commitment to it."""
    if isinstance(asked.body, Join | Rotate):
        return None
    return "not_a_member" if asked.member is None else None


def chain_is_of_member(asked: Asked) -> str | None:
    """A member goes on with the chain of its membership; another beginning would be out of reach of its cuts."""
    if asked.member is None or isinstance(asked.body, Join | Rotate):
        return None
    here = asked.node.line, asked.node.generation
    return None if here == (asked.member.line, asked.member.generation) else "chain_of_another"


def admission_is_named(asked: Asked) -> str | None:
    """`auth` names the admission that counts at this cut."""
    if asked.member is None:
        return None
    return None if asked.node.operation.auth == asked.member.admission else "wrong_admission"


def capability_is_held(asked: Asked) -> str | None:
    """The author holds the capability that the kind needs."""
    needed = needed_capability(asked.node)
    if needed is None or asked.member is None:
        return None
    return None if asked.member.may(needed) else "lacks_capability"


def gives_no_more_than_held(asked: Asked) -> str | None:
    """Nobody gives or takes a capability that it doesn't have itself."""
    given = given_capabilities(asked.node)
    held = asked.member.capabilities if asked.member else frozenset()
    return None if given <= held else "gives_more_than_held"


def invitee_is_new(asked: Asked) -> str | None:
    """A member isn't invited again."""
    assert isinstance(asked.body, Invite)  # noqa: S101  # the table puts it here
    if asked.body.invitee is None:
        return None
    return _entry_fault(asked, asked.body.invitee)


def _entry_fault(asked: Asked, key: PublicKey) -> str | None:
    if key in asked.state.members:
        return "already_member"
    return "key_retired" if key in asked.state.retired else None


def joiner_is_new(asked: Asked) -> str | None:
    """A member can't join again, nor a key that was rotated away: it may be in a thief's hands."""
    return _entry_fault(asked, asked.node.author)


def invitation_admits(asked: Asked) -> str | None:
    """The invitation stands, has uses left, and is for this key or this secret."""
    assert isinstance(asked.body, Join)  # noqa: S101  # the table puts it here
    invitation = asked.state.invitations.get(asked.body.invitation)
    if invitation is None:
        return "no_such_invitation"
    if asked.node.operation.auth != invitation.operation_id:
        return "wrong_admission"
    if invitation.invitee is not None:
        named = invitation.invitee == asked.node.author and asked.body.proof is None
        return None if named else "not_invited"
    return _proof_fault(asked, invitation, asked.body.proof)


def _proof_fault(asked: Asked, invitation: Invitation, proof: bytes | None) -> str | None:
    if proof is None or invitation.secret_key is None:
        return "not_invited"
    message = invitation_proof_message(asked.graph.context_id, invitation.operation_id, asked.node.author)
    try:
        verify_signature(invitation.secret_key, message, proof)
    except BadSignatureError:
        return "bad_invitation_proof"
    return None


def join_waits(asked: Asked) -> str | None:
    """An `admit` answers a `join` with a secret that its own cut allowed, of someone who isn't in yet."""
    assert isinstance(asked.body, Admit)  # noqa: S101  # the table puts it here
    join = asked.graph[asked.body.join]
    body = join.operation.body
    if not asked.graph.follows(asked.node, join) or not isinstance(body, Join) or not join.own.valid:
        return "no_such_join"
    if body.proof is None:
        return "join_needs_no_admission"
    if body.invitation not in asked.state.invitations:
        return "no_such_invitation"
    return _entry_fault(asked, join.author)


def target_is_member(asked: Asked) -> str | None:
    """Rights are given to, taken from and ended for members only."""
    assert isinstance(asked.body, Grant | Revoke | Remove)  # noqa: S101  # the table puts it here
    member = asked.state.members.get(asked.body.member)
    if member is None:
        return "target_not_a_member"
    return None if member.linked_to is None else "target_is_linked"


def author_is_main_key(asked: Asked) -> str | None:
    """What concerns the membership itself is for its main key: linking, unlinking, leaving."""
    member = asked.member
    if member is None or member.linked_to is None:
        return None
    body = asked.body
    own = isinstance(body, Remove) and asked.state.members[body.member].line == member.linked_to
    return "not_the_main_key" if own or not isinstance(body, Remove) else None


def key_is_new(asked: Asked) -> str | None:
    """A key that was in the context before isn't linked: who ended that, and why, is not asked."""
    assert isinstance(asked.body, Link)  # noqa: S101  # the table puts it here
    key = asked.body.key
    fault = _entry_fault(asked, key)
    if fault is None and (key in asked.state.lines or any(cut.ends_membership for cut in asked.state.cuts_of(key))):
        return "key_not_new"
    return fault


def linked_key_agrees(asked: Asked) -> str | None:
    """The linked key signed that it wants to be linked to this main key, with these keys of its own."""
    assert isinstance(asked.body, Link)  # noqa: S101  # the table puts it here
    body = asked.body
    message = link_proof_message(asked.graph.context_id, asked.node.author, body.key, body.keys)
    try:
        verify_signature(body.key.checked(), message, body.proof)
    except (BadPublicKeyError, BadSignatureError):
        return "bad_link_proof"
    return None


def key_is_linked_here(asked: Asked) -> str | None:
    """Only the member itself takes its linked keys away; a frontier names operations of that key."""
    assert isinstance(asked.body, Unlink)  # noqa: S101  # the table puts it here
    linked = asked.state.members.get(asked.body.key)
    if linked is None or linked.linked_to != asked.node.line:
        return "not_linked_here"
    of_key = all(asked.graph[tip].line == linked.line for tip in asked.body.frontier)
    return None if of_key else "frontier_of_another"


def capability_is_there(asked: Asked) -> str | None:
    """What isn't held can't be taken."""
    assert isinstance(asked.body, Revoke)  # noqa: S101  # the table puts it here
    return None if asked.state.members[asked.body.member].may(asked.body.capability) else "target_lacks_capability"


def revoker_is_senior(asked: Asked) -> str | None:
    """A lone revocation is by someone strictly more senior, or by the member itself (rule 6)."""
    assert isinstance(asked.body, Revoke)  # noqa: S101  # the table puts it here
    if asked.body.member == asked.node.author or asked.member is None:
        return None
    target = asked.state.members[asked.body.member]
    return None if is_senior(asked.member.rank, target.rank) else "not_senior"


def frontier_is_of_target(asked: Asked) -> str | None:
    """A frontier names operations of the member whom it is about, of its main key or of a linked one."""
    assert isinstance(asked.body, Revoke | Remove)  # noqa: S101  # the table puts it here
    line = asked.state.members[asked.body.member].line
    lines = {line, *(linked.line for linked in asked.state.linked_keys(line))} if asked.body.frontier else set()
    of_target = all(asked.graph[tip].line in lines for tip in asked.body.frontier)
    return None if of_target else "frontier_of_another"


def next_key_was_committed(asked: Asked) -> str | None:
    """A rotation is signed by the next key of a current member, and keeps its place (rule 11)."""
    assert isinstance(asked.body, Rotate)  # noqa: S101  # the table puts it here
    member = asked.state.members.get(asked.body.previous)
    if member is None:
        return "not_a_member"
    if asked.node.operation.auth != member.admission:
        return "wrong_admission"
    if asked.member is not None:
        return "already_member"
    keys = asked.body.keys
    try:
        check_next_keys(member.next_keys, asked.node.author, keys.sealing, keys.next_keys)
    except WrongNextKeysError:
        return "not_the_next_key"
    prev = asked.node.operation.prev
    begins = prev is None and member.linked_to is not None  # a linked key may have said nothing yet
    if not begins and (prev is None or asked.graph[prev].line != member.line):
        return "chain_of_another"
    of_line = all(asked.graph[tip].line == member.line for tip in asked.body.frontier)
    return None if of_line else "frontier_of_another"


def cascade_is_below_target(asked: Asked) -> str | None:
    """A cascade names members whom the target let in, directly or through others, and needs seniority."""
    assert isinstance(asked.body, Remove)  # noqa: S101  # the table puts it here
    if not asked.body.cascade:
        return None
    top = asked.state.members[asked.body.member].rank
    if suspends(asked):
        return "cascade_needs_seniority"
    for key in asked.body.cascade:
        below = asked.state.members.get(key)
        if below is None or len(below.rank) <= len(top) or below.rank[: len(top)] != top:
            return "cascade_not_below_target"
        if below.linked_to is not None:
            return "target_is_linked"
    return None


def a_manager_stays(asked: Asked) -> str | None:
    """The only manager can't go while others are members; its own linked keys are no others."""
    match asked.body:
        case Remove(member=key) if key != asked.node.author:
            return None
        case _:
            pass
    mains = (member for member in asked.state.members.values() if member.linked_to is None)
    others = [member for member in mains if member.key != asked.node.author]
    managed = any(member.may(Capability.MANAGE_MEMBERS) for member in others)
    manages = asked.member is not None and asked.member.may(Capability.MANAGE_MEMBERS)
    return "only_manager" if others and manages and not managed else None


def wraps_are_for_readers(asked: Asked) -> str | None:
    """An epoch key is sealed for current readers only."""
    assert isinstance(asked.body, Rekey)  # noqa: S101  # the table puts it here
    readers = {member.key for member in asked.state.readers()}
    return None if all(key in readers for key, _ in asked.body.wraps) else "wrap_for_stranger"


def epoch_is_new(asked: Asked) -> str | None:
    """An epoch is made once."""
    assert isinstance(asked.body, Rekey)  # noqa: S101  # the table puts it here
    return "epoch_exists" if asked.body.epoch in asked.state.epochs else None


def epoch_is_usable(asked: Asked) -> str | None:
    """A delta is encrypted under a key that only current readers have (§3, usable-key rule)."""
    epoch = asked.node.operation.epoch
    known = None if epoch is None else asked.state.epochs.get(epoch)
    return None if known is not None and known.usable else "epoch_not_usable"


def suspends(asked: Asked) -> bool:
    """Whether a `remove` comes from someone who isn't more senior, and so only suspends (rule 6)."""
    body = asked.body
    if not isinstance(body, Remove) or asked.member is None or body.member == asked.node.author:
        return False
    return not is_senior(asked.member.rank, asked.state.members[body.member].rank)


def place(graph: OperationGraph, state: MembershipState, node: Node) -> None:
    """Note on an allowed operation what its own cut says of its author (rules 4 and 6)."""
    asked = Asked(graph, state, node)
    body = node.operation.body
    if isinstance(body, Join):
        offer: OperationId = body.invitation
        node.rank = (*graph[offer].rank, graph[offer].step)
        return
    if isinstance(body, Rotate):
        before = state.members[body.previous]
        node.rank = node.decided_at = before.rank
        node.step = _step(graph, before, node)
        node.line, node.generation = before.line, before.generation + 1
        return
    member = asked.member
    if member is None:
        return
    node.rank = member.rank
    node.step = _step(graph, member, node)
    node.sources = {capability: member.sources[capability] for capability in relied_on(node)}
    node.decided_at = _decided_at(graph, node)
    node.suspends = suspends(asked)
    node.targets = {key: _lines(state, key) for key in _named(body)}


def _step(graph: OperationGraph, member: Member, node: Node) -> Step:
    """The number of an operation in its membership; what a linked key does comes after its link (rule 4)."""
    seq = node.operation.seq
    return (seq,) if member.linked_to is None else (graph[member.admission].operation.seq, seq)


def _named(body: Body) -> tuple[PublicKey, ...]:
    match body:
        case Grant(member=key) | Revoke(member=key):
            return (key,)
        case Remove(member=key, cascade=cascade):
            return (key, *cascade)
        case Unlink(key=key):
            return (key,)
        case _:
            return ()


def _lines(state: MembershipState, key: PublicKey) -> tuple[PublicKey, ...]:
    """The line of a member, and what its key may have begun by itself beside it."""
    line = state.members[key].line
    return (line,) if line == key else (line, key)


def _decided_at(graph: OperationGraph, node: Node) -> Rank:
    """The most junior rank among the author and everyone whose grant the operation relies on, however far back.

    Whoever can void what an operation relies on is then decided before it (rule 5, and decision 0013).
    """
    given = (graph[source] for sources in node.sources.values() for source in sources)
    grants = (source.decided_at for source in given if isinstance(source.operation.body, Grant))
    return max((node.rank, *grants), key=lambda rank: (len(rank), rank))


_FOR_ALL: Final[tuple[Rule, ...]] = (
    author_is_member,
    chain_is_of_member,
    admission_is_named,
    capability_is_held,
    epoch_is_known,
    gives_no_more_than_held,
)
_FOR_KIND: Final[dict[type[Body], tuple[Rule, ...]]] = {
    Invite: (invitee_is_new,),
    Join: (joiner_is_new, invitation_admits),
    Admit: (join_waits,),
    Grant: (target_is_member,),
    Revoke: (target_is_member, capability_is_there, revoker_is_senior, frontier_is_of_target),
    Remove: (
        target_is_member,
        author_is_main_key,
        a_manager_stays,
        frontier_is_of_target,
        cascade_is_below_target,
    ),
    Leave: (author_is_main_key, a_manager_stays),
    Link: (author_is_main_key, key_is_new, linked_key_agrees),
    Unlink: (author_is_main_key, key_is_linked_here),
    Rotate: (next_key_was_committed,),
    Rekey: (wraps_are_for_readers, epoch_is_new),
    Delta: (epoch_is_usable,),
}
