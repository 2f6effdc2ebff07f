"""What links, sign-ups and mock tokens leave in the audit trail, in the commit that does it."""

from pathlib import Path

import pytest
from tests.auth_world import PASSWORD, REMOTE, START, AuthWorld, auth_world
from tests.unit.service.test_auditing import trail
from tests.unit.service.test_login_links import NEW_PASSWORD, come, invite, owner
from tests.unit.service.test_sign_up import sign_up

from meroid.account.audit import Action
from meroid.auth.login_code import show_login_code
from meroid.auth.sign_up import SignUp, SignUpRules
from meroid.keys.signer import Secret
from meroid.service.login_links import DEFAULT_MS, LoginCodeUsedError
from meroid.service.mock_tokens import MockTokenService, WantedMock

_OF_PEOPLE = {Action.ACCOUNT_CREATE, Action.LINK_CREATE, Action.LINK_USE, Action.LINK_WITHDRAW, Action.PASSWORD_CHANGE}


def told(world: AuthWorld) -> list[str]:
    return [each.action for each in trail(world) if each.action in _OF_PEOPLE]


def test_the_life_of_a_link_is_told_and_its_code_is_not(tmp_path: Path) -> None:
    with auth_world(tmp_path) as world:
        world.log_in()
        made = invite(world, "Bob")
        code = show_login_code(made.code)
        bob = world.gate.admit(come(world, code).access, START)
        used = next(each for each in trail(world) if each.action == Action.LINK_USE)
        assert (used.target, used.by.account_id, used.by.key_id) == (made.record.link_id, bob.account_id, bob.key_id)
        assert used.by.address == REMOTE.address
        before = len(trail(world))
        with pytest.raises(LoginCodeUsedError):
            come(world, code)
        assert len(trail(world)) == before, "a refusal is noted, and written with others"

        link = world.links.reset(owner(world), bob.account_id, DEFAULT_MS, START)
        come(world, show_login_code(link.code), password="a third password")
        other = world.links.reset(owner(world), bob.account_id, DEFAULT_MS, START)
        world.links.withdraw(owner(world), other.record.link_id, START)
        assert told(world) == [
            Action.ACCOUNT_CREATE,
            Action.LINK_CREATE,
            Action.LINK_USE,
            Action.LINK_CREATE,
            Action.PASSWORD_CHANGE,
            Action.LINK_USE,
            Action.LINK_CREATE,
            Action.LINK_WITHDRAW,
        ]
        for secret in (code, NEW_PASSWORD, show_login_code(link.code), "bob"):
            assert secret not in str([each.details for each in trail(world)]), "neither a secret nor what was typed"


def test_a_sign_up_tells_the_account_the_key_and_where_from(tmp_path: Path) -> None:
    with auth_world(tmp_path, rules=SignUpRules(policy=SignUp.OPEN)) as world:
        world.log_in()
        bob = world.gate.admit(sign_up(world, "bob", password=PASSWORD).access, START)
        made, bound, logged_in = trail(world)[-3:]
        assert (made.action, made.target) == (Action.ACCOUNT_CREATE, str(bob.account_id))
        assert (bound.action, bound.by.account_id) == (Action.ROOT_KEY_BIND, bob.account_id)
        assert (logged_in.action, logged_in.by.key_id) == (Action.LOGIN, bob.key_id)
        assert {each.by.address for each in (made, bound, logged_in)} == {REMOTE.address}


def test_mock_tokens_are_told_as_such(tmp_path: Path) -> None:
    with auth_world(tmp_path) as world:
        mock = MockTokenService(world.store, world.ring, world.keys, Secret(b"a secret of somebody"))
        minted = mock.mint(WantedMock(client_name="app", permissions=(), access_s=None, refresh_s=None), START)
        event = trail(world)[-1]
        assert (event.action, event.method, event.target) == (Action.TOKEN_MINT, "mock_auth", minted.key_id)
