"""Limits of an address over all names and methods: kept in the store, for all workers, and no lock-out for others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import LOCAL, MINUTE, OWNER, SECOND, START, AuthWorld, auth_world

from meroid import limits
from meroid.auth.first_owner import Peer
from meroid.auth.login_code import WrongLoginCodeError
from meroid.auth.methods import WrongCredentialsError
from meroid.auth.throttle import FORGIVEN_EVERY_MS, FREE_FAILURES_OF_ADDRESS, LoginThrottledError

STRANGER = Peer(address="203.0.113.7", host="node.example")
NEIGHBOUR = Peer(address="203.0.113.8", host="node.example")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        made.log_in(peer=LOCAL)
        yield made


def guess(world: AuthWorld, name: str, *, peer: Peer = STRANGER, at: int = START) -> str:
    """What a wrong password for a name is answered with."""
    with pytest.raises((WrongCredentialsError, LoginThrottledError)) as caught:
        world.log_in(name=name, password="not this one", peer=peer, at=at)
    return caught.value.code


def exhaust(world: AuthWorld, peer: Peer = STRANGER) -> None:
    for number in range(FREE_FAILURES_OF_ADDRESS):
        assert guess(world, f"name{number}", peer=peer) == "wrong_credentials"


def test_a_stranger_with_many_names_is_slowed_and_nothing_is_checked_any_more(world: AuthWorld) -> None:
    exhaust(world)
    before = world.method.checks
    assert guess(world, "another") == "login_throttled"
    assert world.method.checks == before
    assert guess(world, "another", at=START + FORGIVEN_EVERY_MS) == "wrong_credentials", "once in a while it may"
    assert guess(world, "yet another", at=START + FORGIVEN_EVERY_MS + SECOND) == "login_throttled"


def test_it_holds_for_right_passwords_of_names_that_never_logged_in_from_there(world: AuthWorld) -> None:
    exhaust(world)
    with pytest.raises(LoginThrottledError) as caught:
        world.log_in(peer=STRANGER)
    assert 0 < caught.value.retry_after_s <= FORGIVEN_EVERY_MS // 1000
    world.log_in(peer=STRANGER, at=START + FORGIVEN_EVERY_MS)


def test_who_logged_in_from_the_address_before_goes_on_and_so_do_other_addresses(world: AuthWorld) -> None:
    world.log_in(peer=STRANGER)
    exhaust(world)
    world.log_in(peer=STRANGER, at=START + SECOND)
    assert guess(world, "anybody", peer=NEIGHBOUR) == "wrong_credentials"


def test_an_ipv6_network_is_one_address(world: AuthWorld) -> None:
    for number in range(FREE_FAILURES_OF_ADDRESS):
        guess(world, f"name{number}", peer=Peer(address=f"2001:db8::{number:x}", host="node.example"))
    assert guess(world, "more", peer=Peer(address="2001:db8::ffff", host="node.example")) == "login_throttled"
    assert guess(world, "more", peer=Peer(address="2001:db8:0:1::1", host="node.example")) == "wrong_credentials"


def test_a_success_takes_no_more_writes_and_forgives_nothing(world: AuthWorld) -> None:
    exhaust(world)
    world.log_in(peer=LOCAL, at=START + SECOND)
    known = world.store.read(lambda tx: tx.auth.failing_address(STRANGER.address))
    assert known is not None
    assert known.level == FREE_FAILURES_OF_ADDRESS
    assert world.store.read(lambda tx: tx.auth.failing_address(LOCAL.address)) is None


def test_a_flood_of_names_from_many_addresses_takes_bounded_room(
    world: AuthWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURES", limits.LOGIN_FAILURES._replace(value=20))
    world.log_in(peer=STRANGER)
    for number in range(60):
        guess(world, f"name{number}", peer=Peer(address=f"198.51.100.{number}", host="node.example"), at=START + number)

    assert rows(world, "login_attempts") <= 20 + 2  # and the two that succeeded
    assert rows(world, "failing_addresses") <= 20
    assert world.store.read(lambda tx: tx.accounts.get(OWNER)) is not None
    guess(world, "later", peer=NEIGHBOUR, at=START + 60 * MINUTE)
    assert rows(world, "failing_addresses") == 1, "what is forgiven is forgotten"


def test_a_flood_of_wrong_link_codes_from_many_addresses_takes_bounded_room(
    world: AuthWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURES", limits.LOGIN_FAILURES._replace(value=20))
    for number in range(60):
        with pytest.raises(WrongLoginCodeError):
            world.links.see("A" * 22, f"198.51.100.{number}", START + number)

    assert rows(world, "login_attempts") <= 20 + 1  # and the one that succeeded


def rows(world: AuthWorld, table: str) -> int:
    return int(world.store.read(lambda tx: tx.auth._session.one(f"SELECT COUNT(*) FROM {table}")[0]))  # type: ignore[attr-defined]
