"""Logging in, on a real store: first owner, wrong credentials, throttling."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.auth_world import (
    CHEAP,
    HOUR,
    LOCAL,
    MINUTE,
    OTHER,
    OWNER,
    PASSWORD,
    REMOTE,
    SECOND,
    START,
    AuthWorld,
    auth_world,
)

from meroid.access.permissions import ADMIN, BadPermissionError
from meroid.auth.methods import BadProviderDataError, LoginAttempt, VerifiedLogin
from meroid.auth.password import Argon2Cost, PasswordLogin, WeakPasswordError
from meroid.auth.setup_code import WrongSetupCodeError, show_setup_code
from meroid.auth.throttle import FREE_FAILURES, FREE_FAILURES_OF_LOGIN, LoginThrottledError
from meroid.service.live import AccountDisabledError
from meroid.service.login import (
    OwnerExistsError,
    Peer,
    SetupRequiredError,
    UnsupportedMethodError,
    WrongCredentialsError,
)
from meroid.service.minting import WantedKey


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


@pytest.fixture
def owned(world: AuthWorld) -> AuthWorld:
    world.log_in()
    return world


def fail(world: AuthWorld, *, at: int, name: str = "alice", peer: Peer = REMOTE) -> None:
    with pytest.raises(WrongCredentialsError):
        world.log_in(name=name, password="wrong password", peer=peer, at=at)


def test_the_first_log_in_on_the_machine_makes_the_owner_of_the_nodes_own_account(world: AuthWorld) -> None:
    assert world.login.providers().setup_required
    principal = world.gate.admit(world.log_in().access, START)
    assert principal.account_id == OWNER
    assert principal.held == (ADMIN,)
    assert principal.fresh_login_at == START
    assert not world.login.providers().setup_required
    assert [each.configured for each in world.login.providers().providers] == [True]


def test_the_first_owner_may_have_a_short_password_on_the_machine_only(world: AuthWorld) -> None:
    code = world.login.renew_setup_code()
    assert code is not None
    with pytest.raises(WeakPasswordError):
        world.log_in(password="dev", peer=REMOTE, code=show_setup_code(code))
    world.log_in(password="dev")
    world.log_in(password="dev", peer=REMOTE)


@pytest.mark.parametrize(
    "peer",
    [
        REMOTE,
        replace(LOCAL, forwarded=True),
        replace(LOCAL, via_proxy=True),
        replace(LOCAL, host="node.example"),
        replace(LOCAL, origin="http://evil.example"),
    ],
)
def test_anybody_else_needs_the_setup_code(world: AuthWorld, peer: Peer) -> None:
    code = world.login.renew_setup_code()
    assert code is not None
    with pytest.raises(SetupRequiredError):
        world.log_in(peer=peer)
    with pytest.raises(WrongSetupCodeError):
        world.log_in(peer=peer, code="AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A")
    assert world.login.providers().setup_required
    world.log_in(peer=peer, code=show_setup_code(code))
    assert not world.login.has_setup_code()


def test_the_setup_code_works_once(world: AuthWorld) -> None:
    code = world.login.renew_setup_code()
    assert code is not None
    text = show_setup_code(code)
    world.log_in(peer=REMOTE, code=text)
    with pytest.raises(WrongCredentialsError):
        world.log_in(name="mallory", peer=REMOTE, code=text)
    assert world.login.renew_setup_code() is None


def test_of_many_first_log_ins_at_once_one_makes_the_owner(world: AuthWorld) -> None:
    def claim(number: int) -> bool:
        try:
            world.log_in(name=f"user{number}")
        except WrongCredentialsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1
    assert len(world.store.read(lambda tx: tx.auth.root_keys())) == 1


def test_init_can_make_the_owner_without_a_log_in(world: AuthWorld) -> None:
    attempt = LoginAttempt(
        method="user_password", public_key="alice", provider_data={"username": "alice", "password": PASSWORD}
    )
    world.login.create_owner(attempt, START)
    world.log_in(peer=REMOTE)
    with pytest.raises(OwnerExistsError):
        world.login.create_owner(attempt, START)


def test_a_revoked_last_root_key_does_not_reopen_the_node(owned: AuthWorld) -> None:
    (root,) = owned.store.read(lambda tx: tx.auth.root_keys())
    owned.store.write(lambda tx: tx.auth.revoke_root_key(root.key_id, at=START))
    with pytest.raises(WrongCredentialsError):
        owned.log_in(name="mallory")


def test_wrong_password_and_unknown_user_are_refused_alike_after_the_same_work(owned: AuthWorld) -> None:
    refusals = []
    for name, password in (("alice", "wrong password"), ("nobody", PASSWORD)):
        before = owned.method.checks
        with pytest.raises(WrongCredentialsError) as caught:
            owned.log_in(name=name, password=password)
        refusals.append((caught.value.code, caught.value.reason, owned.method.checks - before))
    assert refusals[0] == refusals[1]
    assert refusals[0][2] == 1


def test_user_names_are_case_sensitive(owned: AuthWorld) -> None:
    fail(owned, at=START, name="Alice")


def test_an_unknown_method_and_malformed_fields_are_refused(owned: AuthWorld) -> None:
    with pytest.raises(UnsupportedMethodError):
        owned.log_in(method="near_wallet")
    with pytest.raises(BadProviderDataError):
        owned.log_in(password="")
    with pytest.raises(BadPermissionError):
        owned.log_in(permissions=["admin:x"])
    owned.log_in(method="username_password")


def test_permissions_asked_for_narrow_the_log_in(owned: AuthWorld) -> None:
    pair = owned.log_in(permissions=["context:list", "context:execute[abc]"])
    held = {str(each) for each in owned.gate.admit(pair.access, START).held}
    assert held == {"context:list", "context:execute[abc]"}
    later = owned.tokens.refresh(pair.access, pair.refresh, START + HOUR)
    assert {str(each) for each in owned.gate.admit(later.access, START + HOUR).held} == held


def test_asking_for_more_gives_no_more(world: AuthWorld) -> None:
    world.log_in()
    world.add_account(("context:list",))
    pair = world.log_in(name="bob", permissions=["admin", "context:execute"])
    assert [str(each) for each in world.gate.admit(pair.access, START).held] == ["context:list"]
    none = world.log_in(name="bob", permissions=["keys:list"])
    assert world.gate.admit(none.access, START).held == ()


def test_failures_delay_the_next_attempt_and_a_success_forgets_them(owned: AuthWorld) -> None:
    for _ in range(FREE_FAILURES):
        fail(owned, at=START)
    checks = owned.method.checks
    with pytest.raises(LoginThrottledError) as caught:
        owned.log_in(peer=REMOTE, at=START)
    assert caught.value.retry_after_s == 1
    assert owned.method.checks == checks, "an attempt that has to wait is not checked"
    owned.log_in(peer=LOCAL, at=START)
    owned.log_in(peer=REMOTE, at=START + SECOND)
    fail(owned, at=START + SECOND)


def test_a_waiting_attempt_does_not_make_the_delay_longer(owned: AuthWorld) -> None:
    for _ in range(FREE_FAILURES):
        fail(owned, at=START)
    for _ in range(20):
        with pytest.raises(LoginThrottledError):
            owned.log_in(peer=REMOTE, at=START)
    owned.log_in(peer=REMOTE, at=START + SECOND)


def test_unknown_users_are_throttled_like_known_ones(owned: AuthWorld) -> None:
    for _ in range(FREE_FAILURES):
        fail(owned, at=START, name="nobody")
    with pytest.raises(LoginThrottledError):
        owned.log_in(name="nobody", peer=REMOTE)


def test_attackers_elsewhere_slow_a_login_but_never_its_usual_address(owned: AuthWorld) -> None:
    for number in range(FREE_FAILURES_OF_LOGIN):
        fail(owned, at=START, peer=replace(REMOTE, address=f"198.51.100.{number}"))
    with pytest.raises(LoginThrottledError):
        owned.log_in(peer=replace(REMOTE, address="192.0.2.1"))
    owned.log_in(peer=replace(REMOTE, address="192.0.2.1"), at=START + 5 * SECOND)


def test_the_usual_address_is_not_slowed(owned: AuthWorld) -> None:
    owned.log_in(peer=REMOTE)
    for number in range(FREE_FAILURES_OF_LOGIN):
        fail(owned, at=START + MINUTE, peer=replace(REMOTE, address=f"198.51.100.{number}"))
    owned.log_in(peer=REMOTE, at=START + MINUTE)


def test_guesses_made_side_by_side_do_not_slip_through(owned: AuthWorld) -> None:
    """The right password is refused if enough wrong ones were counted while it was being checked."""

    ordinary = owned.login

    class Racing(PasswordLogin):
        def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
            verified = super().verify(attempt, verifier)
            owned.login = ordinary
            for _ in range(FREE_FAILURES):
                fail(owned, at=START)
            return verified

    owned.log_in_with(Racing(CHEAP))
    with pytest.raises(LoginThrottledError):
        owned.log_in(peer=REMOTE)


def test_an_old_hash_is_renewed_without_changing_the_account(tmp_path: Path) -> None:
    with auth_world(tmp_path) as world:
        before = world.gate.admit(world.log_in().access, START)
        dearer = PasswordLogin(Argon2Cost(passes=2, memory_kib=64, lanes=1))
        world.log_in_with(dearer)
        after = world.gate.admit(world.log_in(at=START + 1).access, START + 1)
        (root,) = world.store.read(lambda tx: tx.auth.root_keys())
        assert root.verifier is not None
        assert "t=2" in root.verifier
        assert root.last_used_at == START + 1
        assert (before.account_id, before.key_id) == (after.account_id, after.key_id)


def test_no_repr_shows_a_password_or_token(world: AuthWorld) -> None:
    pair = world.log_in()
    assert pair.access not in repr(pair)
    assert pair.refresh not in repr(pair)


def test_a_disabled_account_opens_nothing_and_is_told_only_to_who_has_its_password(owned: AuthWorld) -> None:
    owned.add_account(("context:list",))
    before = owned.gate.admit(owned.log_in(name="bob").access, START)
    owned.store.write(lambda tx: tx.accounts.set_disabled(OTHER, START))

    fail(owned, at=START, name="bob")
    with pytest.raises(AccountDisabledError) as caught:
        owned.log_in(name="bob")
    with pytest.raises(AccountDisabledError):
        owned.tokens.mint_client(before, WantedKey(permissions=["context:list"]), START)

    assert caught.value.code == "account_disabled"
    owned.store.write(lambda tx: tx.accounts.set_disabled(OTHER, None))
    owned.log_in(name="bob")
