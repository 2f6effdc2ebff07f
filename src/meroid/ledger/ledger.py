"""The ledger of one context: takes well-signed operations, and says who is a member and what counts.

Everything it says is a function of the set of operations that it holds; the order in which they
came changes nothing (`semantics.md`, first paragraph). It holds an operation only when all its
ancestors are here.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.evaluate import evaluate
from meroid.ledger.graph import Node, OperationGraph
from meroid.ledger.operation import Kind, VerifiedOperation
from meroid.ledger.rules import judge, place
from meroid.ledger.standing import Standings
from meroid.ledger.state import MembershipState
from meroid.ledger.verdict import Verdict, held

_STATES_KEPT: Final = 256
_CITED_MOST: Final = limits.OPERATION_PARENTS.value


class NotAGenesisError(InvalidInputError):
    """A ledger begins with the genesis of its context."""

    code = "not_a_genesis"
    next_step = "fetch the history of the context from its beginning"


@dataclass(frozen=True, slots=True)
class Added:
    """What an operation changed; `changed` names other deltas whose verdict is another one now."""

    verdict: Verdict
    new: bool
    changed: tuple[OperationId, ...] = ()


class Ledger:
    """All operations of a context that are here, and the state that follows from them."""

    def __init__(self, genesis: VerifiedOperation) -> None:
        """Begin a ledger.

        Raises:
            NotAGenesisError: the operation isn't a genesis.
        """
        if genesis.operation.kind is not Kind.GENESIS:
            raise NotAGenesisError("the first operation is not a genesis")
        self._graph = OperationGraph(genesis)
        self._states: OrderedDict[int, MembershipState] = OrderedDict()
        self._state = self._state_at(self._graph.everything)
        self._standings = Standings(self._graph)
        self._deltas: dict[OperationId, Verdict] = {}
        self._heads: set[OperationId] | None = {genesis.operation_id}  # None: worked out when asked for

    @property
    def context_id(self) -> ContextId:
        """The context."""
        return self._graph.context_id

    @property
    def state(self) -> MembershipState:
        """The state that follows from everything here."""
        return self._state

    @property
    def graph(self) -> OperationGraph:
        """The operations; for reading."""
        return self._graph

    def __contains__(self, operation_id: object) -> bool:
        return operation_id in self._graph

    def __len__(self) -> int:
        return len(self._graph)

    def add(self, verified: VerifiedOperation) -> Added:
        """Take an operation; one that is here already changes nothing.

        Raises:
            MissingAncestorsError: something that it names isn't here yet.
            BrokenChainError: it doesn't continue its author's chain, or names another context.
        """
        if verified.operation_id in self._graph:
            return Added(self.verdict(verified.operation_id), new=False)
        node = self._graph.draft(verified)
        own_state = self._state_at(node.past)
        node.own = judge(self._graph, own_state, node)
        if node.own.valid:
            place(self._graph, own_state, node)
        self._graph.insert(node)
        changed: tuple[OperationId, ...] = ()
        if node.bit:
            changed = self._advance()
        else:
            self._deltas[node.operation_id] = self._judge_delta(node)
        verdict = self.verdict(node.operation_id)
        if verdict.valid and self._heads is not None:
            self._heads -= self._valid_below(self._graph.parents(node.operation))
            self._heads.add(node.operation_id)
        return Added(verdict, new=True, changed=changed)

    def trial(self, verified: VerifiedOperation) -> Verdict:
        """What its own cut would say of an operation on what is here; nothing is taken.

        Raises:
            MissingAncestorsError, BrokenChainError: as `add`.
        """
        node = self._graph.draft(verified)
        return judge(self._graph, self._state_at(node.past), node)

    def verdict(self, operation_id: OperationId) -> Verdict:
        """What the rules say of an operation that is here."""
        node = self._graph[operation_id]
        if not node.bit:
            return self._deltas[operation_id]
        return self._state.void.get(operation_id, node.own) if node.own.valid else node.own

    def valid_deltas(self) -> Iterable[Node]:
        """The deltas that count, ancestors first."""
        return (node for node in self._graph if not node.bit and self._deltas[node.operation_id].valid)

    def heads(self) -> tuple[OperationId, ...]:
        """The last operations that count: what a new operation cites as its parents, ascending.

        A void operation isn't cited, but what it stands on is, so that nothing that counts is lost
        from sight.
        """
        if self._heads is None:
            valid = self._valid_below(self._graph.heads)
            self._heads = valid - self._graph.ancestors(
                parent for head in valid for parent in self._graph.parents(self._graph[head].operation)
            )
        return tuple(sorted(self._heads))

    def to_cite(self) -> tuple[OperationId, ...]:
        """The heads that a new operation cites, ascending; no more than an operation may name.

        There are more only where somebody forked on purpose or very many write at once. Membership
        operations and one head of each author go first; what finds no room is cited by the next
        operation.
        """
        heads = [self._graph[head] for head in self.heads()]
        if len(heads) > _CITED_MOST:
            behind: Counter[PublicKey] = Counter()
            places = {}
            for node in sorted(heads, key=lambda node: (not node.bit, node.operation.seq, node.index)):
                behind[node.author] += 1
                places[node.operation_id] = behind[node.author], not node.bit, node.index
            heads = sorted(heads, key=lambda node: places[node.operation_id])[:_CITED_MOST]
        return tuple(sorted(node.operation_id for node in heads))

    def last_of(self, key: PublicKey) -> Node | None:
        """The last operation of a key, valid or not, which its next one continues; of a member, in its line."""
        member = self._state.members.get(key)
        return self._graph.last_of(key, None if member is None else member.line)

    def _valid_below(self, heads: Iterable[OperationId]) -> set[OperationId]:
        """The nearest valid operations at or below these."""
        found: set[OperationId] = set()
        seen: set[OperationId] = set()
        stack = list(heads)
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            if self.verdict(current).valid:
                found.add(current)
            else:
                stack.extend(self._graph.parents(self._graph[current].operation))
        return found

    def _advance(self) -> tuple[OperationId, ...]:
        """Work out the state anew, and with it the deltas whose verdict it may change."""
        before = self._state
        self._state = after = self._state_at(self._graph.everything)
        if before.cuts == after.cuts and before.void == after.void and before.suspensions == after.suspensions:
            return ()
        self._heads = None
        self._standings = Standings(self._graph, (cut for cuts in after.cuts.values() for cut in cuts))
        changed = []
        for operation_id, known in self._deltas.items():
            verdict = self._judge_delta(self._graph[operation_id])
            if verdict != known:
                self._deltas[operation_id] = verdict
                if verdict.valid != known.valid:
                    changed.append(operation_id)
        return tuple(changed)

    def _judge_delta(self, node: Node) -> Verdict:
        if not node.own.valid:
            return node.own
        verdict = self._standings.of(node)
        suspensions = (each for of_key in self._state.suspensions.values() for each in of_key)
        for suspension in suspensions if verdict.valid else ():
            if suspension.concerns(node) and not self._graph.on_chain(node, suspension.tips):
                return held("author_suspended", suspension.by.operation_id)
        return verdict

    def _state_at(self, mask: int) -> MembershipState:
        """The state at a cut; states of recent cuts are kept."""
        known = self._states.get(mask)
        if known is not None:
            self._states.move_to_end(mask)
            return known
        state = evaluate(self._graph, mask)
        self._states[mask] = state
        if len(self._states) > _STATES_KEPT:
            self._states.popitem(last=False)
        return state
