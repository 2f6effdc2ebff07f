"""NEP-413 against the messages of two independent signers, and what is refused."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.account_cast import code_of

from meroid.errors import MeroidError
from meroid.keys.nep413 import (
    Nep413Message,
    near_key_text,
    parse_near_key,
    parse_near_signature,
    verify_nep413,
)
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

FILE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "nep413-vectors.json").read_text())
VECTORS: list[dict[str, Any]] = FILE["vectors"]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"].split(":")[0])


def message_of(vector: dict[str, Any], **changed: Any) -> Nep413Message:
    fields = {
        "message": vector["message"],
        "nonce": bytes.fromhex(vector["nonceHex"]),
        "recipient": vector["recipient"],
        "callback_url": vector["callbackUrl"],
    }
    return Nep413Message(**(fields | changed))


@each_vector
def test_the_messages_of_wallets_hold(vector: dict[str, Any]) -> None:
    message, key = message_of(vector), parse_near_key(vector["publicKey"])
    assert message.payload().hex() == vector["payloadBorshHex"]
    assert message.digest().hex() == vector["payloadSha256Hex"]
    verify_nep413(message, key, parse_near_signature(vector["signature"]))
    signer = SoftwareSigner(Secret(bytes.fromhex(vector["secretKeySeedHex"])))
    assert signer.public_key == key
    assert signer.sign(message.digest()) == parse_near_signature(vector["signature"])


@each_vector
def test_a_message_that_differs_in_any_part_is_refused(vector: dict[str, Any]) -> None:
    key, signature = parse_near_key(vector["publicKey"]), parse_near_signature(vector["signature"])
    callback = vector["callbackUrl"]
    others: list[Any] = [None, "", f"{callback}x"]
    changes = [
        {"message": vector["message"] + " "},
        {"nonce": bytes(32)},
        {"recipient": vector["recipient"] + "."},
        *({"callback_url": other} for other in others if other != callback),
    ]
    for changed in changes:
        other = message_of(vector, **changed)
        assert code_of(lambda other=other: verify_nep413(other, key, signature)) == "near_signature_invalid"  # type: ignore[misc]
    for place in range(64):
        spoilt = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        assert code_of(lambda spoilt=spoilt: verify_nep413(message_of(vector), key, spoilt)) == (  # type: ignore[misc]
            "near_signature_invalid"
        )


def test_a_deviating_signature_over_text_beyond_ascii_is_refused() -> None:
    found = [vector for vector in VECTORS if "deviatingSignature" in vector]
    assert found
    for vector in found:
        signature = parse_near_signature(vector["deviatingSignature"]["signature"])
        key = parse_near_key(vector["publicKey"])
        assert code_of(lambda s=signature, k=key, v=vector: verify_nep413(message_of(v), k, s)) == (  # type: ignore[misc]
            "near_signature_invalid"
        )


def test_a_key_as_near_writes_it_comes_back() -> None:
    text = VECTORS[0]["publicKey"]
    assert near_key_text(parse_near_key(text)) == text
    assert parse_near_key(text.removeprefix("ed25519:")) == parse_near_key(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("secp256k1:qMoRgcoXai4mBPsdbHi1wfyxF9TdbPCF4qSDQTRP3TfescSRoUdSx6nmeQoN3aiwGzwMyGXAb1gUjBTv5AY8DXj", "near_key_unsupported"),
        ("secp256k1:", "near_key_unsupported"),
        ("", "bad_near_key"),
        ("ed25519:", "bad_near_key"),
        ("ED25519:7v54NWdBtkjuAFJrLGsS2SXnuk8nKam81mZJeeYxVFi9", "bad_near_key"),
        ("ed25519:ed25519:7v54NWdBtkjuAFJrLGsS2SXnuk8nKam81mZJeeYxVFi9", "bad_near_key"),
        (":7v54NWdBtkjuAFJrLGsS2SXnuk8nKam81mZJeeYxVFi9", "bad_near_key"),
        ("ed25519:0OIl", "bad_near_key"),
        ("ed25519:7v54NWdBtkjuAFJrLGsS2SXnuk8nKam81mZJeeYxVFi", "bad_near_key"),
        ("ed25519:" + "1" * 32, "bad_near_key"),
        ("ed25519:" + "2" * 10_000, "bad_near_key"),
        ("ed25519:\u0661", "bad_near_key"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_another_key_is_refused(text: str, code: str) -> None:
    assert code_of(lambda: parse_near_key(text)) == code


@pytest.mark.parametrize(
    "text", ["", "====", "AAAA", "A" * 87, "A" * 88, "!" * 88, "\u00e9" * 88, VECTORS[0]["signature"] + "\n"]
)
def test_a_signature_that_is_not_base64_of_64_bytes_is_refused(text: str) -> None:
    assert code_of(lambda: parse_near_signature(text)) == "near_signature_invalid"


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": b""},
        {"nonce": bytes(31)},
        {"message": "\ud800"},
        {"recipient": "r" * 20_000},
        {"callback_url": "\udfff"},
    ],
)
def test_a_message_that_no_wallet_signs_is_refused(changed: dict[str, Any]) -> None:
    assert code_of(lambda: message_of(VECTORS[0], **changed)) == "bad_nep413_message"


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_a_refusal(text: str) -> None:
    with contextlib.suppress(MeroidError):
        assert isinstance(parse_near_key(text), PublicKey)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MESSAGES = st.builds(
    Nep413Message,
    message=TEXTS,
    nonce=st.binary(min_size=32, max_size=32),
    recipient=TEXTS,
    callback_url=st.none() | TEXTS,
)


@given(MESSAGES, MESSAGES)
def test_no_two_messages_have_the_same_payload(one: Nep413Message, other: Nep413Message) -> None:
    assert (one.payload() == other.payload()) == (one == other)
    assert one.payload().startswith((2**31 + 413).to_bytes(4, "little"))
