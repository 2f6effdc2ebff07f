"""Whatever makes the gate refuse a token stands in the feed, until the token would have ended by itself."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, HOUR, MINUTE, OTHER, START, AuthWorld, auth_world

from meroid.auth.dpop import BadProofError, ProofRequiredError, Shown, Target
from meroid.auth.jws import InvalidTokenError
from meroid.auth.offline import FeedStaleError, OfflineVerifier
from meroid.auth.revocations import FEED_LIFETIME_S
from meroid.auth.tokens import ACCESS_LIFETIME_MS, LEEWAY_S, TokenExpiredError, TokenRevokedError
from meroid.client.proof_key import ProofKey
from meroid.client.tokens import claims_of
from meroid.service.minting import WantedKey
from meroid.service.revocations import RevocationFeed

LATER = START + 15_000


class Service:
    """A service of somebody else, which asks for published things only."""

    def __init__(self, world: AuthWorld) -> None:
        self.world = world
        self.feed = RevocationFeed(world.store, world.keys, access_ms=ACCESS_LIFETIME_MS)
        self.now = START
        self.reached = True
        self.checks = OfflineVerifier(self.get)

    def get(self, path: str) -> bytes:
        if not self.reached:
            raise OSError("no route")
        if path == "/auth/jwks.json":
            return json.dumps(self.world.tokens.jwks(self.now)).encode()
        return self.feed.text(self.now).encode()

    def takes(self, token: str, at: int) -> bool:
        self.now = at
        try:
            return bool(self.checks.verify(token, at))
        except TokenRevokedError:
            return False


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


@pytest.fixture
def service(world: AuthWorld) -> Service:
    return Service(world)


def revoke_root(world: AuthWorld) -> None:
    root = world.store.read(lambda tx: tx.auth.root_keys())[0]
    world.store.write(lambda tx: tx.auth.revoke_root_key(root.key_id, at=START))


ENDINGS: dict[str, Callable[[AuthWorld, str], object]] = {
    "log-out": lambda world, token: world.tokens.log_out(token, None, START),
    "the root key is revoked": lambda world, _: revoke_root(world),
    "the account is disabled": lambda world, _: world.store.write(
        lambda tx: tx.auth.revoke_account_families(tx.auth.root_keys()[0].account_id, at=START)
    ),
    "the membership ends": lambda world, _: world.store.write(lambda tx: tx.auth.revoke_bound(EXECUTOR, at=START)),
}


@pytest.mark.parametrize("what", ENDINGS)
def test_what_ends_a_token_here_ends_it_offline(world: AuthWorld, service: Service, what: str) -> None:
    world.add_client_key()
    owner = world.gate.admit(world.log_in().access, START)
    wanted = WantedKey(permissions=(), context_id=CONTEXT, identity=EXECUTOR)
    token = world.tokens.mint_client(owner, wanted, START).access
    assert service.takes(token, START)
    ENDINGS[what](world, token)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(token, LATER)
    assert not service.takes(token, LATER)


def test_a_reused_refresh_token_ends_its_log_in_offline_and_no_other(world: AuthWorld, service: Service) -> None:
    pair, other = world.log_in(), world.log_in()
    second = world.tokens.refresh(pair.access, pair.refresh, START + MINUTE)
    third = world.tokens.refresh(second.access, second.refresh, START + 3 * MINUTE)
    with pytest.raises(TokenRevokedError):
        world.tokens.refresh(pair.access, pair.refresh, START + 5 * MINUTE)
    assert not service.takes(third.access, START + 6 * MINUTE)
    assert service.takes(other.access, START + 6 * MINUTE)


def test_an_entry_goes_when_the_last_token_is_over_and_not_before(world: AuthWorld, service: Service) -> None:
    pair = world.log_in()
    world.tokens.log_out(pair.access, None, START)
    last = START + ACCESS_LIFETIME_MS + LEEWAY_S * 1000
    assert _claims(service.feed.text(last))["logins"]
    assert not _claims(service.feed.text(last + FEED_LIFETIME_S * 1000 + MINUTE))["logins"]


def test_a_service_token_stays_listed_as_long_as_it_would_have_lived(world: AuthWorld, service: Service) -> None:
    owner = world.gate.admit(world.log_in().access, START)
    wanted = WantedKey(permissions=("context:list",), expires_in_s=30 * 24 * 3600)
    token = world.tokens.mint_service_token(owner, wanted, START)
    world.tokens.revoke(owner, token.client_id, START)
    assert not service.takes(token.access, START + 29 * 24 * HOUR)


def test_a_lowered_lifetime_ends_no_older_token_early(world: AuthWorld) -> None:
    RevocationFeed(world.store, world.keys, access_ms=8 * HOUR).note_lifetime()
    shorter = RevocationFeed(world.store, world.keys, access_ms=MINUTE)
    shorter.note_lifetime()
    world.tokens.log_out(world.log_in().access, None, START)
    assert _claims(shorter.text(START + 7 * HOUR))["logins"]


def test_the_feed_names_no_account_and_no_second(world: AuthWorld, service: Service) -> None:
    world.log_in()  # the owner
    world.add_account(("context:list",))
    pair = world.log_in(name="bob", at=START + 12_345)
    world.tokens.log_out(pair.access, None, START + 12_345)
    text = service.feed.text(START + 20_000)
    assert str(OTHER) not in json.dumps(_claims(text))
    assert set(_claims(text)["logins"].values()) == {START // 60_000 * 60}


def test_since_leaves_out_what_ended_before(world: AuthWorld, service: Service) -> None:
    for at in (START, START + 10 * MINUTE):
        world.tokens.log_out(world.log_in(at=at).access, None, at)
    now = START + 11 * MINUTE
    assert len(_claims(service.feed.text(now))["logins"]) == 2
    late = _claims(service.feed.text(now, since=(START + 10 * MINUTE) // 1000 + 30))
    assert len(late["logins"]) == 1
    assert late["since"] == (START + 10 * MINUTE) // 60_000 * 60


def test_however_many_since_are_asked_for_few_feeds_are_made(world: AuthWorld, service: Service) -> None:
    world.tokens.log_out(world.log_in().access, None, START)
    now = START + HOUR
    texts = {service.feed.text(now, since=now // 1000 + second) for second in range(-7_200, 7_200, 30)}
    assert len(texts) == 12  # the last ten minutes, this one, and all
    assert service.feed.text(now, since=0) == service.feed.text(now)
    assert "since" not in _claims(service.feed.text(now, since=0))


def test_the_same_text_is_given_while_nothing_ends(world: AuthWorld, service: Service) -> None:
    pair = world.log_in()
    first = service.feed.text(START)
    assert service.feed.text(START + 9_000) == first
    world.tokens.log_out(pair.access, None, START)
    assert service.feed.text(START + 9_500) == first  # looked at less than a second ago
    assert service.feed.text(START + 10_000) != first


def test_a_feed_of_thousands_is_read_too(world: AuthWorld, service: Service) -> None:
    pair = world.log_in()
    records = [world.log_in() for _ in range(300)]
    for each in records:
        world.tokens.log_out(each.access, None, START)
    assert len(service.feed.text(LATER)) > 10_000
    assert service.takes(pair.access, LATER)
    assert not service.takes(records[7].access, LATER)


def test_the_feed_is_read_by_indexes(world: AuthWorld) -> None:
    plans: list[str] = []

    def look(tx: object) -> None:
        session = tx.auth._session  # type: ignore[attr-defined]
        from meroid.store import proofs  # noqa: PLC0415 - the statement itself is what is looked at

        rows = session.all(f"EXPLAIN QUERY PLAN {proofs._ENDINGS}", (0, 0, 0, 0, 0, 0, 0))
        plans.extend(row[3] for row in rows)

    world.store.read(look)
    assert plans
    assert not [each for each in plans if each.startswith("SCAN ") and "INDEX" not in each and "CO-ROUTINE" not in each]


def test_without_a_fresh_feed_nothing_is_taken(world: AuthWorld, service: Service) -> None:
    token = world.log_in().access
    assert service.takes(token, START)
    service.reached = False
    assert service.takes(token, START + 60_000)
    with pytest.raises(FeedStaleError):
        service.checks.verify(token, START + FEED_LIFETIME_S * 1000 + 1)
    service.reached = True
    assert service.takes(token, START + 10 * MINUTE)


def test_a_service_that_never_reached_it_takes_nothing(world: AuthWorld, service: Service) -> None:
    service.reached = False
    with pytest.raises(InvalidTokenError):
        service.checks.verify(world.log_in().access, START)


def test_refresh_tokens_old_tokens_and_the_feed_itself_are_no_access_tokens(world: AuthWorld, service: Service) -> None:
    pair = world.log_in()
    for other in (pair.refresh, service.feed.text(START), pair.access[:-4], ""):
        with pytest.raises(InvalidTokenError):
            service.checks.verify(other, START)
    service.now = START + 2 * HOUR
    with pytest.raises(TokenExpiredError):
        service.checks.verify(pair.access, START + 2 * HOUR)


def test_a_rotated_signing_key_is_asked_for(world: AuthWorld, service: Service) -> None:
    assert service.takes(world.log_in().access, START)
    world.keys.rotate(START)
    assert service.takes(world.log_in().access, START + 2_000)


def test_a_bound_token_asks_for_its_proof_offline_too(world: AuthWorld, service: Service) -> None:
    key, target = ProofKey.new(), Target(method="GET", url="https://api.example/things")

    def shown(token: str | None) -> Shown:
        return Shown(proof=key.prove("GET", target.url, START, token=token), target=target)

    token = world.log_in(shown=shown(None)).access
    proof = shown(token)
    assert service.checks.verify(token, START, proof).proof_key == key.thumbprint
    for bad in (proof, shown("another")):
        with pytest.raises(BadProofError):
            service.checks.verify(token, START, bad)
    with pytest.raises(ProofRequiredError):
        service.checks.verify(token, START)


def _claims(text: str) -> Any:
    return claims_of(text)
