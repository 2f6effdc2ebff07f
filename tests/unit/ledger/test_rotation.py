"""Rotation survives theft (`semantics.md` rule 11)."""

from tests.cast import Person, Story

from meroid.ids import OperationId
from meroid.keys.software import SoftwareSigner
from meroid.ledger.authoring import author_next
from meroid.ledger.capability import Capability
from meroid.ledger.operation import Body, Delta, Invite, Leave, Rotate, VerifiedOperation


class Thief:
    """Has a copy of somebody's client key, and the replica of that moment."""

    def __init__(self, victim: Person, story: Story) -> None:
        self.person = Person(victim.name)
        self.person.generation = victim.generation
        self.person.hear(story.said)

    def say(self, body: Body) -> VerifiedOperation:
        return self.person.say(body)


def test_membership_rank_and_rights_go_on_under_the_next_key() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    before = story["carol"].ledger.state.members[story["bob"].key]
    old = story["bob"].key

    story.tell(story["bob"].rotate())

    members = story["carol"].ledger.state.members
    after = members[story["bob"].key]
    assert old not in members
    assert (after.rank, after.admission, after.capabilities) == (before.rank, before.admission, before.capabilities)
    assert story["carol"].ledger.state.key_now(old) == story["bob"].key


def test_what_was_written_before_stays_and_the_next_key_writes_on() -> None:
    story = Story("bob", "carol")
    before = story["bob"].write("before")
    story.tell(before, story["bob"].rotate())
    story.tell(story["bob"].rekey())

    after = story["bob"].write("after")
    story.tell(after)

    assert story["carol"].verdict(before).valid
    assert story["carol"].verdict(after).valid


def test_the_epoch_of_before_may_not_encrypt_new_writes() -> None:
    story = Story("bob", "carol")

    story.tell(story["bob"].rotate())

    assert not story["carol"].ledger.state.usable_epochs()


def test_a_thief_signs_nothing_that_counts_after_the_rotation_however_it_backdates() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    thief = Thief(story["bob"], story)
    written = thief.person.write("by the thief")
    invitation = thief.say(
        Invite(invitee=Person("puppet").key, secret_key=None, capabilities=frozenset({Capability.READ}), uses=1)
    )
    leave = thief.say(Leave())
    rotation = story["bob"].rotate()

    story.tell(written, invitation, leave, rotation)

    for person in (story.founder, story["carol"]):
        assert [person.verdict(each).code for each in (written, invitation, leave)] == ["key_rotated"] * 3
        assert person.verdict(written).because == rotation.operation_id
        assert story["bob"].key in person.ledger.state.members


def test_a_thief_can_not_rotate_to_a_key_of_its_own() -> None:
    story = Story("bob", "carol")
    stolen = story["bob"]
    own = SoftwareSigner.generate()
    body = Rotate(previous=stolen.key, keys=stolen.published(1), frontier=())
    forged = author_next(story["carol"].ledger, own, body, epoch=None)

    story.tell(forged)

    assert story.founder.verdict(forged).code == "not_the_next_key"
    assert stolen.key in story.founder.ledger.state.members


def test_the_next_key_can_not_lead_the_line_elsewhere() -> None:
    story = Story("bob", "carol")
    thief = Thief(story["bob"], story)
    thief.person.generation = 1  # the thief has the next key too, but commits to another line after it
    body = Rotate(previous=story["bob"].key, keys=Person("mallory").published(1), frontier=())
    forged = author_next(thief.person.ledger, thief.person.signer, body, epoch=None)

    story.tell(forged)

    assert story["carol"].verdict(forged).code == "not_the_next_key"


def test_a_second_rotation_by_a_thief_of_the_second_key_falls_to_the_third() -> None:
    story = Story("bob", "carol")
    story.tell(story["bob"].rotate())
    thief = Thief(story["bob"], story)
    leave = thief.say(Leave())
    rotation = story["bob"].rotate()

    story.tell(leave, rotation)

    assert story["carol"].verdict(leave).code == "key_rotated"
    assert story["carol"].ledger.state.key_now(Person("bob").key) == story["bob"].key


def test_a_removal_that_names_the_old_key_removes_the_new_one() -> None:
    story = Story("bob", "carol")
    old = story["bob"].key
    rotation = story["bob"].rotate()
    removal = story.founder.remove(Person("bob"))
    written = story["bob"].say(Delta(nonce=bytes(12), ciphertext=b"after"))

    story.tell(rotation, removal, written)

    members = story["carol"].ledger.state.members
    assert old not in members
    assert story["bob"].key not in members
    assert not story["carol"].verdict(written).valid
    assert [cut.ends_membership for cut in story["carol"].ledger.state.cuts_of(story["bob"].key)].count(True) == 1


def test_an_open_invitation_of_the_old_key_goes_on() -> None:
    story = Story("bob", "carol")
    dave = Person("dave")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    invitation = story["bob"].invite(dave)
    story.tell(invitation, story["bob"].rotate())

    dave.hear(story.said)
    story.tell(dave.join(invitation))

    assert dave.key in story["carol"].ledger.state.members


def test_a_grant_to_the_old_key_reaches_the_member() -> None:
    story = Story("bob", "carol")
    rotation = story["bob"].rotate()
    grant = story.founder.grant(Person("bob"), Capability.INVITE)

    story.tell(rotation, grant)

    assert story["carol"].ledger.state.members[story["bob"].key].may(Capability.INVITE)


def test_a_frontier_keeps_what_the_rotation_does_not_descend_from() -> None:
    story = Story("bob", "carol")
    twin = Thief(story["bob"], story)  # the owner's own second copy, this time
    late: VerifiedOperation = twin.person.write("honest, on another machine")
    names: tuple[OperationId, ...] = (late.operation_id,)
    story["bob"].hear([late])

    rotation = story["bob"].rotate(frontier=names)
    story.tell(late, rotation)

    assert story["carol"].verdict(late).valid
