"""Operations as bytes: what is written is read, nothing else is, and what was written stays."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from tests.operation_vectors import BODIES, CONTEXT, EPOCH, KEYS, ONE, OTHER, SIGNER, TWO, VECTORS, operation_of, signed

from meroid import limits
from meroid.ids import OperationId
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey
from meroid.ledger.codec import (
    MalformedOperationError,
    OperationTooLargeError,
    UnknownKindError,
    decode_operation,
    encode_envelope,
    encode_operation,
)
from meroid.ledger.operation import KIND_OF, Delta, Genesis, Invite, Kind, Operation, Rekey
from meroid.ledger.verify import read_operation, sign_operation

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=70) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 10) | st.text(max_size=2), inner, max_size=6)
    ),
    max_leaves=12,
)
SEEN = json.loads(VECTORS.read_text())


@pytest.mark.parametrize("name", BODIES)
def test_what_is_written_is_read_again(name: str) -> None:
    operation = signed()[name]

    assert read_operation(operation.envelope) == operation


@pytest.mark.parametrize("name", SEEN)
def test_bytes_that_were_signed_once_keep_their_meaning(name: str) -> None:
    operation = signed()[name]

    assert operation.envelope.hex() == SEEN[name]["envelope"]
    assert operation.operation_id.hex() == SEEN[name]["id"]
    assert read_operation(bytes.fromhex(SEEN[name]["envelope"])).operation == operation_of(BODIES[name])


def test_the_vectors_have_every_kind() -> None:
    assert {KIND_OF[type(body)] for body in BODIES.values()} == set(Kind)
    assert set(SEEN) == set(BODIES)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_an_operation_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedOperationError):
        decode_operation(data)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(BODIES)), st.integers(1, 9), st.none() | st.integers(1, 5), VALUES)
def test_an_operation_with_any_value_in_any_field_is_read_or_malformed(
    name: str, field: int, part: int | None, value: Value
) -> None:
    fields = parse_canonical(encode_operation(operation_of(BODIES[name])))
    assert isinstance(fields, dict)
    if part is None:
        fields[field] = value
    else:
        body = fields[9]
        assert isinstance(body, dict)
        body[part] = value
    try:
        payload = canonical_bytes(fields)
    except ValueError:  # nested too deep to be written at all
        return
    try:
        read = decode_operation(encode_envelope(payload, bytes(64)))
    except MalformedOperationError:
        return
    assert encode_operation(read.operation) == payload


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(BODIES)), st.data())
def test_one_changed_bit_is_refused(name: str, data: st.DataObject) -> None:
    envelope = bytearray(signed()[name].envelope)
    bit = data.draw(st.integers(0, len(envelope) * 8 - 1))
    envelope[bit // 8] ^= 1 << bit % 8

    with pytest.raises((MalformedOperationError, BadSignatureError, BadPublicKeyError)):
        read_operation(bytes(envelope))


def test_a_kind_of_a_later_version_is_unknown_and_not_malformed() -> None:
    fields = parse_canonical(encode_operation(operation_of(BODIES["leave"])))
    assert isinstance(fields, dict)

    with pytest.raises(UnknownKindError):
        decode_operation(encode_envelope(canonical_bytes({**fields, 1: 12}), bytes(64)))


def refused(operation: Operation) -> None:
    with pytest.raises(MalformedOperationError):
        decode_operation(sign_operation(operation, SIGNER).envelope)


def test_an_operation_has_its_place() -> None:
    leave, genesis = operation_of(BODIES["leave"]), operation_of(BODIES["genesis"])

    refused(replace(leave, context=None))
    refused(replace(leave, auth=None))
    refused(replace(leave, parents=()))
    refused(replace(leave, parents=(TWO, ONE)))
    refused(replace(leave, parents=(ONE, ONE)))
    refused(replace(leave, prev=None))
    refused(replace(leave, seq=1))
    refused(replace(leave, seq=0))
    refused(replace(genesis, seq=2))
    refused(replace(genesis, context=CONTEXT))
    refused(replace(genesis, epoch=EPOCH))
    refused(replace(genesis, parents=(ONE,)))


def test_parents_are_bounded() -> None:
    ids = tuple(OperationId(number.to_bytes(32, "big")) for number in range(limits.OPERATION_PARENTS.value + 1))
    leave = operation_of(BODIES["leave"])

    assert decode_operation(sign_operation(replace(leave, parents=ids[:-1]), SIGNER).envelope).operation.parents
    refused(replace(leave, parents=ids))


def test_the_parts_of_a_body_are_checked() -> None:
    genesis, invite, rekey = BODIES["genesis"], BODIES["invite by name"], BODIES["rekey"]
    assert isinstance(genesis, Genesis)
    assert isinstance(invite, Invite)
    assert isinstance(rekey, Rekey)
    wraps = ((OTHER, b"w"), (PublicKey(bytes(32)), b"w"))

    refused(operation_of(replace(invite, secret_key=OTHER)))
    refused(operation_of(replace(invite, invitee=None)))
    refused(operation_of(replace(invite, uses=2)))
    refused(operation_of(replace(invite, uses=None)))
    refused(operation_of(replace(invite, capabilities=frozenset())))
    refused(operation_of(replace(rekey, wraps=())))
    refused(operation_of(replace(rekey, wraps=wraps)))
    refused(operation_of(replace(rekey, wraps=((OTHER, b"w"), (OTHER, b"v")))))
    refused(operation_of(Delta(nonce=bytes(11), ciphertext=b"")))
    refused(operation_of(replace(genesis, keys=replace(KEYS, sealing=bytes(32)))))


def test_what_is_too_large_is_neither_read_nor_written() -> None:
    with pytest.raises(MalformedOperationError):
        decode_operation(bytes(limits.OPERATION_BYTES.value + 1))
    with pytest.raises(OperationTooLargeError):
        sign_operation(operation_of(Delta(nonce=bytes(12), ciphertext=bytes(limits.OPERATION_BYTES.value))), SIGNER)
