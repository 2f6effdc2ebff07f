import pytest
from hypothesis import given, strategies as st

from meroid.auth.throttle import (
    FORGIVEN_EVERY_MS,
    FREE_FAILURES,
    FREE_FAILURES_OF_ADDRESS,
    LOGIN_DELAY_MS,
    LONGEST_DELAY_MS,
    TRUSTED_FOR_MS,
    Failures,
    LoginThrottledError,
    address_group,
    address_level,
    check_throttle,
    login_digest,
    wait_ms,
)

NOW = 1_800_000_000_000


def test_the_first_failures_cost_nothing_and_then_the_delay_doubles() -> None:
    waits = [wait_ms(Failures(here=count, last_here=NOW), NOW) for count in range(FREE_FAILURES + 4)]
    assert waits[:FREE_FAILURES] == [0] * FREE_FAILURES
    assert waits[FREE_FAILURES:] == [1_000, 2_000, 4_000, 8_000]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_delay_is_bounded_and_ends(count: int, passed: int) -> None:
    failures = Failures(here=count, last_here=NOW, anywhere=count, last_anywhere=NOW)
    assert 0 <= wait_ms(failures, NOW + passed) <= LONGEST_DELAY_MS
    assert wait_ms(failures, NOW + LONGEST_DELAY_MS) == 0


def test_failures_from_elsewhere_only_slow() -> None:
    failures = Failures(anywhere=10_000, last_anywhere=NOW)
    assert wait_ms(failures, NOW) == LOGIN_DELAY_MS
    assert wait_ms(failures, NOW + LOGIN_DELAY_MS) == 0


def test_an_address_that_succeeded_lately_is_not_slowed_by_others() -> None:
    failures = Failures(anywhere=10_000, last_anywhere=NOW, succeeded_here=NOW - TRUSTED_FOR_MS)
    assert wait_ms(failures, NOW) == 0
    assert wait_ms(failures, NOW + 1) == LOGIN_DELAY_MS - 1


def test_a_refusal_says_how_long_in_whole_seconds() -> None:
    with pytest.raises(LoginThrottledError) as caught:
        check_throttle(Failures(here=FREE_FAILURES, last_here=NOW), NOW + 1)
    assert caught.value.retry_after_s == 1


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff") != address_group("2001:db8:0:1::1")
    assert address_group("::ffff:192.0.2.1") == address_group("192.0.2.1") == "192.0.2.1"
    assert address_group("::1") == "::"
    assert address_group("nonsense") == "unknown"


def test_what_was_typed_is_not_kept() -> None:
    assert len(login_digest("user_password", "my password by mistake")) == 32
    assert login_digest("a", "bc") != login_digest("ab", "c")


def test_an_address_that_fails_too_often_under_any_names_waits() -> None:
    full = Failures(address=FREE_FAILURES_OF_ADDRESS, last_address=NOW)
    assert wait_ms(full, NOW) == FORGIVEN_EVERY_MS
    assert wait_ms(full, NOW + FORGIVEN_EVERY_MS) == 0
    assert wait_ms(Failures(address=FREE_FAILURES_OF_ADDRESS - 1, last_address=NOW), NOW) == 0


def test_who_succeeded_lately_is_not_slowed_by_others_at_the_same_address() -> None:
    assert wait_ms(Failures(address=10_000, last_address=NOW, succeeded_here=NOW - 1), NOW) == 0


@given(st.integers(0, 10**6), st.integers(-(10**9), 10**12))
def test_an_address_is_forgiven_one_failure_at_a_time(level: int, passed: int) -> None:
    left = address_level(level, NOW, NOW + passed)
    assert 0 <= left <= level
    assert address_level(level, NOW, NOW + level * FORGIVEN_EVERY_MS) == 0
    assert left - address_level(level, NOW, NOW + passed + FORGIVEN_EVERY_MS) <= 1
