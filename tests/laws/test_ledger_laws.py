"""Laws of the ledger: what is known decides, not how or when it came (`semantics.md` §4)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings, strategies as st
from tests.cast import GENERATIONS_PLAYED, Person, Story, deliver

from meroid.ids import OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import NotAMemberError, compose
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Join, VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.ledger.verify import sign_operation

NAMES = ("ann", "bob", "cat")
ACTIONS = (
    *("write", "rekey", "grant", "revoke", "remove", "leave", "rotate", "invite", "open", "again", "next", "hear"),
    *("link", "claim", "unlink"),
)
CAPABILITY_SETS = (frozenset(Capability), ON_JOINING, frozenset({Capability.READ, Capability.MANAGE_MEMBERS}))
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class Play:
    """Random people do random things on what each has heard so far."""

    def __init__(self) -> None:
        self.story = Story(*NAMES)
        for name in ("ann", "bob"):
            self.story.tell(self.story.founder.grant(self.story[name], Capability.MANAGE_MEMBERS))
            self.story.tell(self.story.founder.grant(self.story[name], Capability.INVITE))
        self.newcomers = 0
        self.devices: dict[str, list[Person]] = {}

    @property
    def everybody(self) -> list[Person]:
        return [self.story.founder, *self.story.people.values()]

    def act(self, actor: int, action: str, target: int, choice: int) -> None:  # noqa: C901, PLR0912  # one line for each action
        person = self.everybody[actor % len(self.everybody)]
        other = self.everybody[target % len(self.everybody)]
        capability = list(Capability)[choice % len(Capability)]
        try:
            match action:
                case "write":
                    self.say(person.write())
                case "rekey":
                    self.say(person.rekey())
                case "grant":
                    self.say(person.grant(other, capability))
                case "revoke":
                    self.say(person.revoke(other, capability))
                case "remove":
                    self.say(person.remove(other))
                case "rotate" if person.generation < GENERATIONS_PLAYED - 1:
                    self.say(person.rotate())
                case "leave":
                    self.say(person.leave())
                case "invite":
                    self.bring_in(person)
                case "again" | "next" if other.generation < GENERATIONS_PLAYED - 1:
                    self.bring_back(person, other, ahead=int(action == "next"))
                case "open":
                    self.bring_in_openly(person)
                case "link":
                    self.link(person, CAPABILITY_SETS[choice % len(CAPABILITY_SETS)])
                case "claim":
                    self.say(person.link(other))
                case "unlink":
                    mine = self.devices.get(person.name)
                    self.say(person.unlink(mine[target % len(mine)] if mine and choice % 4 else other))
                case _:
                    person.hear(self.story.said[: max(1, choice * len(self.story.said) // 30)])
        except NotAMemberError:
            pass

    def say(self, operation: VerifiedOperation) -> None:
        self.story.said.append(operation)

    def link(self, main: Person, wanted: frozenset[Capability]) -> None:
        """A device that may as much of this as its member, and hears that it is linked."""
        device, member = self.newcomer(), main.ledger.state.members.get(main.key)
        self.say(main.link(device, wanted & member.capabilities if member else wanted))
        device.hear(self.story.said)
        self.devices.setdefault(main.name, []).append(device)

    def bring_in(self, inviter: Person) -> None:
        newcomer = self.newcomer()
        invitation = inviter.invite(newcomer)
        self.say(invitation)
        newcomer.hear(self.story.said)
        self.say(newcomer.join(invitation))

    def bring_back(self, inviter: Person, other: Person, ahead: int) -> None:
        """Somebody's key of now, or the next one, is invited and joins, with a chain that begins anew."""
        person = Person(other.name)
        person.generation = other.generation + ahead
        invitation = inviter.invite(person)
        person.hear(self.story.said)
        person.hear([invitation])
        body = Join(invitation=invitation.operation_id, keys=person.keys, proof=None)
        fields = compose(person.ledger, person.key, body, epoch=None)
        self.say(invitation)
        self.say(sign_operation(replace(fields, seq=1, prev=None), person.signer))

    def bring_in_openly(self, inviter: Person) -> None:
        newcomer = self.newcomer()
        secret = newcomer.signer
        invitation = inviter.invite_openly(secret)
        self.say(invitation)
        newcomer.hear(self.story.said)
        join = newcomer.join(invitation, secret)
        self.say(join)
        inviter.hear(self.story.said)
        self.say(inviter.admit(join))

    def newcomer(self) -> Person:
        self.newcomers += 1
        person = Person(f"newcomer {self.newcomers}")
        person.hear(self.story.said)
        self.story.people[person.name] = person
        return person


MOVES = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(ACTIONS), st.integers(0, 7), st.integers(0, 30)), max_size=14
)


def judged(ledger: Ledger) -> dict[OperationId, Verdict]:
    return {node.operation_id: ledger.verdict(node.operation_id) for node in ledger.graph}


def suspended(ledger: Ledger) -> dict[PublicKey, set[tuple[OperationId, PublicKey]]]:
    return {
        key: {(each.by.operation_id, each.line) for each in suspensions}
        for key, suspensions in ledger.state.suspensions.items()
    }


@SLOW
@given(MOVES, st.randoms(use_true_random=False))
def test_every_order_of_arrival_gives_the_same_verdicts_and_members(
    moves: list[tuple[int, str, int, int]], random: object
) -> None:
    play = Play()
    for move in moves:
        play.act(*move)
    shuffled = [*play.story.said, *play.story.said]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random

    one, other = deliver(None, play.story.said), deliver(None, shuffled)

    assert judged(one) == judged(other)
    assert one.state.members == other.state.members
    assert (one.state.lines, one.state.rotated) == (other.state.lines, other.state.rotated)
    assert one.state.links == other.state.links
    assert suspended(one) == suspended(other)
    assert {e for e, known in one.state.epochs.items() if known.usable} == {
        e for e, known in other.state.epochs.items() if known.usable
    }
    assert one.heads() == other.heads()


@SLOW
@given(MOVES)
def test_nobody_is_without_rank_and_no_removed_key_is_a_member(moves: list[tuple[int, str, int, int]]) -> None:
    play = Play()
    for move in moves:
        play.act(*move)

    ledger = deliver(None, play.story.said)

    for member in ledger.state.members.values():
        assert member.rank or (member.linked_to or member.line) == Person("founder").key
        assert ledger.verdict(member.admission).valid


@SLOW
@given(MOVES)
def test_a_linked_key_is_there_only_with_its_member_and_may_no_more(moves: list[tuple[int, str, int, int]]) -> None:
    play = Play()
    for move in moves:
        play.act(*move)

    state = deliver(None, play.story.said).state

    mains = {member.line: member for member in state.members.values() if member.linked_to is None}
    for member in state.members.values():
        if member.linked_to is not None:
            main = mains[member.linked_to]
            assert member.capabilities <= main.capabilities
            assert member.rank == main.rank
            assert state.main_key(member.key) == main.key
            assert (member.key in state.suspensions) == (main.key in state.suspensions)


@SLOW
@given(MOVES)
def test_adding_operations_one_by_one_equals_adding_them_again_from_nothing(
    moves: list[tuple[int, str, int, int]],
) -> None:
    play = Play()
    grown = deliver(None, play.story.said)
    for move in moves:
        before = len(play.story.said)
        play.act(*move)
        grown = deliver(grown, play.story.said[before:])

    assert judged(grown) == judged(deliver(None, play.story.said))
