"""Questions between nodes by whoever may not ask, or who changes what is said on the way."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.simulators.transport import Network

from meroid.account.client_keys import ClientKeyPath, ClientKeys
from meroid.ids import ContextId
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.signer import Secret
from meroid.service.peering import (
    CHALLENGE_MS,
    BadPeerAnswerError,
    Channel,
    Desk,
    PeerRefusedError,
    ProvenAsker,
    ask_peer,
)

CONTEXT = ContextId(b"c" * 32)
TOPIC, OTHER_TOPIC, HANDLE = "a" * 32, "b" * 32, "d" * 32
REFUSAL = canonical_bytes({0: 0})


class Hands:
    """A clock that is moved by hand."""

    now = 1_000_000

    def now_ms(self) -> int:
        return self.now


def keys(number: int) -> ClientKeys:
    return ClientKeys(ClientKeyPath(device=0, slot=number), Secret(bytes([number]) * 32))


RESPONDER, MEMBER, STRANGER = keys(1), keys(2), keys(3)


class Wire:
    """A transport of one desk that shows and changes what passes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.questions: list[bytes] = []
        self.answers: list[bytes] = []
        self.change_question: Callable[[bytes], bytes] = lambda question: question
        self.change_answer: Callable[[bytes], bytes] = lambda answer: answer

    def ask(self, topic: str, handle: str, question: bytes, *, timeout_s: float) -> bytes:
        del topic, handle, timeout_s
        question = self.change_question(question)
        self.questions.append(question)
        answer = self.desk.answer(question)
        assert answer is not None
        answer = self.change_answer(answer)
        self.answers.append(answer)
        return answer


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def asked() -> list[ProvenAsker]:
    return []


@pytest.fixture
def wire(clock: Hands, asked: list[ProvenAsker]) -> Wire:
    def serve(asker: ProvenAsker) -> Value:
        asked.append(asker)
        return {1: b"the secret of the house"} if asker.key == MEMBER.public_key else None

    return Wire(Desk(CONTEXT, TOPIC, HANDLE, RESPONDER, serve, clock))


def channel(topic: str = TOPIC) -> Channel:
    return Channel(
        context_id=CONTEXT,
        topic=topic,
        handle=HANDLE,
        responder=RESPONDER.public_key,
        sealing=RESPONDER.sealing.public,
    )


def ask(wire: Wire, asker: ClientKeys = MEMBER, where: Channel | None = None) -> Value:
    return ask_peer(wire, where or channel(), asker, {1: b"request"}, timeout_s=1)  # type: ignore[arg-type]  # asks only


def flip(message: bytes, number: int, at: int = -1) -> bytes:
    """Change one bit of one field of a message."""
    fields = parse_canonical(message)
    assert isinstance(fields, dict)
    value = fields.get(number)
    if not isinstance(value, bytes):
        return message
    changed = bytearray(value)
    changed[at] ^= 1
    return canonical_bytes({**fields, number: bytes(changed)})


def test_a_member_is_answered(wire: Wire, asked: list[ProvenAsker]) -> None:
    assert ask(wire) == {1: b"the secret of the house"}
    assert asked == [ProvenAsker(key=MEMBER.public_key, request={1: b"request"})]


def test_who_carries_the_messages_sees_neither_keys_nor_contents(wire: Wire) -> None:
    ask(wire)

    carried = b"".join([*wire.questions, *wire.answers])
    for hidden in (MEMBER.public_key, RESPONDER.public_key, CONTEXT, b"request", b"the secret of the house"):
        assert hidden not in carried


def refused(wire: Wire, asker: ClientKeys = MEMBER, where: Channel | None = None) -> bytes:
    with pytest.raises(PeerRefusedError):
        ask(wire, asker, where)
    return wire.answers[-1]


def test_a_stranger_gets_the_refusal_that_everybody_gets(wire: Wire) -> None:
    assert refused(wire, STRANGER) == REFUSAL


def test_a_question_for_another_channel_context_or_responder_is_refused(wire: Wire) -> None:
    assert refused(wire, where=channel(OTHER_TOPIC)) == REFUSAL
    assert refused(wire, where=replace(channel(), handle="e" * 32)) == REFUSAL
    assert refused(wire, where=replace(channel(), context_id=ContextId(b"x" * 32))) == REFUSAL
    assert refused(wire, where=replace(channel(), responder=STRANGER.public_key)) == REFUSAL
    assert refused(wire, where=replace(channel(), sealing=STRANGER.sealing.public)) == REFUSAL


@pytest.mark.parametrize(("field", "at"), [(2, 0), (2, 10), (2, -1), (3, 0), (4, 0), (4, -1)])
def test_a_changed_question_is_refused(wire: Wire, asked: list[ProvenAsker], field: int, at: int) -> None:
    wire.change_question = lambda question: flip(question, field, at)

    assert refused(wire) == REFUSAL
    assert asked == []


def test_a_question_that_is_asked_again_is_refused(wire: Wire, asked: list[ProvenAsker]) -> None:
    ask(wire)

    assert wire.desk.answer(wire.questions[-1]) == REFUSAL
    assert len(asked) == 1


def test_a_challenge_ends_after_a_minute(wire: Wire, clock: Hands) -> None:
    def wait(question: bytes) -> bytes:
        if len(question) > 10:
            clock.now += CHALLENGE_MS + 1
        return question

    wire.change_question = wait

    assert refused(wire) == REFUSAL


def test_a_challenge_of_another_desk_is_refused(wire: Wire, clock: Hands) -> None:
    other = Desk(CONTEXT, TOPIC, HANDLE, RESPONDER, lambda _: {1: b""}, clock)
    wire.change_answer = lambda answer: (other.answer(canonical_bytes({1: 1})) or b"") if len(answer) > 10 else answer

    assert refused(wire) == REFUSAL


def test_a_flood_of_challenges_pushes_out_nobodys(wire: Wire) -> None:
    flood = canonical_bytes({1: 1})

    def flooded(answer: bytes) -> bytes:
        for _ in range(3000):
            wire.desk.answer(flood)
        return answer

    wire.change_answer = flooded

    assert ask(wire) == {1: b"the secret of the house"}


def test_a_changed_or_foreign_answer_is_not_believed(wire: Wire) -> None:
    wire.change_answer = lambda answer: flip(answer, 1) if len(wire.questions) % 2 == 0 else answer

    with pytest.raises(BadPeerAnswerError):
        ask(wire)


def test_an_answer_of_somebody_else_in_the_responders_place_is_not_believed(clock: Hands) -> None:
    class Impostor(ClientKeys):
        """Has stolen the responder's sealing key, not its client key."""

        @property
        def sealing(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            return RESPONDER.sealing

        @property
        def public_key(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            return RESPONDER.public_key

    impostor = Impostor(ClientKeyPath(device=0, slot=9), Secret(b"9" * 32))
    wire = Wire(Desk(CONTEXT, TOPIC, HANDLE, impostor, lambda _: {1: b"lies"}, clock))

    with pytest.raises(BadPeerAnswerError):
        ask(wire)


@pytest.mark.parametrize(
    "noise", [b"", b"\xff", canonical_bytes({1: 3}), canonical_bytes([1]), canonical_bytes({1: 1, 2: 2}), b"x" * 1000]
)
def test_what_is_no_question_gets_no_answer(wire: Wire, noise: bytes) -> None:
    assert wire.desk.answer(noise) is None


def test_a_question_over_a_network_is_answered(clock: Hands) -> None:
    network = Network()
    one, two = network.transport("one"), network.transport("two")
    two.connect(one.endpoints())
    desk = Desk(CONTEXT, TOPIC, HANDLE, RESPONDER, lambda asker: {1: asker.key}, clock)
    one.serve(TOPIC, HANDLE, desk.answer)

    assert ask_peer(two, channel(), MEMBER, {1: 1}, timeout_s=5) == {1: MEMBER.public_key}
    network.stop()
