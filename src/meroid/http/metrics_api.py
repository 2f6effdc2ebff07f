"""Numbers for operators: `/metrics` in the text that Prometheus reads, `/admin/metrics` in the wire's shape (§1.5).

Log-ins, tokens and events come from the audit trail's counts, which are exact, of all workers, and outlive a restart;
requests and verdicts from the tally, which begins anew with the service.
"""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from meroid import __version__
from meroid.access.permissions import ADMIN
from meroid.auth.first_owner import is_direct
from meroid.http.contract import POSSESSION, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.guard import Guard, bearer_of
from meroid.http.routes import Endpoint, Public, Requires, SocketEndpoint
from meroid.http.tally import BOUNDS_MS, Tally
from meroid.service.ports.audit import AuditCount
from meroid.wire.envelope import Envelope
from meroid.wire.metrics import MetricsData, metrics_data

_OPEN: Final = Public("open on the machine itself; others need a token with admin, which it checks")
_LOGIN_ROUTE: Final = "/auth/token"


class MetricsApi:
    """The numbers of a service over HTTP."""

    def __init__(
        self, *, guard: Guard, counts: Callable[[], Iterable[AuditCount]], tally: Callable[[], Tally], wide_open: bool
    ) -> None:
        """`wide_open` lets everybody read them; `tally` is asked late, as it knows the routes."""
        self._guard = guard
        self._counts = counts
        self._tally = tally
        self._wide_open = wide_open

    def endpoints(self, *, embedded: bool) -> list[Endpoint | SocketEndpoint]:
        """The routes; that of the wire beside its other ones."""
        wire = Endpoint("GET", "/admin/metrics", self.wire, Requires(ADMIN), envelope=Envelope.AUTH)
        return [Endpoint("GET", "/metrics", self.metrics, _OPEN), *([wire] if embedded else [])]

    @speaks(
        media="text/plain",
        refuses=f"missing_token invalid_token token_expired token_revoked permission_denied {POSSESSION}",
    )
    def metrics(self, request: ApiRequest) -> ApiResponse:
        """Everything, as Prometheus reads it."""
        if not self._wide_open and not is_direct(request.peer):
            needs = Requires(ADMIN)
            bearer = bearer_of(request.headers.get("authorization"))
            caller = self._guard.admit(needs, bearer, request.peer, request.at, request.shown)
            self._guard.authorise(caller, needs, request.params)
        registry = CollectorRegistry()
        registry.register(_Collected(list(self._counts()), self._tally()))
        ProcessCollector(registry=registry)
        return ApiResponse(body=generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    @speaks(gives=MetricsData)
    def wire(self, _: ApiRequest) -> ApiResponse:
        """The numbers of the wire."""
        log_ins = [each for each in self._tally().timed() if each.route == _LOGIN_ROUTE]
        count, seconds = sum(each.count for each in log_ins), sum(each.seconds for each in log_ins)
        average_ms = 1000 * seconds / count if count else 0.0
        events = [(each.action, each.outcome, each.count) for each in self._counts()]
        return ApiResponse.data(metrics_data(events, average_ms), Envelope.AUTH)


class _Collected:
    """One reading, in the families that Prometheus has."""

    def __init__(self, counts: list[AuditCount], tally: Tally) -> None:
        self._counts = counts
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield InfoMetricFamily("meroid_build", "The version that runs.", {"version": __version__})
        logins = CounterMetricFamily("meroid_logins", "Log-ins that were tried.", labels=["method", "outcome"])
        tokens = CounterMetricFamily("meroid_tokens", "What was done with tokens.", labels=["action", "outcome"])
        events = CounterMetricFamily("meroid_audit_events", "Events, those left out too.", labels=["action", "outcome"])
        for each in self._counts:
            if each.action == "login":
                logins.add_metric([each.method or "", each.outcome], each.count)
            if each.action.startswith("token."):
                tokens.add_metric([each.action.partition(".")[2], each.outcome], each.count)
        merged: dict[tuple[str, str], int] = {}
        for each in self._counts:
            merged[each.action, each.outcome] = merged.get((each.action, each.outcome), 0) + each.count
        for (action, outcome), count in merged.items():
            events.add_metric([action, outcome], count)
        yield from (logins, tokens, events)
        verdicts = CounterMetricFamily("meroid_validations", "Tokens judged by /auth/validate.", labels=["verdict"])
        for verdict, count in self._tally.verdicts().items():
            verdicts.add_metric([verdict], count)
        yield verdicts
        yield self._durations()

    def _durations(self) -> Metric:
        durations = HistogramMetricFamily(
            "meroid_http_request_duration_seconds", "Until the answer begins.", labels=["route", "status"]
        )
        for each in self._tally.timed():
            total, buckets = 0, []
            for bound, count in zip((*BOUNDS_MS, None), each.buckets, strict=True):
                total += count
                buckets.append(("+Inf" if bound is None else str(bound / 1000), total))
            durations.add_metric([each.route, each.status], buckets, each.seconds)
        return durations
