"""The one verifier, the software signer, and secrets that don't print."""

import copy
import pickle

import pytest
from hypothesis import given, strategies as st

from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

SIGNER = SoftwareSigner(Secret(bytes(range(32))))
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
# RFC 8032 §7.1, tests 1 to 3: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_hold(secret: str, public: str, message: str, signature: str) -> None:
    signer = SoftwareSigner(Secret(bytes.fromhex(secret)))
    assert signer.public_key.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    verify_signature(signer.public_key, bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(max_size=300), st.data())
def test_one_flipped_bit_anywhere_is_refused(message: bytes, data: st.DataObject) -> None:
    parts = [bytearray(SIGNER.public_key), bytearray(message), bytearray(SIGNER.sign(message))]
    verify_signature(PublicKey(bytes(parts[0])), bytes(parts[1]), bytes(parts[2]))
    part = data.draw(st.sampled_from([part for part in parts if part]))
    part[data.draw(st.integers(0, len(part) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadSignatureError):
        verify_signature(PublicKey(bytes(parts[0])), bytes(parts[1]), bytes(parts[2]))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.binary(max_size=130))
def test_any_bytes_are_a_bad_signature_and_nothing_else(key: bytes, message: bytes, signature: bytes) -> None:
    with pytest.raises(BadSignatureError):
        verify_signature(PublicKey(key), message, signature)


@given(st.binary(max_size=60), st.integers(0, 64))
def test_the_border_between_signature_and_message_cannot_be_shifted(message: bytes, cut: int) -> None:
    joined = SIGNER.sign(message) + message
    if cut == 64:
        verify_signature(SIGNER.public_key, joined[cut:], joined[:cut])
        return
    with pytest.raises(BadSignatureError):
        verify_signature(SIGNER.public_key, joined[cut:], joined[:cut])


def test_a_malleated_signature_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = SIGNER.sign(b"m")
    greater = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(BadSignatureError):
        verify_signature(SIGNER.public_key, b"m", signature[:32] + greater.to_bytes(32, "little"))


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_is_refused_and_verifies_nothing(key: str) -> None:
    public = PublicKey(bytes.fromhex(key))
    with pytest.raises(BadPublicKeyError):
        public.checked()
    for point in SMALL_ORDER:
        with pytest.raises(BadSignatureError):
            verify_signature(public, b"m", bytes.fromhex(point) + bytes(32))


def test_an_honest_key_is_usable() -> None:
    assert SoftwareSigner.generate().public_key.checked()


def test_secrets_and_signers_hide_in_every_form_of_printing() -> None:
    secret = Secret(b"0123456789abcdef0123456789abcdef")
    signer = SoftwareSigner(secret)
    for text in (repr(secret), str(secret), f"{secret}", repr([secret]), repr(signer), str(signer)):
        assert "0123" not in text
        assert secret.reveal().hex() not in text


def test_a_secret_is_not_pickled_or_copied() -> None:
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            action(Secret(b"x"))


def test_a_wiped_secret_is_zeros_and_a_wiped_signer_signs_nothing_valid() -> None:
    secret = Secret(b"x" * 32)
    signer = SoftwareSigner(secret)
    secret.wipe()
    assert secret.reveal() == bytes(32)
    verify_signature(signer.public_key, b"m", signer.sign(b"m"))
    signer.wipe()
    with pytest.raises(BadSignatureError):
        verify_signature(signer.public_key, b"m", signer.sign(b"m"))
