"""The shape of `GET /admin/metrics` (`wire/auth.md` §1.5), which there has true numbers."""

from collections.abc import Iterable, Mapping

import msgspec


class MetricsData(msgspec.Struct, frozen=True, kw_only=True):
    """Log-ins since the first start; failures by the code of the refusal; the average is of this run of the service."""

    auth_attempts: int
    auth_successes: int
    auth_failures: int
    auth_success_rate: float
    auth_avg_duration_ms: float
    auth_failures_by_type: Mapping[str, int]
    token_refreshes: int
    token_revocations: int


def metrics_data(events: Iterable[tuple[str, str, int]], average_ms: float) -> MetricsData:
    """The numbers from counts of events, each with action and outcome."""
    known: dict[tuple[str, str], int] = {}
    for action, outcome, count in events:
        known[action, outcome] = known.get((action, outcome), 0) + count
    successes = known.get(("login", "ok"), 0)
    failures = {outcome: count for (action, outcome), count in known.items() if action == "login" and outcome != "ok"}
    attempts = successes + sum(failures.values())
    return MetricsData(
        auth_attempts=attempts,
        auth_successes=successes,
        auth_failures=attempts - successes,
        auth_success_rate=successes / attempts if attempts else 0.0,
        auth_avg_duration_ms=average_ms,
        auth_failures_by_type=failures,
        token_refreshes=known.get(("token.refresh", "ok"), 0),
        token_revocations=known.get(("token.revoke", "ok"), 0) + known.get(("root_key.remove", "ok"), 0),
    )
