"""No answer, log line or amount of work tells somebody who isn't here from a wrong proof of somebody who is."""

import base64
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import argon2
import pytest
import structlog
from tests.near_keys import NearPair
from tests.served_node import ServedNode, network, served_node
from tests.servers import Got

from meroid.account.key_login import KeyLogin
from meroid.auth.first_owner import Peer
from meroid.client.proofs import NearKey, OfferedChallenge
from meroid.client.tokens import claims_of
from meroid.errors import MeroidError
from meroid.ids import AccountId
from meroid.service.login import LoginRequest
from meroid.store.sqlite import SqliteStore


class Attempt(Protocol):
    """Makes the body of a log-in with a wrong proof, of somebody who is here or of somebody who isn't."""

    __name__: str

    def __call__(self, node: ServedNode, *, here: bool) -> dict[str, Any]: ...


BOUND, FREE = NearPair.of(21), NearPair.of(22)
CHANGES_BY_ITSELF = {"date", "retry-after"}
LONG_ROUNDS = 1_500


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    """A node whose owner has a password, a wallet and a hardware key."""
    with network() as joined, served_node(tmp_path_factory.mktemp("node"), joined, mode="embedded") as made:
        yield made


def offered(node: ServedNode, method: str) -> OfferedChallenge:
    got = node.ask("GET", f"/auth/challenge?method={method}", token="")
    return OfferedChallenge.read(got.json, host="127.0.0.1")


def by_password(node: ServedNode, *, here: bool) -> dict[str, Any]:
    name = "alice" if here else "nobody"
    proof = {"username": name, "password": "a wrong password"}
    return {"auth_method": "user_password", "public_key": name, "provider_data": proof}


def by_another_wallets_signature(node: ServedNode, *, here: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        **NearKey(FREE.account, NearPair.of(23).signer).to_log_in(offered(node, "near_wallet")).body()
    }
    owner = BOUND if here else FREE
    return {
        **body,
        "provider_data": {**body["provider_data"], "wallet_address": owner.account},
        "public_key": owner.public_text,
    }


def by_another_keys_signature(node: ServedNode, *, here: bool) -> dict[str, Any]:
    challenge = offered(node, "hardware_key")
    signer = NearPair.of(24).signer
    key = (BOUND if here else FREE).signer.public_key
    login = KeyLogin(method="hardware_key", host="127.0.0.1", challenge=challenge.text, key=key)
    proof = {"challenge": challenge.text, "signature": _base64(signer.sign(login.to_log_in()))}
    return {"auth_method": "hardware_key", "public_key": str(key), "provider_data": proof}


def by_others_words(node: ServedNode, *, here: bool) -> dict[str, Any]:
    challenge = offered(node, "recovery_phrase")
    signer = NearPair.of(25).signer
    own = node.data("GET", "account")["accountId"]
    account = own if here else str(FREE.signer.public_key)
    login = KeyLogin(method="recovery_phrase", host="127.0.0.1", challenge=challenge.text, key=signer.public_key)
    proof = {"account_id": account, "challenge": challenge.text, "signature": _base64(signer.sign(login.to_log_in()))}
    return {"auth_method": "recovery_phrase", "public_key": str(signer.public_key), "provider_data": proof}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


ATTEMPTS: list[Attempt] = [by_password, by_another_wallets_signature, by_another_keys_signature, by_others_words]


def tried(node: ServedNode, body: dict[str, Any]) -> Got:
    return node.ask("POST", "/auth/token", {**body, "client_name": "n", "timestamp": 0}, token="")


def shown(got: Got) -> tuple[int, dict[str, str], bytes]:
    return got.status, {name: text for name, text in got.headers.items() if name not in CHANGES_BY_ITSELF}, got.body


class Work:
    """Counts what is dear: Argon2, reads and writes of the store; and keeps the log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counted: Counter[str] = Counter()
        for owner, name in (
            (argon2.PasswordHasher, "verify"),
            (argon2.PasswordHasher, "hash"),
            (SqliteStore, "read"),
            (SqliteStore, "write"),
        ):
            monkeypatch.setattr(owner, name, self._counting(getattr(owner, name), f"{owner.__name__}.{name}"))

    def _counting(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counting(*args: Any, **more: Any) -> Any:
            self.counted[name] += 1
            return work(*args, **more)

        return counting

    def of(self, node: ServedNode, body: dict[str, Any]) -> tuple[Got, Counter[str], list[Any]]:
        self.counted.clear()
        with structlog.testing.capture_logs() as lines:
            got = tried(node, body)
        return (
            got,
            Counter(self.counted),
            [{name: said for name, said in line.items() if name != "ms"} for line in lines],
        )


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.__name__)
def test_a_stranger_and_a_wrong_proof_get_the_same_answer_after_the_same_work(
    node: ServedNode, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_wallet = NearKey(BOUND.account, BOUND.signer)
    account = AccountId.parse(str(claims_of(node.token)["account_id"]))
    node.data("POST", "/admin/keys", own_wallet.to_bind(offered(node, "near_wallet"), account).body())
    bodies = {here: attempt(node, here=here) for here in (True, False)}
    tried(node, attempt(node, here=False))  # what is loaded once is loaded
    work = Work(monkeypatch)

    known, known_work, known_log = work.of(node, bodies[True])
    stranger, stranger_work, stranger_log = work.of(node, bodies[False])

    assert shown(known) == shown(stranger)
    assert known.status == 401
    assert known_work == stranger_work
    assert known_work["SqliteStore.write"] >= 1, "failures are counted on disk"
    assert known_log == stranger_log
    if attempt is by_password:
        assert known_work["PasswordHasher.verify"] == 1
        assert known_work["PasswordHasher.hash"] == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_time_that_a_log_in_takes_tells_nothing(node: ServedNode) -> None:
    """Interleaved, each from names of their own, so that nobody is slowed; compared by Welch's t."""
    login = node.node.login
    times: dict[bool, list[float]] = {True: [], False: []}
    at = 2_000_000_000_000
    for number in range(2 * LONG_ROUNDS):
        here = (number ^ (number >> 3)) % 2 == 0
        at += 3_600_000 * 24  # nobody is throttled
        body = by_password(node, here=here)
        peer = Peer(address=f"198.51.{number // 200 % 200}.{number % 200}", host="node.example")
        wanted = LoginRequest(client_name="n", permissions=(), peer=peer, **body)
        began = time.perf_counter()
        with pytest.raises(MeroidError, match="is wrong"):
            login.log_in(wanted, at)
        times[here].append(time.perf_counter() - began)
    # the slowest tenth is the machine's own trouble
    known, stranger = (sorted(times[here])[: int(len(times[here]) * 0.9)] for here in (True, False))
    spread = statistics.variance(known) / len(known) + statistics.variance(stranger) / len(stranger)
    t = (statistics.fmean(known) - statistics.fmean(stranger)) / spread**0.5
    assert abs(t) < 4.5, (
        f"t = {t:.2f}: {statistics.fmean(known) * 1e3:.3f} ms and {statistics.fmean(stranger) * 1e3:.3f} ms"
    )
