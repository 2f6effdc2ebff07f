"""Forks of a key log: which branch stands, from the set of its entries alone.

No clock, no order of arrival, and no hash (which could be ground) decides; only what the
authorities in force *at the fork*, that is after its last common entry, did on each branch. The
weight of a branch is that of the heaviest entry on it or above it:

| weight | entry |
|---|---|
| 4, members | a rotation that `threshold` of the recovery set signed too, by keys that rotations alone lead to from the fork |
| 3, members | a recovery, or any rotation, that `threshold` of the recovery set signed |
| 2 | the first rotation, if the outgoing keys signed it as well |
| 1 | the first rotation, by the committed keys alone |
| 0 | anything else |

"The recovery set" is the one in force at the fork, as long as nothing on the branch replaced it;
`members` is how many of it signed, and counts between equals. The heavier branch stands, and the
others are void with all that is on them. So:

- A recovery outranks every rotation that began at the same place, whatever followed it there: a
  thief with the next key, or the seed, gains nothing by replacing the recovery set.
- A recovery set that was replaced without its consent may still recover where it was in force. One
  that signed its own replacement (weight 4) can't: members who left can't undo it.
- A rotation outranks everything that a stolen current key made at the same place.
- A stolen key can't redo the rotation that made it current: the owner's has the outgoing key's
  signature (weight 2), the thief's hasn't (1).

Branches of equal weight come only from two entries by the same holders. Neither stands: the fork
is *contested*, the log ends at the fork, and nothing is accepted for the account until one branch
gains weight. A fork of plain entries ends with a rotation, one of rotations with a recovery, one
of recoveries when more members sign. Two holders of the seed, without a recovery set that was in
force at the fork, are equal for good.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from meroid.account.account_state import Standing, VerifiedKeyLog
from meroid.account.changes import Change, Recovery, Rotation
from meroid.account.key_log_entry import ENTRY_TAG, KeyLogEntry, is_inception, parse_change
from meroid.account.key_log_errors import KeyLogGapError
from meroid.account.key_log_verifier import KeyLogVerifier
from meroid.errors import MeroidError
from meroid.ids import AccountId
from meroid.keys.canonical import tagged_message
from meroid.keys.envelope import Envelope
from meroid.keys.public import BadSignatureError, PublicKey, verify_signature

Weight = tuple[int, int]

_PLAIN: Final[Weight] = (0, 0)
_ROTATION: Final[Weight] = (1, 0)
_COSIGNED: Final[Weight] = (2, 0)
_RECOVERY, _JOINT = 3, 4


class Fate(StrEnum):
    """Why an entry doesn't stand."""

    OUTRANKED = "outranked"
    CONTESTED = "contested"
    REFUSED = "refused"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What stands.

    `entries` are those of `log`, in order. `contested` holds the ids of the entries that follow
    the end of the log with equal weight; empty means settled. `set_aside` says of every other
    entry, by its id, why it doesn't stand: outranked, contested, refused in its place, or without
    its ancestors (detached). Input that is no entry at all isn't listed.
    """

    log: VerifiedKeyLog
    entries: tuple[bytes, ...]
    contested: tuple[bytes, ...]
    set_aside: Mapping[bytes, Fate]


def resolve_key_log(account_id: AccountId, entries: Iterable[bytes]) -> Resolution:
    """Decide which of all known entries stand; their order and repetitions don't matter.

    Of one entry that came with several sets of signatures, all that hold are counted.

    Raises:
        KeyLogGapError: the account's inception isn't among the entries.
    """
    variants, following = _sorted_out(entries)
    tree = _Tree(variants, following)
    tree.grow(*_inception(variants.get(account_id, set())))
    return tree.decide()


@dataclass(slots=True)
class _Node:
    """A valid entry in the tree; `end` is the place behind the last entry above it."""

    entry_id: bytes
    encoded: bytes
    standing: Standing
    place: int
    end: int = 0
    followers: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Act:
    """What a change of keys weighs, once it is known where the fork was."""

    place: int
    before: Standing
    cosigned: bool
    members: int
    recovery: bool

    def weight(self, fork: Standing) -> Weight:
        if self.members and self.before.recovery == fork.recovery:
            joint = not self.recovery and self.before.line == fork.line
            return (_JOINT if joint else _RECOVERY), self.members
        if not self.recovery and self.before.keys == fork.keys:
            return _COSIGNED if self.cosigned else _ROTATION
        return _PLAIN


class _Tree:
    """All entries that hold in their place, in the order in which a walk from the inception meets them."""

    def __init__(self, variants: Mapping[bytes, set[bytes]], following: Mapping[bytes, Sequence[bytes]]) -> None:
        self._variants = variants
        self._following = following
        self._nodes: list[_Node] = []
        self._acts: list[_Act] = []
        self._fates = dict.fromkeys(variants, Fate.DETACHED)

    def grow(self, root: KeyLogVerifier, inception: bytes) -> None:
        """Verify every entry where it stands; only forks are copied, so a straight log costs no memory."""
        self._stand(root, inception)
        waiting: list[tuple[KeyLogVerifier | VerifiedKeyLog, int, list[bytes]]] = []
        waiting.append((root, 0, list(self._following.get(root.head, ()))))
        while waiting:
            state, place, children = waiting[-1]
            if not children:
                waiting.pop()
                self._nodes[place].end = len(self._nodes)
                continue
            if len(children) > 1 and isinstance(state, KeyLogVerifier):
                state = state.verified()
                waiting[-1] = (state, place, children)
            verifier = state if isinstance(state, KeyLogVerifier) else KeyLogVerifier(state)
            child = self._attach(verifier, children.pop())
            if child is not None:
                self._nodes[place].followers.append(child)
                waiting.append((verifier, child, list(self._following.get(verifier.head, ()))))

    def decide(self) -> Resolution:
        """Walk from the inception, and at each fork take the branch that is heaviest."""
        chosen = [0]
        contested: list[int] = []
        while followers := self._nodes[chosen[-1]].followers:
            heaviest = self._heaviest(self._nodes[chosen[-1]].standing, followers)
            for rival in set(followers) - set(heaviest):
                self._mark(rival, Fate.OUTRANKED)
            if len(heaviest) > 1:
                contested = heaviest
                break
            chosen.append(heaviest[0])
        for rival in contested:
            self._mark(rival, Fate.CONTESTED)
        for place in chosen:
            del self._fates[self._nodes[place].entry_id]
        return self._resolution([self._nodes[place].encoded for place in chosen], contested)

    def _resolution(self, entries: list[bytes], contested: list[int]) -> Resolution:
        verifier = KeyLogVerifier.begin(entries[0])
        for entry in entries[1:]:
            verifier.add(entry)
        return Resolution(
            log=verifier.verified(),
            entries=tuple(entries),
            contested=tuple(sorted(self._nodes[place].entry_id for place in contested)),
            set_aside=MappingProxyType(self._fates),
        )

    def _attach(self, verifier: KeyLogVerifier, entry_id: bytes) -> int | None:
        """Add an entry behind a verifier's last one; nothing if it doesn't hold there."""
        try:
            entry, change = _merged(verifier, self._variants[entry_id])
            before, signers = verifier.standing, entry.envelope.signers
            cosigned, members = verifier.outgoing_consent(signers), verifier.recovery_consent(signers)
            verifier.add(entry.encoded)
        except MeroidError:
            self._fates[entry_id] = Fate.REFUSED
            return None
        place = self._stand(verifier, entry.encoded)
        if isinstance(change, Rotation | Recovery):
            recovery = isinstance(change, Recovery)
            self._acts.append(_Act(place=place, before=before, cosigned=cosigned, members=members, recovery=recovery))
        return place

    def _stand(self, verifier: KeyLogVerifier, encoded: bytes) -> int:
        place = len(self._nodes)
        self._nodes.append(_Node(verifier.head, encoded, verifier.standing, place))
        return place

    def _heaviest(self, fork: Standing, followers: Sequence[int]) -> list[int]:
        if len(followers) == 1:
            return list(followers)
        weights = {place: self._weight(fork, self._nodes[place]) for place in followers}
        most = max(weights.values())
        return [place for place in followers if weights[place] == most]

    def _weight(self, fork: Standing, branch: _Node) -> Weight:
        first = bisect_left(self._acts, branch.place, key=_place_of)
        behind = bisect_left(self._acts, branch.end, key=_place_of)
        return max((act.weight(fork) for act in self._acts[first:behind]), default=_PLAIN)

    def _mark(self, branch: int, fate: Fate) -> None:
        for node in self._nodes[branch : self._nodes[branch].end]:
            self._fates[node.entry_id] = fate


def _sorted_out(entries: Iterable[bytes]) -> tuple[dict[bytes, set[bytes]], dict[bytes, list[bytes]]]:
    """The encodings of each entry by its id, and the ids that follow each entry."""
    variants: defaultdict[bytes, set[bytes]] = defaultdict(set)
    following: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for data in entries:
        try:
            entry = KeyLogEntry.parse(data)
            payload = entry.envelope.payload
            if not is_inception(payload):
                _, prev, _ = parse_change(payload)
                following[prev].add(entry.entry_id)
        except MeroidError:
            continue
        variants[entry.entry_id].add(entry.encoded)
    return dict(variants), {prev: sorted(ids) for prev, ids in following.items()}


def _inception(encodings: set[bytes]) -> tuple[KeyLogVerifier, bytes]:
    """The first encoding of the inception that holds."""
    for data in sorted(encodings):
        try:
            return KeyLogVerifier.begin(data), data
        except MeroidError:
            continue
    raise KeyLogGapError("the account's inception is not among the entries")


def _place_of(act: _Act) -> int:
    return act.place


def _merged(verifier: KeyLogVerifier, encodings: set[bytes]) -> tuple[KeyLogEntry, Change]:
    """The one encoding as it is; of several, the entry with every signature that holds and counts."""
    entries = [KeyLogEntry.parse(data) for data in sorted(encodings)]
    payload = entries[0].envelope.payload
    _, _, change = parse_change(payload)
    if len(entries) == 1:
        return entries[0], change
    entitled, message = verifier.entitled(change), tagged_message(ENTRY_TAG, payload)
    signatures: dict[PublicKey, bytes] = {}
    for key, signature in (pair for entry in entries for pair in entry.envelope.signatures):
        if key in entitled and key not in signatures and _holds(key, message, signature):
            signatures[key] = signature
    return KeyLogEntry(envelope=Envelope(payload=payload, signatures=tuple(sorted(signatures.items())))), change


def _holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        verify_signature(key, message, signature)
    except BadSignatureError:
        return False
    return True
