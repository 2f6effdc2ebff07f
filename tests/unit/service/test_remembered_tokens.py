"""What the gate remembers of tokens ends with the next commit, whoever makes it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.auth_world import HOUR, OWNER, START, AuthWorld, BoxSealer, auth_world

from meroid.auth.jws import InvalidTokenError, Jws, VerifyingKey
from meroid.auth.remembered import REMEMBERED_TOKENS
from meroid.auth.tokens import TokenExpiredError, TokenRevokedError
from meroid.service.gate import Gate
from meroid.service.minting import WantedKey
from meroid.service.ports.auth import Standing
from meroid.service.signing import SigningKeys
from meroid.store.logins import SqlLogins

_ELSEWHERE = """
import sys
from pathlib import Path
from meroid.store.driver import open_writer
connection = open_writer(Path(sys.argv[1]), "ab" * 32)
connection.execute(sys.argv[2])
connection.close()
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose standing was looked up."""
    asked: list[str] = []
    look_up = SqlLogins.standing

    def counted(self: SqlLogins, key_id: str, family_id: str) -> Standing | None:
        asked.append(key_id)
        return look_up(self, key_id, family_id)

    monkeypatch.setattr(SqlLogins, "standing", counted)
    return asked


def elsewhere(folder: Path, sql: str) -> None:
    """A statement by another process."""
    subprocess.run([sys.executable, "-c", _ELSEWHERE, str(folder / "store.db"), sql], check=True, timeout=60)


def test_a_token_that_was_admitted_costs_no_read_until_something_is_written(world: AuthWorld, reads: list[str]) -> None:
    token = world.log_in().access
    reads.clear()
    for _ in range(3):
        world.gate.admit(token, START)
    assert len(reads) == 1
    world.store.write(lambda tx: tx.auth.set_setup_code(b"x" * 32))
    world.gate.admit(token, START)
    assert len(reads) == 2


def test_no_signature_is_verified_twice_whatever_is_written(world: AuthWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    token, verified, verify = world.log_in().access, list[Jws](), VerifyingKey.verify

    def counted(self: VerifyingKey, jws: Jws) -> bytes:
        verified.append(jws)
        return verify(self, jws)

    monkeypatch.setattr(VerifyingKey, "verify", counted)
    for round_ in range(3):
        world.gate.admit(token, START)
        world.store.write(lambda tx, new=bytes([round_]) * 32: tx.auth.set_setup_code(new))  # type: ignore[misc]
    assert len(verified) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE families SET revoked_at = 1",
        "UPDATE root_keys SET revoked_at = 1",
    ],
)
def test_what_another_process_ends_is_over_at_the_next_request(world: AuthWorld, tmp_path: Path, sql: str) -> None:
    token = world.log_in().access
    for _ in range(2):
        world.gate.admit(token, START)
    elsewhere(tmp_path, sql)
    with pytest.raises(TokenRevokedError):
        world.gate.admit(token, START)


def test_permissions_that_another_process_changes_hold_at_the_next_request(world: AuthWorld, tmp_path: Path) -> None:
    token = world.log_in().access
    assert [str(each) for each in world.gate.admit(token, START).held] == ["admin"]
    elsewhere(tmp_path, "UPDATE root_keys SET permissions = '[\"context:list\"]'")
    assert [str(each) for each in world.gate.admit(token, START).held] == ["context:list"]


def test_a_rotation_at_once_by_another_worker_ends_tokens_at_the_next_request(world: AuthWorld) -> None:
    token = world.log_in().access
    world.gate.admit(token, START)
    elsewhere_keys = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
    elsewhere_keys.rotate(START, at_once=True)
    with pytest.raises(InvalidTokenError):
        world.gate.admit(token, START)
    after = world.log_in(at=START + 1).access
    assert Gate(world.store, elsewhere_keys).admit(after, START + 1).account_id == OWNER


def test_a_signing_key_that_nobody_has_causes_no_read(world: AuthWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.log_in().access
    world.gate.admit(token, START)
    strange = SigningKeys(world.store, BoxSealer(), issuer="meroid", audience="meroid")
    strange.rotate(START, at_once=True)
    world.gate.admit(world.log_in().access, START)  # what was written is seen

    def never(_work: object) -> None:
        raise AssertionError("the store was read")

    monkeypatch.setattr(world.store, "read", never)
    for at in (START, START + 1, START + 59_000):
        with pytest.raises(InvalidTokenError):
            world.gate.admit(token, at)


def test_time_ends_what_is_remembered(world: AuthWorld) -> None:
    owner = world.gate.admit(world.log_in().access, START)
    wanted = WantedKey(permissions=("context:list",), expires_in_s=60)
    token = world.tokens.mint_service_token(owner, wanted, START).access
    world.gate.admit(token, START)
    world.gate.admit(token, START + 59_999)
    with pytest.raises(TokenExpiredError, match="the key"):
        world.gate.admit(token, START + 60_000)
    with pytest.raises(TokenExpiredError, match="the token"):
        world.gate.admit(token, START + HOUR)


def test_garbage_pushes_out_nothing(world: AuthWorld, reads: list[str]) -> None:
    pair = world.log_in()
    world.gate.admit(pair.access, START)
    known = len(reads)
    head, payload, signature = pair.access.split(".")
    for number in range(3 * REMEMBERED_TOKENS):
        with pytest.raises(InvalidTokenError):
            world.gate.admit(f"{head}.{payload}{number:08d}.{signature}" if number % 50 == 0 else f"x.{number}", START)
    world.gate.admit(pair.access, START)
    assert len(reads) == known


def test_what_is_remembered_is_bounded(world: AuthWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meroid.service.gate.REMEMBERED_TOKENS", 3)
    gate = Gate(world.store, world.keys)
    tokens = [world.log_in(at=START + number).access for number in range(5)]
    for token in tokens:
        gate.admit(token, START)
    assert len(gate._admitted) == 3
