"""Log-ins with an Ed25519 key: on a token, or derived from the recovery words."""

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.account_cast import Owner, recovery_set, seed_of, signer_of

from meroid.account.account_state import AccountState
from meroid.account.authority import AccountKeys, KeyChange, NextKeys
from meroid.account.changes import Rotation
from meroid.account.key_login import KeyLogin
from meroid.auth.account_key import (
    AccountKeyRetiredError,
    AccountNeedsMoreKeysError,
    HardwareKeyLogin,
    NotThisAccountError,
    RecoveryPhraseLogin,
    WrongKeySignatureError,
)
from meroid.auth.challenge import Challenge
from meroid.auth.methods import BadProviderDataError, Enrolment, LoginAttempt, WrongCredentialsError
from meroid.ids import AccountId
from meroid.keys.signer import Secret, Signer
from meroid.keys.software import SoftwareSigner

ACCOUNT = AccountId(b"a" * 32)
OTHER = AccountId(b"o" * 32)
KEY = SoftwareSigner(Secret(b"k" * 32))
PHRASE, HARDWARE = "recovery_phrase", "hardware_key"


def challenge(method: str, audience: str = "localhost", text: str = "a.b.c") -> Challenge:
    return Challenge(text=text, method=method, audience=audience, nonce=bytes(32), expires_at=0)


def signed(
    method: str,
    signer: Signer,
    *,
    over: Challenge | None = None,
    answers: Challenge | None = None,
    bind: AccountId | None = None,
    **changes: Any,
) -> LoginAttempt:
    """An attempt that signed one challenge (`over`) and answers perhaps another."""
    own = over or challenge(method)
    login = KeyLogin(method=own.method, host=own.audience, challenge=own.text, key=signer.public_key)
    message = login.to_log_in() if bind is None else login.to_bind(bind)
    data = {"challenge": own.text, "signature": base64.b64encode(signer.sign(message)).decode(), **changes}
    return LoginAttempt(
        method=method,
        public_key=str(signer.public_key),
        provider_data=data,
        challenge=answers or challenge(method),
    )


@dataclass
class States:
    """Key logs by account; remembers what it was asked."""

    known: dict[AccountId, AccountState] = field(default_factory=dict)
    asked: list[AccountId] = field(default_factory=list)

    def __call__(self, account_id: AccountId) -> AccountState | None:
        self.asked.append(account_id)
        return self.known.get(account_id)


def phrase(*owners: Owner) -> RecoveryPhraseLogin:
    return RecoveryPhraseLogin(States({each.log.account_id: each.log.state for each in owners}))


def words(owner: Owner, generation: int = 0, **more: Any) -> LoginAttempt:
    return signed(PHRASE, owner.seed.account_key(generation), **{"account_id": str(owner.log.account_id), **more})


def test_a_hardware_key_logs_in_by_its_signature() -> None:
    method = HardwareKeyLogin()
    sent = signed(HARDWARE, KEY)
    assert method.identify(sent) == str(KEY.public_key)
    assert method.challenge_in(sent) == "a.b.c"
    assert method.verify(sent, None).identifier == str(KEY.public_key)


@pytest.mark.parametrize(
    "over",
    [
        challenge(HARDWARE, text="another.challenge.text"),
        challenge(HARDWARE, audience="evil.example"),
        challenge(PHRASE),
    ],
)
def test_a_signature_for_another_challenge_host_or_method_opens_nothing(over: Challenge) -> None:
    with pytest.raises(WrongKeySignatureError):
        HardwareKeyLogin().verify(signed(HARDWARE, KEY, over=over), None)


def test_a_log_in_binds_nothing_and_a_binding_logs_nobody_in() -> None:
    method, enrolment = HardwareKeyLogin(), Enrolment(account_id=ACCOUNT)
    binding = signed(HARDWARE, KEY, bind=ACCOUNT)
    assert method.enrol(binding, enrolment).identifier == str(KEY.public_key)
    assert method.enrol(signed(HARDWARE, KEY), Enrolment(account_id=ACCOUNT, claims=True)).identifier
    with pytest.raises(WrongKeySignatureError):
        method.verify(binding, None)
    with pytest.raises(WrongKeySignatureError):
        method.enrol(signed(HARDWARE, KEY), enrolment)
    with pytest.raises(WrongKeySignatureError):
        method.enrol(binding, Enrolment(account_id=OTHER))


def test_the_key_of_somebody_else_does_not_pass_for_this_one() -> None:
    stranger = signed(HARDWARE, SoftwareSigner(Secret(b"x" * 32)))
    forged = LoginAttempt(
        method=HARDWARE,
        public_key=str(KEY.public_key),
        provider_data=stranger.provider_data,
        challenge=stranger.challenge,
    )
    with pytest.raises(WrongKeySignatureError):
        HardwareKeyLogin().verify(forged, None)


@pytest.mark.parametrize("key", ["", "0OIl", "1" * 32, "11111111111111111111111111111111", "ed25519:abc"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadProviderDataError):
        HardwareKeyLogin().identify(LoginAttempt(method=HARDWARE, public_key=key, provider_data={}))


@pytest.mark.parametrize("signature", [None, "", "AAAA", "not base64", 7, "A" * 1000])
def test_a_signature_that_can_be_none_is_refused(signature: object) -> None:
    with pytest.raises(BadProviderDataError):
        HardwareKeyLogin().verify(signed(HARDWARE, KEY, signature=signature), None)


def test_the_words_open_their_account_by_themselves() -> None:
    owner = Owner()
    verified = phrase(owner).verify(words(owner), None)
    assert (verified.identifier, verified.opens) == (str(owner.log.account_id), owner.log.account_id)


def test_after_a_rotation_only_the_newest_account_key_opens_it() -> None:
    owner = Owner()
    owner.rotate()
    owner.rotate()
    for retired in (0, 1):
        with pytest.raises(AccountKeyRetiredError):
            phrase(owner).verify(words(owner, retired), None)
    assert phrase(owner).verify(words(owner, 2), None).opens == owner.log.account_id
    with pytest.raises(WrongCredentialsError) as caught:
        phrase(owner).verify(words(owner, 3), None)
    assert caught.value.code == "wrong_credentials", "a key that never was in force learns nothing"


def test_new_words_open_a_recovered_account_and_the_old_ones_do_not() -> None:
    owner = Owner()
    owner.rotate(recovery=recovery_set("ann", "bob", threshold=2))
    old = words(owner, 1)
    owner.recover(seed_of("new words"), "ann", "bob")
    assert phrase(owner).verify(words(owner), None).opens == owner.log.account_id
    with pytest.raises(AccountKeyRetiredError):
        phrase(owner).verify(old, None)


def test_an_unknown_account_and_the_key_of_another_are_refused_alike() -> None:
    known, other = Owner(), Owner("other")
    refusals = []
    for sent in (words(other), signed(PHRASE, other.key, account_id=str(known.log.account_id))):
        states = States({known.log.account_id: known.log.state})
        with pytest.raises(WrongCredentialsError) as caught:
            RecoveryPhraseLogin(states).verify(sent, None)
        refusals.append((caught.value.code, caught.value.reason, len(states.asked)))
    assert refusals[0] == refusals[1]


def test_nothing_is_looked_up_for_a_signature_that_does_not_hold() -> None:
    owner, states = Owner(), States()
    with pytest.raises(WrongKeySignatureError):
        RecoveryPhraseLogin(states).verify(words(owner, over=challenge(PHRASE, text="x")), None)
    assert not states.asked


def test_one_key_of_an_account_of_several_is_not_enough() -> None:
    owner = Owner()
    names = ("ann", "bob")
    members = [signer_of(name) for name in names]
    keys = [each.public_key for each in members]
    second = owner.seed.account_key(1)
    invite = KeyChange(keys=AccountKeys.of(second.public_key), next=NextKeys.of(*keys, threshold=2), recovery=None)
    owner.make(Rotation(change=invite), owner.seed.account_key(0), second)
    after = NextKeys.of(*(signer_of(f"{name} later").public_key for name in names), threshold=2)
    shared = KeyChange(keys=AccountKeys.of(*keys, threshold=2), next=after, recovery=None)
    owner.make(Rotation(change=shared), *members)

    with pytest.raises(AccountNeedsMoreKeysError):
        phrase(owner).verify(signed(PHRASE, members[0], account_id=str(owner.log.account_id)), None)


def test_words_are_bound_again_to_their_own_account_only() -> None:
    owner, other = Owner(), Owner("other")
    account, method = owner.log.account_id, phrase(owner, other)
    enrolment = Enrolment(account_id=account)
    assert method.enrol(words(owner, bind=account), enrolment).identifier == str(account)
    foreign = signed(PHRASE, other.key, bind=account, account_id=str(account))
    for sent in (words(other, bind=other.log.account_id), foreign):
        with pytest.raises(NotThisAccountError):
            method.enrol(sent, enrolment)
    with pytest.raises(WrongKeySignatureError):
        method.enrol(words(owner), enrolment)
    owner.rotate()
    with pytest.raises(AccountKeyRetiredError):
        phrase(owner).enrol(words(owner, bind=account), enrolment)


@pytest.mark.parametrize("account", [None, "", 7, "not an id", "1" * 60])
def test_an_account_id_that_is_none_is_refused(account: object) -> None:
    with pytest.raises(BadProviderDataError):
        phrase().identify(signed(PHRASE, KEY, account_id=account))
