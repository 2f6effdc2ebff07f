"""Whether the node lives and can work, for people's clients and for supervisors."""

from collections.abc import Callable

from meroid.errors import UnavailableError
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SignedIn, SocketEndpoint

_ALIVE = {"status": "alive"}


class NotReadyError(UnavailableError):
    """The node runs, but can't work now."""

    code = "not_ready"
    next_step = "wait a moment; if it stays, look into the log of the node"


class Health:
    """What can be asked about this process."""

    def __init__(self, *, probe_store: Callable[[], object], started_at: int) -> None:
        """`probe_store` reads something from the store and raises if it can't; `started_at` in ms."""
        self._probe_store = probe_store
        self._started_at = started_at

    def store_answers(self) -> bool:
        """Whether the store can be read now."""
        try:
            self._probe_store()
        except Exception:  # noqa: BLE001 - whatever it raises is the answer
            return False
        return True

    def uptime_s(self, at: int) -> int:
        """Whole seconds since the start."""
        return max(0, at - self._started_at) // 1000


def supervisor_endpoints(health: Health) -> list[Endpoint | SocketEndpoint]:
    """The routes that say whether to restart it, and whether to send it requests."""

    def ready(_: ApiRequest) -> ApiResponse:
        if not health.store_answers():
            raise NotReadyError("the store can't be read")
        return ApiResponse.bare({"status": "ready"})

    return [
        Endpoint("GET", "/health/live", lambda _: ApiResponse.bare(_ALIVE), Public("for supervisors"), inline=True),
        Endpoint("GET", "/health/ready", ready, Public("for supervisors; gives no details")),
    ]


def health_endpoints(health: Health) -> list[Endpoint | SocketEndpoint]:
    """The health routes of a node in both modes.

    `/admin-api/health` and `is-authed` tell clients whether a token is needed: 401 without one in
    embedded mode, 200 in proxy mode, where everybody is signed in (`wire/auth.md` K5, K6).
    """
    return [
        Endpoint("GET", "/admin-api/health", _alive, SignedIn()),
        Endpoint("GET", "/admin-api/is-authed", _alive, SignedIn()),
        *supervisor_endpoints(health),
    ]


def _alive(_: ApiRequest) -> ApiResponse:
    return ApiResponse.data(_ALIVE)
