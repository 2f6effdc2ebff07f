"""Fifty tabs that share one pair of tokens refresh at once, answers get lost, clients sleep: nobody is logged out.

And every replay after that is caught. A clock of the simulation's own runs the real service on a real store.
"""

import heapq
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.auth_world import HOUR, SECOND, START, AuthWorld, auth_world

from meroid.auth.dpop import BadProofError, ProofRequiredError, Shown, Target
from meroid.auth.tokens import TokenRevokedError
from meroid.client.proof_key import ProofKey
from meroid.service.tokens import TokenPair, TokenReuseError

TABS = 50
LOST = 0.05
ROUNDS = 400
LONG_ROUNDS = 10_000
LONG = os.environ.get("MEROID_LONG") == "1"
DAY = 24 * HOUR
REFRESH = Target(method="POST", url="http://localhost:2528/auth/refresh")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


@dataclass
class Storage:
    """What tabs, or processes with one file, share."""

    world: AuthWorld
    pair: TokenPair
    key: ProofKey | None = None
    now: int = START
    used: list[TokenPair] = field(default_factory=list)
    _events: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def after(self, delay: int, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, do))

    def run(self) -> None:
        while self._events:
            self.now, _, do = heapq.heappop(self._events)
            do()

    def refresh(self, pair: TokenPair, *, skew: int = 0) -> TokenPair:
        shown = Shown()
        if self.key is not None:
            shown = Shown(proof=self.key.prove("POST", REFRESH.url, self.now), target=REFRESH)
        return self.world.tokens.refresh(pair.access, pair.refresh, self.now + skew, shown)


class Client:
    """Reads the shared pair, refreshes it, and writes what comes back, whatever has happened there meanwhile."""

    def __init__(self, storage: Storage, chance: random.Random, *, skew: int = 0) -> None:
        self.storage = storage
        self.chance = chance
        self.skew = skew
        self.has: TokenPair | None = None

    def begin(self) -> None:
        """Send what is stored now."""
        pair = self.storage.pair
        self.storage.after(self.chance.randrange(0, 2 * SECOND), lambda: self.arrive(pair))

    def arrive(self, pair: TokenPair) -> None:
        """The node answers; the answer may get lost, and then the client asks again, with what is stored then."""
        answer = self.storage.refresh(pair, skew=self.skew)
        if self.chance.random() < LOST:
            self.storage.after(self.chance.randrange(SECOND, 20 * SECOND), self.begin)
        else:
            self.storage.after(self.chance.randrange(0, 3 * SECOND), lambda: self.keep(answer))

    def keep(self, answer: TokenPair) -> None:
        """Write over what is stored."""
        self.storage.pair = self.has = answer


def play(world: AuthWorld, rounds: int, *, seed: int, key: ProofKey | None = None) -> Storage:
    """A log-in, and so many times that its clients wake up and refresh."""
    chance = random.Random(seed)
    shown = None
    if key is not None:
        target = Target(method="POST", url="http://localhost:2528/auth/token")
        shown = Shown(proof=key.prove("POST", target.url, START), target=target)
    storage = Storage(world, world.log_in(shown=shown), key)
    for _ in range(rounds):
        storage.now += chance.choice([HOUR, HOUR, HOUR, 90 * SECOND, 10 * SECOND, 29 * DAY])
        storage.used.append(storage.pair)
        clients = [
            Client(storage, chance, skew=chance.choice([0, 0, -20 * SECOND, 20 * SECOND]))
            for _ in range(chance.choice([1, 2, 2, 5, TABS]))
        ]
        for each in clients:
            storage.after(chance.randrange(0, SECOND), each.begin)
        storage.run()
        assert all(each.has is not None for each in clients)
    return storage


def move_on(storage: Storage) -> list[TokenPair]:
    """Refresh twice more, an hour apart; the pairs from before that haven't ended, whose successor was used by that."""
    before = [*storage.used, storage.pair]
    storage.now += HOUR
    successor = storage.refresh(storage.pair)
    storage.now += HOUR
    storage.pair = storage.refresh(successor)
    verified = storage.world.keys.refresh
    return [
        each
        for each in before
        if each.refresh != successor.refresh and verified(each.refresh, storage.now).expires_at > storage.now // 1000
    ]


@pytest.mark.grows
@pytest.mark.timeout(900)
def test_nobody_is_logged_out(world: AuthWorld) -> None:
    storage = play(world, LONG_ROUNDS if LONG else ROUNDS, seed=1)
    world.gate.admit(storage.pair.access, storage.now)


@pytest.mark.grows
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(200 if LONG else 20))
def test_every_replay_after_the_successor_was_used_ends_the_log_in(world: AuthWorld, seed: int) -> None:
    storage = play(world, 5, seed=seed)
    stale = random.Random(seed).choice(move_on(storage))
    with pytest.raises(TokenReuseError):
        storage.refresh(stale)
    with pytest.raises(TokenRevokedError):
        storage.refresh(storage.pair)


@pytest.mark.grows
@pytest.mark.timeout(900)
def test_without_the_key_no_pair_is_refreshed_and_none_is_ended(world: AuthWorld) -> None:
    key = ProofKey.new()
    storage = play(world, LONG_ROUNDS // 10 if LONG else 60, seed=2, key=key)
    stale = move_on(storage)
    thief = ProofKey.new()
    for pair in [*storage.used, storage.pair]:
        with pytest.raises(ProofRequiredError):
            world.tokens.refresh(pair.access, pair.refresh, storage.now)
        foreign = Shown(proof=thief.prove("POST", REFRESH.url, storage.now), target=REFRESH)
        with pytest.raises(BadProofError):
            world.tokens.refresh(pair.access, pair.refresh, storage.now, foreign)
        with pytest.raises(ProofRequiredError):
            world.tokens.log_out(pair.access, pair.refresh, storage.now)
    storage.now += HOUR
    storage.refresh(storage.pair)
    with pytest.raises(TokenReuseError):  # with the key it is the owner's copy, or worse
        storage.refresh(stale[-1])
