"""Rotating the key that signs tokens: with overlap, and at once; on a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import HOUR, OWNER, START, AuthWorld, BoxSealer, auth_world

from meroid.auth.jws import InvalidTokenError
from meroid.service.gate import Gate
from meroid.service.signing import NoSigningKeyError, SigningKeys
from meroid.service.tokens import TokenService

DAY = 24 * HOUR
LATER = START + HOUR


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def restarted(world: AuthWorld) -> tuple[TokenService, Gate]:
    """The services of the next start."""
    keys = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
    return TokenService(world.store, keys), Gate(world.store, keys)


def kids(tokens: TokenService, at: int) -> list[str]:
    return [each["kid"] for each in tokens.jwks(at)["keys"]]


def test_old_tokens_stay_good_and_both_keys_are_published_meanwhile(world: AuthWorld) -> None:
    pair = world.log_in()
    old = world.keys.rotate(LATER)
    tokens, gate = restarted(world)
    new = world.keys.active().kid
    assert (old.retired_at, kids(tokens, LATER)) == (LATER, [new, old.kid])
    assert gate.admit(pair.access, LATER).account_id == OWNER
    after = tokens.refresh(pair.access, pair.refresh, LATER + 30 * DAY - HOUR - 1)
    assert gate.admit(after.access, LATER + 30 * DAY).account_id == OWNER


def test_the_running_service_itself_signs_with_the_new_key(world: AuthWorld) -> None:
    world.tokens.jwks(START)
    world.keys.rotate(START + 1)
    assert kids(world.tokens, START + 1)[0] == world.keys.active().kid
    world.gate.admit(world.log_in(at=START + 1).access, START + 1)


def test_at_once_all_tokens_end_and_nothing_of_the_old_keys_stays(world: AuthWorld) -> None:
    first = world.log_in()
    world.keys.rotate(START)
    second = world.log_in()
    world.keys.rotate(LATER, at_once=True)
    tokens, gate = restarted(world)
    assert kids(tokens, LATER) == [world.keys.active().kid]
    assert len(world.store.read(lambda tx: tx.auth.signing_keys())) == 1
    for pair in (first, second):
        with pytest.raises(InvalidTokenError):
            gate.admit(pair.access, LATER)
        with pytest.raises(InvalidTokenError):
            tokens.refresh(pair.access, pair.refresh, LATER)
    world.gate.admit(world.log_in(at=LATER).access, LATER)


def test_after_the_overlap_the_old_key_is_forgotten(world: AuthWorld) -> None:
    old = world.keys.rotate(LATER)
    end = world.keys.verifies_until(LATER)
    assert end == LATER + 30 * DAY
    for at, there in ((end, True), (end + 1, False)):
        tokens, _ = restarted(world)
        tokens.forget_expired(at)
        stored = [each.kid for each in world.store.read(lambda tx: tx.auth.signing_keys())]
        assert (old.kid in stored) is there
        assert world.keys.active().kid in stored


def test_there_has_to_be_a_key(tmp_path: Path) -> None:
    with auth_world(tmp_path) as world:
        kid = world.keys.active().kid
        world.store.write(lambda tx: tx.auth.retire_signing_key(kid, at=START))
        for ask in (world.keys.active, lambda: world.keys.rotate(START)):
            with pytest.raises(NoSigningKeyError):
                ask()
