"""The desk at which a member finds its contexts again that lost everything but its keys.

Who comes back knows neither topics nor, from the words alone, the ids of its contexts. It asks every
node it reaches, under one name that all nodes share, without saying who it is:

1. The question holds a random number and, for each client key that may be a member somewhere, a tag:
   a hash of number and key. Who doesn't know a key can't tell whose the tag is.
2. The answer holds one sealed box for each tag, all of one size. Where the tag is that of a member of a
   context of this node, or of a key that a member's was rotated from, the box is sealed for the member's
   current sealing key and says how to ask there; any other box is sealed for a key that nobody has.

So a node learns only which of its own fellow members came back, and who isn't a member learns nothing,
not even whether there are such contexts. What follows is asked in the proven channel, as ever.
"""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meroid.clock import Clock
from meroid.errors import IntegrityError, MeroidError
from meroid.ids import ContextId
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError, SealingKey, hpke_open, hpke_seal
from meroid.ledger.epoch import handle, topic
from meroid.service.keyring import KeyRing
from meroid.service.peering import Channel
from meroid.service.replica import Replica, Replicas

RETURN_TOPIC: Final = tagged_hash("meroid/return-desk/v1")[:16].hex()
TAGS_MOST: Final = 256
NUMBER_BYTES: Final = 32
_TAG_BYTES: Final = 16
_BOX_BYTES: Final = 512
_LENGTH_BYTES: Final = 2
_TAG: Final = "meroid/return-tag/v1"
_INFO: Final = "meroid/return-box/v1"
_ASKED_AT_ONCE: Final = 8
_ASKED_EVERY_MS: Final = 500


class BadReturnAnswerError(IntegrityError):
    """A node's answer at the return desk isn't of the form that it has."""

    code = "bad_return_answer"
    next_step = "name the address of another member's node"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Where a returning member can ask: the channel, and the key that its membership has now."""

    channel: Channel
    key_now: PublicKey


def return_question(number: bytes, keys: Sequence[PublicKey]) -> bytes:
    """The question for at most 256 keys; `number` is 32 random bytes, new each time."""
    return canonical_bytes({1: number, 2: [_tag(number, key) for key in keys]})


def open_answer(number: bytes, sealing: Callable[[int], Iterator[SealingKey]], answer: bytes) -> dict[int, WayBack]:
    """The ways back, by the place of the key in the question.

    Args:
        number: the question's.
        sealing: the sealing keys that a box may be for, by the place of the client key in the question.
        answer: what the node said.

    Raises:
        BadReturnAnswerError: it has another form.
    """
    match parse_canonical(answer):
        case {1: list() as boxes} if len(boxes) <= TAGS_MOST:
            found = ((place, _opened(number, place, sealing(place), box)) for place, box in enumerate(boxes))
            return {place: way for place, way in found if way is not None}
        case _:
            raise BadReturnAnswerError("the answer of a node is not of a known form")


class ReturnDesk:
    """Answers who comes back, for all contexts of this node, so often and no oftener."""

    def __init__(self, replicas: Replicas, keys: KeyRing, clock: Clock) -> None:
        self._replicas = replicas
        self._keys = keys
        self._clock = clock
        self._allowed = float(_ASKED_AT_ONCE)
        self._asked_at = 0
        self._lock = threading.Lock()

    def answer(self, question: bytes) -> bytes | None:
        """Answer one question; what isn't one, or comes too often, gets nothing."""
        try:
            fields = parse_canonical(question)
        except MeroidError:
            return None
        match fields:
            case {1: bytes() as number, 2: list() as tags} if len(number) == NUMBER_BYTES and len(tags) <= TAGS_MOST:
                wanted = [each for each in tags if isinstance(each, bytes) and len(each) == _TAG_BYTES]
                if len(wanted) != len(tags) or not self._may_answer():
                    return None
                return canonical_bytes({1: self._boxes(number, wanted)})
            case _:
                return None

    def _may_answer(self) -> bool:
        with self._lock:
            at = self._clock.now_ms()
            earned = max(0, at - self._asked_at) / _ASKED_EVERY_MS
            self._allowed, self._asked_at = min(float(_ASKED_AT_ONCE), self._allowed + earned), at
            if self._allowed < 1:
                return False
            self._allowed -= 1
            return True

    def _boxes(self, number: bytes, tags: list[bytes]) -> list[Value]:
        wanted = {tag: place for place, tag in enumerate(tags)}
        found: dict[int, tuple[bytes, bytes]] = {}
        for context_id in self._replicas.stored() if wanted else ():
            replica = self._replicas.find(context_id)
            if replica is not None:
                found |= self._in_context(replica, number, wanted)
        return [self._box(number, place, found.get(place)) for place in range(len(tags))]

    def _in_context(self, replica: Replica, number: bytes, wanted: dict[bytes, int]) -> dict[int, tuple[bytes, bytes]]:
        """For each wanted key of one context the sealing key of its membership, and what to tell it."""
        own = {keys.public_key: keys for keys in self._keys.of_context(replica.context_id)}
        found: dict[int, tuple[bytes, bytes]] = {}
        with replica.lock:
            state, epochs = replica.ledger.state, replica.known_epochs()
            host = next((own[key] for key in state.members if key in own), None)
            if host is None or not epochs:
                return {}
            for key in (*state.members, *state.retired):
                place, member = wanted.get(_tag(number, key)), state.members.get(state.key_now(key))
                if place is None or member is None or member.key in own:
                    continue
                epoch_key = epochs[0][1]
                content = canonical_bytes(
                    [
                        replica.context_id,
                        member.key,
                        topic(replica.context_id, epoch_key),
                        handle(replica.context_id, epoch_key, host.public_key),
                        host.public_key,
                        host.sealing.public,
                    ]
                )
                found[place] = member.sealing, content
        return found

    @staticmethod
    def _box(number: bytes, place: int, told: tuple[bytes, bytes] | None) -> bytes:
        sealing, content = told if told is not None else (SealingKey.generate().public, b"")
        padded = len(content).to_bytes(_LENGTH_BYTES, "big") + content + bytes(_BOX_BYTES - len(content))
        return hpke_seal(sealing, _info(number, place), padded)


def _tag(number: bytes, key: PublicKey) -> bytes:
    return tagged_hash(_TAG, number, key)[:_TAG_BYTES]


def _info(number: bytes, place: int) -> bytes:
    return canonical_bytes([_INFO, number, place])


def _opened(number: bytes, place: int, sealing: Iterator[SealingKey], box: Value) -> WayBack | None:
    if not isinstance(box, bytes):
        raise BadReturnAnswerError("the answer of a node is not of a known form")
    for key in sealing:
        try:
            padded = hpke_open(key, _info(number, place), box)
        except SealBrokenError:
            continue
        return _way_back(padded[_LENGTH_BYTES : _LENGTH_BYTES + int.from_bytes(padded[:_LENGTH_BYTES], "big")])
    return None


def _way_back(content: bytes) -> WayBack:
    match parse_canonical(content):
        case [bytes() as context, bytes() as now, str() as name, str() as place, bytes() as host, bytes() as sealing]:
            channel = Channel(
                context_id=ContextId(context),
                topic=name,
                handle=place,
                responder=PublicKey(host).checked(),
                sealing=sealing,
            )
            return WayBack(channel=channel, key_now=PublicKey(now))
        case _:
            raise BadReturnAnswerError("a box of the answer is not of a known form")


def new_number() -> bytes:
    """32 random bytes for one question."""
    return secrets.token_bytes(NUMBER_BYTES)
