"""Whatever an account may on a node, its root keys are its person's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import LOCAL, PASSWORD, START, AuthWorld, auth_world

from meroid.access.principal import Principal
from meroid.service.gate import PermissionDeniedError
from meroid.service.login import WrongCredentialsError
from meroid.service.minting import WantedKey
from meroid.service.newcomers import NOT_AN_OWNERS
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.revoking import KeyNotFoundError
from meroid.service.root_keys import NewPassword

NEW = "another long password"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        made.log_in()
        made.add_account(NOT_AN_OWNERS)
        yield made


def bob(world: AuthWorld, *permissions: str) -> Principal:
    return world.gate.admit(world.log_in(name="bob", permissions=permissions).access, START)


def change() -> NewPassword:
    return NewPassword(password=NEW, old_password=PASSWORD, end_sessions=True, peer=LOCAL)


def test_a_person_who_is_not_the_owner_sees_the_own_root_keys_and_changes_the_password(world: AuthWorld) -> None:
    person = bob(world)
    (mine,) = world.root_keys.list(person, everybody=False)

    world.root_keys.change_password(person, mine.record.key_id, change(), START)

    with pytest.raises(WrongCredentialsError):
        world.log_in(name="bob")
    world.log_in(name="bob", password=NEW)


def test_a_log_in_that_asked_for_less_keeps_no_root_keys(world: AuthWorld) -> None:
    narrow = bob(world, "context:list")

    with pytest.raises(PermissionDeniedError):
        world.root_keys.list(narrow, everybody=False)
    with pytest.raises(PermissionDeniedError):
        world.root_keys.change_password(narrow, narrow.key_id or "", change(), START)


def test_a_minted_token_keeps_none_though_it_holds_all(world: AuthWorld) -> None:
    pair = world.tokens.mint_client(bob(world), WantedKey(permissions=NOT_AN_OWNERS), START)
    minted = world.gate.admit(pair.access, START)

    with pytest.raises(PermissionDeniedError):
        world.root_keys.list(minted, everybody=False)


def test_a_root_key_that_may_less_than_another_of_its_account_keeps_none(world: AuthWorld) -> None:
    weak = bob(world)
    stronger = RootKeyRecord(
        key_id="another-of-bob",
        account_id=weak.account_id,
        method="user_password",
        identifier="robert",
        verifier=None,
        permissions=(*NOT_AN_OWNERS, "application:install"),
        created_at=START,
    )
    world.store.write(lambda tx: tx.auth.add_root_key(stronger))

    with pytest.raises(PermissionDeniedError):
        world.root_keys.list(bob(world), everybody=False)


def test_nobody_sees_or_removes_root_keys_of_others(world: AuthWorld) -> None:
    owner = world.gate.admit(world.log_in().access, START)
    with pytest.raises(PermissionDeniedError):
        world.root_keys.list(bob(world), everybody=True)
    with pytest.raises(KeyNotFoundError):
        world.root_keys.remove(bob(world), owner.key_id or "", START, force=True)
