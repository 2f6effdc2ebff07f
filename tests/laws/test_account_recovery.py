"""Losing what the policy allows to be lost never locks anyone out; losing more always does."""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings, strategies as st
from tests.account_cast import seed_of, signer_of

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoveryMember, RecoverySet
from meroid.account.changes import Recovery, Rotation
from meroid.account.key_log import EntryDraft, account_id_of, claim_device, extend_key_log, incept, verify_key_log
from meroid.account.key_log_branches import resolve_key_log
from meroid.account.key_log_entry import KeyLogEntry
from meroid.account.seed import Seed
from meroid.account.shares import join_shares, split_seed
from meroid.account.succession import rotate, seed_generation
from meroid.errors import MeroidError
from meroid.keys.public import PublicKey
from meroid.keys.software import SoftwareSigner

ACCOUNT = seed_of("owner")
# One set of shares for each scheme: making them takes longer than all the rest.
SHARES = {
    (threshold, count): tuple(
        share.reveal().decode() for share in split_seed(ACCOUNT, threshold=threshold, count=count)
    )
    for threshold, count in ((2, 2), (2, 3), (3, 4))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is left of an account with one key, after everything else was lost."""

    words: bool
    shares: tuple[str, ...]
    members: tuple[SoftwareSigner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Shares and recovery members of an account with one key; with no members there is no set."""

    shares: tuple[int, int]
    members: int
    threshold: int

    def recovery(self) -> RecoverySet | None:
        names = [f"member {number}" for number in range(self.members)]
        if not names:
            return None
        people = (RecoveryMember(key=signer_of(name).public_key, label=name) for name in names)
        return RecoverySet.of(*people, threshold=self.threshold)

    def allows(self, kept: Kept) -> bool:
        enough = bool(self.members) and len(kept.members) >= self.threshold
        return kept.words or len(kept.shares) >= self.shares[0] or enough


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    members = draw(st.integers(0, 4))
    return Policy(
        shares=draw(st.sampled_from(sorted(SHARES))),
        members=members,
        threshold=draw(st.integers(1, max(1, members))),
    )


@st.composite
def losses(draw: st.DrawFn, policy: Policy) -> Kept:
    people = [signer_of(f"member {number}") for number in range(policy.members)]
    return Kept(
        words=draw(st.booleans()),
        shares=tuple(draw(st.lists(st.sampled_from(SHARES[policy.shares]), unique=True))),
        members=tuple(draw(st.lists(st.sampled_from(people), unique=True)) if people else ()),
    )


def with_policy(policy: Policy) -> list[bytes]:
    inception = incept(ACCOUNT).encoded
    log = verify_key_log([inception])
    return [inception, rotate(log, ACCOUNT, recovery=policy.recovery()).encoded]


def seeds_of(kept: Kept) -> Iterator[Seed]:
    if kept.words:
        yield Seed.from_words(ACCOUNT.words().reveal().decode())
    try:
        yield join_shares(kept.shares)
    except MeroidError:
        return


def ways_in(log: VerifiedKeyLog, kept: Kept) -> Iterator[bytes]:
    """Every entry by which what is left gets hold of the account, whether or not it is accepted."""
    fresh = seed_of("fresh")
    keys = AccountKeys.of(fresh.account_key(0).public_key)
    change = KeyChange(keys=keys, next=NextKeys.of(fresh.account_key(1).public_key), recovery=log.state.recovery)
    for seed in seeds_of(kept):
        assert account_id_of(seed) == log.account_id
        yield claim_device(log, 0, seed.account_key(seed_generation(log.state, seed))).encoded
        yield rotate(log, seed, recovery=log.state.recovery).encoded
    for kind in (Recovery(change=change), Rotation(change=change)):
        payload = EntryDraft.of(log, kind).payload
        yield KeyLogEntry.sign(payload, [fresh.account_key(0), *kept.members]).encoded


def accepted(log: VerifiedKeyLog, entry: bytes) -> bool:
    try:
        extend_key_log(log, entry)
    except MeroidError:
        return False
    return True


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whoever_keeps_enough_gets_back_in_and_whoever_keeps_less_never_does(data: st.DataObject) -> None:
    policy = data.draw(policies())
    kept = data.draw(losses(policy))
    entries = with_policy(policy)
    log = verify_key_log(entries)
    back = [entry for entry in ways_in(log, kept) if accepted(log, entry)]
    assert bool(back) == policy.allows(kept)
    for entry in back:
        # A thief of the current key, who is quicker, changes nothing about a change of keys.
        thief = claim_device(log, 99, ACCOUNT.account_key(1)).encoded
        resolution = resolve_key_log(log.account_id, [*entries, thief, entry])
        changes_keys = extend_key_log(log, entry).state.generation > log.state.generation
        assert (resolution.entries[-1] == entry) == changes_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who signs for a threshold account: a current key, and the one that was committed to."""

    current: SoftwareSigner
    then: SoftwareSigner


def threshold_account(parties: list[Party], threshold: int) -> VerifiedKeyLog:
    """An account that was handed from one seed to several people."""
    log = verify_key_log([incept(ACCOUNT).encoded])
    first = KeyChange(
        keys=AccountKeys.of(ACCOUNT.account_key(1).public_key),
        next=NextKeys.of(*public(party.current for party in parties), threshold=threshold),
        recovery=None,
    )
    entry = EntryDraft.of(log, Rotation(change=first)).signed(ACCOUNT.account_key(0), ACCOUNT.account_key(1))
    log = extend_key_log(log, entry.encoded)
    second = KeyChange(
        keys=AccountKeys.of(*public(party.current for party in parties), threshold=threshold),
        next=NextKeys.of(*public(party.then for party in parties), threshold=threshold),
        recovery=None,
    )
    signers = [party.current for party in parties]
    return extend_key_log(log, EntryDraft.of(log, Rotation(change=second)).signed(*signers).encoded)


def public(signers: Iterator[SoftwareSigner]) -> list[PublicKey]:
    return [signer.public_key for signer in signers]


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), st.data())
def test_a_threshold_account_survives_every_loss_that_leaves_enough_people_and_no_other(
    count: int, data: st.DataObject
) -> None:
    parties = [Party(current=signer_of(f"now {number}"), then=signer_of(f"then {number}")) for number in range(count)]
    threshold = data.draw(st.integers(1, count))
    log = threshold_account(parties, threshold)
    left = data.draw(st.lists(st.sampled_from(parties), unique_by=id))
    enough = len(left) >= threshold
    if not left:
        assert not enough
        return
    fewest = data.draw(st.integers(1, len(left)))
    change = KeyChange(
        keys=AccountKeys.of(*public(party.then for party in left), threshold=fewest),
        next=NextKeys.of(*public(signer_of(f"new {number}") for number in range(fewest)), threshold=1),
        recovery=None,
    )
    draft = EntryDraft.of(log, Rotation(change=change))
    rotation = KeyLogEntry.sign(draft.payload, [party.then for party in left]).encoded
    with_current = KeyLogEntry.sign(draft.payload, [s for party in left for s in (party.then, party.current)]).encoded
    assert accepted(log, rotation) == accepted(log, with_current) == enough
    assert not accepted(log, KeyLogEntry.sign(draft.payload, [party.current for party in left]).encoded)
    if enough:
        assert extend_key_log(log, rotation).state.keys.threshold == fewest
