"""Passkeys against a software authenticator: registration, log-in, and everything that must not pass."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given, strategies as some
from tests.soft_passkey import SoftPasskey, b64

from meroid.auth.challenge import Challenge
from meroid.auth.methods import BadProviderDataError, Enrolment, LoginAttempt, VerifiedLogin, WrongCredentialsError
from meroid.auth.passkey import _NOBODY, PasskeyCounterError, PasskeyLogin, PasskeyRefusedError
from meroid.ids import AccountId

METHOD = PasskeyLogin()
ENROLMENT = Enrolment(account_id=AccountId(b"a" * 32))
HOST, ORIGIN = "localhost", "http://localhost:2528"
KINDS = [("ES256", "none"), ("ES256", "packed"), ("EdDSA", "none"), ("EdDSA", "packed")]


def challenge(number: int = 1, audience: str = HOST) -> Challenge:
    return Challenge(text="t", method="passkey", audience=audience, nonce=bytes([number]) * 32, expires_at=0)


def attempt(credential: Any, over: Challenge, **more: Any) -> LoginAttempt:
    data = {"challenge": over.text, "credential": credential, **more}
    return LoginAttempt(method="passkey", public_key="k", provider_data=data, challenge=over)


def register(key: SoftPasskey, over: Challenge | None = None, origin: str = ORIGIN, **more: Any) -> VerifiedLogin:
    over = over or challenge()
    return METHOD.enrol(attempt(key.create(METHOD.options(over)["create"], origin), over, **more), ENROLMENT)


def log_in(
    key: SoftPasskey,
    verifier: str | None,
    over: Challenge | None = None,
    origin: str = ORIGIN,
    answers: Challenge | None = None,
) -> VerifiedLogin:
    over = over or challenge(2)
    credential = key.get(METHOD.options(over)["get"], origin)
    return METHOD.verify(attempt(credential, answers or over), verifier)


@pytest.mark.parametrize(("algorithm", "attestation"), KINDS)
def test_a_registered_passkey_logs_in(algorithm: str, attestation: str) -> None:
    key = SoftPasskey(algorithm=algorithm, attestation=attestation)
    bound = register(key, name="my phone")

    assert bound.identifier == b64(key.credential_id)
    assert METHOD.label(bound.identifier, bound.verifier) == "my phone"
    assert log_in(key, bound.verifier).identifier == bound.identifier
    with pytest.raises(PasskeyRefusedError):
        log_in(SoftPasskey(algorithm=algorithm), bound.verifier)


def test_the_options_ask_for_a_verified_person_and_a_key_that_is_found_without_a_name() -> None:
    options: Any = METHOD.options(challenge())
    nonce = b64(challenge().nonce)
    assert (options["create"]["challenge"], options["get"]["challenge"]) == (nonce, nonce)
    assert (options["create"]["rp"]["id"], options["get"]["rpId"]) == (HOST, HOST)
    assert options["create"]["authenticatorSelection"]["residentKey"] == "required"
    assert options["create"]["authenticatorSelection"]["userVerification"] == "required"
    assert options["get"]["userVerification"] == "required"


def test_a_counter_that_goes_on_is_kept_and_one_that_goes_back_shows_a_copy() -> None:
    key = SoftPasskey(count=5)
    bound = register(key)
    first = log_in(key, bound.verifier)
    assert first.verifier is not None
    assert json.loads(first.verifier)["count"] == 6
    key.count = 4
    with pytest.raises(PasskeyCounterError) as caught:
        log_in(key, first.verifier)
    assert caught.value.code == "passkey_copied"


def test_a_passkey_without_a_counter_stays_as_it_is() -> None:
    key = SoftPasskey()
    assert log_in(key, register(key).verifier).verifier is None


def test_an_unknown_credential_and_a_wrong_signature_are_refused_alike() -> None:
    key = SoftPasskey()
    refusals = []
    for verifier in (None, register(SoftPasskey()).verifier):
        with pytest.raises(WrongCredentialsError) as caught:
            log_in(key, verifier)
        refusals.append((caught.value.code, caught.value.reason))
    assert refusals[0] == refusals[1]


def test_nobody_has_the_secret_of_the_key_for_unknown_credentials() -> None:
    fields = cbor2.loads(_NOBODY)
    assert fields[-2] == hashlib.sha256(b"meroid/passkey-nobody/v1\x00\x00").digest()


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example",
        "https://localhost.evil.example",
        "http://sub.localhost",
        "null",
        "",
    ],
)
def test_a_page_of_another_host_is_refused(origin: str) -> None:
    key = SoftPasskey()
    bound = register(key)
    with pytest.raises(PasskeyRefusedError):
        register(SoftPasskey(), origin=origin)
    with pytest.raises(PasskeyRefusedError):
        log_in(key, bound.verifier, origin=origin)


def test_on_another_machine_the_page_has_to_come_over_https() -> None:
    far = challenge(1, "node.example")
    bound = register(SoftPasskey(), far, "https://node.example:8443")
    assert bound.verifier is not None
    with pytest.raises(PasskeyRefusedError):
        register(SoftPasskey(), far, "http://node.example")


def test_an_answer_to_another_challenge_or_for_another_host_is_refused() -> None:
    key = SoftPasskey()
    bound = register(key)
    with pytest.raises(PasskeyRefusedError):
        log_in(key, bound.verifier, answers=challenge(3))
    far = challenge(2, "node.example")
    with pytest.raises(PasskeyRefusedError):
        log_in(key, bound.verifier, far, "http://localhost", answers=replace(far, audience=HOST))


def test_a_person_who_was_not_verified_is_refused() -> None:
    with pytest.raises(PasskeyRefusedError):
        register(SoftPasskey(verifies_user=False))
    key = SoftPasskey()
    bound = register(key)
    key.verifies_user = False
    with pytest.raises(PasskeyRefusedError):
        log_in(key, bound.verifier)


def test_a_registration_logs_nobody_in_and_a_log_in_registers_nothing() -> None:
    key = SoftPasskey()
    over = challenge()
    bound = register(key, over)
    options = METHOD.options(over)
    with pytest.raises(PasskeyRefusedError):
        METHOD.verify(attempt(key.create(options["create"], ORIGIN), over), bound.verifier)
    with pytest.raises(PasskeyRefusedError):
        METHOD.enrol(attempt(key.get(options["get"], ORIGIN), over), ENROLMENT)


@pytest.mark.parametrize("attestation", ["tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "unheard-of"])
def test_other_attestations_are_not_read(attestation: str) -> None:
    with pytest.raises(PasskeyRefusedError):
        register(SoftPasskey(attestation=attestation))


@pytest.mark.parametrize(
    "credential",
    [
        None,
        7,
        {},
        {"id": "aa", "rawId": "ab", "response": {}},
        {"id": "a", "rawId": "a", "response": {}},
        {"id": "a+b/", "rawId": "a+b/", "response": {}},
        {"id": "é", "rawId": "é", "response": {}},
        {"id": "A" * 2000, "rawId": "A" * 2000, "response": {}},
        {"id": "AAAA", "rawId": "AAAA", "response": {"signature": "A" * 70_000}},
        {"id": "AAAA", "rawId": "AAAA", "response": {str(number): "" for number in range(20)}},
    ],
)
def test_what_is_no_credential_of_a_browser_is_refused(credential: Any) -> None:
    with pytest.raises(BadProviderDataError):
        METHOD.identify(attempt(credential, challenge()))


@given(data=some.binary(max_size=300), part=some.sampled_from(["clientDataJSON", "attestationObject"]))
def test_any_bytes_in_a_registration_end_in_a_refusal(data: bytes, part: str) -> None:
    over = challenge()
    credential = SoftPasskey().create(METHOD.options(over)["create"], ORIGIN)
    credential["response"][part] = base64.urlsafe_b64encode(data).decode()
    with pytest.raises(WrongCredentialsError):
        METHOD.enrol(attempt(credential, over), ENROLMENT)


@given(data=some.binary(max_size=300), part=some.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
def test_any_bytes_in_an_assertion_end_in_a_refusal(data: bytes, part: str) -> None:
    key, over = SoftPasskey(algorithm="EdDSA"), challenge(2)
    bound = register(key)
    credential = key.get(METHOD.options(over)["get"], ORIGIN)
    credential["response"][part] = base64.urlsafe_b64encode(data).decode()
    with pytest.raises(WrongCredentialsError):
        METHOD.verify(attempt(credential, over), bound.verifier)
