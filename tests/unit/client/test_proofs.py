"""Proofs made by a client: for the right host only, and from files that hold a key pair."""

import base64
import json
from pathlib import Path
from typing import Any

import base58
import pytest
from tests.near_keys import NearPair

from meroid.account.key_log import account_id_of
from meroid.account.root_key import certification_text
from meroid.account.seed import Seed
from meroid.auth.challenge import new_challenge_claims, read_challenge
from meroid.auth.methods import Enrolment, LoginAttempt
from meroid.auth.near_wallet import NearWalletLogin
from meroid.client.failures import NotANodeError
from meroid.client.proofs import (
    BadNearKeyFileError,
    ForeignChallengeError,
    NearKey,
    OfferedChallenge,
    Phrase,
    password_proof,
)
from meroid.ids import AccountId
from meroid.keys.signer import Secret

PAIR = NearPair.of(3)
ACCOUNT = AccountId(b"a" * 32)
SEED = Seed(Secret(b"s" * 32))


def answer(**changes: Any) -> dict[str, Any]:
    """What a node says to who asks for a challenge."""
    claims = new_challenge_claims("near_wallet", "node.example", issuer="meroid", at=1_800_000_000_000) | changes
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return {"data": {"challenge": f"e30.{payload}.AAAA", "nonce": claims["nonce"]}, "error": None}


def test_a_challenge_for_another_host_is_not_signed() -> None:
    assert OfferedChallenge.read(answer(), host="Node.Example.").host == "node.example"
    for host in ("evil.example", "127.0.0.1", "sub.node.example"):
        with pytest.raises(ForeignChallengeError):
            OfferedChallenge.read(answer(), host=host)


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"data": None},
        {"data": {"challenge": "x", "nonce": "AAAA"}},
        {"data": {"challenge": "a.b.c", "nonce": base64.b64encode(bytes(32)).decode()}},
    ],
)
def test_what_is_no_challenge_is_not_signed(said: object) -> None:
    with pytest.raises(NotANodeError):
        OfferedChallenge.read(said, host="node.example")


def test_a_nonce_that_is_not_the_challenges_own_is_not_signed() -> None:
    said = answer()
    said["data"]["nonce"] = base64.b64encode(bytes(32)).decode()
    with pytest.raises(NotANodeError):
        OfferedChallenge.read(said, host="node.example")


def test_a_near_file_gives_proofs_that_the_node_takes(tmp_path: Path) -> None:
    key = NearKey.from_file(PAIR.write(tmp_path / "near.json").read_bytes())
    offered = OfferedChallenge.read(answer(), host="node.example")
    claims = json.loads(base64.urlsafe_b64decode(offered.text.split(".")[1] + "=="))
    challenge = read_challenge(offered.text, claims, issuer="meroid")
    method = NearWalletLogin(None)

    def sent(proof: Any) -> LoginAttempt:
        return LoginAttempt(
            method=proof.auth_method,
            public_key=proof.public_key,
            provider_data=proof.provider_data,
            challenge=challenge,
        )

    assert method.verify(sent(key.to_log_in(offered)), None).identifier == PAIR.account
    bound = method.enrol(sent(key.to_bind(offered, ACCOUNT)), Enrolment(account_id=ACCOUNT))
    assert bound.verifier is not None
    assert key.to_bind(offered, ACCOUNT).provider_data["message"] == certification_text(ACCOUNT)


def near_file(**changes: object) -> bytes:
    private = base58.b58encode(PAIR.seed + bytes(PAIR.signer.public_key)).decode()
    fields = {"account_id": PAIR.account, "public_key": PAIR.public_text, "private_key": f"ed25519:{private}"}
    return json.dumps(fields | changes).encode()


def test_a_private_key_may_be_the_seed_alone() -> None:
    seed = f"ed25519:{base58.b58encode(PAIR.seed).decode()}"
    assert NearKey.from_file(near_file(private_key=seed)).label == PAIR.account


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 4000,
        near_file(account_id=7),
        near_file(private_key="ed25519:0OIl"),
        near_file(private_key="ed25519:" + base58.b58encode(b"short").decode()),
        near_file(private_key=base58.b58encode(PAIR.seed).decode()),
        near_file(public_key=NearPair.of(4).public_text),
    ],
)
def test_a_file_without_a_key_pair_is_refused_and_not_repeated(data: bytes) -> None:
    with pytest.raises(BadNearKeyFileError) as caught:
        NearKey.from_file(data)
    private = base58.b58encode(PAIR.seed).decode()
    assert private not in caught.value.reason


def test_the_words_name_their_account_or_the_one_that_they_were_given_for() -> None:
    offered = OfferedChallenge.read(answer(), host="node.example")
    own = Phrase(SEED)
    assert own.to_log_in(offered).provider_data["account_id"] == str(account_id_of(SEED))
    assert own.next().to_log_in(offered).public_key != own.to_log_in(offered).public_key
    given = Phrase(SEED, account_id=ACCOUNT).next()
    assert given.to_log_in(offered).provider_data["account_id"] == str(ACCOUNT)


def test_no_repr_shows_a_secret() -> None:
    shown = repr(password_proof("ann", "the secret")) + repr(NearKey.from_file(near_file())) + repr(Phrase(SEED))
    assert "the secret" not in shown
    assert base58.b58encode(PAIR.seed).decode() not in shown
    assert SEED.words().reveal().decode() not in shown
