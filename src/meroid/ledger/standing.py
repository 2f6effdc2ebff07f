"""Whether an operation stands, given the cuts that have taken effect so far (rules 2 and 3).

An operation falls when its author was cut and it lies outside the frontier, or when what it rests
on falls: its admission, the invitation behind that, or every operation that gave the capability
it needs. What an operation rests on is always among its ancestors, so the search ends; it uses a
stack of its own, because chains of admissions may be long.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from meroid.ids import OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.ledger.graph import Node, OperationGraph
from meroid.ledger.operation import Admit, Grant, Invite, Join, Kind, Link, Rekey, Remove, Revoke
from meroid.ledger.state import Cut
from meroid.ledger.verdict import VALID, Verdict, void


def needed_capability(node: Node) -> Capability | None:
    """The capability without which an operation isn't allowed, if it needs one."""
    match node.operation.body:
        case Invite() | Admit():
            return Capability.INVITE
        case Grant() | Revoke():
            return Capability.MANAGE_MEMBERS
        case Remove(member=member):
            return None if member == node.author else Capability.MANAGE_MEMBERS
        case Rekey():
            return Capability.WRITE
        case _:
            return Capability.WRITE if node.operation.kind is Kind.DELTA else None


def given_capabilities(node: Node) -> frozenset[Capability]:
    """What an operation gives or takes, and its author must therefore have."""
    match node.operation.body:
        case Invite(capabilities=given) | Link(capabilities=given):
            return given
        case Grant(capability=capability) | Revoke(capability=capability):
            return frozenset({capability})
        case _:
            return frozenset()


def relied_on(node: Node) -> frozenset[Capability]:
    """The capabilities with which an operation stands or falls."""
    needed = needed_capability(node)
    return given_capabilities(node) if needed is None else given_capabilities(node) | {needed}


def cuts_reaching(graph: OperationGraph, cuts: Mapping[PublicKey, Sequence[Cut]], node: Node) -> Iterator[Cut]:
    """The cuts of an operation's line, and of the membership that its key is linked to.

    A rotation of the main key leaves the linked ones; an unlinking concerns that link only, not what
    the same key does as a member of its own.
    """
    link = graph.link_of(node)
    for cut in cuts.get(node.line, ()):
        if not cut.unlinks or (link is not None and link.line == cut.by.line):
            yield cut
    if link is not None:
        yield from (cut for cut in cuts.get(link.line, ()) if cut.before is None and not cut.unlinks)


class Standings:
    """Verdicts under a growing set of cuts; each is worked out once until the next cut."""

    def __init__(self, graph: OperationGraph, cuts: Iterable[Cut] = ()) -> None:
        self._graph = graph
        self._cuts: dict[PublicKey, list[Cut]] = {}
        self._known: dict[OperationId, Verdict] = {}
        for cut in cuts:
            self.add(cut)

    def add(self, cut: Cut) -> None:
        """Let a cut take effect."""
        self._cuts.setdefault(cut.line, []).append(cut)
        self._known.clear()

    @property
    def cuts(self) -> dict[PublicKey, tuple[Cut, ...]]:
        """The cuts in effect, by the line that they cut."""
        return {key: tuple(cuts) for key, cuts in self._cuts.items()}

    def of(self, node: Node) -> Verdict:
        """The verdict of an operation that its own cut allowed."""
        if not self._cuts:
            return VALID
        stack = [node]
        while stack:
            current = stack[-1]
            if current.operation_id in self._known:
                stack.pop()
                continue
            waiting = [below for below in self._rests_on(current) if below.operation_id not in self._known]
            if waiting:
                stack.extend(waiting)
                continue
            self._known[current.operation_id] = self._judge(current)
            stack.pop()
        return self._known[node.operation_id]

    def readmitted(self, node: Node, cut: Cut) -> bool:
        """Whether the author was admitted anew by an `invite` or `admit` built on the cut (rule 3)."""
        admission = self._admission(node)
        return admission is not None and self._graph.built_on(admission, cut.by)

    def _admission(self, node: Node) -> Node | None:
        """The operation that made the author a member; for a `join` itself, the join."""
        if isinstance(node.operation.body, Join):
            return node
        return None if node.operation.auth is None else self._graph[node.operation.auth]

    def _rests_on(self, node: Node) -> Iterator[Node]:
        body = node.operation.body
        if isinstance(body, Join):
            yield self._graph[body.invitation]
            return
        if node.operation.auth is not None and node.operation.auth != node.operation_id:
            yield self._graph[node.operation.auth]
        if isinstance(body, Admit):
            yield self._graph[body.join]
        for sources in node.sources.values():
            for source in sources:
                yield self._graph[source]

    def _judge(self, node: Node) -> Verdict:
        direct = self._cut_off(node)
        if direct is not None:
            return direct
        body = node.operation.body
        if isinstance(body, Join):
            return self._invitation_holds(self._graph[body.invitation], node)
        if node.operation.auth is None:
            return VALID
        admission = self._known[node.operation.auth]
        if not admission.valid:
            if self._graph.link_of(node) is not None:
                return void("rests_on_void_link", node.operation.auth)
            return void("rests_on_void_admission", node.operation.auth)
        if isinstance(body, Admit):
            join = self._graph[body.join]
            if not self._known[body.join].valid:
                return void("rests_on_void_join", body.join)
            assert isinstance(join.operation.body, Join)  # noqa: S101  # own cut: an admit names a join
            invitation = self._invitation_holds(self._graph[join.operation.body.invitation], node)
            if not invitation.valid:
                return invitation
        faults = (self._capability_fault(node, capability) for capability in sorted(relied_on(node)))
        return next((fault for fault in faults if fault is not None), VALID)

    def _cut_off(self, node: Node) -> Verdict | None:
        """The verdict of a cut of the author's membership, if one hits.

        A `join` with a secret only asks; the `admit` answers, and is judged itself.
        """
        if isinstance(node.operation.body, Join) and node.operation.body.proof is not None:
            return None
        for cut in self._reaching(node):
            if cut.capability is not None or cut.by is node or not self._outside(node, cut):
                continue
            if cut.unlinks:
                return void("key_unlinked", cut.by.operation_id)
            if cut.before is None:
                return void("author_removed", cut.by.operation_id)
            if node.generation < cut.before:
                return void("key_rotated", cut.by.operation_id)
        return None

    def _reaching(self, node: Node) -> Iterable[Cut]:
        return cuts_reaching(self._graph, self._cuts, node)

    def _outside(self, node: Node, cut: Cut) -> bool:
        tips = cut.tips
        if cut.line != node.line:  # of a linked key stays what the cut of its membership has among its ancestors
            tips = (*tips, *self._graph.last_in_past(cut.by, node.line))
        return not self._graph.on_chain(node, tips) and not self.readmitted(node, cut)

    def _invitation_holds(self, invitation: Node, use: Node) -> Verdict:
        """An invitation falls with its operation, and ends with its inviter's membership or right."""
        if not self._known[invitation.operation_id].valid:
            return void("rests_on_void_invitation", invitation.operation_id)
        for cut in self._reaching(invitation):
            ends = cut.takes(Capability.INVITE)
            if ends and not self._graph.follows(cut.by, use) and not self._graph.follows(invitation, cut.by):
                return void("invitation_ended", cut.by.operation_id)
        return VALID

    def _capability_fault(self, node: Node, capability: Capability) -> Verdict | None:
        """Of the operations that gave a capability one must stand, revocations considered."""
        given_by = node.sources.get(capability, frozenset())
        sources = [source for source in given_by if self._known[source].valid]
        if not sources:
            return void("rests_on_void_grant", min(given_by, default=None))
        for cut in self._reaching(node):
            if cut.capability is not capability or not self._outside(node, cut):
                continue
            if not any(self._graph.follows(self._graph[source], cut.by) for source in sources):
                return void("capability_revoked", cut.by.operation_id)
        return None
