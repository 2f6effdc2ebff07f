"""NEAR wallets: the shared vectors through the log-in method, and everything that must not pass."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.near_keys import NearPair

from meroid.account.root_key import certification_text
from meroid.auth.challenge import Challenge
from meroid.auth.methods import BadProviderDataError, Enrolment, LoginAttempt, WrongCredentialsError
from meroid.auth.near_account import (
    AccessKey,
    NearFunctionCallKeyError,
    NearKeyUnknownError,
    NearNotConfiguredError,
    NearRateLimitedError,
    is_implicit_for,
)
from meroid.auth.near_wallet import (
    LOOK_UPS_OF_ADDRESS,
    NearNetwork,
    NearWalletLogin,
    WrongRecipientError,
    WrongWalletSignatureError,
    certification_from_text,
)
from meroid.ids import AccountId
from meroid.keys.nep413 import BadNearKeyError, Nep413Message, UnsupportedNearKeyError
from meroid.keys.public import PublicKey

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "nep413-vectors.json").read_text("utf-8"))["vectors"]
ACCOUNT = AccountId(b"a" * 32)
OTHER_ACCOUNT = AccountId(b"b" * 32)
PAIR = NearPair.of(7)
NONCE = bytes(range(32))
CHALLENGE = Challenge(text="the.challenge.text", method="near_wallet", audience="localhost", nonce=NONCE, expires_at=0)


@dataclass
class ToldKeys:
    """A chain that says the same of every key, and remembers what it was asked."""

    says: AccessKey = AccessKey.FULL_ACCESS
    asked: list[tuple[str, PublicKey]] = field(default_factory=list)

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        self.asked.append((account_id, key))
        return self.says


def attempt(*, challenge: Challenge = CHALLENGE, pair: NearPair = PAIR, **changes: Any) -> LoginAttempt:
    """What a wallet sends; `text`, `nonce`, `signed_for` and `signed_callback` change what it signs."""
    text = changes.pop("text", challenge.text)
    recipient = changes.get("recipient", "calimero")
    message = Nep413Message(
        message=text,
        nonce=changes.pop("nonce", challenge.nonce),
        recipient=changes.pop("signed_for", recipient),
        callback_url=changes.pop("signed_callback", None),
    )
    signature = base64.b64encode(pair.signer.sign(message.digest())).decode()
    public_key = changes.pop("public_key", pair.public_text)
    data = {"wallet_address": pair.account, "message": text, "signature": signature, **changes}
    return LoginAttempt(method="near_wallet", public_key=public_key, provider_data=data, challenge=challenge)


def login(keys: ToldKeys | None = None) -> NearWalletLogin:
    return NearWalletLogin(keys)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["name"])
def test_a_shared_vector_logs_in_as_the_account_that_the_chain_confirms(vector: dict[str, Any]) -> None:
    chain = ToldKeys()
    method = NearWalletLogin(chain, NearNetwork(recipient=vector["recipient"]))
    nonce = base64.b64decode(vector["nonce"])
    challenge = Challenge(text=vector["message"], method="near_wallet", audience="h", nonce=nonce, expires_at=0)
    data = {"wallet_address": vector["accountId"], "message": vector["message"], "recipient": vector["recipient"]}
    if vector["callbackUrl"] is not None:
        data["callback_url"] = vector["callbackUrl"]

    def sent(signature: str) -> LoginAttempt:
        return LoginAttempt(
            method="near_wallet",
            public_key=vector["publicKey"],
            provider_data={**data, "signature": signature},
            challenge=challenge,
        )

    assert method.verify(sent(vector["signature"]), None).identifier == vector["accountId"]
    assert [account for account, _ in chain.asked] == [vector["accountId"]]
    deviating = vector.get("deviatingSignature")
    if deviating is not None:
        with pytest.raises(WrongWalletSignatureError):
            method.verify(sent(deviating["signature"]), None)


@dataclass
class SlowKeys(ToldKeys):
    """A chain that answers when it is let."""

    let: threading.Event = field(default_factory=threading.Event)
    busy: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        self.busy.release()
        assert self.let.wait(20)
        return super().access_key(account_id, key)


def test_one_address_can_not_hold_all_look_ups_and_offline_accounts_need_none() -> None:
    chain = SlowKeys()
    method = login(chain)
    named = replace(attempt(pair=NearPair.of(8, account="alice.testnet")), address="192.0.2.1")
    with ThreadPoolExecutor(LOOK_UPS_OF_ADDRESS + 1) as pool:
        waiting = [pool.submit(method.verify, named, None) for _ in range(LOOK_UPS_OF_ADDRESS)]
        try:
            assert all(chain.busy.acquire(timeout=20) for _ in waiting)
            with pytest.raises(NearRateLimitedError):
                method.verify(named, None)
            assert method.verify(replace(attempt(), address="192.0.2.1"), None).identifier == PAIR.account
            other = pool.submit(method.verify, replace(named, address="192.0.2.2"), None)
            assert chain.busy.acquire(timeout=20), "another address has its own turns"
        finally:
            chain.let.set()
        assert {each.result(20).identifier for each in (*waiting, other)} == {"alice.testnet"}
    assert method.verify(named, None).identifier == "alice.testnet"


def test_an_implicit_account_logs_in_with_its_own_key_offline() -> None:
    method = login()
    assert method.identify(attempt()) == PAIR.account
    assert method.verify(attempt(), None).identifier == PAIR.account
    assert is_implicit_for(PAIR.account, PAIR.signer.public_key)


def test_an_implicit_account_with_another_key_is_for_the_chain_to_say() -> None:
    other = NearPair.of(8, account=PAIR.account)
    with pytest.raises(NearNotConfiguredError):
        login().verify(attempt(pair=other), None)
    assert login(ToldKeys()).verify(attempt(pair=other), None).identifier == PAIR.account


def test_the_callback_url_may_be_in_the_signature_or_not() -> None:
    url = "http://localhost:3000/after?x=1"
    login().verify(attempt(callback_url=url), None)
    login().verify(attempt(callback_url=url, signed_callback=url), None)
    login().verify(attempt(callback_url="", signed_callback=""), None)
    with pytest.raises(WrongWalletSignatureError):
        login().verify(attempt(callback_url=url, signed_callback="http://evil.example/"), None)
    with pytest.raises(WrongWalletSignatureError):
        login().verify(attempt(signed_callback=url), None)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"text": "another text"}, WrongWalletSignatureError),
        ({"text": certification_text(ACCOUNT)}, WrongWalletSignatureError),
        ({"nonce": b"x" * 32}, WrongWalletSignatureError),
        ({"recipient": "evil.example"}, WrongRecipientError),
        ({"signed_for": "evil.example"}, WrongWalletSignatureError),
        ({"public_key": NearPair.of(9).public_text}, WrongWalletSignatureError),
    ],
)
def test_another_text_nonce_recipient_or_key_is_refused(
    changes: dict[str, Any], refusal: type[WrongCredentialsError]
) -> None:
    chain = ToldKeys()
    with pytest.raises(refusal):
        login(chain).verify(attempt(**changes), None)
    assert not chain.asked


def test_only_a_full_access_key_of_the_account_counts() -> None:
    named = NearPair.of(7, account="alice.testnet")
    assert login(ToldKeys()).verify(attempt(pair=named), None).identifier == "alice.testnet"
    for says, refusal in (
        (AccessKey.FUNCTION_CALL, NearFunctionCallKeyError),
        (AccessKey.UNKNOWN, NearKeyUnknownError),
    ):
        with pytest.raises(refusal):
            login(ToldKeys(says)).verify(attempt(pair=named), None)
    with pytest.raises(NearNotConfiguredError):
        login().verify(attempt(pair=named), None)


@pytest.mark.parametrize(
    "account", ["", "A.near", "a", "alice..near", ".near", "near.", "al ice", "alice@near", "ä.near", "x" * 65, 7, None]
)
def test_what_is_no_near_account_is_refused(account: object) -> None:
    with pytest.raises(BadProviderDataError):
        login().identify(attempt(wallet_address=account))


@pytest.mark.parametrize("field", ["message", "signature"])
@pytest.mark.parametrize("value", [None, "", 7, "\ud800", "x" * 20_000])
def test_malformed_fields_are_refused(field: str, value: Any) -> None:
    with pytest.raises(BadProviderDataError):
        login().verify(attempt(**{field: value}), None)


def test_a_key_of_another_curve_is_refused() -> None:
    with pytest.raises(UnsupportedNearKeyError):
        login().verify(attempt(public_key="secp256k1:" + "a" * 87), None)
    with pytest.raises(BadNearKeyError):
        login().verify(attempt(public_key="ed25519:0OIl"), None)


def test_a_wallet_is_bound_by_certifying_the_account() -> None:
    verified = login().enrol(attempt(text=certification_text(ACCOUNT)), Enrolment(account_id=ACCOUNT))

    assert verified.identifier == PAIR.account
    assert verified.verifier is not None
    kept = certification_from_text(verified.verifier)
    kept.verify(ACCOUNT)
    assert (kept.key, kept.signed.nonce) == (PAIR.signer.public_key, NONCE)


@pytest.mark.parametrize("text", [CHALLENGE.text, certification_text(OTHER_ACCOUNT)])
def test_a_log_in_and_the_certification_of_another_account_bind_nothing(text: str) -> None:
    with pytest.raises(WrongWalletSignatureError) as caught:
        login().enrol(attempt(text=text), Enrolment(account_id=ACCOUNT))
    assert certification_text(ACCOUNT) in caught.value.next_step


def test_the_first_owner_signs_the_challenge_or_certifies_at_once() -> None:
    claim = Enrolment(account_id=ACCOUNT, claims=True)
    assert login().enrol(attempt(), claim).verifier is None
    assert login().enrol(attempt(text=certification_text(ACCOUNT)), claim).verifier is not None
    with pytest.raises(WrongWalletSignatureError):
        login().enrol(attempt(text=certification_text(OTHER_ACCOUNT)), claim)


def test_the_challenge_is_the_message_or_a_field_of_its_own() -> None:
    assert login().challenge_in(attempt()) == CHALLENGE.text
    assert login().challenge_in(attempt(text="certification", challenge=CHALLENGE)) == "certification"
    sent = LoginAttempt(method="near", public_key="k", provider_data={"message": "m", "challenge": "c"})
    assert login().challenge_in(sent) == "c"
