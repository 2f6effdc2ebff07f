"""Asking a NEAR endpoint about access keys: what its answers mean, and what it may not do to us."""

import threading
import time
from collections.abc import Iterator

import pytest
from tests.near_chain import FULL_ACCESS, FUNCTION_CALL, NearChain, near_chain
from tests.near_keys import NearPair

from meroid.auth.near_account import AccessKey, NearRateLimitedError, NearUnreachableError
from meroid.chain.near_rpc import NearRpc

FULL, LIMITED, STRANGE = NearPair.of(1), NearPair.of(2), NearPair.of(3)
ACCOUNT = "alice.testnet"


@pytest.fixture
def chain() -> Iterator[NearChain]:
    with near_chain({ACCOUNT: {FULL.public_text: FULL_ACCESS, LIMITED.public_text: FUNCTION_CALL}}) as running:
        yield running


def ask(chain: NearChain, pair: NearPair = FULL, account: str = ACCOUNT, *, timeout_s: float = 5.0) -> AccessKey:
    return NearRpc(chain.url, timeout_s=timeout_s).access_key(account, pair.signer.public_key)


def test_full_access_function_call_and_unknown_are_told_apart(chain: NearChain) -> None:
    assert ask(chain) is AccessKey.FULL_ACCESS
    assert ask(chain, LIMITED) is AccessKey.FUNCTION_CALL
    assert ask(chain, STRANGE) is AccessKey.UNKNOWN
    assert ask(chain, account="nobody.testnet") is AccessKey.UNKNOWN
    chain.fault = "newer nodes"
    assert ask(chain, STRANGE) is AccessKey.UNKNOWN


def test_the_question_is_the_one_that_near_nodes_take(chain: NearChain) -> None:
    ask(chain)
    (question,) = chain.asked
    assert (question["jsonrpc"], question["method"]) == ("2.0", "query")
    assert question["params"] == {
        "request_type": "view_access_key",
        "finality": "final",
        "account_id": ACCOUNT,
        "public_key": FULL.public_text,
    }


@pytest.mark.parametrize(
    "fault",
    ["broken", "no JSON", "nested", "huge", "redirect", "another shape", "server error", "closed"],
)
def test_an_answer_that_is_none_is_no_verdict_about_the_key(chain: NearChain, fault: str) -> None:
    chain.fault = fault
    with pytest.raises(NearUnreachableError) as caught:
        ask(chain)
    assert caught.value.code == "near_unreachable"


@pytest.mark.parametrize("fault", ["slow", "dripping"])
def test_an_endpoint_that_holds_back_is_given_up_in_time(chain: NearChain, fault: str) -> None:
    chain.fault = fault
    begin = time.monotonic()
    with pytest.raises(NearUnreachableError):
        ask(chain, timeout_s=0.5)
    assert time.monotonic() - begin < 3


def test_nobody_there_is_unreachable() -> None:
    for endpoint in ("http://127.0.0.1:1", "http://", "http://no-such-host.invalid"):
        with pytest.raises(NearUnreachableError):
            NearRpc(endpoint).access_key(ACCOUNT, FULL.signer.public_key)


@pytest.mark.parametrize(("fault", "wait"), [("rate-limited", 7), ("rate-limited without a time", 1)])
def test_a_rate_limit_is_passed_on_with_its_time(chain: NearChain, fault: str, wait: int) -> None:
    chain.fault = fault
    with pytest.raises(NearRateLimitedError) as caught:
        ask(chain)
    assert caught.value.retry_after_s == wait


def test_more_questions_than_allowed_at_once_are_refused_and_not_queued(chain: NearChain) -> None:
    chain.fault = "slow"
    rpc = NearRpc(chain.url, timeout_s=2, at_once=1)
    refused: list[Exception] = []

    def first() -> None:
        try:
            rpc.access_key(ACCOUNT, FULL.signer.public_key)
        except NearUnreachableError as error:
            refused.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    while not chain.asked:
        time.sleep(0.01)
    with pytest.raises(NearRateLimitedError):
        rpc.access_key(ACCOUNT, FULL.signer.public_key)
    thread.join(10)
    assert len(refused) == 1
