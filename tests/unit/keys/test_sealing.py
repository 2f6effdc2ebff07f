"""HPKE, authenticated encryption and key expansion."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, strategies as st

from meroid.keys.sealing import (
    HPKE_OVERHEAD,
    BadSealingKeyError,
    SealBrokenError,
    SealingKey,
    aead_open,
    aead_seal,
    check_sealing_key,
    expand,
    hkdf_expand,
    hpke_open,
    hpke_seal,
)
from meroid.keys.signer import Secret

KEY = SealingKey(Secret(bytes(range(32))))
P = 2**255 - 19
SMALL_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
]


@given(st.binary(max_size=200), st.binary(max_size=500))
def test_what_is_sealed_opens_again(info: bytes, plaintext: bytes) -> None:
    sealed = hpke_seal(KEY.public, info, plaintext)
    assert len(sealed) == len(plaintext) + HPKE_OVERHEAD
    assert hpke_open(KEY, info, sealed) == plaintext


@given(st.data())
def test_a_changed_seal_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(hpke_seal(KEY.public, b"info", b"plaintext"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    # The highest bit of the ephemeral key is ignored by X25519, but HPKE binds the bytes as sent.
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBrokenError):
        hpke_open(KEY, b"info", bytes(sealed))


@given(st.binary(max_size=120))
def test_any_bytes_are_a_broken_seal_and_nothing_else(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        hpke_open(KEY, b"info", sealed)


def test_another_info_or_another_key_does_not_open() -> None:
    sealed = hpke_seal(KEY.public, b"info", b"plaintext")
    with pytest.raises(SealBrokenError):
        hpke_open(KEY, b"other", sealed)
    with pytest.raises(SealBrokenError):
        hpke_open(SealingKey.generate(), b"info", sealed)


@pytest.mark.parametrize("point", SMALL_ORDER)
@pytest.mark.parametrize("high_bit", [0, 1 << 255])
def test_a_public_key_of_small_order_is_refused(point: int, high_bit: int) -> None:
    public = (point | high_bit).to_bytes(32, "little")
    with pytest.raises(BadSealingKeyError):
        check_sealing_key(public)
    with pytest.raises(BadSealingKeyError):
        hpke_seal(public, b"", b"x")
    with pytest.raises(SealBrokenError):
        hpke_open(KEY, b"", public + bytes(40))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_public_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(BadSealingKeyError):
        check_sealing_key(b"\x09" * size)
    with pytest.raises(BadSealingKeyError):
        hpke_seal(b"\x09" * size, b"", b"x")


def test_an_honest_sealing_key_is_usable() -> None:
    check_sealing_key(KEY.public)
    assert SealingKey.generate().public != SealingKey.generate().public


def test_the_public_half_is_that_of_rfc_7748() -> None:
    # RFC 7748 §6.1, Alice's key pair.
    secret = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    expected = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert SealingKey(Secret(secret)).public.hex() == expected


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_authenticated_encryption_opens_only_with_all_its_parts(plaintext: bytes, associated: bytes) -> None:
    key, nonce = bytes(range(32)), bytes(12)
    sealed = aead_seal(key, nonce, plaintext, associated)
    assert aead_open(key, nonce, sealed, associated) == plaintext
    changes = [
        (bytes(32), nonce, sealed, associated),
        (key, b"\x01" * 12, sealed, associated),
        (key, nonce, sealed[:-1] + bytes([sealed[-1] ^ 1]), associated),
        (key, nonce, sealed, associated + b"x"),
        (key, nonce, sealed[:10], associated),
        (key, b"", sealed, associated),
    ]
    for change in changes:
        with pytest.raises(SealBrokenError):
            aead_open(*change)


@given(st.binary(min_size=32, max_size=64), st.binary(max_size=64), st.integers(1, 300))
def test_expansion_is_that_of_another_implementation(key: bytes, info: bytes, length: int) -> None:
    assert hkdf_expand(key, info, length) == HKDFExpand(hashes.SHA256(), length, info).derive(key)


def test_the_vector_of_rfc_5869_holds() -> None:
    pseudorandom = bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    output = hkdf_expand(pseudorandom, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert output.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


def test_no_two_uses_of_one_key_share_an_expansion() -> None:
    key = bytes(range(32))
    uses = [
        expand(key, "a"),
        expand(key, "a", b""),
        expand(key, "a", b"", b""),
        expand(key, "a", b"bc"),
        expand(key, "a", b"b", b"c"),
        expand(key, "ab", b"c"),
        expand(bytes(32), "a"),
    ]
    assert len(set(uses)) == len(uses)
    assert expand(key, "a", length=64)[:32] == expand(key, "a")


@pytest.mark.parametrize("length", [0, -1, 8161])
def test_an_impossible_length_is_a_mistake(length: int) -> None:
    with pytest.raises(ValueError, match="8160"):
        expand(bytes(32), "a", length=length)


def test_a_short_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        expand(bytes(31), "a")


def test_a_sealing_key_hides_its_private_half() -> None:
    assert bytes(range(32)).hex() not in repr(KEY)
