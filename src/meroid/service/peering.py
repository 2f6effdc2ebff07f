"""Questions between nodes, answered to a proven key only (`semantics.md` §3, `design.md` §7).

1. The asker asks for a challenge: 40 bytes that are good once and for a minute, on this channel.
2. The asker sends its own one-time sealing key and, sealed for the responder, its client key, its
   request, and a signature over the challenge, both keys, the context, the channel and the request.
   The answer is sealed for the one-time key, with the responder's signature over the same challenge.

Who only carries the messages sees no key of a member. Whoever isn't let in gets the same refusal
whatever the reason, and learns nothing; only a key that was removed is shown its removal. A challenge proves itself, so a flood of requests for
challenges costs no memory and pushes out nobody's.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from meroid.account.client_keys import ClientKeys
from meroid.clock import Clock
from meroid.errors import ForbiddenError, IntegrityError, MeroidError
from meroid.ids import ContextId
from meroid.keys.canonical import (
    NotCanonicalError,
    Value,
    canonical_bytes,
    parse_canonical,
    tagged_hash,
    tagged_message,
)
from meroid.keys.public import PublicKey, verify_signature
from meroid.keys.sealing import SealingKey, hpke_open, hpke_seal
from meroid.service.ports.transport import Transport

CHALLENGE_MS: Final = 60_000
_USED_MOST: Final = 4096
_HEAD_BYTES, _CHALLENGE_BYTES = 24, 40
_QUESTION_TAG: Final = "meroid/peer-question/v1"
_ANSWER_TAG: Final = "meroid/peer-answer/v1"
_CHALLENGE, _ASK = 1, 2
NOTICE: Final = 9
_REFUSED: Final = canonical_bytes({0: 0})


class PeerRefusedError(ForbiddenError):
    """The other node doesn't let this key in."""

    code = "peer_refused"
    next_step = "your membership there may have ended; ask a member"


class MembershipNoticeError(PeerRefusedError):
    """The other node refuses, and shows the removal that ended the asker's membership.

    Attributes:
        envelope: the operation, as its author signed it; nothing of it is verified yet.
    """

    def __init__(self, envelope: bytes) -> None:
        super().__init__("the other node does not answer this key: its membership ended")
        self.envelope = envelope


class BadPeerAnswerError(IntegrityError):
    """The answer isn't a true one of the member that was asked."""

    code = "bad_peer_answer"
    next_step = "ask another member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Whom to ask about which context, and where."""

    context_id: ContextId
    topic: str
    handle: str
    responder: PublicKey
    sealing: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenAsker:
    """Who asked: a client key that proved itself, and the request that only the responder could open."""

    key: PublicKey
    request: Value


Serve = Callable[[ProvenAsker], Value]
"""Answers a request, or gives nothing where the asker isn't let in."""


def _signed(tag: str, channel: Channel, asker: PublicKey, challenge: bytes, content: bytes) -> bytes:
    """What either side signs: both keys, the context, the channel, the challenge and what is said."""
    bound = canonical_bytes(
        [
            channel.context_id,
            channel.topic,
            channel.handle,
            asker,
            channel.responder,
            challenge,
            tagged_hash(tag, content),
        ]
    )
    return tagged_message(tag, bound)


def ask_peer(transport: Transport, channel: Channel, keys: ClientKeys, request: Value, *, timeout_s: float) -> Value:
    """Ask one peer one thing.

    Raises:
        PeerUnreachableError: no answer in time.
        PeerRefusedError: the peer doesn't let this key in.
        MembershipNoticeError: the same, and it shows the removal of the asker.
        BadPeerAnswerError: the answer isn't signed by the peer or isn't for this question.
    """
    first = _map(transport.ask(channel.topic, channel.handle, canonical_bytes({1: _CHALLENGE}), timeout_s=timeout_s))
    challenge = first.get(1)
    if not isinstance(challenge, bytes):
        raise PeerRefusedError("the other node does not answer this key")
    once, asker, content = SealingKey.generate(), keys.public_key, canonical_bytes(request)
    signature = keys.sign(_signed(_QUESTION_TAG, channel, asker, challenge, once.public + content))
    info = canonical_bytes([_QUESTION_TAG, channel.context_id, challenge, once.public])
    sealed = hpke_seal(channel.sealing, info, canonical_bytes([asker, signature, content]))
    question = canonical_bytes({1: _ASK, 2: challenge, 3: once.public, 4: sealed})
    answer = _map(transport.ask(channel.topic, channel.handle, question, timeout_s=timeout_s))
    reply = _open_answer(channel, asker, challenge, once, answer)
    shown = reply.get(NOTICE) if isinstance(reply, dict) else None
    if isinstance(shown, bytes):
        raise MembershipNoticeError(shown)
    return reply


def notice(envelope: bytes) -> Value:
    """The answer to a key that proved itself and whose membership ended: the removal, and nothing else."""
    return {NOTICE: envelope}


def _open_answer(
    channel: Channel, asker: PublicKey, challenge: bytes, once: SealingKey, answer: dict[int | str, Value]
) -> Value:
    match answer:
        case {0: _}:
            raise PeerRefusedError("the other node does not answer this key")
        case {1: bytes() as sealed}:
            try:
                opened = hpke_open(once, canonical_bytes([_ANSWER_TAG, challenge]), sealed)
                signature, content = _pair(parse_canonical(opened))
                verify_signature(channel.responder, _signed(_ANSWER_TAG, channel, asker, challenge, content), signature)
                return parse_canonical(content)
            except IntegrityError:
                raise BadPeerAnswerError("the answer is not a true one of the member that was asked") from None
        case _:
            raise BadPeerAnswerError("the answer is not of a known form")


def _pair(value: Value) -> tuple[bytes, bytes]:
    match value:
        case [bytes() as signature, bytes() as content]:
            return signature, content
        case _:
            raise BadPeerAnswerError("the answer is not of a known form")


def _map(answer: bytes) -> dict[int | str, Value]:
    try:
        value = parse_canonical(answer)
    except NotCanonicalError:
        raise BadPeerAnswerError("the answer is not of a known form") from None
    if not isinstance(value, dict):
        raise BadPeerAnswerError("the answer is not of a known form")
    return value


class Desk:
    """Answers questions on one channel as one of this node's identities."""

    def __init__(
        self, context_id: ContextId, topic: str, handle: str, keys: ClientKeys, serve: Serve, clock: Clock
    ) -> None:
        self._channel = Channel(
            context_id=context_id,
            topic=topic,
            handle=handle,
            responder=keys.public_key,
            sealing=keys.sealing.public,
        )
        self._keys = keys
        self._serve = serve
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._used: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, question: bytes) -> bytes | None:
        """Answer one question; what isn't one gets nothing."""
        try:
            fields = _map(question)
        except BadPeerAnswerError:
            return None
        match fields:
            case {1: 1} if len(fields) == 1:
                return canonical_bytes({1: self._challenge()})
            case {
                1: 2,
                2: bytes() as challenge,
                3: bytes() as once,
                4: bytes() as sealed,
            } if len(fields) == 4:
                return self._answer_asked(challenge, once, sealed)
            case _:
                return None

    def _answer_asked(self, challenge: bytes, once: bytes, sealed: bytes) -> bytes:
        try:
            proven = self._prove(challenge, once, sealed)
            reply = None if proven is None else self._serve(proven)
            if proven is None or reply is None:
                return _REFUSED
            content = canonical_bytes(reply)
            signature = self._keys.sign(_signed(_ANSWER_TAG, self._channel, proven.key, challenge, content))
            info = canonical_bytes([_ANSWER_TAG, challenge])
            return canonical_bytes({1: hpke_seal(once, info, canonical_bytes([signature, content]))})
        except MeroidError:  # a question that can't be opened or served is refused like any other
            return _REFUSED

    def _prove(self, challenge: bytes, once: bytes, sealed: bytes) -> ProvenAsker | None:
        if not self._is_fresh(challenge):
            return None
        info = canonical_bytes([_QUESTION_TAG, self._channel.context_id, challenge, once])
        match parse_canonical(hpke_open(self._keys.sealing, info, sealed)):
            case [bytes() as asker, bytes() as signature, bytes() as content]:
                key = PublicKey(asker).checked()
                verify_signature(key, _signed(_QUESTION_TAG, self._channel, key, challenge, once + content), signature)
            case _:
                return None
        return ProvenAsker(key=key, request=parse_canonical(content)) if self._use(challenge) else None

    def _challenge(self) -> bytes:
        """When it ends (8 bytes, ms since the epoch), 16 random bytes, and 16 that prove both ours."""
        head = (self._clock.now_ms() + CHALLENGE_MS).to_bytes(8, "big") + secrets.token_bytes(16)
        return head + self._proof(head)

    def _proof(self, head: bytes) -> bytes:
        return hmac.digest(self._secret, head, "sha256")[: _CHALLENGE_BYTES - _HEAD_BYTES]

    def _is_fresh(self, challenge: bytes) -> bool:
        head, proof = challenge[:_HEAD_BYTES], challenge[_HEAD_BYTES:]
        return hmac.compare_digest(self._proof(head), proof) and self._clock.now_ms() <= int.from_bytes(head[:8], "big")

    def _use(self, challenge: bytes) -> bool:
        """Use a challenge up; false if that was done before."""
        with self._lock:
            if challenge in self._used:
                return False
            self._used[challenge] = None
            if len(self._used) > _USED_MOST:
                self._used.popitem(last=False)
        return True
