"""The state of a context at one cut: an immutable value that `evaluate` makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meroid.ids import EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.ledger.graph import Node, Rank
from meroid.ledger.operation import Binding, Policy, Unlink
from meroid.ledger.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A current member.

    `admission` is the operation that made it one (the `auth` of its operations); `sources` says
    which operations give each capability: the admission, or grants. `line` and `generation` say
    where the key stands after rotations (rule 11). A linked key is listed beside the main key of its
    membership, with the rank of that; `linked_to` is the line of the main key, and `None` in a main key.
    """

    key: PublicKey
    line: PublicKey
    generation: int
    admission: OperationId
    rank: Rank
    linked_to: PublicKey | None = None
    sealing: bytes
    next_keys: bytes
    sources: Mapping[Capability, frozenset[OperationId]]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the member may do."""
        return frozenset(self.sources)

    def may(self, capability: Capability) -> bool:
        """Whether the member has a capability."""
        return capability in self.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation that still stands; `left` is the number of uses left, `None` for any number."""

    operation_id: OperationId
    inviter: PublicKey
    invitee: PublicKey | None
    secret_key: PublicKey | None
    capabilities: frozenset[Capability]
    left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A removal, leave, revocation, rotation or unlinking in effect: of a line's operations only the honoured ones stay.

    `capability` is `None` where the membership ended or the key was rotated; a rotation concerns
    generations below `before` only, and ends nothing else. `tips` are the last operations honoured
    (rule 3). What ends a membership, or takes a capability from it, reaches the keys that are linked to
    it, without naming them.
    """

    by: Node
    line: PublicKey
    capability: Capability | None
    tips: tuple[OperationId, ...]
    before: int | None = None

    @property
    def ends_membership(self) -> bool:
        """Whether the membership itself ended by it."""
        return self.capability is None and self.before is None

    @property
    def unlinks(self) -> bool:
        """Whether it takes a linked key away; what the same key does as a member of its own isn't concerned."""
        return isinstance(self.by.operation.body, Unlink)

    def takes(self, capability: Capability) -> bool:
        """Whether a capability is gone by it, alone or with the membership."""
        return self.ends_membership or self.capability is capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """A junior's removal of a senior, undecided (rule 6); `link` says by which `link` a line is concerned, if by one."""

    by: Node
    line: PublicKey
    tips: tuple[OperationId, ...]
    link: OperationId | None = None

    def concerns(self, node: Node) -> bool:
        """Whether an operation belongs to the suspended membership."""
        return node.line == self.line and self.link in {None, node.operation.auth}


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A valid `rekey`; `usable` says whether new writes may be encrypted under it (§3)."""

    epoch_id: EpochId
    rekey: Node
    usable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipState:
    """Who is a member, what each may do, and what is void, at one cut.

    `void` holds the verdicts of membership operations that their own cut allowed and this cut
    voids; deltas are judged one by one against `cuts`, `void` and `suspensions`. `lines` names the line
    of each key that was rotated to, `rotated` the current key of each line that was rotated, `retired` the
    keys that were rotated away. `links` names for each line that was ever linked those of the main keys.
    `cuts` goes by line, everything else by current key.
    """

    policy: Policy
    application: Binding
    members: Mapping[PublicKey, Member]
    invitations: Mapping[OperationId, Invitation]
    epochs: Mapping[EpochId, Epoch]
    cuts: Mapping[PublicKey, tuple[Cut, ...]] = field(default_factory=dict)
    suspensions: Mapping[PublicKey, tuple[Suspension, ...]] = field(default_factory=dict)
    void: Mapping[OperationId, Verdict] = field(default_factory=dict)
    lines: Mapping[PublicKey, PublicKey] = field(default_factory=dict)
    rotated: Mapping[PublicKey, PublicKey] = field(default_factory=dict)
    retired: frozenset[PublicKey] = frozenset()
    links: Mapping[PublicKey, frozenset[PublicKey]] = field(default_factory=dict)

    def key_now(self, key: PublicKey) -> PublicKey:
        """The current client key of the line that a key belongs to."""
        line = self.lines.get(key, key)
        return self.rotated.get(line, line)

    def main_key(self, key: PublicKey) -> PublicKey:
        """The current main key of the membership that a key belongs to."""
        member = self.members.get(self.key_now(key))
        return self.key_now(key) if member is None or member.linked_to is None else self.key_now(member.linked_to)

    def linked_keys(self, line: PublicKey) -> tuple[Member, ...]:
        """The keys that are linked to the membership of a line now, by key."""
        return tuple(member for _, member in sorted(self.members.items()) if member.linked_to == line)

    def cuts_of(self, key: PublicKey) -> tuple[Cut, ...]:
        """What cuts the operations of a key: of its line, and of the memberships that it was linked to."""
        line = self.lines.get(key, key)
        own = self.cuts.get(line, ()) + (self.cuts.get(key, ()) if line != key else ())
        mains = sorted(self.links.get(line, ()))
        return own + tuple(cut for main in mains for cut in self.cuts.get(main, ()) if cut.before is None)

    def usable_epochs(self) -> tuple[Epoch, ...]:
        """Epochs that may encrypt new writes, the latest known first."""
        usable = (epoch for epoch in self.epochs.values() if epoch.usable)
        return tuple(sorted(usable, key=lambda epoch: -epoch.rekey.index))

    def readers(self) -> tuple[Member, ...]:
        """Members who get epoch keys: those with `read` that aren't suspended, by key."""
        return tuple(
            member
            for key, member in sorted(self.members.items())
            if member.may(Capability.READ) and key not in self.suspensions
        )
