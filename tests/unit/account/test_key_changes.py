"""Rotation, recovery and threshold accounts: who may change an account's keys."""

import dataclasses
from typing import Any

import pytest
from tests.account_cast import Owner, code_of, recovery_set, seed_of, signer_of, uncosigned_rotation

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys, KeyChange, NextKeys, RecoveryMember, RecoverySet
from meroid.account.changes import Change, DeviceClaim, Recovery, Rotation
from meroid.account.key_log import EntryDraft, extend_key_log
from meroid.account.key_log_entry import ENTRY_TAG
from meroid.account.succession import keys_from_seed, recover, rotate, seed_generation
from meroid.keys.canonical import canonical_bytes
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.software import SoftwareSigner

TRIO = ("ann", "bob", "cem")
NEXT_TRIO = ("ann2", "bob2", "cem2")


def keys(*names: str, threshold: int) -> AccountKeys:
    return AccountKeys.of(*(signer_of(name).public_key for name in names), threshold=threshold)


def committed(*names: str, threshold: int) -> NextKeys:
    return NextKeys.of(*(signer_of(name).public_key for name in names), threshold=threshold)


def trio(threshold: int = 2) -> VerifiedKeyLog:
    """An account of three people, of whom two sign; it began with a single key."""
    owner = Owner()
    first, second = owner.seed.account_key(0), owner.seed.account_key(1)
    invite = KeyChange(
        keys=AccountKeys.of(second.public_key), next=committed(*TRIO, threshold=threshold), recovery=None
    )
    owner.make(Rotation(change=invite), first, second)
    return step(owner.log, Rotation(change=handover(*TRIO, then=NEXT_TRIO)), *TRIO)


def handover(*names: str, then: tuple[str, ...], threshold: int = 2) -> KeyChange:
    return KeyChange(keys=keys(*names, threshold=threshold), next=committed(*then, threshold=threshold), recovery=None)


def step(log: VerifiedKeyLog, change: Change, *names: str) -> VerifiedKeyLog:
    return extend_key_log(log, EntryDraft.of(log, change).signed(*map(signer_of, names)).encoded)


def refusal(log: VerifiedKeyLog, change: Change, *names: str) -> str:
    return code_of(lambda: step(log, change, *names))


def test_a_rotation_puts_the_committed_key_in_force_and_retires_the_other() -> None:
    owner = Owner()
    account, first = owner.log.account_id, owner.key
    owner.claim(0)
    owner.rotate()
    state = owner.log.state
    assert state.account_id == account
    assert state.generation == 1
    assert state.keys == AccountKeys.of(owner.seed.account_key(1).public_key)
    assert state.next == NextKeys.of(owner.seed.account_key(2).public_key)
    assert state.retired_keys == frozenset({first.public_key})
    assert state.devices == frozenset({0})
    assert seed_generation(state, owner.seed) == 1


def test_a_thief_with_the_current_key_cannot_rotate() -> None:
    owner, thief = Owner(), signer_of("thief")
    change = KeyChange(
        keys=AccountKeys.of(thief.public_key), next=NextKeys.of(signer_of("t2").public_key), recovery=None
    )
    draft = EntryDraft.of(owner.log, Rotation(change=change))
    assert code_of(lambda: draft.signed(owner.key, thief)) == "key_log_uncommitted_key"
    honest = EntryDraft.of(owner.log, Rotation(change=keys_from_seed(owner.seed, 1, None)))
    assert code_of(lambda: honest.signed(owner.key)) == "key_log_too_few_signatures"


def test_the_outgoing_key_may_be_lost() -> None:
    owner = Owner()
    entry = uncosigned_rotation(owner.log, owner.seed.account_key(1), owner.seed.account_key(2))
    assert extend_key_log(owner.log, entry).state.generation == 1


def test_a_retired_key_never_returns() -> None:
    owner = Owner()
    first, second = owner.seed.account_key(0), owner.seed.account_key(1)
    back = KeyChange(keys=AccountKeys.of(second.public_key), next=NextKeys.of(first.public_key), recovery=None)
    assert code_of(lambda: owner.make(Rotation(change=back), first, second)) == "key_log_key_reused"
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    for key in (first, second):
        change = KeyChange(keys=AccountKeys.of(key.public_key), next=committed("n", threshold=1), recovery=None)
        code = code_of(lambda change=change, key=key: owner.make(Recovery(change=change), key, signer_of("ann"), signer_of("bob")))  # type: ignore[misc] # fmt: skip
        assert code == "key_log_key_reused"


def test_only_a_rotation_sets_replaces_and_removes_a_recovery_set() -> None:
    owner = Owner()
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    first_set = owner.log.standing.recovery
    assert owner.log.state.recovery == recovery_set(*TRIO, threshold=2)
    owner.rotate()
    assert owner.log.standing.recovery == first_set
    owner.rotate(recovery=recovery_set("dan", threshold=1))
    assert owner.log.state.recovery == recovery_set("dan", threshold=1)
    assert owner.log.standing.recovery == owner.log.head
    owner.rotate(recovery=None)
    assert owner.log.state.recovery is None


def test_enough_members_recover_an_account_without_any_of_its_keys() -> None:
    owner = Owner()
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    owner.claim(0)
    account = owner.log.account_id
    owner.recover(seed_of("new"), "ann", "cem")
    assert owner.log.account_id == account
    assert owner.log.state.keys == AccountKeys.of(seed_of("new").account_key(0).public_key)
    assert owner.log.state.devices == frozenset({0})
    assert owner.log.state.recovery == recovery_set(*TRIO, threshold=2)
    owner.claim(1)
    owner.rotate()
    assert seed_generation(owner.log.state, owner.seed) == 1


def test_a_recovery_needs_its_members_its_new_key_and_a_set() -> None:
    owner = Owner()
    new = seed_of("new")
    assert code_of(lambda: owner.recover(new, "ann", "bob")) == "key_log_no_recovery_set"
    owner = Owner()
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    change = Recovery(change=keys_from_seed(new, 0, None))
    assert code_of(lambda: recover(owner.log, new, [signer_of("ann")], recovery=None)) == "key_log_too_few_signatures"
    assert refusal(owner.log, change, "ann", "bob") == "key_log_too_few_signatures"
    assert code_of(lambda: recover(owner.log, new, [signer_of("ann"), signer_of("eve")], recovery=None)) == (
        "key_log_wrong_signer"
    )
    draft = EntryDraft.of(owner.log, change)
    assert code_of(lambda: draft.signed(new.account_key(0), signer_of("ann"), signer_of("bob"), owner.key)) == (
        "key_log_wrong_generation"
    )


def test_a_key_has_one_part_only() -> None:
    owner = Owner()
    members = RecoverySet.of(RecoveryMember(key=owner.seed.account_key(1).public_key, label="me"), threshold=1)
    assert code_of(lambda: owner.rotate(recovery=members)) == "key_log_key_reused"
    members = RecoverySet.of(RecoveryMember(key=owner.seed.account_key(2).public_key, label="me"), threshold=1)
    assert code_of(lambda: owner.rotate(recovery=members)) == "key_log_key_reused"
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    own = KeyChange(keys=keys("ann", threshold=1), next=committed("x", threshold=1), recovery=None)
    assert refusal(owner.log, Recovery(change=own), "ann", "bob") == "key_log_key_reused"


def test_two_of_three_sign_for_a_threshold_account() -> None:
    log = trio()
    assert log.state.keys == keys(*TRIO, threshold=2)
    claim = DeviceClaim(device=0)
    assert refusal(log, claim, "ann") == "key_log_too_few_signatures"
    assert refusal(log, claim, "ann", "eve") == "key_log_wrong_signer"
    assert refusal(log, claim, "ann", "bob2") == "key_log_wrong_generation"
    for names in (("ann", "bob"), ("bob", "cem"), ("ann", "cem"), TRIO):
        assert step(log, claim, *names).state.devices == frozenset({0})


def test_a_threshold_account_changes_its_keys_with_its_threshold() -> None:
    log = trio()
    after = Rotation(change=handover(*NEXT_TRIO, then=("d3", "e3", "f3")))
    assert refusal(log, after, "ann2") == "key_log_too_few_signatures"
    assert refusal(log, after, "ann", "bob") == "key_log_too_few_signatures"
    assert refusal(log, after, "ann2", "eve") == "key_log_wrong_signer"
    rotated = step(log, after, "ann2", "cem2")
    assert rotated.state.keys == keys(*NEXT_TRIO, threshold=2)
    assert rotated.state.retired_keys >= set(keys(*TRIO, threshold=2).keys)


def test_one_of_three_cannot_take_a_threshold_account_for_itself() -> None:
    log = trio()
    alone = KeyChange(keys=keys("ann2", threshold=1), next=committed("mine", threshold=1), recovery=None)
    assert refusal(log, Rotation(change=alone), "ann2") == "key_log_too_few_signatures"
    assert refusal(log, Rotation(change=alone), "ann2", "ann", "bob") == "key_log_too_few_signatures"
    pair = KeyChange(keys=keys("ann2", "eve", threshold=2), next=committed("mine", threshold=1), recovery=None)
    assert refusal(log, Rotation(change=pair), "ann2", "eve") == "key_log_uncommitted_key"


def test_a_key_that_was_lost_is_dropped_by_the_others() -> None:
    two = KeyChange(
        keys=keys("ann2", "bob2", threshold=2), next=committed("ann3", "bob3", "dan3", threshold=2), recovery=None
    )
    log = step(trio(), Rotation(change=two), "ann2", "bob2")
    assert log.state.keys == keys("ann2", "bob2", threshold=2)
    assert refusal(log, DeviceClaim(device=0), "ann2", "cem2") == "key_log_wrong_signer"
    three = Rotation(change=handover("ann3", "bob3", "dan3", then=("p", "q", "r")))
    assert step(log, three, "ann3", "dan3").state.keys == keys("ann3", "bob3", "dan3", threshold=2)


def test_the_new_threshold_is_shown_to_be_met() -> None:
    raised = Rotation(
        change=KeyChange(keys=keys(*NEXT_TRIO, threshold=3), next=committed("x", threshold=1), recovery=None)
    )
    assert refusal(trio(), raised, "ann2", "bob2") == "key_log_too_few_signatures"
    assert step(trio(), raised, *NEXT_TRIO).state.keys.threshold == 3


FIELDS: dict[str, Any] = KeyChange(
    keys=keys("a", threshold=1), next=committed("b", threshold=1), recovery=recovery_set("c", threshold=1)
).fields()
MEMBER = [signer_of("c").public_key, "c"]


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": []},
        {"keys": [b"short"]},
        {"keys": "text"},
        {"keys": sorted((signer_of("a").public_key, signer_of("b").public_key), reverse=True)},
        {"keys": [signer_of("a").public_key] * 2},
        {"threshold": 0},
        {"threshold": 2},
        {"threshold": True},
        {"next": []},
        {"next": [b"short"]},
        {"next": [bytes([number]) * 32 for number in range(33)]},
        {"next_threshold": 2},
        {"next_threshold": None},
        {"recovery": 1},
        {"recovery": {"members": [MEMBER]}},
        {"recovery": {"members": [], "threshold": 1}},
        {"recovery": {"members": [MEMBER], "threshold": 2}},
        {"recovery": {"members": [MEMBER, MEMBER], "threshold": 1}},
        {"recovery": {"members": [MEMBER], "threshold": 1, "more": 1}},
        {"recovery": {"members": [[MEMBER[0], "x" * 65]], "threshold": 1}},
        {"recovery": {"members": [[MEMBER[0], "line\nbreak"]], "threshold": 1}},
        {"recovery": {"members": [[MEMBER[0]]], "threshold": 1}},
        {"recovery": {"members": [[b"short", "c"]], "threshold": 1}},
    ],
)
@pytest.mark.parametrize("kind", ["rotation", "recovery"])
def test_a_change_of_keys_that_cannot_be_is_refused(kind: str, changed: dict[str, Any]) -> None:
    owner = Owner()
    payload = canonical_bytes({"kind": kind, "seq": 1, "prev": owner.log.head, **FIELDS, **changed})
    entry = Envelope.sign(ENTRY_TAG, payload, owner.key).encoded
    assert code_of(lambda: extend_key_log(owner.log, entry)) == "bad_key_set"


def test_a_member_of_small_order_is_refused() -> None:
    owner = Owner()
    weak = RecoverySet.of(RecoveryMember(key=PublicKey(bytes(32)), label=""), threshold=1)
    assert code_of(lambda: owner.rotate(recovery=weak)) == "bad_public_key"


def test_a_seed_that_is_not_the_accounts_is_refused() -> None:
    owner = Owner()
    assert code_of(lambda: seed_generation(owner.log.state, seed_of("other"))) == "seed_not_of_account"
    assert code_of(lambda: rotate(owner.log, seed_of("other"), recovery=None)) == "seed_not_of_account"


def test_a_log_from_before_is_not_touched_by_later_changes() -> None:
    owner = Owner()
    owner.rotate(recovery=recovery_set(*TRIO, threshold=2))
    before = dataclasses.replace(owner.log.state)
    kept = owner.log
    owner.recover(seed_of("new"), "ann", "bob")
    assert kept.state == before


def test_hardware_and_software_keys_sign_alike() -> None:
    class Token:
        """A signer behind the protocol alone."""

        def __init__(self, inner: SoftwareSigner) -> None:
            self._inner = inner

        @property
        def public_key(self) -> PublicKey:
            return self._inner.public_key

        def sign(self, message: bytes) -> bytes:
            return self._inner.sign(message)

    owner = Owner()
    entry = EntryDraft.of(owner.log, DeviceClaim(device=0)).signed(Token(owner.key))
    assert extend_key_log(owner.log, entry.encoded).state.devices == frozenset({0})
