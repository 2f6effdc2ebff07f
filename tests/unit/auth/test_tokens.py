"""Tokens: what they say, and that nothing else is taken for one."""

import base64
import hashlib
import hmac
import json
import warnings
from typing import Any

import nacl.signing
import pytest
from hypothesis import given, strategies as st
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from meroid.auth.jwks import key_set
from meroid.auth.jws import InvalidTokenError, SigningKey, VerifyingKey, key_id_for
from meroid.auth.tokens import (
    LEEWAY_S,
    AccessClaims,
    RefreshClaims,
    TokenExpiredError,
    TokenIssuer,
    TokenVerifier,
    UnsafeClaimError,
    check_expiry,
)
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret

SEED = Secret(b"\x07" * 32)
KID = key_id_for(SigningKey("", SEED).public)
KEY = SigningKey(KID, SEED)
OTHER_KEY = SigningKey(KID, Secret(b"\x08" * 32))
VERIFYING = VerifyingKey(KID, KEY.public)
ISSUER = TokenIssuer(KEY, issuer="meroid", audience="meroid")
ACCESS = AccessClaims(
    subject="key",
    family_id="family",
    token_id="family.one",
    permissions=("context:execute", "context:list[abc]"),
    issued_at=1_800_000_000,
    expires_at=1_800_003_600,
    account_id=AccountId(b"a" * 32),
)
BOUND = AccessClaims(
    subject="client",
    family_id="family",
    token_id="family.two",
    permissions=("context[abc,def]",),
    issued_at=1_800_000_000,
    expires_at=1_800_003_600,
    context_id=ContextId(b"c" * 32),
    executor=PublicKey(b"e" * 32),
)
REFRESH = RefreshClaims(
    subject="key", family_id="family", token_id="family.three", issued_at=1_800_000_000, expires_at=1_802_592_000
)


def verifier() -> TokenVerifier:
    return TokenVerifier({KID: VERIFYING}, issuer="meroid", audience="meroid")


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def payload_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


def forge(header: object, payload: object, *, key: SigningKey = KEY) -> str:
    """A token with a valid signature over whatever is given (JSON texts are taken as they are)."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    signed = ".".join(encode(part.encode()) for part in parts)
    seed = b"\x07" * 32 if key is KEY else b"\x08" * 32
    return f"{signed}.{encode(nacl.signing.SigningKey(seed).sign(signed.encode()).signature)}"


ODD_VALUES: list[object] = [None, {}, [1], True, -1, 1.5, "", "x" * 2000]
HEADER = {"alg": "EdDSA", "typ": "JWT", "kid": KID}
PAYLOAD = payload_of(ISSUER.access(ACCESS))


def test_what_was_minted_is_read_back() -> None:
    assert verifier().access(ISSUER.access(ACCESS)) == ACCESS
    assert verifier().access(ISSUER.access(BOUND)) == BOUND
    assert verifier().refresh(ISSUER.refresh(REFRESH)) == REFRESH
    assert verifier().access(forge(HEADER, PAYLOAD)) == ACCESS


def test_an_unbound_token_names_its_account_and_no_context() -> None:
    assert set(PAYLOAD) == {"iss", "aud", "sub", "exp", "iat", "jti", "token_type", "permissions", "account_id"}


def test_a_bound_token_names_its_context_and_no_account() -> None:
    payload = payload_of(ISSUER.access(BOUND))
    assert set(payload) == {
        *("iss", "aud", "sub", "exp", "iat", "jti", "token_type", "permissions"),
        *("context_id", "context_identity", "executor_public_key"),
    }
    assert payload["context_identity"] == payload["executor_public_key"] == str(BOUND.executor)


def test_the_library_reads_our_tokens_with_the_published_key() -> None:
    (published,) = key_set([VERIFYING])["keys"]
    assert published == {"kty": "OKP", "crv": "Ed25519", "x": published["x"], "kid": KID, "use": "sig", "alg": "EdDSA"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        read = jwt.decode(ISSUER.access(ACCESS), OKPKey.import_key({**published}), algorithms=["EdDSA"])
    assert read.claims == PAYLOAD
    assert read.header == HEADER


def test_the_same_refresh_claims_give_the_same_token() -> None:
    assert ISSUER.refresh(REFRESH) == ISSUER.refresh(REFRESH)


def test_the_types_are_not_interchangeable() -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(ISSUER.refresh(REFRESH))
    with pytest.raises(InvalidTokenError):
        verifier().refresh(ISSUER.access(ACCESS))


def test_a_token_lives_until_its_time_and_the_leeway() -> None:
    check_expiry(ACCESS, (ACCESS.expires_at + LEEWAY_S) * 1000 + 999)
    with pytest.raises(TokenExpiredError):
        check_expiry(ACCESS, (ACCESS.expires_at + LEEWAY_S + 1) * 1000)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7D, exclude_characters=">?"), max_size=80))
def test_every_minted_payload_survives_plain_atob(subject: str) -> None:
    token = ISSUER.access(AccessClaims(**{**_fields(ACCESS), "subject": subject or "x"}))
    assert not set(token.split(".")[1]) & set("-_")


@pytest.mark.parametrize("character", [">", "?", "~", "é", "\n", "\x7f", "😀"])
def test_what_would_break_atob_is_not_minted(character: str) -> None:
    for changed in ({"subject": f"a{character}"}, {"permissions": (f"a{character}",)}):
        with pytest.raises(UnsafeClaimError):
            ISSUER.access(AccessClaims(**{**_fields(ACCESS), **changed}))


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        "null",
        '"EdDSA"',
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS256"},
        {**HEADER, "alg": "Ed25519"},
        {**HEADER, "alg": "eddsa"},
        {**HEADER, "alg": ["EdDSA"]},
        {**HEADER, "typ": "at+jwt"},
        {**HEADER, "typ": "jwt"},
        {"alg": "EdDSA", "kid": KID},
        {"alg": "EdDSA", "typ": "JWT"},
        {**HEADER, "kid": "other"},
        {**HEADER, "kid": ""},
        {**HEADER, "kid": None},
        {**HEADER, "kid": 7},
        {**HEADER, "kid": "../../etc/passwd"},
        {**HEADER, "kid": KID + "\x00"},
        {**HEADER, "crit": []},
        {**HEADER, "crit": ["b64"], "b64": False},
        {**HEADER, "jwk": {}},
        {**HEADER, "jku": "http://x"},
        json.dumps({"first": 1, **HEADER}).replace("first", "alg"),
        "{",
        "",
    ],
)
def test_a_token_with_another_header_is_refused_though_its_signature_holds(header: object) -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(forge(header, PAYLOAD))


def _without(name: str) -> dict[str, object]:
    return {key: value for key, value in PAYLOAD.items() if key != name}


@pytest.mark.parametrize(
    "payload",
    [
        *(_without(name) for name in PAYLOAD),
        *({**PAYLOAD, name: value} for name in PAYLOAD for value in ODD_VALUES),
        {**PAYLOAD, "iss": "other"},
        {**PAYLOAD, "aud": ["meroid"]},
        {**PAYLOAD, "aud": "other"},
        {**PAYLOAD, "token_type": "refresh "},
        {**PAYLOAD, "exp": 2**70},
        {**PAYLOAD, "exp": "1800003600"},
        {**PAYLOAD, "permissions": ["admin:x"]},
        {**PAYLOAD, "permissions": ["admin", 1]},
        {**PAYLOAD, "permissions": "admin"},
        {**PAYLOAD, "context_id": str(BOUND.context_id)},
        {**_without("account_id"), "context_id": str(BOUND.context_id)},
        {
            **_without("account_id"),
            "context_id": str(BOUND.context_id),
            "context_identity": str(BOUND.executor),
            "executor_public_key": str(PublicKey(b"f" * 32)),
        },
        {**PAYLOAD, "account_id": "0OIl"},
        {**PAYLOAD, "jti": "nofamily"},
        [],
        "null",
        "7",
        "{",
        "",
        json.dumps(PAYLOAD)[:-1] + ',"sub":"other"}',
        json.dumps(PAYLOAD)[:-1] + ',"x":{"a":1,"a":2}}',
        json.dumps(PAYLOAD)[:-1] + ',"x":NaN}',
        json.dumps(PAYLOAD)[:-1] + ',"x":' + "[" * 2000 + "]" * 2000 + "}",
        json.dumps(PAYLOAD)[:-1] + ',"x":' + "9" * 5000 + "}",
        json.dumps(PAYLOAD) + " x",
    ],
)
def test_a_token_with_other_claims_is_refused_though_its_signature_holds(payload: object) -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(forge(HEADER, payload))


def test_a_key_of_the_same_name_is_another_key() -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(forge(HEADER, PAYLOAD, key=OTHER_KEY))


def test_the_public_key_is_no_hmac_secret() -> None:
    for secret in (bytes(KEY.public), encode(bytes(KEY.public)).encode(), b""):
        signed = ".".join(encode(json.dumps(part).encode()) for part in ({**HEADER, "alg": "HS256"}, PAYLOAD))
        tag = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        with pytest.raises(InvalidTokenError):
            verifier().access(f"{signed}.{encode(tag)}")


@given(st.data())
def test_one_changed_character_is_refused(data: st.DataObject) -> None:
    token = ISSUER.access(ACCESS)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=0, max_codepoint=0x2FF).filter(lambda each: each != token[at]))
    with pytest.raises(InvalidTokenError):
        verifier().access(token[:at] + other + token[at + 1 :])


@given(st.data())
def test_a_cut_or_stretched_token_is_refused(data: st.DataObject) -> None:
    token = ISSUER.access(ACCESS)
    cut = data.draw(st.integers(0, len(token) - 1))
    extra = data.draw(st.sampled_from(["=", "==", ".", "\n", " ", "A", "\x00", ".e30"]))
    for changed in (token[:cut], token + extra, extra + token, token[:cut] + extra + token[cut:]):
        with pytest.raises(InvalidTokenError):
            verifier().access(changed)


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(text)


@pytest.mark.parametrize("token", ["\ud800", "a.b.c" * 10_000, "." * 8000, "..", "é.é.é"])
def test_odd_texts_are_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier().access(token)


def test_no_repr_shows_a_secret() -> None:
    assert encode(SEED.reveal()) not in repr(KEY)
    assert "\\x07" not in repr(KEY)


def _fields(claims: AccessClaims) -> dict[str, Any]:
    return {name: getattr(claims, name) for name in AccessClaims.__dataclass_fields__}
