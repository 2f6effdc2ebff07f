"""The `Transport` port over Zenoh, in process: peers find each other without a server.

- Zenoh calls back on its own threads; everything hops to a bounded queue at once.
- Sending runs on threads of its own, so a peer that stalls delays no caller; after five seconds
  the engine drops that peer. What finds no room is dropped and counted, never waited for.
- What arrives is checked for form and size only; what it means is for the receiver to prove.
"""

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import zenoh
from zenoh.handlers import Callback

from meroid.service.ports.transport import PeerUnreachableError, Registration
from meroid.sync.endpoints import Endpoint, advertised, is_endpoint, parse_endpoint, ready_to_listen
from meroid.sync.errors import MessageTooLargeError
from meroid.sync.keys import ask_key, handle_of, here_key, here_pattern, topic_key
from meroid.sync.limits import (
    ANSWER_BYTES,
    KEPT_ENDPOINTS,
    MESSAGE_BYTES,
    QUEUED_BYTES,
    QUEUED_MESSAGES,
    QUEUED_QUESTIONS,
    STALL_SECONDS,
    TOPIC_MESSAGES,
)
from meroid.sync.losses import Loss, Losses
from meroid.sync.mailboxes import Mailboxes
from meroid.sync.presence import Presence
from meroid.sync.zenoh_session import Declared, ZenohSession

_PRESENCE_WAIT_S = 1.0
_CLOSE_DRAIN_S = 0.15
_CLOSE_JOIN_S = 0.15
# Links come back within milliseconds after the session was opened; a question waits for that.
_SETTLE_S = 2.0
_SETTLE_PAUSE_S = 0.02


class ZenohTransport:
    """Publish, subscribe, ask and presence between nodes.

    Args:
        listen: addresses `tcp/host:port` to listen on; port 0 takes a free one, kept from then on.
        connect: addresses to keep a connection to.
        local_discovery: name of the neighbourhood in which nodes of this machine find each other;
            `None` finds nobody. It decides who is found, not who may talk.

    Raises:
        BadEndpointError: an address of another form.
        CannotListenError: an address can't be bound.
    """

    def __init__(self, listen: Sequence[str], connect: Sequence[str] = (), local_discovery: str | None = None) -> None:
        self._configured = [parse_endpoint(text) for text in connect]
        self._learnt: list[Endpoint] = []
        self._listening = ready_to_listen(parse_endpoint(text, may_choose_port=True) for text in listen)
        self._losses = Losses()
        self._own: dict[tuple[str, str], int] = {}
        self._watched: dict[str, list[Presence]] = {}
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._closed = False
        self._session = ZenohSession(self._listening, self._configured, local_discovery=local_discovery)
        self._outgoing = _mailboxes("send", workers=1)
        self._incoming = _mailboxes("receive", workers=4)
        self._asking = _mailboxes("ask", workers=4)
        self._answering = _mailboxes("answer", workers=4, max_jobs=QUEUED_QUESTIONS.value)
        atexit.register(self.close)

    def publish(self, topic: str, payload: bytes) -> None:
        """Queue a message to everybody else who is subscribed.

        Raises:
            BadTopicError: not 32 lower-case hex digits.
            MessageTooLargeError: larger than peers accept.
        """
        key = topic_key(topic)
        _check_size(payload)
        if not self._outgoing.put(topic, lambda: self._send(key, payload), size=len(payload)):
            self._losses.count("outgoing_full")

    def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Registration:
        """Receive what others publish, one message of the topic at a time, in the order of each sender.

        Raises:
            BadTopicError: not 32 lower-case hex digits.
            TransportClosedError: after `close`.
        """
        key = topic_key(topic)
        life = _Life()

        def deliver(payload: bytes) -> None:
            if not life.ended:
                receive(payload)

        def arrived(sample: zenoh.Sample) -> None:
            payload = self._checked(sample.key_expr, key, sample.payload)
            if payload is None or sample.kind != zenoh.SampleKind.PUT:
                return
            if not self._incoming.put(topic, lambda: deliver(payload), size=len(payload)):
                self._losses.count("incoming_full")

        declaration = self._session.declare(
            lambda session: [
                session.declare_subscriber(key, Callback(arrived, indirect=False), allowed_origin=zenoh.Locality.REMOTE)
            ]
        )
        return _Ending(declaration, life.end)

    def serve(self, topic: str, handle: str, answer: Callable[[bytes], bytes | None]) -> Registration:
        """Be present under a topic and answer what is asked there.

        Raises:
            BadTopicError: topic or handle is not 32 lower-case hex digits.
            TransportClosedError: after `close`.
        """
        key, here = ask_key(topic, handle), here_key(topic, handle)

        def asked(query: zenoh.Query) -> None:
            question = self._checked(query.key_expr, key, query.payload)
            if question is None:
                query.drop()  # type: ignore[no-untyped-call]  # the library's stub lacks it
            elif not self._answering.put(
                object(), lambda: self._respond(query, key, answer, question), size=len(question)
            ):
                self._losses.count("questions_full")
                query.drop()  # type: ignore[no-untyped-call]  # the library's stub lacks it

        def declare(session: zenoh.Session) -> Iterable[Declared]:
            # The queryable first: whoever sees the token may ask at once.
            yield session.declare_queryable(
                key, Callback(asked, indirect=False), complete=True, allowed_origin=zenoh.Locality.REMOTE
            )
            yield session.liveliness().declare_token(here)

        self._count_own(topic, handle, 1)
        try:
            declaration = self._session.declare(declare)
        except BaseException:
            self._count_own(topic, handle, -1)
            raise
        return _Ending(declaration, lambda: self._count_own(topic, handle, -1))

    def ask(self, topic: str, handle: str, question: bytes, *, timeout_s: float) -> bytes:
        """Ask one peer and wait for its answer.

        What a peer declares takes a moment to get here, longer where links come up. So for two
        seconds a question that gets no answer is put again within the time; the peer may see it
        more than once.

        Raises:
            BadTopicError: topic or handle is not 32 lower-case hex digits.
            MessageTooLargeError: the question is larger than peers accept.
            PeerUnreachableError: no answer within the time, or none of an acceptable size.
        """
        key = ask_key(topic, handle)
        _check_size(question)
        asked_at = time.monotonic()
        deadline = asked_at + timeout_s
        pause = _SETTLE_PAUSE_S
        while not self._closed:
            answer = self._ask_once(key, question, deadline)
            if answer is not None:
                return answer
            now = time.monotonic()
            if now + pause >= deadline or now - asked_at > _SETTLE_S:
                break
            time.sleep(pause)
            pause *= 2
        raise PeerUnreachableError("the peer gave no answer")

    def present(self, topic: str) -> Sequence[str]:
        """Handles that serve this topic now, this node's own left out.

        Raises:
            BadTopicError: not 32 lower-case hex digits.
        """
        pattern = here_pattern(topic)
        with self._lock:
            watched = list(self._watched.get(topic, ()))
        if watched:
            return watched[0].here()
        if self._closed:
            return []
        replies = self._session.current.liveliness().get(pattern, timeout=_PRESENCE_WAIT_S)
        found = {handle_of(str(reply.ok.key_expr)) for reply in replies if reply.ok is not None}
        return sorted(handle for handle in found if handle is not None and not self._is_own(topic, handle))

    def watch(self, topic: str, changed: Callable[[str, bool], None]) -> Registration:
        """Call back for every peer that is here, comes or goes; one at a time.

        Raises:
            BadTopicError: not 32 lower-case hex digits.
            TransportClosedError: after `close`.
        """
        pattern = here_pattern(topic)
        life = _Life()

        def tell() -> None:
            for handle, here in presence.take():
                if not life.ended:
                    changed(handle, here)

        # One job waits at most, so it needs no bound, and a change of presence is never lost.
        presence = Presence(lambda: self._incoming.put(life, tell, bounded=False))

        def noticed(sample: zenoh.Sample) -> None:
            handle = handle_of(str(sample.key_expr))
            if handle is None:
                self._losses.count("incoming_malformed")
            elif sample.kind != zenoh.SampleKind.PUT:
                presence.went(handle)
            elif not self._is_own(topic, handle) and not presence.came(handle):
                self._losses.count("handles_full")

        def declare(session: zenoh.Session) -> Iterable[Declared]:
            presence.all_went()
            yield session.liveliness().declare_subscriber(pattern, Callback(noticed, indirect=False), history=True)

        declaration = self._session.declare(declare)
        with self._lock:
            self._watched.setdefault(topic, []).append(presence)
        return _Ending(declaration, life.end, lambda: self._unwatch(topic, presence))

    def endpoints(self) -> Sequence[str]:
        """Addresses under which others can connect to this node, at most four."""
        return [str(endpoint) for endpoint in advertised(self._listening)]

    def connect(self, endpoints: Sequence[str]) -> None:
        """Keep a connection to these addresses from now on; unreachable ones are retried.

        A new address costs a moment in which this node is away: what is published meanwhile is
        missed, and watchers see every peer go and come back.

        Raises:
            BadEndpointError: an address of another form; then none is taken.
            TransportClosedError: after `close`.
        """
        wanted = dict.fromkeys(parse_endpoint(text) for text in endpoints)
        with self._connecting:
            known = {*self._configured, *self._learnt, *self._listening, *advertised(self._listening)}
            new = [endpoint for endpoint in wanted if endpoint not in known]
            if not new:
                return
            self._learnt = [*self._learnt, *new][-KEPT_ENDPOINTS.value :]
            # also where gossip connected already: only a configured address is tried again after a loss
            self._session.replace([*self._configured, *self._learnt])

    def takes(self, endpoint: str) -> bool:
        """Whether a text is an address of the form that `connect` takes."""
        return is_endpoint(endpoint)

    def peers(self) -> int:
        """Number of connected nodes."""
        return self._session.peers()

    def losses(self) -> Mapping[Loss, int]:
        """Messages dropped so far, by reason."""
        return self._losses.totals()

    def close(self) -> None:
        """Send what waits, as far as a moment allows, and end; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._outgoing.drain(_CLOSE_DRAIN_S)
        queues = (self._outgoing, self._incoming, self._asking, self._answering)
        for queue in queues:
            queue.stop()
        self._session.close()
        for queue in queues:
            queue.join(_CLOSE_JOIN_S / len(queues))

    def _send(self, key: str, payload: bytes) -> None:
        start = time.monotonic()
        try:
            self._session.current.put(
                key,
                payload,
                congestion_control=zenoh.CongestionControl.BLOCK,
                allowed_destination=zenoh.Locality.REMOTE,
            )
        except zenoh.ZError:
            self._losses.count("outgoing_failed")
        if time.monotonic() - start >= STALL_SECONDS.value * 0.95:
            self._losses.count("outgoing_stalled")

    def _ask_once(self, key: str, question: bytes, deadline: float) -> bytes | None:
        waiting = _Waiting(key)

        def send() -> None:
            left = deadline - time.monotonic()
            if left <= 0:
                waiting.ended()
                return
            try:
                self._session.current.get(
                    key,
                    Callback(waiting.arrived, waiting.ended, indirect=False),
                    target=zenoh.QueryTarget.BEST_MATCHING,
                    consolidation=zenoh.ConsolidationMode.NONE,
                    timeout=left,
                    # Two that block on one stalled link can lock the engine up (its issue 1876); a question
                    # and its answer give up after a second instead, and who asked asks again.
                    congestion_control=zenoh.CongestionControl.DROP,
                    payload=question,
                    allowed_destination=zenoh.Locality.REMOTE,
                )
            except zenoh.ZError:
                waiting.ended()

        if not self._asking.put(key, send, size=len(question)):
            self._losses.count("outgoing_full")
            return None
        return waiting.wait(deadline - time.monotonic())

    def _respond(self, query: zenoh.Query, key: str, answer: Callable[[bytes], bytes | None], question: bytes) -> None:
        try:
            said = answer(question)
            if said is not None and len(said) > ANSWER_BYTES.value:
                self._losses.count("answer_oversized")
            elif said is not None:
                query.reply(key, said)
        except zenoh.ZError:
            self._losses.count("outgoing_failed")
        finally:
            query.drop()  # type: ignore[no-untyped-call]  # the library's stub lacks it

    def _checked(self, name: zenoh.KeyExpr, key: str, payload: zenoh.ZBytes | None) -> bytes | None:
        """Bytes of a message that was sent under exactly this name and is not too large, else `None`."""
        if payload is None or str(name) != key:
            self._losses.count("incoming_malformed")
            return None
        if len(payload) > MESSAGE_BYTES.value:
            self._losses.count("incoming_oversized")
            return None
        return payload.to_bytes()

    def _is_own(self, topic: str, handle: str) -> bool:
        with self._lock:
            return (topic, handle) in self._own

    def _count_own(self, topic: str, handle: str, change: int) -> None:
        with self._lock:
            count = self._own.get((topic, handle), 0) + change
            if count > 0:
                self._own[topic, handle] = count
            else:
                self._own.pop((topic, handle), None)

    def _unwatch(self, topic: str, presence: Presence) -> None:
        with self._lock:
            left = [one for one in self._watched.get(topic, ()) if one is not presence]
            if left:
                self._watched[topic] = left
            else:
                self._watched.pop(topic, None)


class _Life:
    """Whether a registration still wants its callbacks; what is queued may outlive it."""

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended = False

    def end(self) -> None:
        self.ended = True


class _Ending:
    """A registration with something to do at its end, once."""

    def __init__(self, declaration: Registration, *ended: Callable[[], None]) -> None:
        self._declaration = declaration
        self._ended = ended
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, ()
        self._declaration.close()
        for end in ended:
            end()


class _Waiting:
    """One question's wait for its first acceptable answer."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._answer: bytes | None = None
        self._done = threading.Event()

    def arrived(self, reply: zenoh.Reply) -> None:
        """Take the answer, unless it is an error, of another name or too large."""
        sample = reply.ok
        if self._done.is_set() or sample is None or str(sample.key_expr) != self._key:
            return
        if sample.kind == zenoh.SampleKind.PUT and len(sample.payload) <= ANSWER_BYTES.value:
            self._answer = sample.payload.to_bytes()
            self._done.set()

    def ended(self) -> None:
        """No further answer will come."""
        self._done.set()

    def wait(self, wait_s: float) -> bytes | None:
        """The answer, or `None` when the time is over or nobody answers."""
        self._done.wait(max(0.0, wait_s))
        return self._answer


def _mailboxes(name: str, *, workers: int, max_jobs: int = QUEUED_MESSAGES.value) -> Mailboxes:
    return Mailboxes(
        name, workers=workers, max_jobs=max_jobs, max_bytes=QUEUED_BYTES.value, max_per_key=TOPIC_MESSAGES.value
    )


def _check_size(message: bytes) -> None:
    if len(message) > MESSAGE_BYTES.value:
        raise MessageTooLargeError(f"a message has at most {MESSAGE_BYTES.value} bytes")
