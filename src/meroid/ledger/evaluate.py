"""The state that follows from a set of membership operations (rules 3 to 6).

1. Take the operations of the cut that their own cut allowed (rule 1).
2. Put the decisions in order: by the rank of their author, shorter first, then smaller; at one rank
   the rotations of its main key, the latest generation first, its leave, its unlinkings, the rotations of
   its linked keys, then the others by `seq`, those of a linked key by that of its link and then their own
   (rule 5; decision 0014). One that relies on a grant stands at the rank of
   whoever gave it, if that is the more junior one (decision 0013). Threshold decisions stand before
   the lone ones of a rank; this version has no kinds for them yet.
3. Go through once: a decision takes effect unless it, or what it rests on, is void by an earlier one.
4. Apply the rest in causal order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from meroid.ids import EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ALL, Capability
from meroid.ledger.graph import Node, OperationGraph, Rank, Step
from meroid.ledger.operation import (
    Admit,
    Genesis,
    Grant,
    Invite,
    Join,
    Leave,
    Link,
    MemberKeys,
    Rekey,
    Remove,
    Revoke,
    Rotate,
    Unlink,
)
from meroid.ledger.standing import Standings, cuts_reaching
from meroid.ledger.state import Cut, Epoch, Invitation, Member, MembershipState, Suspension
from meroid.ledger.verdict import Verdict

Decision = Remove | Revoke | Leave | Rotate | Unlink


def evaluate(graph: OperationGraph, mask: int) -> MembershipState:
    """The state at a cut; `mask` is closed under ancestors and holds the genesis."""
    allowed = [node for node in graph.membership(mask) if node.own.valid]
    standings, suspensions, fallen = _decide(graph, allowed)
    return _Builder(graph, standings, suspensions).build(allowed, fallen)


def _order(node: Node) -> tuple[int, Rank, int, int, Step, OperationId]:
    """Whatever can void a decision goes before it: what concerns the main key first, then what concerns linked ones."""
    place, generation = 4, 0
    match node.operation.body:
        case Rotate():
            place, generation = (0 if len(node.step) == 1 else 3), -node.generation
        case Leave():
            place = 1
        case Unlink():
            place = 2
        case _:
            pass
    return len(node.decided_at), node.decided_at, place, generation, node.step, node.operation_id


def _decide(
    graph: OperationGraph, allowed: Iterable[Node]
) -> tuple[Standings, list[Suspension], dict[OperationId, Verdict]]:
    """Steps 2 and 3: the cuts in effect, the junior removals that stand, and the decisions that fell."""
    standings = Standings(graph)
    suspensions: list[Suspension] = []
    fallen: dict[OperationId, Verdict] = {}
    decisions = [node for node in allowed if isinstance(node.operation.body, Decision)]
    for node in sorted(decisions, key=_order):
        verdict = standings.of(node)
        if not verdict.valid:
            fallen[node.operation_id] = verdict
            continue
        for effect in _effects(graph, node):
            if isinstance(effect, Suspension):
                suspensions.append(effect)
            else:
                standings.add(effect)
    return standings, suspensions, fallen


def _effects(graph: OperationGraph, node: Node) -> Iterable[Cut | Suspension]:
    match node.operation.body:
        case Leave():
            yield _cut(graph, node, node.line, None, (node.operation_id,))
        case Rotate(frontier=frontier):
            yield _rotation(node, frontier)
        case Unlink(key=key, frontier=frontier):
            for line in node.targets[key]:
                yield _cut(graph, node, line, None, frontier)
        case Revoke(member=member, capability=capability, frontier=frontier):
            for line in node.targets[member]:
                yield _cut(graph, node, line, capability, frontier)
        case Remove() as removal:
            yield from _removal(graph, node, removal)
        case _:
            return


def _removal(graph: OperationGraph, node: Node, removal: Remove) -> Iterable[Cut | Suspension]:
    for line in node.targets[removal.member]:
        if node.suspends:
            yield Suspension(by=node, line=line, tips=(*removal.frontier, *graph.last_in_past(node, line)))
        else:
            yield _cut(graph, node, line, None, removal.frontier)
    for line in (line for below in removal.cascade for line in node.targets[below]):
        yield _cut(graph, node, line, None, ())


def _cut(
    graph: OperationGraph,
    by: Node,
    line: PublicKey,
    capability: Capability | None,
    frontier: tuple[OperationId, ...],
) -> Cut:
    tips = (*frontier, *graph.last_in_past(by, line))
    return Cut(by=by, line=line, capability=capability, tips=tips)


def _rotation(by: Node, frontier: tuple[OperationId, ...]) -> Cut:
    """Of earlier generations stays what the rotation continues, and what it names beside (rule 11)."""
    prev = () if by.operation.prev is None else (by.operation.prev,)
    return Cut(
        by=by,
        line=by.line,
        capability=None,
        tips=(by.operation_id, *prev, *frontier),
        before=by.generation,
    )


def is_senior(one: Rank, other: Rank) -> bool:
    """Whether a rank is strictly more senior than another: shorter, or equally long and smaller (rule 4)."""
    return (len(one), one) < (len(other), other)


def _precedence(member: Member) -> tuple[bool, int, Rank, int, OperationId]:
    """Of two memberships of one key its own goes before one that it is linked to, then the more senior.

    Equal ranks come only from forks.
    """
    return member.linked_to is not None, len(member.rank), member.rank, -member.generation, member.admission


class _Builder:
    """Step 4: applies what stands: entries first, then links, rotations by generation, grants, and the linked keys' rights.

    None of these depends on a later one, and within each the order changes nothing; so concurrent
    ones give the same state however they came. Memberships go by line here, and by key outside.
    """

    def __init__(self, graph: OperationGraph, standings: Standings, suspensions: list[Suspension]) -> None:
        self._graph = graph
        self._standings = standings
        self._in_effect = standings.cuts
        self._suspensions = suspensions
        self._of_line: dict[PublicKey, Member] = {}
        self._members: dict[PublicKey, Member] = {}
        self._invitations: dict[OperationId, Invitation] = {}
        self._rekeys: dict[EpochId, Node] = {}
        self._void: dict[OperationId, Verdict] = {}
        self._lines: dict[PublicKey, PublicKey] = {}
        self._rotated: dict[PublicKey, PublicKey] = {}
        self._retired: set[PublicKey] = set()
        self._links: dict[PublicKey, list[Node]] = {}

    def build(self, allowed: list[Node], fallen: dict[OperationId, Verdict]) -> MembershipState:
        genesis = allowed[0].operation.body
        assert isinstance(genesis, Genesis)  # noqa: S101  # the graph begins with it
        self._void.update(fallen)
        rotations: list[Node] = []
        grants: list[tuple[Node, Grant]] = []
        for node in allowed:
            body = node.operation.body
            if isinstance(body, Decision):
                # step 3 had the last word: what took effect isn't void by what stands behind it
                if isinstance(body, Rotate):
                    rotations.append(node)
                continue
            verdict = self._standings.of(node)
            if not verdict.valid:
                self._void[node.operation_id] = verdict
            elif isinstance(body, Grant):
                grants.append((node, body))
            else:
                self._apply(node)
        for links in self._links.values():
            for node in links:
                self._link(node)
        self._rotate_all(rotations, fallen)
        for node, grant in grants:
            self._grant(node, grant)
        self._share_rights()
        self._show_by_key()
        cuts = self._in_effect
        suspensions = self._open_suspensions()
        return MembershipState(
            policy=genesis.policy,
            application=genesis.application,
            members=self._members,
            invitations=self._open_invitations(),
            epochs=self._epochs(cuts, suspensions),
            cuts=cuts,
            suspensions=suspensions,
            void=self._void,
            lines=self._lines,
            rotated=self._rotated,
            retired=frozenset(self._retired),
            links={key: frozenset(node.line for node in nodes) for key, nodes in self._links.items()},
        )

    def _apply(self, node: Node) -> None:
        match node.operation.body:
            case Genesis(keys=keys):
                self._enter(node, node, (), keys, ALL)
            case Invite() as invite:
                self._invitations[node.operation_id] = Invitation(
                    operation_id=node.operation_id,
                    inviter=node.author,
                    invitee=invite.invitee,
                    secret_key=invite.secret_key,
                    capabilities=invite.capabilities,
                    left=invite.uses,
                )
            case Join(invitation=invitation, keys=keys):
                offer = self._graph[invitation].operation.body
                assert isinstance(offer, Invite)  # noqa: S101  # own cut: a join names an invite
                if offer.invitee is not None:
                    self._enter(node, node, node.rank, keys, offer.capabilities)
                    self._use(invitation)
            case Admit(join=join):
                self._admit(node, self._graph[join])
            case Link(key=key):
                self._links.setdefault(key, []).append(node)
            case Rekey(epoch=epoch):
                self._rekeys[epoch] = node
            case _:
                pass

    def _rotate_all(self, rotations: Iterable[Node], fallen: Mapping[OperationId, Verdict]) -> None:
        """Put next keys in the place of those before; membership, rank and rights go on.

        A rotation carries on only the membership that it was made in, not one that began anew beside it.
        """
        for node in sorted(rotations, key=lambda node: (node.generation, node.operation_id)):
            line = node.line
            self._lines.setdefault(node.author, line)
            if node.operation_id in fallen:
                continue
            member, body = self._of_line.get(line), node.operation.body
            assert isinstance(body, Rotate)  # noqa: S101  # the caller chose them
            self._rotated[line] = node.author
            self._retired.add(body.previous)
            if member is not None and member.admission == node.operation.auth:
                self._of_line[line] = replace(
                    member,
                    key=node.author,
                    generation=node.generation,
                    sealing=body.keys.sealing,
                    next_keys=body.keys.next_keys,
                )

    def _show_by_key(self) -> None:
        """Members by their current key; where a key came into two memberships, the more senior is shown.

        What is linked to a membership that isn't shown isn't shown either: nobody could speak for it.
        """
        mains = [member for member in self._of_line.values() if member.linked_to is None]
        for member in mains:
            known = self._members.get(member.key)
            if known is None or _precedence(member) < _precedence(known):
                self._members[member.key] = member
        shown = {member.line for member in self._members.values()}
        for member in self._of_line.values():
            known = self._members.get(member.key)
            if member.linked_to in shown and (known is None or _precedence(member) < _precedence(known)):
                self._members[member.key] = member
        for key, member in self._members.items():
            if member.line == key:
                self._lines.pop(key, None)
            else:
                self._lines[key] = member.line
            if member.line in self._rotated or member.line != key:
                self._rotated[member.line] = key

    def _admit(self, node: Node, join: Node) -> None:
        body = join.operation.body
        assert isinstance(body, Join)  # noqa: S101  # own cut: an admit names a join
        offer = self._graph[body.invitation].operation.body
        assert isinstance(offer, Invite)  # noqa: S101  # own cut: a join names an invite
        self._enter(node, join, (*node.rank, node.step), body.keys, offer.capabilities)
        self._use(body.invitation)

    def _enter(
        self, admission: Node, entrant: Node, rank: Rank, keys: MemberKeys, capabilities: frozenset[Capability]
    ) -> None:
        """Make a member, unless a cut in effect ended this very admission; the most senior admission counts."""
        line = entrant.line
        if self._ended(line, admission):
            return
        sources = {
            capability: frozenset({admission.operation_id})
            for capability in sorted(capabilities)
            if not self._revoked(line, capability, admission)
        }
        member = Member(
            key=entrant.author,
            line=line,
            generation=entrant.generation,
            admission=admission.operation_id,
            rank=rank,
            sealing=keys.sealing,
            next_keys=keys.next_keys,
            sources=sources,
        )
        self._keep(member)

    def _ended(self, line: PublicKey, admission: Node) -> bool:
        """Whether a cut in effect ended this very admission of a line; unlinking ends a link only."""
        linked = isinstance(admission.operation.body, Link)
        return any(
            cut.ends_membership and not self._graph.built_on(admission, cut.by)
            for cut in self._cuts(line)
            if not cut.unlinks or (linked and admission.line == cut.by.line)
        )

    def _keep(self, member: Member) -> None:
        known = self._of_line.get(member.line)
        if known is None or _precedence(member) < _precedence(known):
            self._of_line[member.line] = member

    def _link(self, node: Node) -> None:
        """A linked key exists while the very membership does that it was linked to."""
        main, body = self._of_line.get(node.line), node.operation.body
        assert isinstance(body, Link)  # noqa: S101  # filled from links only
        if main is None or main.admission != node.operation.auth or self._ended(body.key, node):
            return
        self._keep(
            Member(
                key=body.key,
                line=body.key,
                generation=0,
                admission=node.operation_id,
                rank=main.rank,
                linked_to=main.line,
                sealing=body.keys.sealing,
                next_keys=body.keys.next_keys,
                sources={capability: frozenset() for capability in sorted(body.capabilities)},
            )
        )

    def _share_rights(self) -> None:
        """A linked key may what its link gives and its member still may; from the same grants."""
        for line, member in self._of_line.items():
            if member.linked_to is not None:
                held = self._of_line[member.linked_to].sources
                shared = {each: held[each] for each in member.sources if each in held}
                self._of_line[line] = replace(member, sources=shared)

    def _grant(self, node: Node, grant: Grant) -> None:
        line, capability = node.targets[grant.member][0], grant.capability
        member = self._of_line.get(line)
        if member is None or member.linked_to is not None or self._revoked(line, capability, node):
            return
        sources = dict(member.sources)
        sources[capability] = sources.get(capability, frozenset()) | {node.operation_id}
        self._of_line[line] = replace(member, sources=sources)

    def _revoked(self, line: PublicKey, capability: Capability, giver: Node) -> bool:
        """Whether a revocation in effect takes what an operation gives, unless that is built on it."""
        return any(cut.capability is capability and not self._graph.built_on(giver, cut.by) for cut in self._cuts(line))

    def _cuts(self, line: PublicKey) -> tuple[Cut, ...]:
        return self._in_effect.get(line, ())

    def _use(self, invitation: OperationId) -> None:
        known = self._invitations.get(invitation)
        if known is not None and known.left is not None:
            self._invitations[invitation] = replace(known, left=max(0, known.left - 1))

    def _open_invitations(self) -> dict[OperationId, Invitation]:
        """Those with uses left whose inviter may still invite (rule 3 ends a removed member's)."""
        return {
            operation_id: invitation
            for operation_id, invitation in self._invitations.items()
            if invitation.left != 0
            and not any(
                cut.takes(Capability.INVITE) and not self._graph.follows(self._graph[operation_id], cut.by)
                for cut in cuts_reaching(self._graph, self._in_effect, self._graph[operation_id])
            )
        }

    def _open_suspensions(self) -> dict[PublicKey, tuple[Suspension, ...]]:
        """Suspensions of members that weren't admitted anew since, and whose issuer managed members ever since."""
        standing: dict[PublicKey, tuple[Suspension, ...]] = {}
        for suspension in self._suspensions:
            issuer = self._of_line.get(self._graph.membership_line(suspension.by))
            target = self._of_line.get(suspension.line)
            if issuer is None or target is None or not issuer.may(Capability.MANAGE_MEMBERS):
                continue
            ended = any(
                cut.takes(Capability.MANAGE_MEMBERS) and not self._graph.follows(suspension.by, cut.by)
                for cut in self._cuts(issuer.line)
            )
            if not ended and not self._graph.built_on(self._graph[target.admission], suspension.by):
                of_links = tuple(self._of_links(suspension))
                standing[target.key] = (*standing.get(target.key, ()), suspension, *of_links)
                for each in of_links:
                    linked = self._of_line.get(each.line)
                    shown = None if linked is None else self._members.get(linked.key)
                    if shown is not None and shown.admission == each.link:
                        standing[shown.key] = (*standing.get(shown.key, ()), each)
        return standing

    def _of_links(self, suspension: Suspension) -> Iterator[Suspension]:
        """What a suspension means for each key that was ever linked to that membership, before or after."""
        for line, links in self._links.items():
            for link in (each for each in links if each.line == suspension.line):
                tips = (*suspension.tips, *self._graph.last_in_past(suspension.by, line))
                yield replace(suspension, line=line, tips=tips, link=link.operation_id)

    def _epochs(
        self, cuts: Mapping[PublicKey, tuple[Cut, ...]], suspensions: Mapping[PublicKey, tuple[Suspension, ...]]
    ) -> dict[EpochId, Epoch]:
        """Usable are those whose `rekey` has seen every departure and was sealed for current readers only.

        A member who was let in after the `rekey` got the key on request; so every departure in effect
        has to be among the ancestors of the `rekey`, not only those of the keys that it names.
        """
        departures = 0
        for cut in (cut for of_key in cuts.values() for cut in of_key):
            if cut.capability in (None, Capability.READ):
                departures |= cut.by.bit
        for suspension in (each for of_key in suspensions.values() for each in of_key):
            departures |= suspension.by.bit
        epochs = {}
        for epoch_id, node in self._rekeys.items():
            body = node.operation.body
            assert isinstance(body, Rekey)  # noqa: S101  # filled from rekeys only
            receivers = {node.author, *(key for key, _ in body.wraps)}
            current = all(self._reads(key) and key not in suspensions for key in receivers)
            usable = current and not departures & ~node.past
            epochs[epoch_id] = Epoch(epoch_id=epoch_id, rekey=node, usable=usable)
        return epochs

    def _reads(self, key: PublicKey) -> bool:
        member = self._members.get(key)
        return member is not None and member.may(Capability.READ)
