"""Logging out ends one log-in on the node, and nothing else; on a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import HOUR, START, AuthWorld, auth_world

from meroid.auth.jws import InvalidTokenError
from meroid.auth.tokens import MissingTokenError, TokenRevokedError
from meroid.service.minting import WantedKey

LATE = START + 3 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def test_the_log_in_behind_the_access_token_ends_with_all_its_tokens(world: AuthWorld) -> None:
    pair, bystander = world.log_in(), world.log_in()
    after = world.tokens.refresh(pair.access, pair.refresh, START)
    world.tokens.log_out(pair.access, None, START)
    for each in (pair, after):
        with pytest.raises(TokenRevokedError):
            world.gate.admit(each.access, START)
        with pytest.raises(TokenRevokedError):
            world.tokens.refresh(each.access, each.refresh, START)
    world.gate.admit(bystander.access, START)


def test_the_log_in_behind_the_refresh_token_ends_too(world: AuthWorld) -> None:
    one, two = world.log_in(), world.log_in()
    world.tokens.log_out(one.access, two.refresh, START)
    for each in (one, two):
        with pytest.raises(TokenRevokedError):
            world.gate.admit(each.access, START)


def test_it_works_again_and_for_tokens_that_have_expired(world: AuthWorld) -> None:
    pair = world.log_in()
    for at in (LATE, LATE, LATE + HOUR):
        world.tokens.log_out(pair.access, pair.refresh, at)
    with pytest.raises(TokenRevokedError):
        world.tokens.refresh(pair.access, pair.refresh, LATE)
    other = world.log_in()
    world.tokens.log_out(None, other.refresh, START)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(other.access, START)


def test_a_token_that_is_no_good_ends_nothing(world: AuthWorld) -> None:
    pair = world.log_in()
    for access, refresh in (
        (pair.access, "nonsense"),
        (pair.access, pair.access),
        (pair.refresh, None),
        (pair.access[:-4] + "AAAA", pair.refresh),
    ):
        with pytest.raises(InvalidTokenError):
            world.tokens.log_out(access, refresh, START)
    for nothing in (None, ""):
        with pytest.raises(MissingTokenError):
            world.tokens.log_out(nothing, nothing, START)
    world.gate.admit(pair.access, START)


def test_the_root_key_and_what_was_minted_stay(world: AuthWorld) -> None:
    pair = world.log_in()
    minted = world.tokens.mint_client(
        world.gate.admit(pair.access, START), WantedKey(permissions=["context:list"]), START
    )
    world.tokens.log_out(pair.access, pair.refresh, START)
    world.gate.admit(minted.access, START)
    world.gate.admit(world.log_in().access, START)
