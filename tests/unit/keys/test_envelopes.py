"""Signed envelopes, and the chain of commitments to next keys."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from meroid.keys.canonical import canonical_bytes
from meroid.keys.commitment import GENERATIONS, NO_NEXT_KEYS, WrongNextKeysError, check_next_keys, commit_to_all
from meroid.keys.envelope import BadEnvelopeError, Envelope
from meroid.keys.public import BadSignatureError
from meroid.keys.sealing import SealingKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

A, B = (SoftwareSigner(Secret(bytes([n]) * 32)) for n in (1, 2))
TAG = "meroid/test/v1"


@given(st.binary(max_size=100))
def test_an_envelope_comes_back_and_holds(payload: bytes) -> None:
    envelope = Envelope.sign(TAG, payload, B, A)
    again = Envelope.parse(envelope.encoded)
    assert again == envelope
    assert set(again.signers) == {A.public_key, B.public_key}
    again.verify(TAG)


def test_an_envelope_holds_for_its_purpose_only() -> None:
    envelope = Envelope.sign(TAG, b"payload", A)
    with pytest.raises(BadSignatureError):
        envelope.verify("meroid/other/v1")


def test_one_bad_signature_among_good_ones_is_refused() -> None:
    good = Envelope.sign(TAG, b"payload", A, B)
    bad = Envelope(payload=b"payload", signatures=(good.signatures[0], (good.signatures[1][0], bytes(64))))
    with pytest.raises(BadSignatureError):
        bad.verify(TAG)


def test_malformed_envelopes_are_refused() -> None:
    key, signature = A.public_key, A.sign(b"m")
    pair = [key, signature]
    other = [B.public_key, signature]
    in_order = sorted([pair, other])
    malformed: list[Any] = [
        [b"p", []],
        [b"p"],
        [b"p", [pair], 1],
        ["p", [pair]],
        [b"p", [[key]]],
        [b"p", [[key[:31], signature]]],
        [b"p", [[key, signature + b"x"]]],
        [b"p", [pair, pair]],
        [b"p", in_order[::-1]],
        {"payload": b"p"},
        7,
    ]
    for value in malformed:
        with pytest.raises(BadEnvelopeError):
            Envelope.parse(canonical_bytes(value))
    Envelope.parse(canonical_bytes([b"p", in_order]))


def test_each_rotation_opens_one_link_of_the_chain() -> None:
    keys = [(SoftwareSigner.generate().public_key, SealingKey.generate().public) for _ in range(5)]
    commitments = [commit_to_all(reversed(keys[generation + 1 :])) for generation in range(5)]
    assert commitments[-1] == NO_NEXT_KEYS
    for generation in range(4):
        check_next_keys(commitments[generation], *keys[generation + 1], commitments[generation + 1])


def test_keys_that_nobody_committed_to_are_refused() -> None:
    signing, sealing = SoftwareSigner.generate().public_key, SealingKey.generate().public
    commitment = commit_to_all([(signing, sealing)])
    for part in (
        (SoftwareSigner.generate().public_key, sealing, NO_NEXT_KEYS),
        (signing, SealingKey.generate().public, NO_NEXT_KEYS),
        (signing, sealing, b"\x01" * 32),
        (signing, sealing[:-1], NO_NEXT_KEYS),
        (signing, sealing + b"\x00", NO_NEXT_KEYS[1:]),
    ):
        with pytest.raises(WrongNextKeysError):
            check_next_keys(commitment, *part)
    with pytest.raises(WrongNextKeysError):
        check_next_keys(NO_NEXT_KEYS, signing, sealing, NO_NEXT_KEYS)


def test_the_number_of_generations_is_part_of_the_format() -> None:
    assert GENERATIONS == 64
