"""Canonical bytes: one encoding per value, and nothing else is read."""

import time
from typing import Any

import cbor2
import pytest
from hypothesis import given, strategies as st

from meroid import limits
from meroid.keys.canonical import (
    Encodable,
    NotCanonicalError,
    Value,
    canonical_bytes,
    parse_canonical,
    tagged_hash,
    tagged_message,
)
from meroid.keys.public import PublicKey

LEAVES = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text()
KEYS = st.text(max_size=40) | st.integers(-(2**64), 2**64 - 1)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


def kinds(value: Any) -> Any:
    """The value with its types beside it, since 1 == True in Python."""
    if isinstance(value, list):
        return [kinds(item) for item in value]
    if isinstance(value, dict):
        return {(type(key), key): kinds(item) for key, item in value.items()}
    return type(value), value


@given(VALUES)
def test_every_value_comes_back_with_its_types(value: Value) -> None:
    assert kinds(parse_canonical(canonical_bytes(value))) == kinds(value)


@given(VALUES)
def test_another_implementation_reads_the_same_value(value: Value) -> None:
    assert kinds(cbor2.loads(canonical_bytes(value))) == kinds(value)


@given(st.lists(st.text(max_size=300) | st.binary(max_size=300) | st.integers(0, 2**64 - 1)))
def test_another_implementation_writes_the_same_bytes(value: list[Any]) -> None:
    assert canonical_bytes(value) == cbor2.dumps(value, canonical=True)


@given(VALUES, st.data())
def test_a_changed_byte_is_refused_or_another_value(value: Value, data: st.DataObject) -> None:
    good = bytearray(canonical_bytes(value))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    try:
        other = parse_canonical(bytes(good))
    except NotCanonicalError:
        return
    assert kinds(other) != kinds(value)
    assert canonical_bytes(other) == bytes(good)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_the_one_encoding_of_their_value(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except NotCanonicalError:
        return
    assert canonical_bytes(value) == data


@given(VALUES, st.binary(min_size=1, max_size=3))
def test_bytes_behind_the_value_are_refused(value: Value, more: bytes) -> None:
    with pytest.raises(NotCanonicalError):
        parse_canonical(canonical_bytes(value) + more)


@given(VALUES)
def test_a_truncated_value_is_refused(value: Value) -> None:
    encoded = canonical_bytes(value)
    for end in range(len(encoded)):
        with pytest.raises(NotCanonicalError):
            parse_canonical(encoded[:end])


@pytest.mark.parametrize(
    ("what", "encoded"),
    [
        ("float 1.0", "f93c00"),
        ("double", "fb3ff199999999999a"),
        ("not a number", "f97e00"),
        ("undefined", "f7"),
        ("simple value", "e1"),
        ("simple value in two bytes", "f820"),
        ("false in two bytes", "f814"),
        ("bignum", "c249010000000000000000"),
        ("small bignum", "c24101"),
        ("date", "c074323031332d30332d32315432303a30343a30305a"),
        ("unknown tag", "d9999900"),
        ("fraction by zero", "d81e820100"),
        ("big float", "c5821b7fffffffffffffff01"),
        ("self-described", "d9d9f701"),
        ("indefinite array", "9f01ff"),
        ("indefinite map", "bf6161f6ff"),
        ("indefinite bytes", "5f4101ff"),
        ("indefinite text", "7f6161ff"),
        ("break alone", "ff"),
        ("reserved head", "1c"),
        ("1 in two bytes", "1801"),
        ("1 in three bytes", "190001"),
        ("1 in nine bytes", "1b0000000000000001"),
        ("length in two bytes", "580161"),
        ("duplicate key", "a201010102"),
        ("keys out of order", "a202010101"),
        ("length-first order (RFC 7049)", "a22002186401"),
        ("true as key", "a1f501"),
        ("bytes as key", "a1416101"),
        ("array as key", "a18001"),
        ("map as key", "a1a001"),
        ("no UTF-8", "61ff"),
        ("a surrogate", "63eda080"),
        ("overlong UTF-8", "62c080"),
        ("nothing", ""),
    ],
)
def test_what_has_no_canonical_form_is_refused(what: str, encoded: str) -> None:
    with pytest.raises(NotCanonicalError):
        parse_canonical(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x81" * 10_000 + b"\x01",
        b"\xa1\x01" * 10_000 + b"\x01",
        b"\xa1" * 10_000,
        b"\xc2" * 10_000 + b"\x41\x01",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\x7b" + b"\xff" * 8,
        b"\x9a\xff\xff\xff\xff" + b"\x01" * 100,
        b"\xd8\x1c\x8a" * 8 + b"\xd8\x1c\x81\x01" + b"".join((b"\xd8\x1d" + bytes([n])) * 9 for n in range(8, 0, -1)),
    ],
    ids=["deep", "deep-map", "deep-key", "deep-tag", "array", "map", "bytes", "text", "short", "shared-references"],
)
def test_hostile_bytes_are_refused_quickly(hostile: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(NotCanonicalError):
        parse_canonical(hostile)
    assert time.perf_counter() - start < 1


def test_the_depth_limit_is_the_same_in_both_directions() -> None:
    deepest: Encodable = 1
    for _ in range(limits.CBOR_DEPTH.value):
        deepest = [deepest]
    assert parse_canonical(canonical_bytes(deepest)) == deepest
    with pytest.raises(ValueError, match="nested too deep"):
        canonical_bytes([deepest])
    with pytest.raises(NotCanonicalError):
        parse_canonical(b"\x81" + canonical_bytes(deepest))


def test_keys_stand_in_the_bytewise_order_of_rfc_8949() -> None:
    # The example of RFC 8949 §4.2.1, without the keys that have no place here.
    value: dict[int | str, Encodable] = {"aa": 1, "z": 2, -1: 3, 100: 4, 10: 5}
    assert canonical_bytes(value).hex() == "a5" + "0a05" + "186404" + "2003" + "617a02" + "62616101"


@pytest.mark.parametrize(
    "value", [1.0, 2**64, -(2**64) - 1, "\ud800", {b"a": 1}, {True: 1}, {1.0: 1}, object(), {1, 2}]
)
def test_a_value_without_a_canonical_form_is_a_mistake_of_the_caller(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical_bytes(value)


def test_ids_and_tuples_encode_as_bytes_and_arrays() -> None:
    assert canonical_bytes((PublicKey(bytes(32)), 1)) == canonical_bytes([bytes(32), 1])


def test_domain_tags_keep_purposes_apart() -> None:
    assert tagged_hash("a", b"bc") != tagged_hash("ab", b"c")
    assert tagged_hash("a", b"b", b"c") == tagged_hash("a", b"bc")
    assert tagged_message("meroid/x/v1", b"m") == b"meroid/x/v1\x00m"
