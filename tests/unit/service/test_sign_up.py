"""Signing up by oneself: only where the policy says so, only when asked for, and never too often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import HOUR, PASSWORD, REMOTE, START, AuthWorld, auth_world

from meroid.auth.first_owner import Peer
from meroid.auth.methods import BadProviderDataError
from meroid.auth.password import WeakPasswordError
from meroid.auth.sign_up import SignUp, SignUpRules
from meroid.service.login import LoginRequest, TokenPair, WrongCredentialsError
from meroid.service.login_links import TooManyAccountsError
from meroid.service.newcomers import NOT_AN_OWNERS, SignUpClosedError, SignUpThrottledError

ELSEWHERE = Peer(address="198.51.100.9", host="node.example")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    rules = SignUpRules(policy=SignUp.OPEN, max_accounts=5, per_hour=2)
    with auth_world(tmp_path, rules=rules) as made:
        made.log_in()
        yield made


def sign_up(
    world: AuthWorld,
    name: str,
    *,
    password: str = PASSWORD,
    peer: Peer = REMOTE,
    at: int = START,
    flag: object = True,
) -> TokenPair:
    request = LoginRequest(
        auth_method="user_password",
        public_key=name,
        client_name="x",
        permissions=(),
        provider_data={"username": name, "password": password, "sign_up": flag},
        peer=peer,
    )
    return world.login.log_in(request, at)


def accounts(world: AuthWorld) -> int:
    return world.store.read(lambda tx: tx.accounts.count())


def test_whoever_signs_up_has_an_account_of_their_own(world: AuthWorld) -> None:
    bob = world.gate.admit(sign_up(world, "bob").access, START)
    carol = world.gate.admit(sign_up(world, "carol").access, START)
    owner = world.gate.admit(world.log_in().access, START)
    assert len({bob.account_id, carol.account_id, owner.account_id}) == 3
    assert {str(each) for each in bob.held} == set(NOT_AN_OWNERS)
    assert world.gate.admit(world.log_in(name="bob").access, START).account_id == bob.account_id


@pytest.mark.parametrize("flag", [False, None])
def test_a_typo_makes_no_account(world: AuthWorld, flag: object) -> None:
    if flag is None:
        with pytest.raises(BadProviderDataError):
            sign_up(world, "alcie", flag=flag)
        with pytest.raises(WrongCredentialsError):
            world.log_in(name="alcie")
    else:
        with pytest.raises(WrongCredentialsError):
            sign_up(world, "alcie", flag=flag)
    assert accounts(world) == 1


@pytest.mark.parametrize("policy", [SignUp.CLOSED, SignUp.INVITED])
def test_elsewhere_nobody_signs_up(tmp_path: Path, policy: SignUp) -> None:
    with auth_world(tmp_path, rules=SignUpRules(policy=policy)) as world:
        world.log_in()
        for name in ("bob", "alice"):
            with pytest.raises(SignUpClosedError):
                sign_up(world, name)
        assert (accounts(world), world.login.providers().signup) == (1, policy.value)


def test_a_name_that_is_taken_is_a_log_in_with_its_answer_and_its_work(world: AuthWorld) -> None:
    sign_up(world, "bob")
    checks = world.method.checks
    with pytest.raises(WrongCredentialsError):
        sign_up(world, "bob", password="not the one of bob")
    with pytest.raises(WrongCredentialsError):
        world.log_in(name="bob", password="not the one of bob")
    assert world.method.checks - checks == 2
    sign_up(world, "bob")  # who knows the password is let in
    assert accounts(world) == 2


def test_an_address_makes_a_few_accounts_an_hour_also_after_a_restart(world: AuthWorld) -> None:
    sign_up(world, "a")
    sign_up(world, "b", at=START + 1)
    with pytest.raises(SignUpThrottledError) as caught:
        sign_up(world, "c", at=START + 1)
    assert caught.value.retry_after_s == HOUR // 1000
    sign_up(world, "d", peer=ELSEWHERE)  # another address isn't held up
    sign_up(world, "e", at=START + HOUR)  # nor is this one for ever
    assert accounts(world) == 5


def test_there_are_no_more_accounts_than_the_owner_wants(world: AuthWorld) -> None:
    for number in range(4):
        sign_up(world, f"n{number}", at=START + number * HOUR)
    with pytest.raises(TooManyAccountsError):
        sign_up(world, "one more", at=START + 9 * HOUR)


def test_a_new_password_is_as_long_as_any(world: AuthWorld) -> None:
    with pytest.raises(WeakPasswordError):
        sign_up(world, "bob", password="short")
    assert accounts(world) == 1
