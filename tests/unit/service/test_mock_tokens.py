"""Mock tokens: an account of their own, an end, and nothing that a person's root key has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import HOUR, LOCAL, REMOTE, START, AuthWorld, auth_world

from meroid.access.permissions import ADMIN
from meroid.auth.first_owner import Peer
from meroid.auth.tokens import TokenExpiredError, TokenRevokedError
from meroid.keys.signer import Secret
from meroid.service.login import SetupRequiredError
from meroid.service.mock_tokens import (
    LONGEST_S,
    MockSecretNeededError,
    MockTokenService,
    NoMockTokensError,
    WantedMock,
)

SECRET = "Bearer a secret of the developer"
WANTED = WantedMock(client_name="app", permissions=("admin",), access_s=None, refresh_s=None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def mock_of(world: AuthWorld, secret: str | None = SECRET) -> MockTokenService:
    return MockTokenService(world.store, world.ring, world.keys, None if secret is None else Secret(secret.encode()))


def test_they_act_for_an_account_of_their_own_and_make_no_owner(world: AuthWorld) -> None:
    mock = mock_of(world)
    first, second = (world.gate.admit(mock.mint(WANTED, START).pair.access, START) for _ in range(2))
    assert first.account_id == second.account_id
    assert first.held == (ADMIN,)
    with pytest.raises(SetupRequiredError):
        world.log_in(peer=REMOTE)
    owner = world.gate.admit(world.log_in().access, START)
    assert owner.held == (ADMIN,), "the real first log-in makes the owner all the same"
    assert owner.account_id != first.account_id
    assert not first.is_fresh(START), "so it binds no root key and mints no admin"


def test_they_end_within_a_day_whatever_was_asked_for(world: AuthWorld) -> None:
    mock = mock_of(world)
    day = LONGEST_S * 1000
    long = mock.mint(WantedMock(client_name="a", permissions=(), access_s=10**9, refresh_s=10**9), START)
    world.gate.admit(long.pair.access, START + day - HOUR)
    with pytest.raises(TokenExpiredError):
        world.gate.admit(long.pair.access, START + day + HOUR)
    short = mock.mint(WantedMock(client_name="a", permissions=(), access_s=60, refresh_s=3600), START)
    with pytest.raises(TokenExpiredError):
        world.gate.admit(short.pair.access, START + HOUR // 2)
    renewed = world.tokens.refresh(short.pair.access, short.pair.refresh, START + HOUR // 2)
    world.gate.admit(renewed.access, START + HOUR // 2)
    with pytest.raises(TokenExpiredError):
        world.tokens.refresh(renewed.access, renewed.refresh, START + HOUR)


def test_two_in_one_second_are_two(world: AuthWorld) -> None:
    mock = mock_of(world)
    assert len({mock.mint(WANTED, START).key_id for _ in range(5)}) == 5


def test_all_of_them_end_when_the_switch_is_off(world: AuthWorld) -> None:
    pair = mock_of(world).mint(WANTED, START).pair
    mock_of(world).end_if_off(START)
    world.gate.admit(pair.access, START)
    mock_of(world, None).end_if_off(START)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(pair.access, START)
    again = mock_of(world).mint(WANTED, START).pair
    account = world.gate.admit(again.access, START).account_id
    assert world.store.read(lambda tx: tx.accounts.count()) == 2, f"{account} is the same account again"


@pytest.mark.parametrize(
    "peer",
    [
        REMOTE,
        Peer(address="127.0.0.1", host="evil.example"),
        Peer(address="127.0.0.1", host="localhost", forwarded=True),
        Peer(address="127.0.0.1", host="localhost", origin="http://evil.example"),
    ],
)
def test_only_the_machine_itself_gets_any(world: AuthWorld, peer: Peer) -> None:
    with pytest.raises(NoMockTokensError):
        mock_of(world).check(SECRET, peer)
    with pytest.raises(NoMockTokensError):
        mock_of(world, None).check(SECRET, LOCAL)


@pytest.mark.parametrize("sent", ["", "Bearer", SECRET[:-1], SECRET + " ", SECRET.lower(), "ü", "\ud800"])
def test_only_its_secret_opens_it(world: AuthWorld, sent: str) -> None:
    mock = mock_of(world)
    with pytest.raises(MockSecretNeededError):
        mock.check(sent, LOCAL)
    mock.check(SECRET, LOCAL)
