"""Forks of a key log: which branch stands."""

from collections.abc import Iterable

import pytest
from tests.account_cast import Owner, code_of, recovery_set, seed_of, signer_of, uncosigned_rotation

from meroid.account.authority import AccountKeys, KeyChange, NextKeys
from meroid.account.changes import DeviceClaim, Rotation
from meroid.account.key_log import EntryDraft, account_id_of, incept, verify_key_log
from meroid.account.key_log_branches import Fate, Resolution, resolve_key_log
from meroid.account.key_log_entry import ENTRY_TAG, KeyLogEntry
from meroid.account.succession import keys_from_seed, rotate
from meroid.keys.envelope import Envelope

SET = recovery_set("ann", "bob", "cem", threshold=2)


def resolve(*logs: Iterable[bytes] | Owner) -> Resolution:
    entries = {entry for log in logs for entry in (log.entries if isinstance(log, Owner) else log)}
    return resolve_key_log(account_id_of(seed_of("owner")), entries)


def id_of(entry: bytes) -> bytes:
    return KeyLogEntry.parse(entry).entry_id


def stands(resolution: Resolution, owner: Owner) -> bool:
    return resolution.entries == tuple(owner.entries) and resolution.log == owner.log and not resolution.contested


def test_a_straight_log_stands_whole() -> None:
    owner = Owner()
    owner.claim(0)
    owner.rotate()
    resolution = resolve(owner)
    assert stands(resolution, owner)
    assert dict(resolution.set_aside) == {}


def test_two_plain_entries_at_one_place_are_contested_and_nothing_of_them_stands() -> None:
    ours = Owner()
    ours.claim(0)
    theirs = ours.branch(2)
    ours.claim(1)
    ours.claim(2)
    theirs.claim(7)
    resolution = resolve(ours, theirs)
    assert resolution.entries == tuple(ours.entries[:2])
    assert set(resolution.contested) == {id_of(ours.entries[2]), id_of(theirs.entries[2])}
    assert set(resolution.set_aside.values()) == {Fate.CONTESTED}
    assert len(resolution.set_aside) == 3


def test_a_rotation_ends_a_fork_of_plain_entries() -> None:
    ours = Owner()
    thief = ours.branch(1)
    ours.claim(0)
    thief.claim(7)
    thief.claim(8)
    ours.rotate()
    resolution = resolve(ours, thief)
    assert stands(resolution, ours)
    assert set(resolution.set_aside.values()) == {Fate.OUTRANKED}


def test_a_stolen_key_cannot_redo_the_rotation_that_made_it_current() -> None:
    owner = Owner()
    owner.claim(0)
    owner.rotate()
    stolen = owner.key
    for length in (1, 2):
        forged = uncosigned_rotation(owner.at(length), stolen, signer_of("thief"))
        assert stands(resolve(owner, [forged]), owner)


def test_what_a_thief_rotates_later_on_adds_no_weight() -> None:
    owner = Owner()
    owner.rotate()
    stolen, own, then = owner.key, signer_of("thief"), signer_of("thief2")
    forged = uncosigned_rotation(owner.at(1), stolen, own)
    branch = verify_key_log([owner.entries[0], forged])
    change = KeyChange(keys=AccountKeys.of(own.public_key), next=NextKeys.of(then.public_key), recovery=None)
    cosigned = EntryDraft.of(branch, Rotation(change=change)).signed(stolen, own).encoded
    assert stands(resolve(owner, [forged, cosigned]), owner)


def test_a_rotation_by_the_next_key_alone_is_outranked_by_the_owners() -> None:
    owner = Owner()
    forged = uncosigned_rotation(owner.log, owner.seed.account_key(1), signer_of("thief"))
    owner.rotate()
    assert stands(resolve(owner, [forged]), owner)


def test_two_holders_of_the_seed_without_a_recovery_set_contest_for_good() -> None:
    owner = Owner()
    thief = owner.branch(1)
    owner.rotate()
    thief.claim(9)
    thief.rotate(recovery=recovery_set("eve", threshold=1))
    resolution = resolve(owner, thief)
    assert resolution.entries == tuple(owner.entries[:1])
    assert len(resolution.contested) == 2


def test_a_recovery_outranks_every_rotation_from_the_same_place_whatever_followed_it() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    thief = owner.branch(2)
    puppets = ("eve1", "eve2", "eve3", "eve4")
    thief.rotate(recovery=recovery_set(*puppets, threshold=4))
    thief.rotate(*puppets)
    thief.recover(seed_of("thief"), *puppets)
    owner.claim(0)
    owner.recover(seed_of("new"), "ann", "cem")
    resolution = resolve(owner, thief)
    assert stands(resolution, owner)
    assert set(resolution.set_aside.values()) == {Fate.OUTRANKED}


def test_a_set_that_was_replaced_without_its_consent_can_still_recover_where_it_was_in_force() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    old = owner.branch(2)
    owner.rotate(recovery=recovery_set("dan", threshold=1))
    old.recover(seed_of("new"), "ann", "bob")
    assert stands(resolve(owner, old), old)


def test_a_set_that_consented_to_its_replacement_cannot_undo_it() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    early, old = owner.branch(2), owner.branch(2)
    early.claim(0)
    owner.rotate()
    owner.rotate("ann", "bob", recovery=recovery_set("dan", threshold=1))
    old.recover(seed_of("new"), "ann", "bob", "cem")
    assert stands(resolve(owner, old, early), owner)


def test_members_alone_cannot_make_up_a_consent() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    puppet = owner.branch(2)
    puppet.recover(seed_of("puppet"), "ann", "bob")
    puppet.rotate("ann", "bob", recovery=recovery_set("eve", threshold=1))
    owner.rotate("ann", "cem", recovery=recovery_set("dan", threshold=1))
    assert stands(resolve(owner, puppet), owner)


def test_two_recoveries_are_contested_until_more_members_sign() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    other = owner.branch(2)
    owner.recover(seed_of("new"), "ann", "bob")
    other.recover(seed_of("other"), "bob", "cem")
    resolution = resolve(owner, other)
    assert resolution.entries == tuple(owner.entries[:2])
    assert len(resolution.contested) == 2
    more = owner.branch(2)
    more.recover(seed_of("newer"), "ann", "bob", "cem")
    assert stands(resolve(owner, other, more), more)


def test_a_partial_consent_counts_as_none_and_hurts_nobody() -> None:
    owner = Owner()
    owner.rotate(recovery=SET)
    owner.rotate("ann", recovery=recovery_set("dan", threshold=1))
    old = owner.branch(2)
    old.seed = seed_of("owner")
    old.recover(seed_of("new"), "bob", "cem")
    assert stands(resolve(owner, old), old)


def test_signatures_that_came_apart_are_joined_again() -> None:
    owner = Owner()
    entry = KeyLogEntry.parse(rotate(owner.log, owner.seed, recovery=None).encoded).envelope
    thief = owner.branch(1)
    rival = uncosigned_rotation(owner.log, owner.seed.account_key(1), signer_of("thief"))
    new_key = owner.seed.account_key(1).public_key
    stripped = Envelope(
        payload=entry.payload, signatures=tuple(pair for pair in entry.signatures if pair[0] == new_key)
    ).encoded
    assert len(resolve(thief, [stripped, rival]).contested) == 2
    owner.add(entry.encoded)
    assert stands(resolve(owner, [stripped, rival]), owner)


def test_a_strangers_signature_or_a_broken_one_on_a_copy_hurts_nobody() -> None:
    owner = Owner()
    payload = KeyLogEntry.parse(owner.claim(0)).envelope.payload
    spoilt = Envelope.sign(ENTRY_TAG, payload, owner.key, signer_of("eve")).encoded
    broken = Envelope(payload=payload, signatures=((owner.key.public_key, bytes(64)),)).encoded
    inception = KeyLogEntry.parse(owner.entries[0]).envelope.payload
    bad_inception = Envelope(payload=inception, signatures=((owner.key.public_key, bytes(64)),)).encoded
    assert stands(resolve(owner, [spoilt, broken, bad_inception]), owner)
    assert len(resolve([owner.entries[0], spoilt]).entries) == 1


def test_entries_that_do_not_hold_or_lack_their_ancestors_are_set_aside() -> None:
    owner = Owner()
    owner.claim(0)
    owner.claim(1)
    forged = Envelope.sign(
        ENTRY_TAG, EntryDraft.of(owner.at(1), DeviceClaim(device=5)).payload, signer_of("eve")
    ).encoded
    foreign = incept(seed_of("foreign")).encoded
    resolution = resolve([owner.entries[0], owner.entries[2], forged, foreign, b"", b"\xa0"])
    assert resolution.entries == (owner.entries[0],)
    assert dict(resolution.set_aside) == {
        id_of(owner.entries[2]): Fate.DETACHED,
        id_of(foreign): Fate.DETACHED,
        id_of(forged): Fate.REFUSED,
    }


def test_without_its_inception_an_account_has_no_log() -> None:
    owner = Owner()
    owner.claim(0)
    assert code_of(lambda: resolve(owner.entries[1:])) == "key_log_gap"
    assert code_of(lambda: resolve([])) == "key_log_gap"


@pytest.mark.parametrize("forks", [300])
def test_many_forks_are_resolved(forks: int) -> None:
    owner = Owner()
    thief = [EntryDraft.of(owner.log, DeviceClaim(device=number)).signed(owner.key).encoded for number in range(forks)]
    owner.claim(0)
    for number in range(20):
        thief.append(EntryDraft.of(owner.log, DeviceClaim(device=5_000 + number)).signed(owner.key).encoded)
    owner.rotate()
    assert stands(resolve(owner, thief), owner)


def test_a_redone_rotation_with_the_same_key_names_the_branch_that_it_honours() -> None:
    owner = Owner()
    owner.claim(0)
    draft = EntryDraft.of(owner.at(1), Rotation(change=keys_from_seed(owner.seed, 1, None)))
    clean = owner.branch(1)
    clean.add(draft.signed(owner.seed.account_key(0), owner.seed.account_key(1)).encoded)
    resolution = resolve(owner, clean)
    assert stands(resolution, clean)
    assert resolution.log.state.devices == frozenset()
