"""Questions between nodes, answered to a proven key only (`semantics.md` §3, `design.md` §7).

1. The asker asks for a challenge; the answer is 32 random bytes, good once and for a minute.
2. The asker sends its request sealed for the responder, its own one-time sealing key, and a
   signature by its client key over the challenge, both keys, the context, the channel and what it
   sends. The answer is sealed for the one-time key and signed by the responder over the same
   challenge.

Whoever isn't let in gets the same refusal whatever the reason, and learns nothing.
"""

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
CHALLENGES_MOST: Final = 1024
_QUESTION_TAG: Final = "meroid/peer-question/v1"
_ANSWER_TAG: Final = "meroid/peer-answer/v1"
_CHALLENGE, _ASK = 1, 2
_REFUSED: Final = canonical_bytes({0: 0})


class PeerRefusedError(ForbiddenError):
    """The other node doesn't let this key in."""

    code = "peer_refused"
    next_step = "your membership there may have ended; ask a member"


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


def _binding(channel: Channel, asker: PublicKey, challenge: bytes, content: bytes) -> bytes:
    return canonical_bytes(
        [
            channel.context_id,
            channel.topic,
            channel.handle,
            asker,
            channel.responder,
            challenge,
            tagged_hash(_QUESTION_TAG, content),
        ]
    )


def ask_peer(transport: Transport, channel: Channel, keys: ClientKeys, request: Value, *, timeout_s: float) -> Value:
    """Ask one peer one thing.

    Raises:
        PeerUnreachableError: no answer in time.
        PeerRefusedError: the peer doesn't let this key in.
        BadPeerAnswerError: the answer isn't signed by the peer or isn't for this question.
    """
    first = _map(transport.ask(channel.topic, channel.handle, canonical_bytes({1: _CHALLENGE}), timeout_s=timeout_s))
    challenge = first.get(1)
    if not isinstance(challenge, bytes):
        raise PeerRefusedError("the other node does not answer this key")
    once = SealingKey.generate()
    info = canonical_bytes([_QUESTION_TAG, channel.context_id, challenge, keys.public_key, once.public])
    sealed = hpke_seal(channel.sealing, info, canonical_bytes(request))
    signed = _binding(channel, keys.public_key, challenge, once.public + sealed)
    question = canonical_bytes(
        {
            1: _ASK,
            2: challenge,
            3: keys.public_key,
            4: once.public,
            5: sealed,
            6: keys.sign(tagged_message(_QUESTION_TAG, signed)),
        }
    )
    answer = _map(transport.ask(channel.topic, channel.handle, question, timeout_s=timeout_s))
    return _open_answer(channel, keys.public_key, challenge, once, answer)


def _open_answer(
    channel: Channel, asker: PublicKey, challenge: bytes, once: SealingKey, answer: dict[int | str, Value]
) -> Value:
    match answer:
        case {0: _}:
            raise PeerRefusedError("the other node does not answer this key")
        case {1: bytes() as sealed, 2: bytes() as signature}:
            try:
                signed = _binding(channel, asker, challenge, sealed)
                verify_signature(channel.responder, tagged_message(_ANSWER_TAG, signed), signature)
                return parse_canonical(hpke_open(once, canonical_bytes([_ANSWER_TAG, challenge]), sealed))
            except IntegrityError:
                raise BadPeerAnswerError("the answer is not a true one of the member that was asked") from None
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
        self._challenges: OrderedDict[bytes, int] = OrderedDict()
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
                3: bytes() as asker,
                4: bytes() as once,
                5: bytes() as sealed,
                6: bytes() as signature,
            } if len(fields) == 6:
                return self._answer_asked(challenge, asker, once, sealed, signature)
            case _:
                return None

    def _answer_asked(self, challenge: bytes, asker: bytes, once: bytes, sealed: bytes, signature: bytes) -> bytes:
        try:
            proven = self._prove(challenge, asker, once, sealed, signature)
            reply = None if proven is None else self._serve(proven)
            if proven is None or reply is None:
                return _REFUSED
            content = hpke_seal(once, canonical_bytes([_ANSWER_TAG, challenge]), canonical_bytes(reply))
        except MeroidError:  # a question that can't be opened or served is refused like any other
            return _REFUSED
        signed = _binding(self._channel, proven.key, challenge, content)
        return canonical_bytes({1: content, 2: self._keys.sign(tagged_message(_ANSWER_TAG, signed))})

    def _prove(
        self, challenge: bytes, asker: bytes, once: bytes, sealed: bytes, signature: bytes
    ) -> ProvenAsker | None:
        if not self._use(challenge):
            return None
        key = PublicKey(asker).checked()
        signed = _binding(self._channel, key, challenge, once + sealed)
        verify_signature(key, tagged_message(_QUESTION_TAG, signed), signature)
        info = canonical_bytes([_QUESTION_TAG, self._channel.context_id, challenge, key, once])
        return ProvenAsker(key=key, request=parse_canonical(hpke_open(self._keys.sealing, info, sealed)))

    def _challenge(self) -> bytes:
        challenge = secrets.token_bytes(32)
        with self._lock:
            while len(self._challenges) >= CHALLENGES_MOST:
                self._challenges.popitem(last=False)
            self._challenges[challenge] = self._clock.now_ms() + CHALLENGE_MS
        return challenge

    def _use(self, challenge: bytes) -> bool:
        with self._lock:
            expires = self._challenges.pop(challenge, None)
        return expires is not None and self._clock.now_ms() <= expires
