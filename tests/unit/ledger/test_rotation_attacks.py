"""Histories against rotations: one next key in two places, retired keys, chains that begin anew."""

from itertools import permutations

from tests.cast import Person, Story, deliver

from meroid.ledger.authoring import compose
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Delta, Grant, Invite, Join, MemberKeys, Operation, Remove, Rotate, VerifiedOperation
from meroid.ledger.verify import sign_operation


def in_every_order(story: Story, *late: VerifiedOperation) -> Ledger:
    """A replica, after all orders of arrival of what came late were found to give the same."""
    replicas = [deliver(deliver(None, story.said), order) for order in permutations(late)]
    first = replicas[0]
    for other in replicas[1:]:
        assert other.state.members == first.state.members
        assert other.state.suspensions.keys() == first.state.suspensions.keys()
        assert (other.state.lines, other.state.rotated) == (first.state.lines, first.state.rotated)
        for operation in late:
            assert other.verdict(operation.operation_id) == first.verdict(operation.operation_id)
    return first


def join_as(person: Person, ledger: Ledger, invitation: VerifiedOperation, keys: MemberKeys) -> VerifiedOperation:
    """A join that begins a chain of its own, whatever the key said before."""
    operation = Operation(
        context=ledger.context_id,
        author=person.key,
        seq=1,
        prev=None,
        parents=ledger.to_cite(),
        auth=invitation.operation_id,
        epoch=None,
        body=Join(invitation=invitation.operation_id, keys=keys, proof=None),
    )
    return sign_operation(operation, person.signer)


def next_of(person: Person) -> Person:
    following = Person(person.name)
    following.generation = person.generation + 1
    return following


def test_a_next_key_that_joins_by_itself_and_is_rotated_to_elsewhere_means_the_same_everywhere() -> None:
    story = Story("bob", "carol")
    following = next_of(story["bob"])
    invitation = story.founder.invite(following)
    story.tell(invitation)
    join = join_as(following, story["carol"].ledger, invitation, following.keys)
    removal = story.founder.remove(story["bob"])
    rotation = story["bob"].rotate()
    written = story["bob"].say(Delta(nonce=bytes(12), ciphertext=b"after"))

    in_every_order(story, join, rotation)
    in_every_order(story, join, rotation, written, removal)


def test_a_removal_of_a_key_in_two_memberships_ends_both() -> None:
    story = Story("bob", "carol")
    following = next_of(story["bob"])
    invitation = story.founder.invite(following)
    story.tell(invitation)
    join = join_as(following, story["carol"].ledger, invitation, following.keys)
    story.tell(join, story["bob"].rotate())

    removal = story.founder.remove(following)
    story.tell(removal)

    assert following.key not in story["carol"].ledger.state.members


def test_two_members_who_committed_to_one_next_key_mean_the_same_everywhere() -> None:
    story = Story("bob", "carol")
    mallory = Person("mallory")
    invitation = story.founder.invite(mallory)
    story.tell(invitation)
    keys = MemberKeys(sealing=mallory.keys.sealing, next_keys=story["bob"].keys.next_keys)
    mallory.hear(story.said)
    story.tell(join_as(mallory, story["carol"].ledger, invitation, keys))
    following = next_of(story["bob"])
    bodies = [Rotate(previous=key, keys=following.keys, frontier=()) for key in (story["bob"].key, mallory.key)]
    ledger = deliver(None, story.said)

    rotations = [sign_operation(compose(ledger, following.key, body, epoch=None), following.signer) for body in bodies]

    merged = in_every_order(story, *rotations)
    assert merged.state.members[following.key].line == story["bob"].key  # the more senior one
    assert mallory.key not in merged.state.members


def test_a_rotated_key_that_begins_a_chain_anew_is_void() -> None:
    story = Story("bob", "carol")
    story.tell(story["bob"].rotate())
    ledger, member = story["carol"].ledger, story["carol"].ledger.state.members[story["bob"].key]
    body = Invite(invitee=Person("puppet").key, secret_key=None, capabilities=frozenset(ON_JOINING), uses=1)
    operation = Operation(
        context=ledger.context_id,
        author=member.key,
        seq=1,
        prev=None,
        parents=ledger.to_cite(),
        auth=member.admission,
        epoch=None,
        body=body,
    )
    forged = sign_operation(operation, story["bob"].signer)

    story.tell(forged)

    assert story.founder.verdict(forged).code == "chain_of_another"


def test_a_retired_key_is_not_let_in_again() -> None:
    story = Story("bob", "carol")
    old = Person("bob")
    story.tell(story["bob"].rotate())

    while_member = story.founder.invite(old)
    story.tell(while_member, story.founder.remove(story["bob"]))
    after_removal = story.founder.invite(old)
    story.tell(after_removal)

    assert story["carol"].verdict(while_member).code == "key_retired"
    assert story["carol"].verdict(after_removal).code == "key_retired"


def test_the_current_key_comes_back_and_its_node_goes_on() -> None:
    story = Story("bob", "carol")
    story.tell(story["bob"].rotate())
    story.tell(story.founder.remove(story["bob"]))
    invitation = story.founder.invite(story["bob"])
    story.tell(invitation)

    story.tell(join_as(story["bob"], story["carol"].ledger, invitation, story["bob"].keys))  # without its history
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    invite = story["bob"].invite(Person("dave"))
    story.tell(invite, story["bob"].rotate())

    assert story["carol"].verdict(invite).valid
    assert story["carol"].ledger.state.members[story["bob"].key].may(Capability.INVITE)


def test_a_removal_that_honours_a_rotation_it_has_not_seen_does_not_rotate_the_next_membership() -> None:
    story = Story("bob", "carol")
    old = story["bob"].key
    early = deliver(None, story.said)
    rotation = story["bob"].rotate()
    story.founder.hear([rotation])
    body = Remove(member=old, frontier=(rotation.operation_id,), cascade=())
    removal = sign_operation(compose(early, story.founder.key, body, epoch=None), story.founder.signer)
    early = deliver(early, [rotation])
    story.said.append(rotation)
    unaware = Person("founder")
    unaware.hear([*story.said[:-1]])
    invite_body = Invite(invitee=old, secret_key=None, capabilities=frozenset(ON_JOINING), uses=1)
    invitation = sign_operation(
        Operation(
            context=early.context_id,
            author=unaware.key,
            seq=removal.operation.seq + 1,
            prev=removal.operation_id,
            parents=(removal.operation_id,),
            auth=removal.operation.auth,
            epoch=None,
            body=invite_body,
        ),
        unaware.signer,
    )
    join = sign_operation(
        Operation(
            context=early.context_id,
            author=old,
            seq=1,
            prev=None,
            parents=(invitation.operation_id,),
            auth=invitation.operation_id,
            epoch=None,
            body=Join(invitation=invitation.operation_id, keys=Person("bob").keys, proof=None),
        ),
        Person("bob").signer,
    )
    story.said.remove(rotation)

    in_every_order(story, rotation, removal, invitation, join)


def test_two_joins_with_one_invitation_name_the_same_admission_everywhere() -> None:
    story = Story("bob")
    dave = Person("dave")
    invitation = story.founder.invite(dave)
    story.tell(invitation)
    dave.hear(story.said)
    other = MemberKeys(sealing=Person("else").keys.sealing, next_keys=bytes(32))
    joins = [join_as(dave, story["bob"].ledger, invitation, keys) for keys in (dave.keys, other)]

    in_every_order(story, *joins)


def test_a_grant_and_a_more_senior_admission_give_the_same_in_every_order() -> None:
    story = Story("bob", "carol")
    dave = Person("dave")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    story.tell(story.founder.grant(story["bob"], Capability.MANAGE_MEMBERS))
    by_bob, by_founder = story["bob"].invite(dave), story.founder.invite(dave)
    story.tell(by_bob, by_founder)
    early = deliver(None, story.said)
    first = join_as(dave, early, by_bob, dave.keys)
    second = join_as(dave, early, by_founder, dave.keys)
    story["bob"].hear([first])
    grant = story["bob"].say(Grant(member=dave.key, capability=Capability.INVITE))

    merged = in_every_order(story, first, second, grant)

    assert merged.state.members[dave.key].may(Capability.INVITE)


def test_a_suspension_goes_over_to_the_next_key() -> None:
    story = Story("bob", "carol")
    for name in ("bob", "carol"):
        story.tell(story.founder.grant(story[name], Capability.MANAGE_MEMBERS))
    suspension = story["carol"].remove(story["bob"])
    story.tell(suspension)
    rotation = story["bob"].rotate()
    story.tell(rotation)

    assert story["bob"].key in story.founder.ledger.state.suspensions
