"""Who may change what a key grants, how far, and that it holds from the next request on; on a real store."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, MINUTE, OWNER, START, AuthWorld, auth_world

from meroid.access.permissions import BadPermissionError
from meroid.access.principal import Principal
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.key_permissions import (
    BindingStaysError,
    KeyPermissionService,
    LastPermissionError,
    WrongRootKeyError,
)
from meroid.service.minting import PermissionNotHeldError, WantedKey
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.revoking import KeyNotFoundError, LastAdminKeyError, LoginNotFreshError
from meroid.service.tokens import TokenPair


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        made.log_in()
        yield made


@pytest.fixture
def keys(world: AuthWorld) -> KeyPermissionService:
    return KeyPermissionService(world.store)


def owner(world: AuthWorld, at: int = START) -> Principal:
    return world.gate.admit(world.log_in(at=at).access, at)


def bob(world: AuthWorld, *permissions: str) -> Principal:
    world.add_account(permissions)
    return world.gate.admit(world.log_in(name="bob").access, START)


def mint(world: AuthWorld, principal: Principal, *permissions: str) -> TokenPair:
    return world.tokens.mint_client(principal, WantedKey(permissions=permissions), START)


def subject(pair: TokenPair) -> str:
    part = pair.access.split(".")[1]
    return str(json.loads(base64.b64decode(part + "=" * (-len(part) % 4)))["sub"])


def held(world: AuthWorld, pair: TokenPair) -> set[str]:
    return {str(each) for each in world.gate.admit(pair.access, START).held}


def second_root(world: AuthWorld, *permissions: str) -> str:
    record = RootKeyRecord(
        key_id="second", account_id=OWNER, method="near_wallet", identifier="rosa.near",
        verifier=None, permissions=permissions, created_at=START,
    )  # fmt: skip
    assert world.store.write(lambda tx: tx.auth.add_root_key(record))
    return record.key_id


def test_what_a_key_loses_its_tokens_lose_on_the_next_request(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    pair = mint(world, caller, "context:list", "context:execute")
    after = keys.change(caller, subject(pair), add=(), remove=["context:execute"], at=START)
    assert after == ("context:list",) == keys.permissions(caller, subject(pair))
    assert held(world, pair) == {"context:list"}


def test_what_a_key_gains_its_tokens_have_after_a_refresh(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    pair = mint(world, caller, "context:list")
    keys.change(caller, subject(pair), add=["keys:list", "context:list"], remove=(), at=START)
    assert held(world, pair) == {"context:list"}
    assert held(world, world.tokens.refresh(pair.access, pair.refresh, START)) == {"context:list", "keys:list"}


def test_removing_comes_before_adding_and_other_spellings_are_the_same(
    world: AuthWorld, keys: KeyPermissionService
) -> None:
    caller = owner(world)
    key = subject(mint(world, caller, "context:list[a,]", "keys:clients"))
    again = keys.change(caller, key, add=["context:list[a]"], remove=["context:list[a]", "keys:clients:list"], at=START)
    assert again == ("context:list[a]",)


def test_a_widening_needs_a_fresh_log_in_and_a_narrowing_of_a_minted_key_none(
    world: AuthWorld, keys: KeyPermissionService
) -> None:
    caller, late = owner(world), START + 5 * MINUTE + 1
    key = subject(mint(world, caller, "context:execute", "keys:list"))
    with pytest.raises(LoginNotFreshError):
        keys.change(caller, key, add=["keys:delete"], remove=(), at=late)
    assert keys.change(caller, key, add=["context:list"], remove=["keys:list"], at=late) == (
        "context:execute",
        "context:list",
    ), "context:execute has covered it before"
    minted = world.gate.admit(mint(world, caller, "admin").access, START)
    with pytest.raises(LoginNotFreshError):
        keys.change(minted, key, add=["admin"], remove=(), at=START)
    root = second_root(world, "admin", "keys")
    with pytest.raises(LoginNotFreshError):
        keys.change(caller, root, add=(), remove=["keys"], at=late)


def test_nobody_gives_what_they_do_not_hold(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = bob(world, "keys", "context:list")
    key = subject(mint(world, caller, "context:list"))
    for wanted in ("admin", "context:execute", "context:create[x]"):
        with pytest.raises(PermissionNotHeldError):
            keys.change(caller, key, add=[wanted], remove=(), at=START)
        with pytest.raises(PermissionNotHeldError):
            keys.change(caller, "root-of-bob", add=[wanted], remove=(), at=START)
    assert keys.change(caller, key, add=["keys:list"], remove=(), at=START) == ("context:list", "keys:list")


def test_a_minted_key_gets_no_more_than_the_root_key_above_it(world: AuthWorld, keys: KeyPermissionService) -> None:
    key = subject(mint(world, bob(world, "context:list"), "context:list"))
    with pytest.raises(PermissionNotHeldError, match="root key above"):
        keys.change(owner(world), key, add=["context:execute"], remove=(), at=START)


def test_a_token_can_not_widen_its_own_key(world: AuthWorld, keys: KeyPermissionService) -> None:
    pair = mint(world, owner(world), "context:list", "keys:permissions:update")
    own = world.gate.admit(pair.access, START)
    for wanted in ("admin", "context:execute"):
        with pytest.raises(PermissionNotHeldError):
            keys.change(own, subject(pair), add=[wanted], remove=(), at=START)


def test_permissions_may_be_held_for_one_key_alone(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    one, other = (subject(mint(world, caller, "context:list", "keys:list")) for _ in range(2))
    scoped = mint(world, caller, f"keys:permissions:get[{one}]", f"keys:permissions:update[{one}]")
    principal = world.gate.admit(scoped.access, START)
    assert keys.change(principal, one, add=(), remove=["keys:list"], at=START) == ("context:list",)
    assert keys.permissions(principal, one) == ("context:list",)
    with pytest.raises(PermissionDeniedError):
        keys.permissions(principal, other)
    with pytest.raises(PermissionDeniedError):
        keys.change(principal, other, add=(), remove=["keys:list"], at=START)


def test_the_last_permission_stays(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    key = subject(mint(world, caller, "context:list"))
    with pytest.raises(LastPermissionError):
        keys.change(caller, key, add=(), remove=["context:list"], at=START)
    world.add_client_key()
    bound = world.tokens.mint_client(
        caller, WantedKey(context_id=CONTEXT, identity=EXECUTOR, permissions=["context:execute"]), START
    )
    with pytest.raises(LastPermissionError):
        keys.change(caller, subject(bound), add=(), remove=["context:execute"], at=START)


def test_a_binding_is_neither_added_nor_removed(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    world.add_client_key()
    bound = world.tokens.mint_client(
        caller, WantedKey(context_id=CONTEXT, identity=EXECUTOR, permissions=["context:execute"]), START
    )
    for change in ({"add": [f"context[{CONTEXT}]"]}, {"remove": [f"context[{CONTEXT},{EXECUTOR}]"]}):
        with pytest.raises(BindingStaysError):
            keys.change(caller, subject(bound), **({"add": (), "remove": ()} | change), at=START)
    assert keys.change(caller, subject(bound), add=["keys:list"], remove=(), at=START)[0] == (
        f"context[{CONTEXT},{EXECUTOR}]"
    )


@pytest.mark.parametrize("text", ["", "admin:x", "context:list[", "nothing", "context"])
def test_what_is_no_permission_is_neither_added_nor_removed(
    world: AuthWorld, keys: KeyPermissionService, text: str
) -> None:
    caller = owner(world)
    for change in ({"add": [text]}, {"remove": [text]}):
        with pytest.raises(BadPermissionError):
            keys.change(caller, caller.subject, **({"add": (), "remove": ()} | change), at=START)


def test_a_key_has_no_more_permissions_than_a_list_may(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    key = subject(mint(world, caller, *(f"context:list[a{number}]" for number in range(60))))
    with pytest.raises(BadPermissionError):
        keys.change(caller, key, add=[f"context:list[b{number}]" for number in range(5)], remove=(), at=START)


def test_admin_stays_with_one_root_key_of_the_owner(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller = owner(world)
    with pytest.raises(LastAdminKeyError):
        keys.change(caller, caller.subject, add=["keys"], remove=["admin"], at=START)
    second_root(world, "keys")
    with pytest.raises(LastAdminKeyError):
        keys.change(caller, caller.subject, add=["keys"], remove=["admin"], at=START)
    with pytest.raises(LastAdminKeyError):
        world.root_keys.remove(caller, caller.subject, START, force=False)
    keys.change(caller, "second", add=["admin"], remove=(), at=START)
    assert keys.change(caller, caller.subject, add=["keys"], remove=["admin"], at=START) == ("keys",)


def test_the_node_s_owner_may_change_the_keys_of_other_accounts_and_nobody_else(
    world: AuthWorld, keys: KeyPermissionService
) -> None:
    stranger = bob(world, "keys", "context:list")
    caller = owner(world)
    for ask in (keys.permissions, lambda who, key: keys.change(who, key, add=["keys"], remove=(), at=START)):
        with pytest.raises(KeyNotFoundError):
            ask(stranger, caller.subject)
        with pytest.raises(KeyNotFoundError):
            ask(caller, "unknown")
    after = keys.change(caller, "root-of-bob", add=["context:execute"], remove=["keys"], at=START)
    assert after == ("context:list", "context:execute")


def test_listing_removing_and_what_is_revoked(world: AuthWorld, keys: KeyPermissionService) -> None:
    caller, stranger = owner(world), bob(world, "keys")
    key, theirs = subject(mint(world, caller, "context:list")), subject(mint(world, stranger, "keys:list"))
    assert [each.record.client_id for each in keys.list(caller, everybody=False, at=START)] == [key]
    assert {each.record.client_id for each in keys.list(caller, everybody=True, at=START)} == {key, theirs}
    with pytest.raises(PermissionDeniedError):
        keys.list(stranger, everybody=True, at=START)
    with pytest.raises(WrongRootKeyError):
        keys.remove(caller, "root-of-bob", key, START)
    for who, root, target in ((stranger, caller.subject, key), (caller, caller.subject, caller.subject)):
        with pytest.raises(KeyNotFoundError):
            keys.remove(who, root, target, START)
    assert keys.remove(caller, caller.subject, key, START) == START
    assert [each.is_valid for each in keys.list(caller, everybody=False, at=START)] == [False]
    for again in (
        lambda: keys.remove(caller, caller.subject, key, START),
        lambda: keys.permissions(caller, key),
        lambda: keys.change(caller, key, add=["keys"], remove=(), at=START),
    ):
        with pytest.raises(KeyNotFoundError):
            again()


def test_a_minted_key_under_a_revoked_root_key_is_not_valid(world: AuthWorld, keys: KeyPermissionService) -> None:
    mint(world, bob(world, "context:list"), "context:list")
    world.store.write(lambda tx: tx.auth.revoke_root_key("root-of-bob", at=START))
    assert [each.is_valid for each in keys.list(owner(world), everybody=True, at=START)] == [False]


def test_a_minted_key_whose_tokens_ended_with_a_password_is_not_valid(
    world: AuthWorld, keys: KeyPermissionService
) -> None:
    caller = owner(world)
    mint(world, caller, "context:list")
    world.store.write(lambda tx: tx.auth.end_families(caller.subject, but=caller.family_id, at=START))
    assert [each.is_valid for each in keys.list(caller, everybody=False, at=START)] == [False]


def test_a_log_in_that_was_limited_to_a_context_changes_and_mints_nothing(
    world: AuthWorld, keys: KeyPermissionService
) -> None:
    limited = world.gate.admit(world.log_in(permissions=["admin", f"context[{CONTEXT}]"]).access, START)
    key = subject(mint(world, owner(world), "context:list"))
    with pytest.raises(PermissionDeniedError):
        keys.change(limited, key, add=["admin"], remove=(), at=START)
    with pytest.raises(PermissionDeniedError):
        world.tokens.revoke(limited, key, START)
    with pytest.raises(OutsideBindingError):
        mint(world, limited, "context:list")
