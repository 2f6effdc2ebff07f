"""Binding, listing and removing root keys, and changing passwords, on a real store."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import (
    CONTEXT,
    EXECUTOR,
    LOCAL,
    MINUTE,
    OTHER,
    OWNER,
    PASSWORD,
    REMOTE,
    START,
    AuthWorld,
    auth_world,
)
from tests.near_keys import NearPair

from meroid.access.principal import Principal
from meroid.account.key_login import KeyLogin
from meroid.account.root_key import certification_text
from meroid.auth.account_key import HardwareKeyLogin
from meroid.auth.challenge import ChallengeUsedError
from meroid.auth.first_owner import Peer
from meroid.auth.methods import MethodUnsuitedError, WrongCredentialsError
from meroid.auth.near_wallet import NearWalletLogin, WrongWalletSignatureError, certification_from_text
from meroid.auth.password import WeakPasswordError
from meroid.auth.throttle import FREE_FAILURES, LoginThrottledError
from meroid.auth.tokens import TokenRevokedError
from meroid.ids import AccountId
from meroid.keys.nep413 import Nep413Message
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.service.gate import PermissionDeniedError
from meroid.service.login import LoginRequest, TokenPair
from meroid.service.minting import WantedKey
from meroid.service.revoking import KeyNotFoundError, LastRootKeyError, LoginNotFreshError
from meroid.service.root_keys import (
    NewPassword,
    NewRootKey,
    OldPasswordNeededError,
    RootKeyExistsError,
    WrongOldPasswordError,
)

KEY = SoftwareSigner(Secret(b"k" * 32))
WALLET = NearPair.of(5)
NEW = "a password that is new"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path, methods=[HardwareKeyLogin(), NearWalletLogin(None)]) as made:
        made.log_in()
        yield made


def admitted(world: AuthWorld, pair: TokenPair, at: int = START) -> Principal:
    return world.gate.admit(pair.access, at)


def owner(world: AuthWorld, at: int = START) -> Principal:
    return admitted(world, world.log_in(at=at), at)


def hardware(world: AuthWorld, account: AccountId | None, *, at: int = START, signer: SoftwareSigner = KEY) -> Any:
    """What binds the hardware key to an account, or without one logs in with it."""
    challenge = world.login.challenge("hardware_key", LOCAL, at).challenge
    login = KeyLogin(method="hardware_key", host="localhost", challenge=challenge.text, key=signer.public_key)
    message = login.to_log_in() if account is None else login.to_bind(account)
    fields = {"challenge": challenge.text, "signature": base64.b64encode(signer.sign(message)).decode()}
    common: dict[str, Any] = {
        "auth_method": "hardware_key",
        "public_key": str(signer.public_key),
        "provider_data": fields,
        "peer": LOCAL,
    }
    return NewRootKey(**common) if account else LoginRequest(**common, client_name="n", permissions=())


def wallet(world: AuthWorld, account: AccountId = OWNER) -> NewRootKey:
    challenge = world.login.challenge("near_wallet", LOCAL, START).challenge
    text = certification_text(account)
    message = Nep413Message(message=text, nonce=challenge.nonce, recipient="calimero")
    fields = {
        "wallet_address": WALLET.account,
        "challenge": challenge.text,
        "message": text,
        "signature": base64.b64encode(WALLET.signer.sign(message.digest())).decode(),
    }
    return NewRootKey(auth_method="near_wallet", public_key=WALLET.public_text, provider_data=fields, peer=LOCAL)


def password(name: str, text: str = NEW) -> NewRootKey:
    fields = {"username": name, "password": text}
    return NewRootKey(auth_method="user_password", public_key=name, provider_data=fields, peer=LOCAL)


def change(text: str = NEW, *, old: str | None = PASSWORD, end: bool = True, peer: Peer = LOCAL) -> NewPassword:
    return NewPassword(password=text, old_password=old, end_sessions=end, peer=peer)


def revoked(world: AuthWorld, pair: TokenPair) -> bool:
    try:
        admitted(world, pair)
    except TokenRevokedError:
        return True
    return False


# Binding


def test_a_bound_key_opens_the_same_account_with_what_its_binder_may(world: AuthWorld) -> None:
    bound = world.root_keys.bind(owner(world), hardware(world, OWNER), START)

    opened = admitted(world, world.login.log_in(hardware(world, None), START))

    assert bound.created
    assert opened.account_id == OWNER
    assert opened.key_id == bound.key_id
    assert [str(each) for each in opened.held] == ["admin"]


def test_who_asked_for_less_binds_a_key_that_may_no_more(world: AuthWorld) -> None:
    narrow = admitted(world, world.log_in(permissions=["keys:create", "context:list"]))
    world.root_keys.bind(narrow, password("second"), START)
    opened = admitted(world, world.log_in(name="second", password=NEW))
    assert {str(each) for each in opened.held} == {"keys:create", "context:list"}


def test_binding_needs_a_fresh_log_in(world: AuthWorld) -> None:
    stale = owner(world)
    with pytest.raises(LoginNotFreshError):
        world.root_keys.bind(stale, password("second"), START + 5 * MINUTE + 1)
    minted = world.tokens.mint_client(stale, WantedKey(permissions=["admin"]), START)
    with pytest.raises(LoginNotFreshError):
        world.root_keys.bind(admitted(world, minted), password("second"), START)


def test_a_caller_whose_log_in_ended_meanwhile_binds_nothing(world: AuthWorld) -> None:
    caller = owner(world)
    family = caller.family_id
    assert family is not None
    world.store.write(lambda tx: tx.auth.revoke_family(family, at=START))
    with pytest.raises(TokenRevokedError):
        world.root_keys.bind(caller, password("second"), START)
    assert len(world.root_keys.list(owner(world), everybody=False)) == 1


def test_a_login_that_opens_an_account_is_not_bound_again(world: AuthWorld) -> None:
    world.add_account(("context:list",))
    caller = owner(world)
    world.root_keys.bind(caller, hardware(world, OWNER), START)
    for again in (password("alice"), password("bob"), hardware(world, OWNER)):
        with pytest.raises(RootKeyExistsError):
            world.root_keys.bind(caller, again, START)


def test_a_weak_password_is_not_bound_on_the_machine_either(world: AuthWorld) -> None:
    with pytest.raises(WeakPasswordError):
        world.root_keys.bind(owner(world), password("second", "seven77"), START)


def test_a_binding_is_for_one_account_and_its_challenge_works_once(world: AuthWorld) -> None:
    caller = owner(world)
    with pytest.raises(WrongCredentialsError):
        world.root_keys.bind(caller, hardware(world, OTHER), START)
    with pytest.raises(WrongWalletSignatureError):
        world.root_keys.bind(caller, wallet(world, OTHER), START)
    binding = hardware(world, OWNER)
    bound = world.root_keys.bind(caller, binding, START)
    world.root_keys.remove(caller, bound.key_id, START, force=False)
    with pytest.raises(ChallengeUsedError):
        world.root_keys.bind(caller, binding, START)


def test_a_wallet_certifies_and_may_do_it_anew(world: AuthWorld) -> None:
    caller = owner(world)
    first = world.root_keys.bind(caller, wallet(world), START)
    second = world.root_keys.bind(caller, wallet(world), START + 1)

    assert (first.created, second.created, first.key_id) == (True, False, second.key_id)
    record = world.store.read(lambda tx: tx.auth.root_key(first.key_id))
    assert record is not None
    assert record.verifier is not None
    assert record.changed_at == START + 1
    certification_from_text(record.verifier).verify(OWNER)


# Listing


def test_everybody_sees_the_keys_of_the_own_account_and_admin_those_of_all(world: AuthWorld) -> None:
    world.add_account(("keys:list",))
    bob = admitted(world, world.log_in(name="bob"))

    assert [each.label for each in world.root_keys.list(owner(world), everybody=False)] == ["alice"]
    assert [each.label for each in world.root_keys.list(bob, everybody=False)] == ["bob"]
    assert {each.label for each in world.root_keys.list(owner(world), everybody=True)} == {"alice", "bob"}
    with pytest.raises(PermissionDeniedError):
        world.root_keys.list(bob, everybody=True)


# Removing


def test_with_a_root_key_everything_ends_that_hangs_on_it_and_nothing_else(world: AuthWorld) -> None:
    by_password = world.log_in()
    minted = world.tokens.mint_client(admitted(world, by_password), WantedKey(permissions=["context:list"]), START)
    world.root_keys.bind(owner(world), hardware(world, OWNER), START)
    by_key = world.login.log_in(hardware(world, None), START)
    (key_id,) = [
        each.record.key_id for each in world.root_keys.list(owner(world), everybody=False) if each.label == "alice"
    ]

    removed = world.root_keys.remove(admitted(world, by_key), key_id, START, force=False)

    assert (removed.minted, removed.lost) == (1, None)
    assert [revoked(world, each) for each in (by_password, minted, by_key)] == [True, True, False]
    with pytest.raises(TokenRevokedError):
        world.tokens.refresh(by_password.access, by_password.refresh, START)
    with pytest.raises(WrongCredentialsError):
        world.log_in()
    world.root_keys.bind(admitted(world, by_key), password("alice"), START)
    world.log_in(password=NEW)
    assert revoked(world, by_password)


def test_the_last_root_key_goes_by_force_only_and_says_what_is_lost(world: AuthWorld) -> None:
    world.add_client_key(EXECUTOR, context=CONTEXT)
    caller = owner(world)
    assert caller.key_id is not None
    with pytest.raises(LastRootKeyError) as caught:
        world.root_keys.remove(caller, caller.key_id, START, force=False)
    assert "1 contexts" in caught.value.reason
    removed = world.root_keys.remove(caller, caller.key_id, START, force=True)
    assert removed.lost is not None
    with pytest.raises(WrongCredentialsError):
        world.log_in()


def test_nobody_removes_what_is_not_a_root_key_of_theirs(world: AuthWorld) -> None:
    world.add_account(("keys:delete",))
    bob = admitted(world, world.log_in(name="bob"))
    alice = owner(world)
    minted = world.tokens.mint_client(alice, WantedKey(permissions=["context:list"]), START)
    assert alice.key_id is not None
    for key_id in (alice.key_id, "none", str(admitted(world, minted).key_id)):
        with pytest.raises(KeyNotFoundError):
            world.root_keys.remove(bob, key_id, START, force=True)
    with pytest.raises(LoginNotFreshError):
        world.root_keys.remove(alice, alice.key_id, START + 5 * MINUTE + 1, force=True)


# Passwords


def test_a_changed_password_ends_the_other_log_ins_and_mintings_of_its_key(world: AuthWorld) -> None:
    here, elsewhere = world.log_in(), world.log_in()
    caller = admitted(world, here)
    minted = world.tokens.mint_client(caller, WantedKey(permissions=["context:list"]), START)
    assert caller.key_id is not None

    ended = world.root_keys.change_password(caller, caller.key_id, change(), START)

    assert ended == 3, "that of the fixture, the other one, and the minting"
    assert [revoked(world, each) for each in (here, elsewhere, minted)] == [False, True, True]
    with pytest.raises(WrongCredentialsError):
        world.log_in()
    after = admitted(world, world.log_in(password=NEW))
    assert (after.account_id, after.key_id) == (OWNER, caller.key_id)


def test_the_other_log_ins_may_go_on(world: AuthWorld) -> None:
    elsewhere, caller = world.log_in(), owner(world)
    assert caller.key_id is not None
    assert world.root_keys.change_password(caller, caller.key_id, change(end=False), START) == 0
    assert not revoked(world, elsewhere)


def test_the_old_password_is_needed_and_can_not_be_guessed(world: AuthWorld) -> None:
    caller = owner(world)
    key_id = caller.key_id
    assert key_id is not None
    with pytest.raises(OldPasswordNeededError):
        world.root_keys.change_password(caller, key_id, change(old=None), START)
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongOldPasswordError):
            world.root_keys.change_password(caller, key_id, change(old="a guess", peer=REMOTE), START)
    with pytest.raises(LoginThrottledError):
        world.root_keys.change_password(caller, key_id, change(peer=REMOTE), START)
    world.log_in()


def test_another_root_key_sets_a_forgotten_password_anew(world: AuthWorld) -> None:
    password_key = owner(world).key_id
    assert password_key is not None
    world.root_keys.bind(owner(world), hardware(world, OWNER), START)
    by_key = admitted(world, world.login.log_in(hardware(world, None), START))

    world.root_keys.change_password(by_key, password_key, change(old=None), START)

    world.log_in(password=NEW)


def test_a_key_that_may_less_does_not_widen_itself_by_a_new_password(world: AuthWorld) -> None:
    password_key = owner(world).key_id
    assert password_key is not None
    narrow = admitted(world, world.log_in(permissions=["keys:create"]))
    world.root_keys.bind(narrow, hardware(world, OWNER), START)
    by_key = admitted(world, world.login.log_in(hardware(world, None), START))

    with pytest.raises(OldPasswordNeededError):
        world.root_keys.change_password(by_key, password_key, change(old=None), START)

    world.log_in()


def test_what_can_not_be_changed_is_refused(world: AuthWorld) -> None:
    world.add_account(("keys:create",))
    caller = owner(world)
    assert caller.key_id is not None
    bound = world.root_keys.bind(caller, hardware(world, OWNER), START)
    with pytest.raises(MethodUnsuitedError):
        world.root_keys.change_password(caller, bound.key_id, change(), START)
    for key_id in ("root-of-bob", "none"):
        with pytest.raises(KeyNotFoundError):
            world.root_keys.change_password(caller, key_id, change(), START)
    with pytest.raises(WeakPasswordError):
        world.root_keys.change_password(caller, caller.key_id, change("seven77"), START)
    with pytest.raises(LoginNotFreshError):
        world.root_keys.change_password(caller, caller.key_id, change(), START + 5 * MINUTE + 1)
    world.log_in()


def test_no_repr_shows_a_password() -> None:
    assert NEW not in repr(change())
    assert NEW not in repr(password("second"))
