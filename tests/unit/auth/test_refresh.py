"""The rule for refresh tokens, alone and as a machine with honest clients and a thief."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meroid.auth.refresh import (
    REPEAT_WINDOW_MS,
    Ended,
    Exchange,
    Expired,
    Keep,
    Presented,
    Repeat,
    Reused,
    Verdict,
    decide_refresh,
)

NOW = 1_000_000_000
FRESH = Presented(
    family_revoked=False,
    first=True,
    issued_at=NOW,
    expires_at=NOW + 10**9,
    exchanged_at=None,
    successor_used=False,
)
LATER = replace(FRESH, first=False)


@pytest.mark.parametrize(
    ("presented", "verdict"),
    [
        (FRESH, Exchange()),
        (LATER, Keep()),
        (replace(LATER, issued_at=NOW - REPEAT_WINDOW_MS), Keep()),
        (replace(LATER, issued_at=NOW - REPEAT_WINDOW_MS - 1), Exchange()),
        (replace(LATER, issued_at=NOW + 5), Keep()),
        (replace(FRESH, exchanged_at=NOW - REPEAT_WINDOW_MS), Repeat()),
        (replace(FRESH, exchanged_at=NOW - REPEAT_WINDOW_MS, successor_used=True), Repeat()),
        (replace(FRESH, exchanged_at=NOW - REPEAT_WINDOW_MS - 1), Repeat()),
        (replace(FRESH, exchanged_at=NOW - REPEAT_WINDOW_MS - 1, successor_used=True), Reused()),
        (replace(FRESH, exchanged_at=NOW + 5, successor_used=True), Repeat()),
        (replace(FRESH, expires_at=NOW), Expired()),
        (replace(FRESH, family_revoked=True), Ended()),
        (replace(FRESH, family_revoked=True, expires_at=NOW), Ended()),
    ],
)
def test_each_case_has_its_verdict(presented: Presented, verdict: Verdict) -> None:
    assert decide_refresh(presented, NOW) == verdict


@dataclass
class _Token:
    issued_at: int
    exchanged_at: int | None = None
    successor: int | None = None


class RefreshMachine(RuleBasedStateMachine):
    """One log-in: an honest client that may lose answers and share its storage, and a thief with old copies."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.tokens = [_Token(NOW)]
        self.held = 0
        self.revoked = False
        self.thief_came = False

    def present(self, index: int) -> Verdict:
        token = self.tokens[index]
        successor = self.tokens[token.successor] if token.successor is not None else None
        verdict = decide_refresh(
            Presented(
                family_revoked=self.revoked,
                first=index == 0,
                issued_at=token.issued_at,
                expires_at=NOW + 10**12,
                exchanged_at=token.exchanged_at,
                successor_used=successor is not None and successor.exchanged_at is not None,
            ),
            self.now,
        )
        if verdict == Exchange():
            token.successor, token.exchanged_at = len(self.tokens), self.now
            self.tokens.append(_Token(self.now))
        elif verdict == Reused():
            self.revoked = True
        return verdict

    @rule(passed=st.sampled_from([0, 1, 30_000, 60_000, 60_001, 3_600_000]))
    def time_passes(self, passed: int) -> None:
        self.now += passed

    @precondition(lambda self: not self.thief_came)
    @rule(lost=st.booleans())
    def the_client_refreshes(self, lost: bool) -> None:  # noqa: FBT001
        verdict = self.present(self.held)
        assert verdict in {Exchange(), Keep(), Repeat()}, "an honest client is never logged out"
        successor = self.tokens[self.held].successor
        if not lost and verdict != Keep():
            assert successor is not None
            self.held = successor

    @precondition(lambda self: len(self.tokens) > 2)
    @rule(data=st.data())
    def a_thief_presents_an_old_copy(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.tokens) - 1))
        token = self.tokens[index]
        successor = self.tokens[token.successor] if token.successor is not None else None
        caught = (
            token.exchanged_at is not None
            and self.now - token.exchanged_at > REPEAT_WINDOW_MS
            and successor is not None
            and successor.exchanged_at is not None
        )
        self.thief_came = True
        verdict = self.present(index)
        if self.revoked:
            assert verdict in {Reused(), Ended()}
        assert not caught or self.revoked

    @invariant()
    def every_token_has_at_most_one_successor(self) -> None:
        successors = [token.successor for token in self.tokens if token.successor is not None]
        assert len(successors) == len(set(successors))


TestRefreshMachine = RefreshMachine.TestCase
TestRefreshMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
