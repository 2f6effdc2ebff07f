"""A proof of a key holds for one method, address, time and token, and for nothing that is spelt otherwise."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from meroid.auth.dpop import (
    WINDOW_MS,
    BadProofError,
    ProofRequiredError,
    ProofUnjudgedError,
    Shown,
    Target,
    normal_url,
    read_proof,
    verify_proof,
)
from meroid.client.proof_key import ProofKey
from meroid.keys.jose import thumbprint
from meroid.keys.signer import Secret

NOW = 1_800_000_000_000
URL = "https://node.example:2528/admin-api/contexts"
TOKEN = "aaa.bbb.ccc"
KEY = ProofKey(Secret(b"k" * 32))
SIGNER = SigningKey(b"k" * 32)
TARGET = Target(method="GET", url=URL)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(SIGNER.verify_key))}
CLAIMS = {
    "jti": "0123456789abcdef",
    "htm": "GET",
    "htu": URL,
    "iat": NOW // 1000,
    "ath": b64(hashlib.sha256(TOKEN.encode()).digest()),
}


def made(*, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    """A signed proof with these changes; a value of None takes a field out."""
    head = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": JWK, **(header or {})}
    body = {**CLAIMS, **(claims or {})}
    parts = [b64(json.dumps({k: v for k, v in each.items() if v is not None}).encode()) for each in (head, body)]
    signed = ".".join(parts)
    return f"{signed}.{b64(SIGNER.sign(signed.encode()).signature)}"


def judged(text: str, *, at: int = NOW) -> str:
    return verify_proof(Shown(proof=text, target=TARGET), at, token=TOKEN).key


def test_a_proof_of_the_client_holds_and_names_its_key() -> None:
    proof = KEY.prove("GET", f"{URL}?page=2#x", NOW, token=TOKEN)
    assert judged(proof) == KEY.thumbprint == thumbprint(JWK)


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_browsers_p256_key_proves_too() -> None:
    key = ec.derive_private_key(7, ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}
    head = b64(json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).encode())
    signed = f"{head}.{b64(json.dumps(CLAIMS).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
    assert judged(f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}") == thumbprint(jwk)
    with pytest.raises(BadProofError):
        judged(f"{signed}.{b64(r.to_bytes(32) + (s ^ 1).to_bytes(32))}")


def test_no_proof_and_no_address_to_compare_are_told_apart() -> None:
    with pytest.raises(ProofRequiredError):
        verify_proof(Shown(target=TARGET), NOW)
    with pytest.raises(ProofUnjudgedError):
        verify_proof(Shown(proof=made()), NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"kid": "1"},
        {"crit": []},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": {**JWK, "d": b64(b"k" * 32)}},
        {"jwk": {**JWK, "kid": "1"}},
        {"jwk": {**JWK, "x": b64(bytes(32))}},  # a point of small order
        {"jwk": {**JWK, "x": b64(b"x" * 31)}},
        {"jwk": {**JWK, "crv": "X25519"}},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": b64(b"x" * 32), "y": b64(b"y" * 32)}, "alg": "ES256"},
    ],
)
def test_a_header_of_another_kind_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(BadProofError):
        judged(made(header=header))


@pytest.mark.parametrize(
    "claims",
    [
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": None},
        {"htu": "https://node.example/admin-api/contexts"},
        {"htu": "http://node.example:2528/admin-api/contexts"},
        {"htu": "https://node.example:2528/admin-api/contexts/"},
        {"htu": "https://evil.example/admin-api/contexts"},
        {"htu": None},
        {"ath": b64(hashlib.sha256(b"other").digest())},
        {"ath": None},
        {"ath": TOKEN},
        {"jti": None},
        {"jti": "short"},
        {"jti": "x" * 257},
        {"jti": 12345678},
        {"iat": None},
        {"iat": True},
        {"iat": f"{NOW // 1000}"},
        {"iat": -1},
        {"iat": (NOW - WINDOW_MS) // 1000 - 1},
        {"iat": (NOW + WINDOW_MS) // 1000 + 1},
        {"iat": 10**30},
    ],
)
def test_claims_of_another_request_time_or_token_are_refused(claims: dict[str, Any]) -> None:
    assert judged(made()) == KEY.thumbprint
    with pytest.raises(BadProofError):
        judged(made(claims=claims))


def test_a_huge_proof_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadProofError):
        judged(made(claims={"more": "x" * 5000}))


def test_a_name_that_stands_twice_is_refused() -> None:
    head = b64(json.dumps({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": JWK}).encode())
    body = b64(json.dumps(CLAIMS).encode()[:-1] + b',"htm":"GET"}')
    signed = f"{head}.{body}"
    with pytest.raises(BadProofError):
        judged(f"{signed}.{b64(SIGNER.sign(signed.encode()).signature)}")


@given(st.integers(0, 10_000), st.integers(0, 127))
def test_whatever_one_character_is_changed_the_proof_is_refused(place: int, character: int) -> None:
    proof = made()
    place %= len(proof)
    changed = proof[:place] + chr(character) + proof[place + 1 :]
    if changed != proof:
        with pytest.raises(BadProofError):
            read_proof(changed)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}"))
def test_nothing_made_up_is_a_proof(text: str) -> None:
    with pytest.raises(BadProofError):
        read_proof(text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9), lambda x: st.lists(x) | st.dictionaries(st.text(max_size=5), x)
    )
)
def test_a_header_with_any_value_for_a_key_is_refused_in_the_same_way(value: object) -> None:
    with pytest.raises(BadProofError):
        read_proof(made(header={"jwk": value}))


def test_addresses_are_compared_without_what_says_nothing() -> None:
    assert normal_url("HTTPS://Node.Example:443?x#y") == "https://node.example/"
    assert normal_url("http://[::1]:80/a%2Fb") == "http://[::1]/a%2Fb"
    assert normal_url("https://node.example:80/") == "https://node.example:80/"
    for other in ("ftp://a/", "//a/b", "http://user@a/", "http:///x", "http://a b/", ""):
        assert normal_url(other) is None
