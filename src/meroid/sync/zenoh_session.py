"""One Zenoh session that can be replaced by another with more addresses, its declarations carried over.

Every session must be closed: an open one keeps the interpreter from ending.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog
import zenoh

from meroid.sync.configuration import session_config
from meroid.sync.endpoints import Endpoint
from meroid.sync.errors import CannotListenError, TransportClosedError

_log = structlog.get_logger(__name__)

_REOPEN_TRIES = 20
_REOPEN_PAUSE_S = 0.05
_CLOSE_WAIT_S = 0.6
# A put into a link that stalls holds up the closing of its session.
_REPLACE_WAIT_S = 20.0


class Declared(Protocol):
    """What a session returns for a declaration."""

    def undeclare(self) -> object: ...


class Declaration:
    """Something declared on the bus, again on each new session, until it is closed."""

    def __init__(self, holder: "ZenohSession", declare: Callable[[zenoh.Session], Iterable[Declared]]) -> None:
        self._holder = holder
        self._declare = declare
        self._declared: list[Declared] = []

    def declare_on(self, session: zenoh.Session) -> None:
        """Declare on this session; what was declared on another one went with it."""
        self._declared = list(self._declare(session))

    def undeclare(self) -> None:
        """Withdraw from the bus."""
        declared, self._declared = self._declared, []
        for one in declared:
            one.undeclare()

    def close(self) -> None:
        """Withdraw for good; a second call does nothing."""
        self._holder.forget(self)


class ZenohSession:
    """Holds the current session and what is declared on it."""

    def __init__(self, listen: Sequence[Endpoint], connect: Sequence[Endpoint], *, local_discovery: str | None) -> None:
        self._listen = listen
        self._local_discovery = local_discovery
        self._declarations: dict[Declaration, None] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._session = self._open(connect)

    @property
    def current(self) -> zenoh.Session:
        """The session in use; it may be replaced or closed at any moment."""
        return self._session

    def declare(self, declare: Callable[[zenoh.Session], Iterable[Declared]]) -> Declaration:
        """Declare now and on every later session.

        Raises:
            TransportClosedError: the end has come.
        """
        with self._lock:
            if self._ended.is_set():
                raise TransportClosedError("the transport is closed")
            declaration = Declaration(self, declare)
            declaration.declare_on(self._session)
            self._declarations[declaration] = None
            return declaration

    def forget(self, declaration: Declaration) -> None:
        """Withdraw a declaration."""
        with self._lock:
            if declaration not in self._declarations:
                return
            del self._declarations[declaration]
            if not self._ended.is_set():
                declaration.undeclare()

    def peers(self) -> int:
        """Number of connected nodes."""
        if self._ended.is_set():
            return 0
        info = self._session.info
        return len({str(zid) for zid in (*info.peers_zid(), *info.routers_zid())})

    def replace(self, connect: Sequence[Endpoint]) -> None:
        """Open a new session with these addresses and declare everything again."""
        with self._lock:
            if self._ended.is_set():
                raise TransportClosedError("the transport is closed")
            _close(self._session, _REPLACE_WAIT_S)
            self._session = self._reopen(connect)
            if self._ended.is_set():
                _close(self._session, _CLOSE_WAIT_S)
                return
            for declaration in self._declarations:
                declaration.declare_on(self._session)

    def close(self) -> None:
        """Close; a link that stalls doesn't hold up the caller."""
        self._ended.set()
        _close(self._session, _CLOSE_WAIT_S)

    def _reopen(self, connect: Sequence[Endpoint]) -> zenoh.Session:
        for _ in range(_REOPEN_TRIES):
            try:
                return self._open(connect)
            except CannotListenError:
                time.sleep(_REOPEN_PAUSE_S)
        # Better a node that reaches others than none; the next change tries to listen again.
        _log.error("transport_no_longer_listens")
        return zenoh.open(session_config((), connect, local_discovery=None))

    def _open(self, connect: Sequence[Endpoint]) -> zenoh.Session:
        try:
            return zenoh.open(session_config(self._listen, connect, local_discovery=self._local_discovery))
        except zenoh.ZError as error:
            if self._local_discovery is None:
                raise CannotListenError("the addresses to listen on can't be bound") from error
        try:
            session = zenoh.open(session_config(self._listen, connect, local_discovery=None))
        except zenoh.ZError as error:
            raise CannotListenError("the addresses to listen on can't be bound") from error
        _log.warning("local_discovery_unavailable")
        return session


def _close(session: zenoh.Session, wait_s: float) -> None:
    def close() -> None:
        try:
            session.close()  # type: ignore[no-untyped-call]  # the library's stub lacks it
        except zenoh.ZError as error:
            _log.warning("transport_close_failed", error=type(error).__name__)

    closing = threading.Thread(target=close, name="meroid-transport-close", daemon=True)
    try:
        closing.start()
    except RuntimeError:  # while the interpreter ends, some versions start no thread
        close()
        return
    closing.join(wait_s)
    if closing.is_alive():
        _log.warning("transport_close_goes_on", waited_s=wait_s)
