"""The key log: what holds, and what is refused with which code."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.account_cast import Owner, code_of

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys, NextKeys, next_key_digest
from meroid.account.changes import (
    Change,
    Delegation,
    DelegationRevocation,
    DeviceClaim,
    DeviceRevocation,
    RootKeyBinding,
    RootKeyRemoval,
)
from meroid.account.key_log import EntryDraft, account_id_of, claim_device, extend_key_log, incept, verify_key_log
from meroid.account.key_log_entry import KeyLogEntry
from meroid.account.seed import Seed
from meroid.errors import MeroidError
from meroid.keys.canonical import Encodable, canonical_bytes, parse_canonical
from meroid.keys.envelope import Envelope
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

TAG = "meroid/key-log-entry/v1"
SEED = Seed(Secret(bytes(range(32))))
KEY = SEED.account_key(0)
INCEPTION = incept(SEED).encoded
PINNED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "derivation.json").read_text())
DIGEST = b"d" * 32
OTHER = b"e" * 32


def log_of(*devices: int) -> list[bytes]:
    entries = [INCEPTION]
    for device in devices:
        entries.append(claim_device(verify_key_log(entries), device, KEY).encoded)
    return entries


def signed(payload: Encodable, *signers: SoftwareSigner) -> bytes:
    return Envelope.sign(TAG, canonical_bytes(payload), *(signers or (KEY,))).encoded


def device_entry(**changed: Any) -> bytes:
    head = verify_key_log([INCEPTION]).head
    fields: dict[str, Encodable] = {"kind": "device", "seq": 1, "prev": head, "device": 0}
    return signed(fields | changed)


def with_change(log: VerifiedKeyLog, change: Change) -> VerifiedKeyLog:
    return extend_key_log(log, EntryDraft.of(log, change).signed(KEY).encoded)


def refusal_of(log: VerifiedKeyLog, change: Change) -> str:
    return code_of(lambda: EntryDraft.of(log, change).signed(KEY))


def test_an_inception_holds_and_its_id_is_the_account() -> None:
    log = verify_key_log([INCEPTION])
    assert log.account_id == account_id_of(SEED) == incept(SEED).entry_id
    assert log.length == 1
    assert log.state.keys == AccountKeys.of(KEY.public_key)
    assert log.state.next == NextKeys.of(SEED.account_key(1).public_key)
    assert log.state.devices == frozenset()
    assert log.state.recovery is None


def test_an_inception_holds_nothing_but_the_current_key_and_the_digest_of_the_next() -> None:
    payload = parse_canonical(incept(SEED).envelope.payload)
    digest = next_key_digest(SEED.account_key(1).public_key)
    assert payload == {"kind": "inception", "key": KEY.public_key, "next": digest}


def test_the_bytes_of_an_inception_and_of_a_first_device_never_change() -> None:
    seed = Seed.from_words(PINNED["phrase"])
    inception = incept(seed)
    log = verify_key_log([inception.encoded])
    assert inception.encoded.hex() == PINNED["inceptionHex"]
    assert claim_device(log, 0, seed.account_key(0)).encoded.hex() == PINNED["firstDeviceHex"]
    assert str(log.account_id) == PINNED["accountId"]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**31 - 1), max_size=8, unique=True))
def test_claimed_devices_are_in_the_state_and_logs_extend_one_by_one(devices: list[int]) -> None:
    entries = log_of(*devices)
    log = verify_key_log(entries)
    assert log.state.devices == frozenset(devices)
    assert log.length == 1 + len(devices)
    assert log.next_device() not in devices
    stepwise: VerifiedKeyLog = verify_key_log(entries[:1])
    for entry in entries[1:]:
        stepwise = extend_key_log(stepwise, entry)
    assert stepwise == log


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_input(data: bytes) -> None:
    with pytest.raises(MeroidError):
        verify_key_log([data])
    with pytest.raises(MeroidError):
        verify_key_log([INCEPTION, data])


def test_a_log_with_a_gap_a_repetition_or_no_beginning_is_refused() -> None:
    entries = log_of(0, 1, 2)
    assert code_of(lambda: verify_key_log([])) == "key_log_gap"
    assert code_of(lambda: verify_key_log(entries[1:])) == "key_log_gap"
    assert code_of(lambda: verify_key_log([entries[0], *entries[2:]])) == "key_log_gap"
    assert code_of(lambda: verify_key_log([*entries[:2], *entries[1:]])) == "key_log_gap"
    assert code_of(lambda: verify_key_log([entries[0], entries[2], entries[1]])) == "key_log_gap"


def test_a_fork_is_refused_with_a_code_of_its_own() -> None:
    ours, other = log_of(0, 1), log_of(0, 7)
    assert code_of(lambda: verify_key_log([*ours, other[2]])) == "key_log_fork"
    assert code_of(lambda: verify_key_log([*other, ours[2]])) == "key_log_fork"


def test_a_replaced_entry_is_refused() -> None:
    ours, other = log_of(0, 1), log_of(5, 1)
    assert code_of(lambda: verify_key_log([*other[:2], ours[2]])) == "key_log_replaced"
    foreign = Seed(Secret(b"x" * 32))
    entry = claim_device(verify_key_log([incept(foreign).encoded]), 0, foreign.account_key(0)).encoded
    assert code_of(lambda: verify_key_log([INCEPTION, entry])) == "key_log_replaced"


def test_an_entry_of_another_generation_is_refused_with_a_code_of_its_own() -> None:
    owner = Owner()
    too_early = owner.seed.account_key(1)
    assert code_of(lambda: claim_device(owner.log, 0, too_early)) == "key_log_wrong_generation"
    owner.rotate()
    owner.rotate()
    for retired in (owner.seed.account_key(0), owner.seed.account_key(1)):
        assert code_of(lambda key=retired: claim_device(owner.log, 0, key)) == "key_log_wrong_generation"  # type: ignore[misc]
    claim_device(owner.log, 0, owner.seed.account_key(2))


def test_a_stranger_or_a_further_signature_is_refused() -> None:
    log = verify_key_log([INCEPTION])
    stranger = SoftwareSigner.generate()
    assert code_of(lambda: claim_device(log, 0, stranger)) == "key_log_wrong_signer"
    assert code_of(lambda: claim_device(log, 0, KEY, stranger)) == "key_log_wrong_signer"
    assert code_of(lambda: claim_device(log, 0, KEY, SEED.account_key(1))) == "key_log_wrong_generation"
    assert code_of(lambda: verify_key_log([signed(parse_payload(INCEPTION), KEY, stranger)])) == "key_log_wrong_signer"


def parse_payload(entry: bytes) -> Any:
    return parse_canonical(KeyLogEntry.parse(entry).envelope.payload)


def test_a_forged_signature_is_refused() -> None:
    good = KeyLogEntry.parse(log_of(0)[1]).envelope
    forged = Envelope(payload=good.payload, signatures=((KEY.public_key, bytes(64)),)).encoded
    assert code_of(lambda: verify_key_log([INCEPTION, forged])) == "bad_signature"
    other_purpose = Envelope.sign("meroid/other/v1", good.payload, KEY).encoded
    assert code_of(lambda: verify_key_log([INCEPTION, other_purpose])) == "bad_signature"


def test_a_device_number_is_claimed_once_and_lies_in_the_tree() -> None:
    log = verify_key_log(log_of(0))
    again = signed({"kind": "device", "seq": 2, "prev": log.head, "device": 0})
    assert code_of(lambda: extend_key_log(log, again)) == "device_taken"
    assert code_of(lambda: claim_device(log, 0, KEY)) == "device_taken"
    for number in (-1, 2**31):
        entry = device_entry(device=number)
        assert code_of(lambda entry=entry: verify_key_log([INCEPTION, entry])) == "bad_key_log_entry"  # type: ignore[misc]


def test_a_revoked_device_is_gone_and_its_number_never_comes_back() -> None:
    log = with_change(verify_key_log(log_of(0, 1)), DeviceRevocation(device=1))
    assert log.state.devices == frozenset({0})
    assert log.state.revoked_devices == frozenset({1})
    assert log.next_device() == 2
    assert refusal_of(log, DeviceClaim(device=1)) == "device_taken"
    assert refusal_of(log, DeviceRevocation(device=1)) == "device_not_claimed"
    assert refusal_of(log, DeviceRevocation(device=9)) == "device_not_claimed"


def test_a_root_key_is_bound_once_and_can_be_removed_and_bound_again() -> None:
    binding = RootKeyBinding(method="user_password", identifier=DIGEST, evidence=None)
    log = with_change(verify_key_log([INCEPTION]), binding)
    assert dict(log.state.root_keys) == {DIGEST: binding}
    assert refusal_of(log, binding) == "root_key_bound"
    assert refusal_of(log, RootKeyRemoval(identifier=OTHER)) == "root_key_not_bound"
    log = with_change(log, RootKeyRemoval(identifier=DIGEST))
    assert dict(log.state.root_keys) == {}
    assert dict(with_change(log, binding).state.root_keys) == {DIGEST: binding}


def test_serials_of_delegations_count_up_and_are_revoked_once() -> None:
    log = with_change(verify_key_log([INCEPTION]), Delegation(serial=0, certificate=DIGEST))
    log = with_change(log, Delegation(serial=1, certificate=OTHER))
    assert dict(log.state.delegations) == {0: DIGEST, 1: OTHER}
    log = with_change(log, DelegationRevocation(serial=0))
    assert dict(log.state.delegations) == {1: OTHER}
    assert log.state.next_serial == 2
    for serial in (0, 1, 3):
        assert refusal_of(log, Delegation(serial=serial, certificate=DIGEST)) == "bad_key_log_entry"
    assert refusal_of(log, DelegationRevocation(serial=0)) == "delegation_not_live"
    assert refusal_of(log, DelegationRevocation(serial=2)) == "delegation_not_live"


def test_the_state_of_an_account_cannot_be_changed() -> None:
    owner = Owner()
    before = owner.log
    kept = dataclasses.replace(before.state)
    owner.claim(0)
    owner.delegate()
    assert before.state == kept
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.state.generation = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        owner.log.state.delegations[1] = DIGEST  # type: ignore[index]


def test_an_entry_that_is_refused_changes_nothing() -> None:
    owner = Owner()
    owner.claim(0)
    before = owner.log
    for bad in (owner.entries[1], b"", device_entry()):
        with pytest.raises(MeroidError):
            extend_key_log(owner.log, bad)
    assert owner.log == before
    extend_key_log(owner.log, claim_device(owner.log, 1, owner.key).encoded)


def test_unknown_kinds_are_refused_with_a_code_of_their_own() -> None:
    assert code_of(lambda: verify_key_log([INCEPTION, device_entry(kind="dusk")])) == "key_log_unknown_kind"
    assert code_of(lambda: verify_key_log([signed({"kind": "dawn"})])) == "key_log_unknown_kind"


@pytest.mark.parametrize(
    "changed",
    [
        {"more": 1},
        {"seq": True},
        {"seq": "1"},
        {"device": True},
        {"device": None},
        {"prev": 1},
        {"prev": b"short"},
        {"kind": 1},
        {"kind": "rotation"},
        {"kind": "root_key"},
        {"kind": "device_revocation", "device": -1},
    ],
)
def test_an_entry_with_wrong_fields_is_refused(changed: dict[str, Any]) -> None:
    assert code_of(lambda: verify_key_log([INCEPTION, device_entry(**changed)])) == "bad_key_log_entry"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "root_key", "method": "Password", "identifier": DIGEST, "evidence": None},
        {"kind": "root_key", "method": "", "identifier": DIGEST, "evidence": None},
        {"kind": "root_key", "method": 1, "identifier": DIGEST, "evidence": None},
        {"kind": "root_key", "method": "password", "identifier": b"short", "evidence": None},
        {"kind": "root_key", "method": "password", "identifier": DIGEST, "evidence": b"short"},
        {"kind": "root_key", "method": "password", "identifier": DIGEST, "evidence": 1},
        {"kind": "root_key_removal", "identifier": None},
        {"kind": "delegation", "serial": 0, "certificate": b""},
        {"kind": "delegation", "serial": -1, "certificate": DIGEST},
        {"kind": "delegation", "serial": True, "certificate": DIGEST},
        {"kind": "delegation_revocation", "serial": 2**63},
    ],
)
def test_signed_nonsense_is_refused(fields: dict[str, Encodable]) -> None:
    head = verify_key_log([INCEPTION]).head
    entry = signed({"seq": 1, "prev": head, **fields})
    assert code_of(lambda: verify_key_log([INCEPTION, entry])) == "bad_key_log_entry"


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": "inception", "key": KEY.public_key},
        {"kind": "inception", "key": KEY.public_key, "next": b"short"},
        {"kind": "inception", "key": b"short", "next": bytes(32)},
        {"kind": "inception", "key": KEY.public_key, "next": bytes(32), "more": 1},
        ["inception"],
        7,
    ],
)
def test_an_inception_with_wrong_fields_is_refused(payload: Encodable) -> None:
    assert code_of(lambda: verify_key_log([signed(payload)])) == "bad_key_log_entry"


def test_an_account_key_of_small_order_is_refused() -> None:
    payload: dict[str, Encodable] = {"kind": "inception", "key": bytes(32), "next": bytes(32)}
    assert code_of(lambda: verify_key_log([signed(payload)])) == "bad_public_key"


def test_a_second_inception_is_refused() -> None:
    assert code_of(lambda: verify_key_log([INCEPTION, INCEPTION])) == "bad_key_log_entry"


def test_an_oversized_entry_is_refused() -> None:
    assert code_of(lambda: verify_key_log([bytes(100_000)])) == "bad_key_log_entry"


def test_a_draft_is_signed_in_different_places_and_only_for_its_own_place() -> None:
    owner = Owner()
    draft = EntryDraft.of(owner.log, DeviceClaim(device=3))
    seen = EntryDraft.parse(owner.log, draft.payload)
    assert seen == draft
    entry = draft.assemble([seen.sign(owner.key)])
    owner.add(entry.encoded)
    assert code_of(lambda: EntryDraft.parse(owner.log, draft.payload)) == "key_log_fork"
    owner.claim(4)
    assert code_of(lambda: EntryDraft.parse(owner.log, draft.payload)) == "key_log_gap"
    other = Owner("other")
    other.claim(0)
    foreign = EntryDraft.of(other.log, DeviceClaim(device=3)).payload
    shorter = owner.at(2)
    assert code_of(lambda: EntryDraft.parse(shorter, foreign)) == "key_log_replaced"


def test_a_draft_without_signatures_or_with_anothers_is_refused() -> None:
    owner = Owner()
    draft = EntryDraft.of(owner.log, DeviceClaim(device=3))
    assert code_of(lambda: draft.assemble([])) == "bad_envelope"
    assert code_of(lambda: draft.assemble([(owner.key.public_key, bytes(64))])) == "bad_signature"
