"""Log-in links: who makes them, what redeeming one does, and when it is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, HOUR, LOCAL, MINUTE, PASSWORD, REMOTE, START, AuthWorld, auth_world

from meroid import limits
from meroid.access.permissions import ADMIN, parse_permission
from meroid.access.principal import Principal
from meroid.auth.login_code import WrongLoginCodeError, show_login_code
from meroid.auth.password import WeakPasswordError
from meroid.auth.sign_up import SignUp, SignUpRules
from meroid.auth.throttle import FREE_FAILURES, LoginThrottledError, address_group
from meroid.auth.tokens import TokenRevokedError
from meroid.ids import AccountId
from meroid.service.accounts import AccountNotFoundError, NotTheOwnerError
from meroid.service.gate import OutsideBindingError, PermissionDeniedError
from meroid.service.live import AccountDisabledError
from meroid.service.login import LoginRequest, TokenPair, WrongCredentialsError
from meroid.service.login_links import (
    DEFAULT_MS,
    LONGEST_MS,
    SHORTEST_MS,
    BadLabelError,
    BadLinkLifetimeError,
    LoginCodeExpiredError,
    LoginCodeUsedError,
    LoginCodeWithdrawnError,
    LoginLinkNotFoundError,
    MadeLink,
    OwnLinkError,
    TooManyAccountsError,
    TooManyLinksError,
)
from meroid.service.newcomers import NOT_AN_OWNERS, OtherUserNameError
from meroid.service.ports.store import Transaction
from meroid.service.revoking import LoginNotFreshError
from meroid.service.root_keys import RootKeyExistsError

NEW_PASSWORD = "another good password"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        made.log_in()
        yield made


def owner(world: AuthWorld, at: int = START) -> Principal:
    return world.gate.admit(world.log_in(at=at).access, at)


def invite(world: AuthWorld, label: str = "", at: int = START, valid_for: int = DEFAULT_MS) -> MadeLink:
    return world.links.invite(owner(world, at), label, valid_for, at)


def come(world: AuthWorld, code: str, *, name: str = "bob", password: str = NEW_PASSWORD, at: int = START) -> TokenPair:
    return log_in(world, {"username": name, "password": password, "login_code": code}, at)


def log_in(world: AuthWorld, data: dict[str, Any], at: int = START) -> TokenPair:
    request = LoginRequest(
        auth_method="user_password",
        public_key="x",
        client_name="http://localhost",
        permissions=(),
        provider_data=data,
        peer=REMOTE,
    )
    return world.login.log_in(request, at)


def count(world: AuthWorld) -> tuple[int, int]:
    return world.store.read(lambda tx: (tx.accounts.count(), len(tx.auth.root_keys())))


def test_a_link_opens_the_account_that_was_made_for_it_once(world: AuthWorld) -> None:
    made = invite(world, "Bob, of the office")
    code = show_login_code(made.code)
    assert made.record.account_id is not None
    principal = world.gate.admit(come(world, code).access, START)
    assert principal.account_id == made.record.account_id
    assert {str(each) for each in principal.held} == set(NOT_AN_OWNERS)
    account = world.store.read(lambda tx: tx.accounts.get(principal.account_id))
    assert account is not None
    assert (account.label, account.owner) == ("Bob, of the office", False)

    before = count(world)
    for name in ("bob", "carol"):
        with pytest.raises(LoginCodeUsedError):
            come(world, code, name=name)
    assert count(world) == before
    again = world.gate.admit(world.log_in(name="bob", password=NEW_PASSWORD).access, START)
    assert again.account_id == principal.account_id


def test_the_whole_link_is_taken_as_well_as_its_code(world: AuthWorld) -> None:
    code = show_login_code(invite(world).code)
    come(world, f"https://node.example/auth/login#code={code}\n")


def test_a_code_isnt_kept_anywhere_and_isnt_shown_by_accident(world: AuthWorld) -> None:
    made = invite(world)
    code = show_login_code(made.code)
    assert code not in repr(made)
    assert made.code.reveal() not in repr(made.record).encode()
    assert made.record.code_hash != made.code.reveal()


@pytest.mark.parametrize("code", ["x", "A" * 22, "#code=", "A" * 4096, "#code=" + "A" * 21])
def test_an_unknown_code_is_refused_and_slows_the_address(world: AuthWorld, code: str) -> None:
    good = show_login_code(invite(world).code)
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongLoginCodeError):
            come(world, code)
    with pytest.raises(LoginThrottledError):
        come(world, code)
    with pytest.raises(LoginThrottledError):
        come(world, good)
    world.links.see(good, "198.51.100.1", START)  # another address isn't slowed
    come(world, good, at=START + HOUR)  # and this one isn't for ever


def test_a_link_ends_by_itself(world: AuthWorld) -> None:
    code = show_login_code(invite(world, valid_for=SHORTEST_MS).code)
    with pytest.raises(LoginCodeExpiredError):
        come(world, code, at=START + SHORTEST_MS)
    come(world, code, at=START + SHORTEST_MS - 1)


def test_a_withdrawn_link_opens_nothing(world: AuthWorld) -> None:
    made = invite(world)
    assert [each.link_id for each in world.links.list(owner(world), START)] == [made.record.link_id]
    world.links.withdraw(owner(world), made.record.link_id, START)
    assert world.links.list(owner(world), START) == ()
    with pytest.raises(LoginCodeWithdrawnError):
        come(world, show_login_code(made.code))
    with pytest.raises(LoginLinkNotFoundError):
        world.links.withdraw(owner(world), made.record.link_id, START)


@pytest.mark.parametrize(
    ("label", "valid_for", "error"),
    [
        ("x" * 65, DEFAULT_MS, BadLabelError),
        ("a\nb", DEFAULT_MS, BadLabelError),
        ("  ", DEFAULT_MS, BadLabelError),
        ("x", SHORTEST_MS - 1, BadLinkLifetimeError),
        ("x", LONGEST_MS + 1, BadLinkLifetimeError),
    ],
)
def test_what_a_link_may_say_is_bounded(world: AuthWorld, label: str, valid_for: int, error: type[Exception]) -> None:
    before = count(world)
    with pytest.raises(error):
        invite(world, label, valid_for=valid_for)
    assert count(world) == before


def test_what_is_refused_leaves_the_link_good(world: AuthWorld) -> None:
    code = show_login_code(invite(world).code)
    with pytest.raises(WeakPasswordError):
        come(world, code, password="short")
    with pytest.raises(RootKeyExistsError):
        come(world, code, name="alice")
    world.log_in()  # nobody's password was changed
    come(world, code)


def test_only_a_fresh_log_in_of_the_owner_with_admin_makes_accounts(world: AuthWorld) -> None:
    stale = replace(owner(world), fresh_login_at=START - 6 * MINUTE)
    with pytest.raises(LoginNotFreshError):
        world.links.invite(stale, "", DEFAULT_MS, START)
    narrow = replace(owner(world), held=(parse_permission("context:list"),))
    with pytest.raises(PermissionDeniedError):
        world.links.invite(narrow, "", DEFAULT_MS, START)
    bob = world.gate.admit(come(world, show_login_code(invite(world).code)).access, START)
    for who in (bob, replace(bob, held=(ADMIN,))):
        with pytest.raises(NotTheOwnerError):
            world.links.invite(who, "", DEFAULT_MS, START)
        with pytest.raises(NotTheOwnerError):
            world.links.reset(who, who.account_id, DEFAULT_MS, START)


def test_a_token_for_one_context_reaches_no_links(world: AuthWorld) -> None:
    bound = replace(owner(world), bound_context=CONTEXT, bound_executor=EXECUTOR)
    with pytest.raises(OutsideBindingError):
        world.links.invite(bound, "", DEFAULT_MS, START)
    with pytest.raises(OutsideBindingError):
        world.links.list(bound, START)
    with pytest.raises(OutsideBindingError):
        world.links.withdraw(bound, "x", START)


def test_a_forgotten_password_is_set_anew_and_the_account_stays(world: AuthWorld) -> None:
    first = come(world, show_login_code(invite(world).code))
    bob = world.gate.admit(first.access, START)
    link = world.links.reset(owner(world), bob.account_id, DEFAULT_MS, START)
    code = show_login_code(link.code)
    assert world.links.see(code, address_group(REMOTE.address), START).usernames == ("bob",)
    with pytest.raises(OtherUserNameError):
        come(world, code, name="robert", password="a third password")
    back = world.gate.admit(come(world, code, password="a third password").access, START)
    assert (back.account_id, back.key_id) == (bob.account_id, bob.key_id)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(first.access, START)
    with pytest.raises(WrongCredentialsError):
        world.log_in(name="bob", password=NEW_PASSWORD)
    world.log_in(name="bob", password="a third password")
    with pytest.raises(LoginCodeUsedError):
        come(world, code, password="a fourth password")


def test_a_link_for_an_account_without_a_password_takes_any_name(world: AuthWorld) -> None:
    made = invite(world)
    assert made.record.account_id is not None
    link = world.links.reset(owner(world), made.record.account_id, DEFAULT_MS, START)
    back = world.gate.admit(come(world, show_login_code(link.code), name="dora").access, START)
    assert back.account_id == made.record.account_id


def test_a_reset_keeps_what_the_root_key_may(world: AuthWorld) -> None:
    bob = world.gate.admit(come(world, show_login_code(invite(world).code)).access, START)
    assert bob.key_id is not None
    key_id = bob.key_id
    world.store.write(lambda tx: tx.auth.set_root_permissions(key_id, ("context:list",)))
    link = world.links.reset(owner(world), bob.account_id, DEFAULT_MS, START)
    back = world.gate.admit(come(world, show_login_code(link.code)).access, START)
    assert [str(each) for each in back.held] == ["context:list"]


def test_nobody_gets_a_link_into_the_owners_account(world: AuthWorld) -> None:
    me = owner(world)
    with pytest.raises(OwnLinkError):
        world.links.reset(me, me.account_id, DEFAULT_MS, START)
    with pytest.raises(AccountNotFoundError):
        world.links.reset(me, AccountId(b"z" * 32), DEFAULT_MS, START)


def test_a_link_opens_no_disabled_account(world: AuthWorld) -> None:
    made = invite(world)
    account = made.record.account_id
    assert account is not None
    world.store.write(lambda tx: tx.accounts.set_disabled(account, START))
    before = count(world)
    with pytest.raises(AccountDisabledError):
        come(world, show_login_code(made.code))
    assert count(world) == before
    world.store.write(lambda tx: tx.accounts.set_disabled(account, None))
    come(world, show_login_code(made.code))  # it was not used up


@pytest.fixture
def invited(tmp_path: Path) -> Iterator[AuthWorld]:
    rules = SignUpRules(policy=SignUp.INVITED, max_accounts=3)
    with auth_world(tmp_path, rules=rules) as made:
        made.log_in()
        yield made


def test_where_people_invite_the_account_comes_with_the_one_who_comes(invited: AuthWorld) -> None:
    bob = invited.gate.admit(come(invited, show_login_code(invite(invited).code)).access, START)
    made = invited.links.invite(bob, "Carol", DEFAULT_MS, START)
    assert (made.record.account_id, count(invited)[0]) == (None, 2)
    assert [each.label for each in invited.links.list(bob, START)] == ["Carol"]
    with pytest.raises(NotTheOwnerError):
        invited.links.reset(bob, bob.account_id, DEFAULT_MS, START)
    carol = invited.gate.admit(come(invited, show_login_code(made.code), name="carol").access, START)
    account = invited.store.read(lambda tx: tx.accounts.get(carol.account_id))
    assert account is not None
    assert (account.label, count(invited)[0]) == ("Carol", 3)


def test_a_guest_sees_and_withdraws_only_links_of_its_own(invited: AuthWorld) -> None:
    mine = invite(invited)
    bob = invited.gate.admit(come(invited, show_login_code(invite(invited).code)).access, START)
    assert invited.links.list(bob, START) == ()
    with pytest.raises(LoginLinkNotFoundError):
        invited.links.withdraw(bob, mine.record.link_id, START)


def test_links_and_accounts_are_bounded(invited: AuthWorld) -> None:
    bob = invited.gate.admit(come(invited, show_login_code(invite(invited).code)).access, START)
    links = [invited.links.invite(bob, "", DEFAULT_MS, START) for _ in range(limits.LOGIN_LINKS_OF_GUEST.value)]
    with pytest.raises(TooManyLinksError):
        invited.links.invite(bob, "", DEFAULT_MS, START)
    come(invited, show_login_code(links[0].code), name="carol")
    with pytest.raises(TooManyAccountsError):
        come(invited, show_login_code(links[1].code), name="dora")
    with pytest.raises(TooManyAccountsError):
        invite(invited)


def test_what_a_disabled_account_gave_out_opens_nothing(invited: AuthWorld) -> None:
    bob = invited.gate.admit(come(invited, show_login_code(invite(invited).code)).access, START)
    made = invited.links.invite(bob, "", DEFAULT_MS, START)

    def disable(tx: Transaction) -> None:
        tx.accounts.set_disabled(bob.account_id, START)

    invited.store.write(disable)
    with pytest.raises(LoginCodeWithdrawnError):
        come(invited, show_login_code(made.code), name="carol")


def test_the_peer_makes_no_difference_to_how_long_a_password_is(world: AuthWorld) -> None:
    code = show_login_code(invite(world).code)
    request = LoginRequest(
        auth_method="user_password",
        public_key="x",
        client_name="x",
        permissions=(),
        provider_data={"username": "bob", "password": "short", "login_code": code},
        peer=LOCAL,
    )
    with pytest.raises(WeakPasswordError):
        world.login.log_in(request, START)
    world.log_in(name="alice", password=PASSWORD)
