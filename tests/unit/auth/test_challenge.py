"""Challenges: what they are for, how long they hold, and that nothing else passes for one."""

import json
from typing import Any

import pytest

from meroid.auth.challenge import (
    LIFETIME_MS,
    BadChallengeError,
    Challenge,
    ChallengeExpiredError,
    UnknownHostError,
    audience_of,
    check_challenge,
    new_challenge_claims,
    read_challenge,
)

AT = 1_800_000_000_000


def challenge(**changes: Any) -> Challenge:
    claims = new_challenge_claims("near_wallet", "node.example", issuer="meroid", at=AT) | changes
    return read_challenge("text", claims, issuer="meroid")


def test_it_is_for_one_method_one_host_and_five_minutes() -> None:
    made = challenge()

    check_challenge(made, method="near_wallet", audience="node.example", at=AT)
    check_challenge(made, method="near_wallet", audience="node.example", at=AT + LIFETIME_MS - 1)
    with pytest.raises(ChallengeExpiredError):
        check_challenge(made, method="near_wallet", audience="node.example", at=AT + LIFETIME_MS)
    for method, audience in (("hardware_key", "node.example"), ("near_wallet", "evil.example")):
        with pytest.raises(BadChallengeError):
            check_challenge(made, method=method, audience=audience, at=AT)


def test_no_two_are_alike() -> None:
    assert len({challenge().nonce for _ in range(64)}) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"token_type": "access"},
        {"token_type": None},
        {"iss": "another"},
        {"aud": ["node.example"]},
        {"exp": "1800000300"},
        {"exp": -1},
        {"exp": 2**60},
        {"method": None},
        {"nonce": None},
        {"nonce": "AAAA"},
        {"nonce": "not base64!"},
        {"nonce": "A" * 4000},
    ],
)
def test_claims_that_are_not_those_of_a_challenge_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadChallengeError) as caught:
        challenge(**changes)
    assert caught.value.code == "bad_challenge"


def test_its_text_survives_a_plain_atob() -> None:
    for _ in range(100):
        claims = new_challenge_claims("near_wallet", "xn--bcher-kva.example", issuer="meroid", at=AT)
        assert not set(">?~").intersection(json.dumps(claims))


@pytest.mark.parametrize(
    ("host", "audience"),
    [
        ("Node.Example:8443", "node.example"),
        ("localhost.", "localhost"),
        ("[::1]:2528", "::1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_audience_is_the_host_without_port(host: str, audience: str) -> None:
    assert audience_of(host) == audience


@pytest.mark.parametrize("host", [None, "", ":80", "a b", "a/b", "ü.example", "x" * 254, "a@b", '"'])
def test_what_can_be_no_host_is_no_audience(host: str | None) -> None:
    with pytest.raises(UnknownHostError):
        audience_of(host)
