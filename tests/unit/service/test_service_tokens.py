"""Service tokens: one access token that lives as long as asked, ends by itself, and makes no others; on a real store."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, HOUR, MINUTE, SECOND, START, AuthWorld, BoxSealer, auth_world

from meroid.access.principal import Principal
from meroid.auth.jws import InvalidTokenError
from meroid.auth.tokens import TokenExpiredError, TokenRevokedError
from meroid.service.gate import Gate, OutsideBindingError
from meroid.service.key_permissions import KeyPermissionService
from meroid.service.minting import (
    BadLifetimeError,
    BadTokenNameError,
    PermissionNotHeldError,
    ServiceTokenMintsError,
    WantedKey,
)
from meroid.service.revoking import LoginNotFreshError
from meroid.service.signing import SigningKeys
from meroid.service.tokens import ServiceToken

DAY = 24 * HOUR
YEAR_S = 365 * 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def owner(world: AuthWorld, at: int = START) -> Principal:
    return world.gate.admit(world.log_in(at=at).access, at)


def make(world: AuthWorld, *permissions: str, days: int = 90, at: int = START, **more: Any) -> ServiceToken:
    wanted = WantedKey(permissions=permissions, name="backup job", expires_in_s=days * 86_400, **more)
    return world.tokens.mint_service_token(owner(world, at), wanted, at)


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


def test_it_lives_as_long_as_asked_and_may_what_was_asked(world: AuthWorld) -> None:
    token = make(world, "context:list", days=90)
    end = START + 90 * DAY
    assert token.expires_at == claims(token.access)["exp"] == end // 1000
    principal = world.gate.admit(token.access, end - 1)
    assert [str(each) for each in principal.held] == ["context:list"]
    assert not principal.is_fresh(START)
    for at in (end, end + 30 * SECOND, end + MINUTE + SECOND):
        with pytest.raises(TokenExpiredError):
            world.gate.admit(token.access, at)


def test_it_can_be_bound_to_an_identity_in_a_context(world: AuthWorld) -> None:
    world.add_client_key()
    token = make(world, "context:execute", context_id=CONTEXT, identity=EXECUTOR)
    principal = world.gate.admit(token.access, START + 89 * DAY)
    assert (principal.bound_context, principal.bound_executor) == (CONTEXT, EXECUTOR)


def test_it_is_listed_with_its_name_and_end_and_revoked(world: AuthWorld) -> None:
    keys, token = KeyPermissionService(world.store), make(world, "context:list")
    (listed,) = keys.list(owner(world), everybody=False, at=START)
    record = listed.record
    assert (record.client_id, record.name, record.expires_at) == (token.client_id, "backup job", START + 90 * DAY)
    assert listed.is_valid
    assert not keys.list(owner(world), everybody=False, at=START + 90 * DAY)[0].is_valid
    world.tokens.revoke(owner(world), token.client_id, START)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(token.access, START)


def test_logging_it_out_revokes_it(world: AuthWorld) -> None:
    token = make(world, "context:list")
    world.tokens.log_out(token.access, None, START)
    (listed,) = KeyPermissionService(world.store).list(owner(world), everybody=False, at=START)
    assert not listed.is_valid


def test_a_pair_under_a_key_that_ends_is_not_refreshed_after_its_end(world: AuthWorld) -> None:
    wanted = WantedKey(permissions=["context:list"], expires_in_s=86_400)
    pair = world.tokens.mint_client(owner(world), wanted, START)
    world.tokens.refresh(pair.access, pair.refresh, START + DAY - 1)
    with pytest.raises(TokenExpiredError):
        world.tokens.refresh(pair.access, pair.refresh, START + DAY)


@pytest.mark.parametrize("seconds", [0, 59, YEAR_S + 1, 2**62])
def test_it_lives_from_a_minute_to_a_year(world: AuthWorld, seconds: int) -> None:
    caller = owner(world)
    with pytest.raises(BadLifetimeError):
        world.tokens.mint_service_token(caller, WantedKey(permissions=["keys"], expires_in_s=seconds), START)
    for good in (60, YEAR_S):
        world.tokens.mint_service_token(caller, WantedKey(permissions=["keys"], expires_in_s=good), START)
    with pytest.raises(BadLifetimeError):
        world.tokens.mint_service_token(caller, WantedKey(permissions=["keys"]), START)


@pytest.mark.parametrize("name", ["a\nb", " ", "x" * 65, "\u202e", "a\x1b[2J"])
def test_its_name_can_be_read(world: AuthWorld, name: str) -> None:
    with pytest.raises(BadTokenNameError):
        world.tokens.mint_service_token(owner(world), WantedKey(permissions=(), name=name, expires_in_s=60), START)


def test_it_takes_a_fresh_log_in_and_gives_no_more_than_the_caller_has(world: AuthWorld) -> None:
    caller, wanted = owner(world), WantedKey(permissions=["keys"], expires_in_s=60)
    with pytest.raises(LoginNotFreshError):
        world.tokens.mint_service_token(caller, wanted, START + 5 * MINUTE + 1)
    world.add_account(("context:list",))
    bob = world.gate.admit(world.log_in(name="bob").access, START)
    with pytest.raises(PermissionNotHeldError):
        world.tokens.mint_service_token(bob, wanted, START)


def test_it_mints_nothing_since_that_would_outlive_it(world: AuthWorld) -> None:
    service = world.gate.admit(make(world, "admin").access, START)
    with pytest.raises(ServiceTokenMintsError):
        world.tokens.mint_client(service, WantedKey(permissions=["context:list"]), START)
    with pytest.raises(LoginNotFreshError):
        world.tokens.mint_service_token(service, WantedKey(permissions=["keys"], expires_in_s=60), START)
    bound = WantedKey(permissions=["context:execute"], context_id=CONTEXT, identity=EXECUTOR)
    world.add_client_key()
    pair = world.tokens.mint_client(owner(world), bound, START)
    with pytest.raises(OutsideBindingError):
        world.tokens.mint_client(world.gate.admit(pair.access, START), WantedKey(permissions=()), START)


def test_a_rotation_of_the_signing_key_leaves_it_until_its_end(world: AuthWorld) -> None:
    token = make(world, "context:list", days=300)
    rotated = START + DAY
    old = world.keys.rotate(rotated)
    make(world, "context:list", days=360, at=rotated + DAY)
    end = START + 300 * DAY
    assert world.keys.verifies_until(rotated) == end, "a later token doesn't prolong it"
    for at in (rotated + 100 * DAY, end - 1):
        world.tokens.forget_expired(at)
        again = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
        Gate(world.store, again).admit(token.access, at)
        assert old.kid in {each.kid for each in again.published(at)}
    world.tokens.forget_expired(end + 1)
    again = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
    with pytest.raises(InvalidTokenError):
        again.access(token.access, end + 1)


def test_a_rotation_at_once_ends_it(world: AuthWorld) -> None:
    token = make(world, "context:list")
    world.keys.rotate(START, at_once=True)
    with pytest.raises(InvalidTokenError):
        world.gate.admit(token.access, START)
