"""Tokens that are bound to a key serve nobody without it, on any worker, and tell two contexts nothing in common."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.auth_world import CONTEXT, EXECUTOR, MINUTE, START, AuthWorld, auth_world

from meroid.access.permissions import ADMIN
from meroid.auth.dpop import BadProofError, ProofRequiredError, Shown, Target, read_proof
from meroid.auth.jws import InvalidTokenError
from meroid.client.proof_key import ProofKey
from meroid.client.tokens import claims_of
from meroid.service.gate import Gate
from meroid.service.minting import WantedKey
from meroid.service.possession import ProofKeySharedError
from meroid.service.tokens import TokenPair

URL = "http://localhost:2528/admin-api/contexts"
TARGET = Target(method="GET", url=URL)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AuthWorld]:
    with auth_world(tmp_path) as made:
        yield made


def shown(key: ProofKey, token: str | None = None, *, at: int = START) -> Shown:
    return Shown(proof=key.prove("GET", URL, at, token=token), target=TARGET)


def log_in(world: AuthWorld, key: ProofKey, *, at: int = START) -> TokenPair:
    return world.log_in(shown=shown(key, at=at), at=at)


def test_both_tokens_name_the_key_and_the_log_in_keeps_it(world: AuthWorld) -> None:
    key = ProofKey.new()
    pair = log_in(world, key)
    assert claims_of(pair.access)["cnf"] == claims_of(pair.refresh)["cnf"] == {"jkt": key.thumbprint}
    assert world.gate.admit(pair.access, START, shown(key, pair.access)).proof_key == key.thumbprint


def test_a_token_without_its_key_opens_nothing(world: AuthWorld) -> None:
    key = ProofKey.new()
    token = log_in(world, key).access
    with pytest.raises(ProofRequiredError):
        world.gate.admit(token, START)
    with pytest.raises(BadProofError, match="another key"):
        world.gate.admit(token, START, shown(ProofKey.new(), token))
    with pytest.raises(BadProofError, match="another token"):
        world.gate.admit(token, START, shown(key))


def test_a_proof_is_good_for_one_request_on_every_worker(world: AuthWorld) -> None:
    key = ProofKey.new()
    token = log_in(world, key).access
    proof = shown(key, token)
    other = Gate(world.store, world.keys)
    world.gate.admit(token, START, proof)
    for gate in (world.gate, other):
        with pytest.raises(BadProofError, match="used before"):
            gate.admit(token, START + 1000, proof)


def test_used_proofs_are_forgotten_when_their_time_refuses_them(world: AuthWorld) -> None:
    key = ProofKey.new()
    token = log_in(world, key).access
    world.gate.admit(token, START, shown(key, token))
    world.gate.admit(token, START + 5 * MINUTE, shown(key, token, at=START + 5 * MINUTE))
    assert world.store.write(lambda tx: tx.auth.forget_proofs(expired_before=START + 3 * MINUTE)) == 0


def test_an_unbound_log_in_stays_as_it_was(world: AuthWorld) -> None:
    pair = world.log_in()
    assert "cnf" not in claims_of(pair.access)
    assert world.gate.admit(pair.access, START).proof_key is None
    second = world.tokens.refresh(pair.access, pair.refresh, START, shown(ProofKey.new()))
    assert "cnf" not in claims_of(second.refresh)  # or a thief could bind the owner's log-in to a key of their own


def test_a_token_that_lost_its_binding_is_refused(world: AuthWorld) -> None:
    token = log_in(world, ProofKey.new()).access
    claims = replace(world.keys.access(token, START), proof_key=None)
    with pytest.raises(InvalidTokenError):
        world.gate.admit(world.keys.issuer(START).access(claims), START)


def test_a_refreshed_pair_is_bound_to_the_same_key(world: AuthWorld) -> None:
    key = ProofKey.new()
    pair = log_in(world, key)
    second = world.tokens.refresh(pair.access, pair.refresh, START, shown(key))
    assert claims_of(second.access)["cnf"] == {"jkt": key.thumbprint}


def test_a_proof_of_a_refresh_isnt_taken_twice(world: AuthWorld) -> None:
    key = ProofKey.new()
    pair = log_in(world, key)
    proof = shown(key)
    world.tokens.refresh(pair.access, pair.refresh, START, proof)
    with pytest.raises(BadProofError, match="used before"):
        world.tokens.refresh(pair.access, pair.refresh, START, proof)


def test_a_log_out_needs_the_key(world: AuthWorld) -> None:
    key = ProofKey.new()
    pair = log_in(world, key)
    with pytest.raises(ProofRequiredError):
        world.tokens.log_out(pair.access, None, START)
    world.gate.admit(pair.access, START, shown(key, pair.access))
    world.tokens.log_out(pair.access, pair.refresh, START, shown(key))


def test_two_contexts_share_no_key(world: AuthWorld) -> None:
    world.add_client_key()
    owner = world.gate.admit(world.log_in().access, START)
    key, login_key = ProofKey.new(), ProofKey.new()
    log_in(world, login_key)
    wanted = WantedKey(permissions=(), context_id=CONTEXT, identity=EXECUTOR)

    def proof(of: ProofKey) -> str:
        return of.prove("GET", URL, START)

    pair = world.tokens.mint_client(owner, wanted, START, read_proof(proof(key)))
    assert claims_of(pair.access)["cnf"] == {"jkt": key.thumbprint}
    world.tokens.mint_client(owner, wanted, START, read_proof(proof(key)))
    with pytest.raises(ProofKeySharedError):
        world.tokens.mint_client(owner, wanted, START, read_proof(proof(login_key)))
    with pytest.raises(ProofKeySharedError):
        world.tokens.mint_client(owner, WantedKey(permissions=(str(ADMIN),)), START, read_proof(proof(key)))
    with pytest.raises(ProofKeySharedError):
        log_in(world, key)
