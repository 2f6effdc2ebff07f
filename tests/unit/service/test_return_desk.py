"""The return desk tells members their way back, and nobody else anything."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node_world import Machine, World, eventually

from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey
from meroid.keys.software import SoftwareSigner
from meroid.service.return_desk import (
    RETURN_TOPIC,
    TAGS_MOST,
    BadReturnAnswerError,
    ReturnDesk,
    WayBack,
    new_number,
    open_answer,
    return_question,
)


class Scene:
    """A founder with a member at another node, and the founder's desk on a clock of the test."""

    def __init__(self, world: World) -> None:
        self.founder, self.laptop = world.machine("founder"), world.machine("laptop")
        self.context_id, self.founder_key = self.founder.create(self.founder.install())
        self.key = self.founder.invite_and_join(self.laptop, self.context_id, self.founder_key)
        self.clock = Clock()
        self.desk = ReturnDesk(self.founder.node.replicas, self.founder.node.keys, self.clock)

    def ask(self, *keys: PublicKey, desk: ReturnDesk | None = None) -> tuple[bytes, bytes]:
        """The number of a question, and the answer to it."""
        number = new_number()
        answer = (desk or self.desk).answer(return_question(number, keys))
        assert answer is not None
        return number, answer

    def opened(self, machine: Machine, *keys: PublicKey) -> dict[int, WayBack]:
        """What a machine that holds the first key learns by asking for several."""
        number, answer = self.ask(*keys)
        own = machine.node.keys.own(machine.me.account_id, keys[0]).sealing
        return open_answer(number, lambda _: iter([own]), answer)


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000

    def now_ms(self) -> int:
        return self.at


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    world = World(tmp_path)
    yield Scene(world)
    world.close()


def stranger() -> PublicKey:
    return SoftwareSigner.generate().public_key


def boxes(answer: bytes) -> list[bytes]:
    match parse_canonical(answer):
        case {1: list() as found}:
            return [each for each in found if isinstance(each, bytes)]
        case _:
            raise AssertionError(answer)


def test_a_member_learns_its_context_and_where_to_ask(scene: Scene) -> None:
    ways = scene.opened(scene.laptop, scene.key)

    assert ways[0].key_now == scene.key
    assert ways[0].channel.context_id == scene.context_id
    assert ways[0].channel.responder == scene.founder_key


def test_all_boxes_of_an_answer_have_one_size(scene: Scene) -> None:
    _, answer = scene.ask(scene.key, *(stranger() for _ in range(20)))

    assert len(boxes(answer)) == 21
    assert len({len(each) for each in boxes(answer)}) == 1


def test_a_stranger_opens_nothing_though_it_asks_for_a_members_key(scene: Scene) -> None:
    number, answer = scene.ask(scene.key, stranger())

    assert open_answer(number, lambda _: iter([SealingKey.generate()]), answer) == {}


def test_a_removed_member_gets_a_box_that_nobody_opens(scene: Scene) -> None:
    founder = scene.founder
    founder.running.contexts.remove(founder.me, scene.context_id, scene.founder_key, scene.key, founder.at)

    assert scene.opened(scene.laptop, scene.key) == {}


def test_a_key_that_was_rotated_away_finds_the_membership_of_the_next_one(scene: Scene) -> None:
    laptop = scene.laptop
    rotated = laptop.running.rotation.rotate(laptop.me, scene.context_id, scene.key, laptop.at)
    replica = scene.founder.node.replicas.get(scene.context_id)
    eventually(lambda: rotated in replica.ledger.state.members)
    number, answer = scene.ask(scene.key)
    sealing = laptop.node.keys.own(laptop.me.account_id, rotated).sealing

    assert open_answer(number, lambda _: iter([sealing]), answer)[0].key_now == rotated


def test_a_box_is_bound_to_its_question_and_place(scene: Scene) -> None:
    number, answer = scene.ask(scene.key, stranger())
    own = scene.laptop.node.keys.own(scene.laptop.me.account_id, scene.key).sealing
    first, second = boxes(answer)

    swapped = canonical_bytes({1: [second, first]})
    assert open_answer(number, lambda _: iter([own]), swapped) == {}
    assert open_answer(new_number(), lambda _: iter([own]), answer) == {}


def test_the_desk_tells_nothing_of_this_nodes_own_members(scene: Scene) -> None:
    number, answer = scene.ask(scene.founder_key)
    own = scene.founder.node.keys.own(scene.founder.me.account_id, scene.founder_key).sealing

    assert open_answer(number, lambda _: iter([own]), answer) == {}


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\xff",
        canonical_bytes({1: 1}),
        canonical_bytes({1: b"short", 2: []}),
        canonical_bytes({1: bytes(32), 2: [b"short"]}),
        canonical_bytes({1: bytes(32), 2: [1]}),
        canonical_bytes({1: bytes(32), 2: [bytes(16)] * (TAGS_MOST + 1)}),
        canonical_bytes([bytes(32), []]),
        secrets.token_bytes(1000),
    ],
)
def test_what_is_no_question_gets_nothing(scene: Scene, question: bytes) -> None:
    assert scene.desk.answer(question) is None


def test_a_flood_is_answered_so_often_and_no_oftener(scene: Scene) -> None:
    question = return_question(new_number(), [scene.key])

    answered = sum(scene.desk.answer(question) is not None for _ in range(100))
    scene.clock.at += 1_000
    later = sum(scene.desk.answer(question) is not None for _ in range(100))

    assert (answered, later) == (8, 2)


@pytest.mark.parametrize(
    "answer",
    [
        canonical_bytes({}),
        canonical_bytes({1: [1]}),
        canonical_bytes({1: [b""] * (TAGS_MOST + 1)}),
        canonical_bytes([]),
    ],
)
def test_an_answer_of_another_form_is_refused(answer: bytes) -> None:
    with pytest.raises(BadReturnAnswerError):
        open_answer(new_number(), lambda _: iter([SealingKey.generate()]), answer)


def test_a_node_that_answers_nonsense_keeps_nobody_from_finding_others(scene: Scene) -> None:
    transport = scene.founder.running.transport
    lying = transport.serve(RETURN_TOPIC, "0" * 32, lambda _: b"nonsense")

    assert scene.laptop.running.returning.look() == []
    lying.close()
