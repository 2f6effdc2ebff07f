"""The operations of one context and how they stand to each other; append-only.

An operation's ancestors are reached over `parents` and `prev`. Membership operations (all but
deltas) have a bit each; `past` is the set of membership operations among the ancestors as one
integer, so that "is an ancestor of" and "the state of this cut" are cheap. The graph knows nothing
of rules: it only stores what the rules said at an operation's own cut (`own`).
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from meroid.errors import ConflictError, InvalidInputError
from meroid.ids import OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.ledger.operation import (
    Admit,
    Join,
    Kind,
    Link,
    Operation,
    Remove,
    Revoke,
    Rotate,
    Unlink,
    VerifiedOperation,
)
from meroid.ledger.verdict import VALID, Verdict

Step = tuple[int, ...]
"""The number of an operation in its membership: `(seq,)`, or `(seq of the link, its own seq)` of a linked key."""

Rank = tuple[Step, ...]


class MissingAncestorsError(ConflictError):
    """An operation can't be judged yet; `missing` names what has to come first."""

    code = "missing_ancestors"
    next_step = "fetch the missing operations from a member"

    def __init__(self, missing: frozenset[OperationId]) -> None:
        super().__init__(f"{len(missing)} ancestors are not here yet")
        self.missing = missing


class BrokenChainError(InvalidInputError):
    """`seq` and `prev` don't continue the author's own chain, or another context is named."""

    code = "broken_chain"
    next_step = "the author's node has to resume from its last operation"


@dataclass(slots=True, eq=False)
class Node:
    """An operation in its place.

    `bit` is zero for a delta. The rest is what the rules said at its own cut: its verdict, its
    author's rank (for a named `join` the rank that it gives; rule 4) and its own step in it, the operations that gave each
    capability it relies on, the rank at which it is decided (rule 5), and whether a `remove` only
    suspends (rule 6). A line is a member's client key with all that it was rotated to; it is named by
    its first key, and `generation` counts the rotations before this key (rule 11). Both follow from the
    chain of `prev`, so no order of arrival changes them. `targets` names the lines that each key meant,
    which the body names, its membership's first.
    """

    operation_id: OperationId
    operation: Operation
    index: int
    bit: int
    past: int
    line: PublicKey
    own: Verdict = VALID
    rank: Rank = ()
    step: Step = ()
    sources: Mapping[Capability, frozenset[OperationId]] = field(default_factory=dict)
    decided_at: Rank = ()
    suspends: bool = False
    generation: int = 0
    targets: Mapping[PublicKey, tuple[PublicKey, ...]] = field(default_factory=dict)

    @property
    def author(self) -> PublicKey:
        """The client key that signed."""
        return self.operation.author

    @property
    def mask(self) -> int:
        """The membership operations among the ancestors and this one."""
        return self.past | self.bit


class OperationGraph:
    """All operations of one context that are here with all their ancestors."""

    def __init__(self, genesis: VerifiedOperation) -> None:
        self._nodes: dict[OperationId, Node] = {}
        self._membership: list[Node] = []
        self._chains: dict[PublicKey, dict[int, list[Node]]] = {}
        self._last: dict[PublicKey, Node] = {}
        self._forked: set[PublicKey] = set()
        self._last_of_line: dict[tuple[PublicKey, PublicKey], Node] = {}
        self._heads: dict[OperationId, None] = {}
        self._last_in_past: dict[tuple[OperationId, PublicKey], tuple[OperationId, ...]] = {}
        self.context_id = genesis.context_id
        self.insert(self._draft(genesis, past=0))

    def __contains__(self, operation_id: object) -> bool:
        return operation_id in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, operation_id: OperationId) -> Node:
        return self._nodes[operation_id]

    def get(self, operation_id: OperationId) -> Node | None:
        """The node, if the operation is here."""
        return self._nodes.get(operation_id)

    def __iter__(self) -> Iterator[Node]:
        """All nodes, ancestors first."""
        return iter(self._nodes.values())

    @property
    def heads(self) -> tuple[OperationId, ...]:
        """Operations that no other one cites, void ones included."""
        return tuple(sorted(self._heads))

    @property
    def everything(self) -> int:
        """The mask of all membership operations."""
        return (1 << len(self._membership)) - 1

    def membership(self, mask: int) -> Iterator[Node]:
        """The membership operations of a mask, ancestors first."""
        if mask == self.everything:
            yield from self._membership
            return
        while mask:
            low = mask & -mask
            yield self._membership[low.bit_length() - 1]
            mask ^= low

    def last_of(self, key: PublicKey, line: PublicKey | None = None) -> Node | None:
        """The operation of a key, in a line if one is given, with the greatest `seq`; after a fork what came last."""
        return self._last.get(key) if line is None else self._last_of_line.get((key, line))

    def missing(self, operation: Operation) -> frozenset[OperationId]:
        """What must be here before this operation can be judged."""
        return frozenset(needed for needed in _needs(operation) if needed not in self._nodes)

    def draft(self, verified: VerifiedOperation) -> Node:
        """An operation in its place, to be judged; it isn't here before it is inserted.

        Raises:
            MissingAncestorsError: something that it names isn't here.
            BrokenChainError: it doesn't continue its author's chain or names another context.
        """
        return self._draft(verified, past=self._past_of(verified.operation))

    def insert(self, node: Node) -> None:
        """Put a judged operation in its place."""
        operation = node.operation
        if operation.kind is not Kind.DELTA:
            node.bit = 1 << len(self._membership)
            self._membership.append(node)
        self._nodes[node.operation_id] = node
        self._note_author(node)
        for parent in self.parents(operation):
            self._heads.pop(parent, None)
        self._heads[node.operation_id] = None

    def _draft(self, verified: VerifiedOperation, *, past: int) -> Node:
        operation = verified.operation
        # a rotation goes on with a line only when it is allowed
        node = Node(verified.operation_id, operation, len(self._nodes), 0, past, line=operation.author)
        if operation.prev is not None and not isinstance(operation.body, Rotate):
            before = self._nodes[operation.prev]
            node.line, node.generation = before.line, before.generation
        return node

    def _past_of(self, operation: Operation) -> int:
        """The membership operations among the ancestors that an operation would have here."""
        if operation.context != self.context_id or operation.kind is Kind.GENESIS:
            raise BrokenChainError("the operation belongs to another context")
        missing = self.missing(operation)
        if missing:
            raise MissingAncestorsError(missing)
        if operation.prev is not None:
            before = self._nodes[operation.prev]
            if not self._continues(operation, before) or before.operation.seq + 1 != operation.seq:
                raise BrokenChainError("prev is not the author's operation before this one")
        past = 0
        for parent in self.parents(operation):
            past |= self._nodes[parent].mask
        return past

    @staticmethod
    def _continues(operation: Operation, before: Node) -> bool:
        """Whether `prev` is of the author, or of the key that the author takes the place of."""
        body = operation.body
        return before.author == (body.previous if isinstance(body, Rotate) else operation.author)

    def _note_author(self, node: Node) -> None:
        author, line, seq = node.author, node.line, node.operation.seq
        same_seq = self._chains.setdefault(line, {}).setdefault(seq, [])
        same_seq.append(node)
        if len(same_seq) > 1:
            self._forked.add(line)
        last = self._last.get(author)
        if last is None or last.operation.seq <= seq:
            self._last[author] = node
        last = self._last_of_line.get((author, line))
        if last is None or last.operation.seq <= seq:
            self._last_of_line[author, line] = node

    @staticmethod
    def parents(operation: Operation) -> Iterator[OperationId]:
        """The direct ancestors: `parents`, and `prev`."""
        yield from operation.parents
        if operation.prev is not None and operation.prev not in operation.parents:
            yield operation.prev

    def ancestors(self, starts: Iterable[OperationId]) -> set[OperationId]:
        """The given operations that are here, and all their ancestors."""
        seen: set[OperationId] = set()
        stack = [start for start in starts if start in self._nodes]
        while stack:
            current = stack.pop()
            if current not in seen:
                seen.add(current)
                stack.extend(self.parents(self._nodes[current].operation))
        return seen

    def tips_of(self, line: PublicKey) -> tuple[Node, ...]:
        """The operations of a line that none of it continues; several only after a fork."""
        nodes = [node for same_seq in self._chains.get(line, {}).values() for node in same_seq]
        followed = {node.operation.prev for node in nodes}
        return tuple(node for node in nodes if node.operation_id not in followed)

    def last_in_past(self, node: Node, line: PublicKey) -> tuple[OperationId, ...]:
        """The last operations of a line among the ancestors of a node; several only after a fork.

        Nothing is ever added below a node, so each answer is worked out once.
        """
        if line not in self._chains:
            return ()
        asked = node.operation_id, line
        known = self._last_in_past.get(asked)
        if known is None:
            known = self._last_in_past[asked] = self._find_last_in_past(node, line)
        return known

    def _find_last_in_past(self, node: Node, line: PublicKey) -> tuple[OperationId, ...]:
        own: Iterator[Node] = (other for other in self._descending(node) if other.line == line)
        if line not in self._forked:
            own = islice(own, 1)
        found = sorted(own, key=lambda other: (other.operation.seq, other.index))
        followed = {other.operation.prev for other in found}
        return tuple(other.operation_id for other in found if other.operation_id not in followed)

    def _descending(self, node: Node) -> Iterator[Node]:
        """The ancestors of a node, each before its own ancestors."""
        seen: set[OperationId] = set()
        waiting: list[tuple[int, OperationId]] = []
        current = node
        while True:
            for parent in self.parents(current.operation):
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(waiting, (-self._nodes[parent].index, parent))
            if not waiting:
                return
            current = self._nodes[heapq.heappop(waiting)[1]]
            yield current

    def on_chain(self, node: Node, tips: Iterable[OperationId]) -> bool:
        """Whether a node is one of these operations of its line, or precedes one in its chain."""
        forked = node.line in self._forked
        for tip in tips:
            current = self._nodes[tip]
            if current.line != node.line or current.operation.seq < node.operation.seq:
                continue
            if not forked:
                return True
            while current.operation.seq > node.operation.seq and current.operation.prev is not None:
                current = self._nodes[current.operation.prev]
            if current is node:
                return True
        return False

    def link_of(self, node: Node) -> Node | None:
        """The `link` that made the author's key one of a membership; nothing for a main key."""
        auth = node.operation.auth
        admission = None if auth is None else self._nodes[auth]
        return admission if admission is not None and isinstance(admission.operation.body, Link) else None

    def membership_line(self, node: Node) -> PublicKey:
        """The line of the main key for which the author speaks; its own line where that is a main key."""
        link = self.link_of(node)
        return node.line if link is None else link.line

    def built_on(self, admission: Node, decision: Node) -> bool:
        """Whether the `invite` or `admit` behind an admission, a `link` or a `grant`, has a decision among its ancestors."""
        body = admission.operation.body
        return self.follows(self._nodes[body.invitation] if isinstance(body, Join) else admission, decision)

    def follows(self, later: Node, earlier: Node) -> bool:
        """Whether a membership operation is among the ancestors of another operation."""
        return bool(later.past & earlier.bit)


def _needs(operation: Operation) -> Iterator[OperationId]:
    yield from OperationGraph.parents(operation)
    if operation.auth is not None:
        yield operation.auth
    match operation.body:
        case (
            Remove(frontier=frontier)
            | Revoke(frontier=frontier)
            | Rotate(frontier=frontier)
            | Unlink(frontier=frontier)
        ):
            yield from frontier
        case Join(invitation=invitation):
            yield invitation
        case Admit(join=join):
            yield join
        case _:
            pass
