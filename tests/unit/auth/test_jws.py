"""Our compact JWS against RFC 8037 and against a general library."""

import base64
import json

import nacl.signing
import pytest
from hypothesis import given, strategies as st
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from meroid.auth.jws import InvalidTokenError, SigningKey, VerifyingKey, key_id_for, parse_token
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 has other names for the algorithm

# RFC 8037, appendix A.1 to A.4.
RFC_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
RFC_SIGNED = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
RFC_SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


SEED = Secret(decoded(RFC_SEED))
KEY = SigningKey(key_id_for(PublicKey(decoded(RFC_PUBLIC))), SEED)
VERIFYING = VerifyingKey(KEY.kid, KEY.public)
LIBRARY = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": RFC_PUBLIC, "d": RFC_SEED})


def test_the_example_of_rfc_8037() -> None:
    assert bytes(KEY.public) == decoded(RFC_PUBLIC)
    assert VERIFYING.thumbprint() == RFC_THUMBPRINT
    signature = nacl.signing.SigningKey(SEED.reveal()).sign(RFC_SIGNED.encode()).signature
    assert signature == decoded(RFC_SIGNATURE)
    with pytest.raises(InvalidTokenError):  # its header has no kid and no typ: not one of ours
        parse_token(f"{RFC_SIGNED}.{RFC_SIGNATURE}")


@given(st.binary(min_size=1, max_size=600))
def test_the_library_reads_what_we_sign_and_we_what_it_signs(payload: bytes) -> None:
    ours = KEY.sign(payload)
    assert jws.deserialize_compact(ours, LIBRARY, algorithms=["EdDSA"]).payload == payload
    header = {"alg": "EdDSA", "typ": "JWT", "kid": KEY.kid}
    theirs = jws.serialize_compact(header, payload, LIBRARY, algorithms=["EdDSA"])
    assert theirs == ours
    parsed = parse_token(theirs)
    assert (parsed.kid, VERIFYING.verify(parsed)) == (KEY.kid, payload)


@given(st.binary(min_size=1, max_size=80), st.integers(min_value=0), st.sampled_from("ABCQgwz0189-_.=+/ é"))
def test_whatever_we_accept_of_a_changed_token_the_library_accepts_too(payload: bytes, at: int, digit: str) -> None:
    token = KEY.sign(payload)
    place = at % len(token)
    changed = token[:place] + digit + token[place + 1 :]
    try:
        found = VERIFYING.verify(parse_token(changed))
    except InvalidTokenError:
        return
    assert changed == token  # no other text says the same
    assert found == payload
    try:
        assert jws.deserialize_compact(changed, LIBRARY, algorithms=["EdDSA"]).payload == payload
    except JoseError as problem:
        raise AssertionError(changed) from problem


@given(st.binary(max_size=90))
def test_one_byte_string_has_one_text(raw: bytes) -> None:
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    header, payload, signature = KEY.sign(b"{}").split(".")
    if raw:
        assert parse_token(f"{header}.{text}.{signature}").payload == raw
    surplus = len(text) % 4
    if surplus:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for other in alphabet:
            if decoded(text[:-1] + other) == raw and other != text[-1]:
                with pytest.raises(InvalidTokenError):
                    parse_token(f"{header}.{text[:-1]}{other}.{signature}")
    assert payload


def test_the_public_key_is_published_as_the_library_would() -> None:
    published = VERIFYING.public_jwk()
    assert OKPKey.import_key({**published}).as_dict(private=False)["x"] == RFC_PUBLIC
    assert LIBRARY.thumbprint() == KEY.kid
    assert json.loads(json.dumps(published))["crv"] == "Ed25519"
