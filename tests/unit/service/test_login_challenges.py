"""Logging in with a proof over a challenge, on a real store: single use, time, host, first owner, throttling."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.account_cast import Owner
from tests.auth_world import LOCAL, MINUTE, OWNER, REMOTE, START, AuthWorld, auth_world
from tests.near_keys import NearPair

from meroid.account.key_login import KeyLogin
from meroid.auth.account_key import (
    AccountKeyRetiredError,
    HardwareKeyLogin,
    RecoveryPhraseLogin,
    WrongKeySignatureError,
)
from meroid.auth.challenge import (
    LIFETIME_MS,
    BadChallengeError,
    Challenge,
    ChallengeExpiredError,
    ChallengeUsedError,
    UnknownHostError,
)
from meroid.auth.first_owner import Peer
from meroid.auth.jws import InvalidTokenError
from meroid.auth.near_account import AccessKey, NearUnreachableError
from meroid.auth.near_wallet import NearWalletLogin
from meroid.auth.throttle import FREE_FAILURES, LoginThrottledError
from meroid.keys.nep413 import Nep413Message
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.service.account_state import AccountStates
from meroid.service.login import (
    LoginRequest,
    SetupRequiredError,
    TokenPair,
    UnsupportedMethodError,
    WrongCredentialsError,
)
from meroid.service.newcomers import NOT_AN_OWNERS
from meroid.service.ports.accounts import AccountRecord
from meroid.service.ports.store import Transaction

KEY = SoftwareSigner(Secret(b"k" * 32))
WALLET = NearPair.of(5)


class BrokenChain:
    """A chain that can't be asked, and counts how often it was."""

    asked = 0

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        self.asked += 1
        raise NearUnreachableError("no answer")


@pytest.fixture
def chain() -> BrokenChain:
    return BrokenChain()


@pytest.fixture
def world(tmp_path: Path, chain: BrokenChain) -> Iterator[AuthWorld]:
    with auth_world(tmp_path, methods=[HardwareKeyLogin(), NearWalletLogin(chain)]) as made:
        yield made


def offer(world: AuthWorld, method: str = "hardware_key", *, peer: Peer = LOCAL, at: int = START) -> Challenge:
    return world.login.challenge(method, peer, at).challenge


def request(challenge: Challenge, *, peer: Peer = LOCAL, signer: SoftwareSigner = KEY) -> LoginRequest:
    """A log-in with the hardware key over this challenge."""
    login = KeyLogin(method="hardware_key", host=challenge.audience, challenge=challenge.text, key=signer.public_key)
    signature = base64.b64encode(signer.sign(login.to_log_in())).decode()
    return LoginRequest(
        auth_method="hardware_key",
        public_key=str(signer.public_key),
        client_name="n",
        permissions=(),
        provider_data={"challenge": challenge.text, "signature": signature},
        peer=peer,
    )


def near_request(challenge: Challenge, *, pair: NearPair = WALLET, peer: Peer = LOCAL) -> LoginRequest:
    message = Nep413Message(message=challenge.text, nonce=challenge.nonce, recipient="calimero")
    signature = base64.b64encode(pair.signer.sign(message.digest())).decode()
    return LoginRequest(
        auth_method="near_wallet",
        public_key=pair.public_text,
        client_name="n",
        permissions=(),
        provider_data={"wallet_address": pair.account, "message": challenge.text, "signature": signature},
        peer=peer,
    )


def log_in(world: AuthWorld, *, at: int = START) -> TokenPair:
    return world.login.log_in(request(offer(world, at=at)), at)


def test_a_key_may_be_the_first_owner_and_log_in_again(world: AuthWorld) -> None:
    first = world.gate.admit(log_in(world).access, START)
    again = world.gate.admit(log_in(world, at=START + 1).access, START + 1)

    assert first.account_id == again.account_id == OWNER
    assert first.key_id == again.key_id
    with pytest.raises(WrongCredentialsError):
        world.login.log_in(request(offer(world), signer=SoftwareSigner(Secret(b"x" * 32))), START)


def test_a_challenge_logs_in_once_however_many_try_at_the_same_time(world: AuthWorld) -> None:
    log_in(world)
    wanted = request(offer(world))

    def attempt(_: int) -> bool:
        try:
            world.login.log_in(wanted, START)
        except ChallengeUsedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    with pytest.raises(ChallengeUsedError):
        world.login.log_in(wanted, START)


def test_a_challenge_that_made_the_owner_is_used_up(world: AuthWorld) -> None:
    wanted = request(offer(world))
    world.login.log_in(wanted, START)
    with pytest.raises(ChallengeUsedError):
        world.login.log_in(wanted, START)


def test_asking_for_challenges_and_failing_with_them_keeps_none(world: AuthWorld) -> None:
    log_in(world)
    before = used(world)
    for _ in range(50):
        offer(world)
    with pytest.raises(WrongKeySignatureError):
        world.login.log_in(replace(request(offer(world)), provider_data=broken(offer(world))), START)
    assert used(world) == before
    log_in(world, at=START + LIFETIME_MS + 2 * MINUTE)
    assert used(world) == 1, "the ones that ended are forgotten when another is used"


def used(world: AuthWorld) -> int:
    """How many used challenges are kept."""
    count = "SELECT COUNT(*) FROM used_challenges"  # the port has no verb for it
    (found,) = world.store.read(lambda tx: tx.auth._session.one(count))  # type: ignore[attr-defined]
    return int(found)


def broken(challenge: Challenge) -> dict[str, object]:
    return {"challenge": challenge.text, "signature": base64.b64encode(bytes(64)).decode()}


def test_a_challenge_ends(world: AuthWorld) -> None:
    log_in(world)
    wanted = request(offer(world))
    with pytest.raises(ChallengeExpiredError):
        world.login.log_in(wanted, START + LIFETIME_MS)


def test_a_challenge_of_another_method_host_or_service_is_refused(world: AuthWorld, tmp_path: Path) -> None:
    log_in(world)
    (tmp_path / "other").mkdir()
    with auth_world(tmp_path / "other", methods=[HardwareKeyLogin()]) as other:
        foreign = offer(other)
    elsewhere = offer(world, peer=replace(LOCAL, host="node.example"))
    for challenge in (foreign, elsewhere, offer(world, "near_wallet")):
        with pytest.raises(BadChallengeError):
            world.login.log_in(request(challenge), START)


@pytest.mark.parametrize("text", ["x", "a.b.c", "é.b.c", "x" * 4000])
def test_a_text_that_is_no_challenge_is_refused(world: AuthWorld, text: str) -> None:
    log_in(world)
    wanted = request(replace(offer(world), text=text))
    with pytest.raises(BadChallengeError):
        world.login.log_in(wanted, START)


def test_a_token_is_no_challenge_and_a_challenge_no_token(world: AuthWorld) -> None:
    pair = log_in(world)
    for text in (pair.access, pair.refresh):
        with pytest.raises(BadChallengeError):
            world.login.log_in(request(replace(offer(world), text=text)), START)
    with pytest.raises(InvalidTokenError):
        world.gate.admit(offer(world).text, START)


def test_under_a_foreign_host_name_no_key_is_asked_to_sign(world: AuthWorld) -> None:
    foreign = replace(REMOTE, host="evil.example")
    with pytest.raises(UnknownHostError):
        offer(world, peer=foreign)
    assert offer(world, "near_wallet", peer=foreign).audience == "evil.example", "a wallet shows its recipient instead"
    assert offer(world, peer=REMOTE).audience == "node.example"
    with pytest.raises(UnknownHostError):
        offer(world, "near_wallet", peer=replace(LOCAL, host=None))


def test_a_password_has_no_use_for_a_challenge_but_may_have_one(world: AuthWorld) -> None:
    assert offer(world, "user_password").method == "user_password"
    with pytest.raises(UnsupportedMethodError):
        offer(world, "none")


def test_from_elsewhere_the_first_owner_needs_the_set_up_code(world: AuthWorld) -> None:
    with pytest.raises(SetupRequiredError):
        world.login.log_in(request(offer(world, peer=REMOTE), peer=REMOTE), START)


def test_wrong_signatures_are_throttled_like_wrong_passwords(world: AuthWorld) -> None:
    log_in(world)
    wrong = replace(request(offer(world, peer=REMOTE), peer=REMOTE), provider_data=broken(offer(world, peer=REMOTE)))
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongKeySignatureError):
            world.login.log_in(wrong, START)
    with pytest.raises(LoginThrottledError):
        world.login.log_in(wrong, START)


def test_an_unreachable_chain_is_no_wrong_signature_and_counts_for_nothing(
    world: AuthWorld, chain: BrokenChain
) -> None:
    log_in(world)
    named = NearPair.of(5, account="alice.testnet")
    for _ in range(FREE_FAILURES + 1):
        with pytest.raises(NearUnreachableError):
            world.login.log_in(near_request(offer(world, "near_wallet"), pair=named), START)
    assert chain.asked == FREE_FAILURES + 1


def test_an_unbound_wallet_is_refused_after_the_same_work(world: AuthWorld, chain: BrokenChain) -> None:
    log_in(world)
    with pytest.raises(WrongCredentialsError) as caught:
        world.login.log_in(near_request(offer(world, "near_wallet")), START)
    assert caught.value.code == "wrong_credentials"
    assert chain.asked == 0


def test_words_find_the_key_in_force_over_many_rotations_without_being_throttled(tmp_path: Path) -> None:
    person = Owner()
    for _ in range(2 * FREE_FAILURES):
        person.rotate()
    account = AccountRecord(account_id=person.log.account_id, sealed_seed=b"s", device=0, created_at=START, owner=False)

    def add(tx: Transaction) -> None:
        tx.accounts.add(account, person.entries[0])
        for number, entry in enumerate(person.entries[1:], start=1):
            tx.accounts.append_key_log(account.account_id, number, entry)

    with auth_world(tmp_path) as world:
        world.log_in()
        world.store.write(add)
        world.log_in_with(RecoveryPhraseLogin(AccountStates(world.store)))
        offered = world.login.challenge("recovery_phrase", REMOTE, START).challenge
        for generation in range(2 * FREE_FAILURES):
            with pytest.raises(AccountKeyRetiredError):
                world.login.log_in(by_words(offered, person, generation), START)

        opened = world.gate.admit(world.login.log_in(by_words(offered, person, 2 * FREE_FAILURES), START).access, START)

        assert opened.account_id == person.log.account_id
        assert {str(each) for each in opened.held} == set(NOT_AN_OWNERS), "it isn't the node's own account"


def by_words(challenge: Challenge, person: Owner, generation: int) -> LoginRequest:
    signer = person.seed.account_key(generation)
    plain = request(challenge, peer=REMOTE, signer=signer)
    login = KeyLogin(method="recovery_phrase", host=challenge.audience, challenge=challenge.text, key=signer.public_key)
    signature = base64.b64encode(signer.sign(login.to_log_in())).decode()
    data = {"account_id": str(person.log.account_id), "challenge": challenge.text, "signature": signature}
    return replace(plain, auth_method="recovery_phrase", provider_data=data)
