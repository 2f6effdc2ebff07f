"""Tokens against live records, on a real store: admission, refresh, minting, revocation."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import (
    CONTEXT,
    EXECUTOR,
    HOUR,
    MINUTE,
    OTHER,
    OWNER,
    SECOND,
    START,
    AuthWorld,
    BoxSealer,
    auth_world,
)

from meroid.access.decide import Resource
from meroid.access.permissions import BadPermissionError, parse_permission
from meroid.access.principal import Principal
from meroid.auth.tokens import TokenExpiredError, TokenRevokedError
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.service.gate import (
    Gate,
    InvalidTokenError,
    MissingTokenError,
    NotYourIdentityError,
    OutsideBindingError,
    PermissionDeniedError,
)
from meroid.service.minting import BadBindingError, PermissionNotHeldError, WantedKey
from meroid.service.revoking import KeyNotFoundError, LastRootKeyError, LoginNotFreshError
from meroid.service.signing import NoSigningKeyError, SigningKeys
from meroid.service.tokens import TokenPair, TokenReuseError, TokenService

DAY = 24 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        made.log_in()
        yield made


def owner(world: AuthWorld, at: int = START) -> Principal:
    return world.gate.admit(world.log_in(at=at).access, at)


def bound_pair(world: AuthWorld, at: int = START) -> TokenPair:
    world.add_client_key()
    return world.tokens.mint_client(
        owner(world, at), WantedKey(context_id=CONTEXT, identity=EXECUTOR, permissions=["context:execute"]), at
    )


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


# Admission


def test_without_a_token_nobody_is_admitted(world: AuthWorld) -> None:
    for bearer in (None, ""):
        with pytest.raises(MissingTokenError):
            world.gate.admit(bearer, START)


def test_an_expired_token_says_so_and_a_refresh_token_is_no_access_token(world: AuthWorld) -> None:
    pair = world.log_in()
    world.gate.admit(pair.access, START + HOUR + MINUTE)
    with pytest.raises(TokenExpiredError):
        world.gate.admit(pair.access, START + HOUR + MINUTE + SECOND)
    with pytest.raises(InvalidTokenError):
        world.gate.admit(pair.refresh, START)


def test_permissions_are_those_of_the_live_record(world: AuthWorld) -> None:
    world.add_account(("context:list", "context:execute"))
    pair = world.log_in(name="bob")
    assert len(world.gate.admit(pair.access, START).held) == 2
    assert world.store.write(lambda tx: tx.auth.set_root_permissions("root-of-bob", ("context:list",)))
    assert [str(each) for each in world.gate.admit(pair.access, START).held] == ["context:list"]


def test_a_token_of_a_forgotten_key_is_invalid(world: AuthWorld, tmp_path: Path) -> None:
    pair = world.log_in()
    (tmp_path / "other").mkdir()
    with auth_world(tmp_path / "other") as other:
        other.keys._loaded = world.keys._current(START)  # the same signing key, another store
        with pytest.raises(InvalidTokenError):
            other.gate.admit(pair.access, START)


def test_authorising_raises_the_reason(world: AuthWorld) -> None:
    world.add_account(("context:list",))
    bob = world.gate.admit(world.log_in(name="bob").access, START)
    world.gate.authorise(bob, parse_permission("context:list"), Resource())
    with pytest.raises(PermissionDeniedError) as caught:
        world.gate.authorise(bob, parse_permission("context:create"), Resource())
    assert caught.value.code == "permission_denied"
    with pytest.raises(NotYourIdentityError):
        world.gate.authorise(bob, parse_permission("context:list"), Resource(executor_account=OWNER))


# Signing keys


def test_a_restart_keeps_the_signing_key_and_another_process_follows_a_rotation(world: AuthWorld) -> None:
    pair = world.log_in()
    again = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
    again.ensure(START)
    gate = Gate(world.store, again)
    assert gate.admit(pair.access, START).account_id == OWNER
    (kid,) = [key["kid"] for key in world.tokens.jwks(START)["keys"]]
    later = START + 10 * MINUTE
    world.store.write(lambda tx: tx.auth.retire_signing_key(kid, at=later))
    again.ensure(later)
    rotated = TokenService(world.store, again)
    new = rotated.refresh(pair.access, pair.refresh, later)
    assert world.gate.admit(new.access, later).account_id == OWNER, "an unknown key id is looked up"
    assert {key["kid"] for key in world.tokens.jwks(later)["keys"]} > {kid}
    gate.admit(pair.access, later)
    after = later + 31 * DAY
    assert kid not in {key["kid"] for key in world.tokens.jwks(after)["keys"]}


def test_without_a_signing_key_nothing_is_minted(world: AuthWorld) -> None:
    (record,) = world.store.read(lambda tx: tx.auth.signing_keys())
    world.store.write(lambda tx: tx.auth.retire_signing_key(record.kid, at=START))
    with pytest.raises(NoSigningKeyError):
        SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid").issuer(START)


# Refresh


def test_refresh_gives_a_new_pair_of_the_same_key_early_or_late(world: AuthWorld) -> None:
    pair = world.log_in()
    for at in (START + SECOND, START + 29 * DAY):
        after = world.tokens.refresh(pair.access, pair.refresh, at)
        assert claims(after.access)["sub"] == claims(pair.access)["sub"]
        assert world.gate.admit(after.access, at).fresh_login_at == START
        pair = after


def test_a_lost_answer_is_repeated_while_its_successor_was_not_used(world: AuthWorld) -> None:
    pair = world.log_in()
    first = world.tokens.refresh(pair.access, pair.refresh, START)
    much_later = START + DAY
    assert world.tokens.refresh(pair.access, pair.refresh, much_later).refresh == first.refresh
    second = world.tokens.refresh(first.access, first.refresh, much_later + 61 * SECOND)
    assert second.refresh != first.refresh


def test_a_successor_that_waited_for_weeks_lives_anew_for_who_gets_it_at_last(world: AuthWorld) -> None:
    pair = world.log_in()
    world.tokens.refresh(pair.access, pair.refresh, START + DAY)  # the answer is lost, and the client sleeps
    late = world.tokens.refresh(pair.access, pair.refresh, START + 29 * DAY)

    world.tokens.refresh(late.access, late.refresh, START + 58 * DAY)


def test_who_asks_a_worker_whose_clock_is_behind_gets_the_last_of_the_chain(world: AuthWorld) -> None:
    pair = world.log_in()
    first = world.tokens.refresh(pair.access, pair.refresh, START + 20 * SECOND)
    second = world.tokens.refresh(first.access, first.refresh, START + 85 * SECOND)

    assert world.tokens.refresh(pair.access, pair.refresh, START + 70 * SECOND).refresh == second.refresh


def test_many_tabs_get_the_same_successor(world: AuthWorld) -> None:
    pair = world.log_in()
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: world.tokens.refresh(pair.access, pair.refresh, START + SECOND), range(50)))
    assert len({each.refresh for each in got}) == 1
    assert all(world.gate.admit(each.access, START + SECOND) for each in got)


def test_reuse_after_the_successor_was_used_ends_this_log_in_and_no_other(world: AuthWorld) -> None:
    bystander = world.log_in()
    pair = world.log_in()
    first = world.tokens.refresh(pair.access, pair.refresh, START)
    second = world.tokens.refresh(first.access, first.refresh, START + SECOND)
    world.tokens.refresh(pair.access, pair.refresh, START + 60 * SECOND)  # still within the window
    with pytest.raises(TokenReuseError):
        world.tokens.refresh(pair.access, pair.refresh, START + 61 * SECOND)
    for revoked in (pair, first, second):
        with pytest.raises(TokenRevokedError):
            world.tokens.refresh(revoked.access, revoked.refresh, START + 62 * SECOND)
        with pytest.raises(TokenRevokedError):
            world.gate.admit(revoked.access, START + 62 * SECOND)
    world.gate.admit(bystander.access, START + 62 * SECOND)
    world.tokens.refresh(bystander.access, bystander.refresh, START + 62 * SECOND)
    world.log_in(at=START + 62 * SECOND)


def test_tokens_of_two_log_ins_are_not_refreshed_together(world: AuthWorld) -> None:
    one, two = world.log_in(), world.log_in()
    for access, refresh in ((one.access, two.refresh), (one.refresh, one.access), (one.access, one.access)):
        with pytest.raises(InvalidTokenError):
            world.tokens.refresh(access, refresh, START)


def test_an_old_access_token_of_the_same_log_in_will_do(world: AuthWorld) -> None:
    pair = world.log_in()
    after = world.tokens.refresh(pair.access, pair.refresh, START + SECOND)
    world.tokens.refresh(pair.access, after.refresh, START + 2 * HOUR)


def test_a_refresh_token_expires_without_leeway(world: AuthWorld) -> None:
    pair = world.log_in()
    with pytest.raises(TokenExpiredError):
        world.tokens.refresh(pair.access, pair.refresh, START + 30 * DAY)
    assert world.tokens.forget_expired(START + 30 * DAY + 1) >= 1
    with pytest.raises(InvalidTokenError):
        world.tokens.refresh(pair.access, pair.refresh, START)


# Minting


def test_a_bound_token_acts_as_one_executor_in_one_context(world: AuthWorld) -> None:
    pair = bound_pair(world)
    said = claims(pair.access)
    assert said["context_id"] == str(CONTEXT)
    assert said["executor_public_key"] == said["context_identity"] == str(EXECUTOR)
    assert said["permissions"] == [f"context[{CONTEXT},{EXECUTOR}]", "context:execute"]
    assert "account_id" not in said
    principal = world.gate.admit(pair.access, START)
    assert (principal.bound_context, principal.bound_executor) == (CONTEXT, EXECUTOR)
    execute = parse_permission("context:execute")
    world.gate.authorise(principal, execute, Resource(context=CONTEXT, executor=EXECUTOR, method="set"))
    for resource in (
        Resource(context=ContextId(b"x" * 32), executor=EXECUTOR),
        Resource(context=CONTEXT, executor=PublicKey(b"y" * 32)),
        Resource(),
    ):
        with pytest.raises(OutsideBindingError):
            world.gate.authorise(principal, execute, resource)
    assert world.gate.sees(principal, Resource(context=CONTEXT))
    assert not world.gate.sees(principal, Resource(context=ContextId(b"x" * 32)))


def test_bound_tokens_of_two_contexts_share_nothing(world: AuthWorld) -> None:
    elsewhere, other = ContextId(b"d" * 32), PublicKey(b"f" * 32)
    world.add_client_key()
    world.add_client_key(other, context=elsewhere)
    caller = owner(world)
    one = claims(
        world.tokens.mint_client(caller, WantedKey(context_id=CONTEXT, identity=EXECUTOR, permissions=[]), START).access
    )
    two = claims(
        world.tokens.mint_client(caller, WantedKey(context_id=elsewhere, identity=other, permissions=[]), START).access
    )
    same = {name for name in one if one[name] == two[name]}
    assert same == {"iss", "aud", "iat", "exp", "token_type"}
    assert caller.subject not in {one["sub"], two["sub"]}


def test_a_bound_token_is_minted_for_the_callers_own_key_in_that_context_only(world: AuthWorld) -> None:
    caller = owner(world)
    world.add_account(("context:execute",))
    world.add_client_key()
    world.add_client_key(PublicKey(b"f" * 32), account=OTHER)
    world.add_client_key(PublicKey(b"g" * 32), context=None)
    for context, identity in (
        (CONTEXT, PublicKey(b"f" * 32)),
        (CONTEXT, PublicKey(b"g" * 32)),
        (CONTEXT, PublicKey(b"h" * 32)),
        (ContextId(b"x" * 32), EXECUTOR),
    ):
        with pytest.raises(NotYourIdentityError):
            world.tokens.mint_client(caller, WantedKey(context_id=context, identity=identity, permissions=[]), START)
    with pytest.raises(BadBindingError):
        world.tokens.mint_client(caller, WantedKey(context_id=CONTEXT, permissions=[]), START)
    with pytest.raises(BadBindingError):
        world.tokens.mint_client(caller, WantedKey(identity=EXECUTOR, permissions=[]), START)
    with pytest.raises(BadBindingError):
        world.tokens.mint_client(
            caller,
            WantedKey(context_id=CONTEXT, identity=EXECUTOR, permissions=[f"context[{ContextId(b'x' * 32)}]"]),
            START,
        )


def test_nobody_mints_what_they_do_not_hold(world: AuthWorld) -> None:
    world.add_account(("context:list", "context:execute[abc]"))
    bob = world.gate.admit(world.log_in(name="bob").access, START)
    world.tokens.mint_client(bob, WantedKey(permissions=["context:execute[abc]"]), START)
    for asked in ("admin", "context:execute", "context:execute[abd]", "keys:list"):
        with pytest.raises(PermissionNotHeldError):
            world.tokens.mint_client(bob, WantedKey(permissions=[asked]), START)
    with pytest.raises(BadPermissionError):
        world.tokens.mint_client(bob, WantedKey(permissions=["admin:x"]), START)


def test_minting_admin_needs_a_fresh_log_in(world: AuthWorld) -> None:
    caller = owner(world)
    world.tokens.mint_client(caller, WantedKey(permissions=["admin"]), START + 5 * MINUTE)
    with pytest.raises(LoginNotFreshError):
        world.tokens.mint_client(caller, WantedKey(permissions=["admin"]), START + 5 * MINUTE + 1)
    world.tokens.mint_client(caller, WantedKey(permissions=["context:execute"]), START + DAY)


def test_neither_a_bound_token_nor_the_node_itself_mints(world: AuthWorld) -> None:
    bound = world.gate.admit(bound_pair(world).access, START)
    for principal in (bound, Principal.node(OWNER)):
        with pytest.raises(OutsideBindingError):
            world.tokens.mint_client(principal, WantedKey(permissions=[]), START)


def test_what_a_minted_token_mints_hangs_on_the_same_root(world: AuthWorld) -> None:
    child = world.tokens.mint_client(owner(world), WantedKey(permissions=["admin"]), START)
    child_principal = world.gate.admit(child.access, START)
    assert not child_principal.is_fresh(START)
    world.tokens.mint_client(child_principal, WantedKey(permissions=["context:list"]), START)
    (root,) = world.store.read(lambda tx: tx.auth.root_keys())
    assert {each.root_key_id for each in world.store.read(lambda tx: tx.auth.token_keys())} == {root.key_id}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://Node.Example:2528/app?x=1#y", "http://node.example:2528"),
        ("https://[::1]:2528", "https://[::1]:2528"),
        ("javascript:alert(1)", None),
        ("http://user:pass@host/", None),
        ("node", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_reduced_to_its_origin(world: AuthWorld, given: str | None, kept: str | None) -> None:
    world.tokens.mint_client(owner(world), WantedKey(permissions=[], node_url=given), START)
    (record,) = world.store.read(lambda tx: tx.auth.token_keys())
    assert record.node_url == kept


def test_a_hundred_mints_in_one_moment_have_a_hundred_ids(world: AuthWorld) -> None:
    caller = owner(world)
    pairs = [world.tokens.mint_client(caller, WantedKey(permissions=[]), START) for _ in range(100)]
    assert len({claims(each.access)["sub"] for each in pairs}) == 100


def test_a_minted_token_keeps_its_id_when_refreshed(world: AuthWorld) -> None:
    pair = bound_pair(world)
    after = world.tokens.refresh(pair.access, pair.refresh, START + HOUR)
    assert claims(after.access)["sub"] == claims(pair.access)["sub"]
    assert claims(after.access)["context_id"] == str(CONTEXT)


# Revocation


def test_a_revoked_client_key_ends_at_once_and_touches_nothing_else(world: AuthWorld) -> None:
    caller = owner(world)
    doomed = world.tokens.mint_client(caller, WantedKey(permissions=["context:list"]), START)
    other = world.tokens.mint_client(caller, WantedKey(permissions=["context:list"]), START)
    world.tokens.revoke(caller, claims(doomed.access)["sub"], START)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(doomed.access, START)
    with pytest.raises(TokenRevokedError):
        world.tokens.refresh(doomed.access, doomed.refresh, START)
    world.gate.admit(other.access, START)
    with pytest.raises(KeyNotFoundError):
        world.tokens.revoke(caller, claims(doomed.access)["sub"], START)
    with pytest.raises(KeyNotFoundError):
        world.tokens.revoke(caller, "unknown", START)


def test_a_revoked_root_key_takes_its_clients_with_it(world: AuthWorld) -> None:
    world.add_account(("context:execute",))
    root = world.log_in(name="bob")
    child = world.tokens.mint_client(world.gate.admit(root.access, START), WantedKey(permissions=[]), START)
    world.store.write(lambda tx: tx.auth.revoke_root_key("root-of-bob", at=START))
    for pair in (root, child):
        with pytest.raises(TokenRevokedError):
            world.gate.admit(pair.access, START)
        with pytest.raises(TokenRevokedError):
            world.tokens.refresh(pair.access, pair.refresh, START)
    world.gate.admit(world.log_in().access, START)


def test_the_last_root_key_of_an_account_stays_and_revoking_one_needs_a_fresh_log_in(world: AuthWorld) -> None:
    caller = owner(world)
    with pytest.raises(LoginNotFreshError):
        world.tokens.revoke(caller, caller.subject, START + HOUR)
    with pytest.raises(LastRootKeyError):
        world.tokens.revoke(caller, caller.subject, START)


def test_a_key_revokes_itself_and_no_other_without_the_permission(world: AuthWorld) -> None:
    caller = owner(world)
    thin = world.tokens.mint_client(caller, WantedKey(permissions=["context:list"]), START)
    other = world.tokens.mint_client(caller, WantedKey(permissions=["context:list"]), START)
    principal = world.gate.admit(thin.access, START)
    for target in (claims(other.access)["sub"], caller.subject):
        with pytest.raises(PermissionDeniedError):
            world.tokens.revoke(principal, target, START)
    world.tokens.revoke(principal, principal.subject, START)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(thin.access, START)


def test_a_log_in_that_was_given_less_does_not_end_its_root_key(world: AuthWorld) -> None:
    world.add_account(("context:list", "context:execute"))
    (root,) = (each for each in world.store.read(lambda tx: tx.auth.root_keys()) if each.key_id == "root-of-bob")
    world.store.write(lambda tx: tx.auth.add_root_key(replace(root, key_id="another-of-bob", identifier="robert")))
    thin = world.gate.admit(world.log_in(name="bob", permissions=["context:list"]).access, START)
    with pytest.raises(PermissionDeniedError):
        world.tokens.revoke(thin, thin.subject, START)
    whole = world.gate.admit(world.log_in(name="bob").access, START)
    world.tokens.revoke(whole, whole.subject, START)


def test_keys_of_other_accounts_are_not_to_be_found(world: AuthWorld) -> None:
    caller = owner(world)
    world.add_account(("keys", "context:list"))
    bob = world.gate.admit(world.log_in(name="bob").access, START)
    with pytest.raises(KeyNotFoundError):
        world.tokens.revoke(bob, caller.subject, START)


def test_the_end_of_a_membership_ends_its_bound_tokens_and_leaves_unbound_ones(world: AuthWorld) -> None:
    pair = bound_pair(world)
    unbound = world.log_in()
    assert world.store.write(lambda tx: tx.auth.revoke_bound(EXECUTOR, at=START)) == 1
    with pytest.raises(TokenRevokedError) as caught:
        world.gate.admit(pair.access, START)
    assert caught.value.code == "token_revoked"
    world.gate.admit(unbound.access, START)
