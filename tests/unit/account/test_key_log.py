"""The key log: what holds, and what is refused with which code."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from meroid.account.key_log import (
    KeyLogEntry,
    VerifiedKeyLog,
    account_id_of,
    claim_device,
    extend_key_log,
    incept,
    next_key_digest,
    verify_key_log,
)
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


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MeroidError) as caught:
        action()
    assert caught.value.reason
    assert caught.value.next_step
    return caught.value.code


def test_an_inception_holds_and_its_id_is_the_account() -> None:
    log = verify_key_log([INCEPTION])
    assert log.account_id == account_id_of(SEED) == incept(SEED).entry_id
    assert log.length == 1
    assert log.state.current_key == KEY.public_key
    assert log.state.next_digest == next_key_digest(SEED.account_key(1).public_key)
    assert log.state.devices == frozenset()


def test_an_inception_holds_nothing_but_the_current_key_and_the_digest_of_the_next() -> None:
    payload = parse_canonical(incept(SEED).envelope.payload)
    digest = next_key_digest(SEED.account_key(1).public_key)
    assert payload == {"kind": "inception", "key": KEY.public_key, "next": digest}


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


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    entries = log_of(0, 1)
    place = data.draw(st.integers(0, 2))
    entry = bytearray(entries[place])
    entry[data.draw(st.integers(0, len(entry) - 1))] ^= data.draw(st.integers(1, 255))
    entries[place] = bytes(entry)
    with pytest.raises(MeroidError):
        verify_key_log(entries)


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


def test_a_replaced_entry_or_a_fork_is_refused() -> None:
    ours, other = log_of(0, 1), log_of(5, 1)
    assert code_of(lambda: verify_key_log([*other[:2], ours[2]])) == "key_log_replaced"
    foreign = Seed(Secret(b"x" * 32))
    entry = claim_device(verify_key_log([incept(foreign).encoded]), 0, foreign.account_key(0)).encoded
    assert code_of(lambda: verify_key_log([INCEPTION, entry])) == "key_log_replaced"


def test_an_entry_of_another_generation_or_with_further_signatures_is_refused() -> None:
    log = verify_key_log([INCEPTION])
    payload: dict[str, Encodable] = {"kind": "device", "seq": 1, "prev": log.head, "device": 0}
    by_next = signed(payload, SEED.account_key(1))
    assert code_of(lambda: extend_key_log(log, by_next)) == "key_log_wrong_signer"
    by_both = signed(payload, KEY, SEED.account_key(1))
    assert code_of(lambda: extend_key_log(log, by_both)) == "key_log_wrong_signer"
    assert code_of(lambda: claim_device(log, 0, SEED.account_key(1))) == "key_log_wrong_signer"


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


def test_unknown_kinds_are_refused_with_a_code_of_their_own() -> None:
    assert code_of(lambda: verify_key_log([INCEPTION, device_entry(kind="rotation")])) == "key_log_unknown_kind"
    assert code_of(lambda: verify_key_log([signed({"kind": "dawn"})])) == "key_log_unknown_kind"


@pytest.mark.parametrize(
    "changed",
    [{"more": 1}, {"seq": True}, {"seq": "1"}, {"device": True}, {"device": None}, {"prev": 1}, {"kind": 1}],
)
def test_an_entry_with_wrong_fields_is_refused(changed: dict[str, Any]) -> None:
    assert code_of(lambda: verify_key_log([INCEPTION, device_entry(**changed)])) == "bad_key_log_entry"


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
