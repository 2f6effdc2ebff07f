"""Every log-in and every change of keys and tokens leaves its event, in the same commit; on a real store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, LOCAL, MINUTE, OWNER, PASSWORD, REMOTE, START, AuthWorld, auth_world

from meroid.access.principal import Principal
from meroid.account.audit import Action, AuditEvent, verify_chain
from meroid.auth.methods import WrongCredentialsError
from meroid.auth.throttle import LoginThrottledError
from meroid.auth.tokens import TokenRevokedError
from meroid.errors import MeroidError
from meroid.service.auditing import NOTED_MOST, Refusals, actor_of
from meroid.service.key_permissions import KeyPermissionService
from meroid.service.login import SetupRequiredError
from meroid.service.minting import WantedKey
from meroid.service.ports.audit import AuditFilter
from meroid.service.root_keys import NewPassword
from meroid.service.tokens import TokenReuseError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def trail(world: AuthWorld) -> list[AuditEvent]:
    found = world.store.read(lambda tx: tx.audit.page(AuditFilter(), after=0, limit=1000))
    verify_chain(found)
    return [each.event for each in found]


def last(world: AuthWorld) -> AuditEvent:
    return trail(world)[-1]


def owner(world: AuthWorld) -> Principal:
    return replace(world.gate.admit(world.log_in().access, START), address="203.0.113.7")


def test_the_first_log_in_claims_the_node_and_a_later_one_only_logs_in(world: AuthWorld) -> None:
    world.log_in(peer=LOCAL)
    world.log_in(peer=REMOTE)
    *_, claimed, first, second = trail(world)
    assert (claimed.action, claimed.by.account_id, claimed.by.address) == (Action.OWNER_CLAIM, OWNER, "127.0.0.1")
    assert (first.action, first.outcome, first.method) == (Action.LOGIN, "ok", "user_password")
    assert (second.action, second.by.address, second.by.key_id) == (Action.LOGIN, "203.0.113.7", first.by.key_id)


def test_a_wrong_password_leaves_an_event_and_what_was_typed_doesnt(world: AuthWorld) -> None:
    root = owner(world).key_id
    for name, target in (("alice", root), ("hunter2", None)):
        with pytest.raises(WrongCredentialsError):
            world.log_in(name=name, password="not the one", peer=REMOTE)
        event = last(world)
        assert (event.action, event.outcome, event.by.address) == (Action.LOGIN, "wrong_credentials", "203.0.113.7")
        assert event.by.account_id is None
        assert event.target == root if target else (event.target or "").startswith("login:")
    assert "hunter2" not in repr(trail(world))


def test_throttled_log_ins_are_recorded_once_a_minute_with_how_many_there_were(world: AuthWorld) -> None:
    owner(world)
    for each in range(30):
        with pytest.raises((WrongCredentialsError, LoginThrottledError)):
            world.log_in(password="no", peer=REMOTE, at=START + each)
    refusals = world.login._refusals
    assert refusals.write() == 25
    wrong, throttled = trail(world)[-2:]
    assert (wrong.outcome, throttled.outcome, throttled.left_out) == ("wrong_credentials", "login_throttled", 24)
    with pytest.raises(WrongCredentialsError):
        world.log_in(password="no", peer=REMOTE, at=START + 2 * MINUTE)
    assert last(world).left_out == 4


def test_a_node_without_an_owner_records_who_came_too_early(world: AuthWorld) -> None:
    with pytest.raises(SetupRequiredError):
        world.log_in(peer=REMOTE)
    world.login._refusals.write()
    assert (last(world).action, last(world).outcome) == (Action.LOGIN, "setup_required")


def test_tokens_from_their_mint_to_their_end(world: AuthWorld) -> None:
    principal = owner(world)
    world.add_client_key()
    wanted = WantedKey(permissions=["context:execute"], context_id=CONTEXT, identity=EXECUTOR)
    pair = world.tokens.mint_client(principal, wanted, START)
    minted = last(world)
    assert (minted.action, minted.by) == (Action.TOKEN_MINT, actor_of(principal))
    assert (minted.details["context"], minted.details["executor"]) == (str(CONTEXT), str(EXECUTOR))

    after = world.tokens.refresh(pair.access, pair.refresh, START, address="198.51.100.1")
    refreshed = last(world)
    assert (refreshed.action, refreshed.by.address) == (Action.TOKEN_REFRESH, "198.51.100.1")
    assert refreshed.by.key_id == minted.target

    world.tokens.refresh(pair.access, pair.refresh, START)
    assert last(world).details == {"repeated": "true"}

    world.tokens.refresh(after.access, after.refresh, START)
    with pytest.raises(TokenReuseError):
        world.tokens.refresh(pair.access, pair.refresh, START + 2 * MINUTE, address="192.0.2.9")
    reused = last(world)
    assert (reused.action, reused.outcome, reused.by.address) == (Action.TOKEN_REFRESH, "token_reuse", "192.0.2.9")

    world.tokens.revoke(principal, str(minted.target), START)
    assert (last(world).action, last(world).target) == (Action.TOKEN_REVOKE, minted.target)


def test_a_log_out_is_recorded_once(world: AuthWorld) -> None:
    owner(world)
    pair = world.log_in()
    for _ in range(2):
        world.tokens.log_out(pair.access, pair.refresh, START, address="203.0.113.7")
    assert [each.action for each in trail(world)].count(Action.LOGOUT) == 1
    assert (last(world).action, last(world).by.account_id) == (Action.LOGOUT, OWNER)


def test_passwords_permissions_and_root_keys(world: AuthWorld) -> None:
    principal = owner(world)
    new = NewPassword(password="another long one", old_password="not it", end_sessions=True, peer=REMOTE)
    with pytest.raises(MeroidError):
        world.root_keys.change_password(principal, str(principal.key_id), new, START)
    assert (last(world).action, last(world).outcome) == (Action.PASSWORD_CHANGE, "wrong_old_password")
    assert last(world).by == actor_of(principal)
    new = replace(new, old_password=PASSWORD)
    world.root_keys.change_password(principal, str(principal.key_id), new, START)
    assert (last(world).action, last(world).outcome) == (Action.PASSWORD_CHANGE, "ok")

    world.tokens.mint_client(principal, WantedKey(permissions=["context:list"]), START)
    minted = str(last(world).target)
    permissions = KeyPermissionService(world.store)
    permissions.change(principal, minted, add=["context:create"], remove=["context:list"], at=START)
    assert last(world).details == {"added": "context:create", "removed": "context:list"}

    world.root_keys.remove(principal, str(principal.key_id), START, force=True)
    assert last(world).action is Action.ROOT_KEY_REMOVE
    assert last(world).details["minted_keys"] == "1"


def test_a_refused_change_leaves_neither_effect_nor_event(world: AuthWorld) -> None:
    principal = owner(world)
    before = trail(world)
    with pytest.raises(MeroidError):
        world.root_keys.remove(principal, str(principal.key_id), START, force=False)
    assert trail(world) == before


def test_signing_keys(world: AuthWorld) -> None:
    old = world.keys.active().kid
    world.keys.rotate(START)
    event = last(world)
    assert (event.action, event.details["before"]) == (Action.SIGNING_KEY_ROTATE, old)
    assert event.target == world.keys.active().kid


def test_nothing_secret_stands_in_the_trail(world: AuthWorld) -> None:
    principal = owner(world)
    told = [PASSWORD]
    pair = world.tokens.mint_client(principal, WantedKey(permissions=["context:list"]), START)
    after = world.tokens.refresh(pair.access, pair.refresh, START)
    told += [pair.access, pair.refresh, after.access, after.refresh]
    with pytest.raises(WrongCredentialsError):
        world.log_in(name="a secret typed as name", password="a secret typed as password", peer=REMOTE)
    told += ["a secret typed as name", "a secret typed as password"]
    text = json.dumps([repr(each) for each in trail(world)])
    parts = [part for each in told for part in each.split(".") if len(part) > 8]
    assert [each for each in parts if each in text] == []


def test_refusals_of_known_keys_wait_for_their_commit_and_survive_its_failure(world: AuthWorld) -> None:
    refusals = Refusals(world.store)
    by = actor_of(owner(world))
    before = len(trail(world))
    refusals.note_request("permission_denied", by, START, "/admin/keys")
    refusals.note_request("permission_denied", by, START + 1, "/admin/keys")
    refusals.note_request("permission_denied", replace(by, key_id=None), START + 1, "/admin/keys")
    assert len(trail(world)) == before
    assert refusals.write() == 2
    assert refusals.write() == 0
    event = last(world)
    assert (event.action, event.outcome, event.left_out) == (Action.REQUEST, "permission_denied", 1)
    assert event.details == {"route": "/admin/keys"}

    refusals.note_request("permission_denied", by, START + 2 * MINUTE, "/admin/keys")
    world.store.close()
    with pytest.raises(MeroidError):
        refusals.write()
    assert len(refusals._noted) == 1


def test_made_up_subjects_take_a_bounded_memory(world: AuthWorld) -> None:
    refusals = Refusals(world.store)
    event = AuditEvent(at=START, action=Action.LOGIN, outcome="bad_challenge")
    for each in range(3 * NOTED_MOST):
        refusals.note(f"address:{each}", event)
    assert len(refusals._noted) <= NOTED_MOST + 1
    assert refusals.write() == 3 * NOTED_MOST


def test_a_revoked_token_says_whose_it_was(world: AuthWorld) -> None:
    principal = owner(world)
    pair = world.log_in()
    world.tokens.log_out(pair.access, None, START)
    with pytest.raises(TokenRevokedError) as refused:
        world.gate.admit(pair.access, START)
    assert refused.value.of == (OWNER, principal.key_id)
