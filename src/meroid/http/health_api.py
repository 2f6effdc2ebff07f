"""Whether the node lives and can work, for people's clients and for supervisors."""

from collections.abc import Callable

from meroid.errors import UnavailableError
from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SignedIn, SocketEndpoint
from meroid.wire import node_answers as gives

_ALIVE = {"status": "alive"}


class NotReadyError(UnavailableError):
    """The node runs, but can't work now."""

    code = "not_ready"
    next_step = "wait a moment; if it stays, look into the log of the node"


class Health:
    """What can be asked about this process."""

    def __init__(
        self, *, probe_store: Callable[[], object], started_at: int, probe_write: Callable[[], object] = lambda: None
    ) -> None:
        """What raises if the store can't be used; `started_at` in ms.

        `probe_store` reads from it. `probe_write` writes to it, but only after a write had failed: being asked costs the
        disk nothing.
        """
        self._probe_store = probe_store
        self._probe_write = probe_write
        self._started_at = started_at

    def store_answers(self) -> bool:
        """Whether the store can be read now, and, as far as is known, written."""
        try:
            self._probe_store()
            self._probe_write()
        except Exception:  # noqa: BLE001 - whatever it raises is the answer
            return False
        return True

    def uptime_s(self, at: int) -> int:
        """Whole seconds since the start."""
        return max(0, at - self._started_at) // 1000


def supervisor_endpoints(health: Health) -> list[Endpoint | SocketEndpoint]:
    """The routes that say whether to restart it, and whether to send it requests."""

    @speaks(gives=gives.Ready, bare=True, refuses="not_ready")
    def ready(_: ApiRequest) -> ApiResponse:
        if not health.store_answers():
            raise NotReadyError("the store can't be read or written")
        return ApiResponse.bare({"status": "ready"})

    return [
        Endpoint("GET", "/health/live", _live, Public("for supervisors"), inline=True),
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


@speaks(gives=gives.Alive)
def _alive(_: ApiRequest) -> ApiResponse:
    """Whether the caller's token holds."""
    return ApiResponse.data(_ALIVE)


@speaks(gives=gives.Alive, bare=True)
def _live(_: ApiRequest) -> ApiResponse:
    """Whether the process answers."""
    return ApiResponse.bare(_ALIVE)
