"""Members, former members and strangers who try to make the rules say something else."""

from dataclasses import replace

import pytest
from tests.cast import Person, Story, deliver

from meroid import limits
from meroid.ids import OperationId
from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import Capability
from meroid.ledger.codec import MalformedOperationError, OperationTooLargeError, decode_operation
from meroid.ledger.graph import BrokenChainError
from meroid.ledger.operation import Delta, Join, MemberKeys, Remove, VerifiedOperation
from meroid.ledger.verdict import Standing
from meroid.ledger.verify import read_operation, sign_operation

MANAGE, INVITE = Capability.MANAGE_MEMBERS, Capability.INVITE


def managers(*names: str) -> Story:
    """People who joined in this order and manage members."""
    story = Story(*names)
    for name in names:
        story.tell(story.founder.grant(story[name], MANAGE))
    return story


def forks(story: Story, person: Person, count: int) -> list[VerifiedOperation]:
    """Concurrent deltas of one key, which all follow the same operation."""
    body = Delta(nonce=bytes(12), ciphertext=b"fork 0")
    first = person.write("fork 0").operation
    made = [sign_operation(first, person.signer)]
    for number in range(1, count):
        other = Delta(nonce=body.nonce, ciphertext=f"fork {number}".encode())
        made.append(sign_operation(replace(first, body=other), person.signer))
    return made


def test_a_member_who_forks_a_hundred_times_does_not_make_others_write_what_cannot_be_read() -> None:
    story = Story("bob", "carol")
    story.tell(*forks(story, story["bob"], limits.OPERATION_PARENTS.value + 36))

    written = [story["carol"].write("one"), story["carol"].write("two")]

    for operation in written:
        assert read_operation(operation.envelope) == operation
        assert story["carol"].verdict(operation).valid
    assert len(story["carol"].ledger.heads()) == 1


def test_the_epoch_of_a_write_is_in_sight_though_a_member_forked_after_it() -> None:
    story = Story("bob", "carol", "dave")
    flood = forks(story, story["bob"], 100)
    rekey = story["carol"].rekey()
    story.tell(rekey, *flood)

    written = story["dave"].write(epoch_id=story["carol"].ledger.state.usable_epochs()[0].epoch_id)

    assert story["dave"].verdict(written).valid


def test_an_operation_that_others_would_not_read_is_not_signed() -> None:
    story = Story()

    with pytest.raises(OperationTooLargeError):
        story.founder.write("x" * limits.OPERATION_BYTES.value)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_who_joins_with_a_sealing_key_that_nothing_can_be_sealed_for_is_refused(point: bytes) -> None:
    story, eve = Story(), Person("eve")
    invitation = story.founder.invite(eve)
    eve.hear([*story.said, invitation])
    join = eve.say(
        Join(invitation=invitation.operation_id, keys=MemberKeys(sealing=point, next_keys=bytes(32)), proof=None)
    )

    with pytest.raises(MalformedOperationError):
        decode_operation(join.envelope)


def test_a_revoked_capability_is_not_handed_on_by_a_backdated_grant() -> None:
    story = Story("bob", "puppet")
    story.tell(story.founder.grant(story["bob"], MANAGE), story.founder.grant(story["bob"], INVITE))
    revocation = story.founder.revoke(story["bob"], INVITE)
    backdated = story["bob"].grant(story["puppet"], INVITE)

    story.tell(revocation, backdated)

    assert story.founder.verdict(backdated).code == "capability_revoked"
    assert not story.founder.ledger.state.members[story["puppet"].key].may(INVITE)


def test_a_revoked_capability_is_not_handed_on_by_a_backdated_invitation() -> None:
    story, puppet = Story("bob"), Person("puppet")
    story.tell(story.founder.grant(story["bob"], INVITE))
    revocation = story.founder.revoke(story["bob"], Capability.WRITE)
    backdated = story["bob"].invite(puppet)
    puppet.hear([*story.said, backdated])
    join = puppet.join(backdated)

    story.tell(revocation, backdated, join)

    assert story.founder.verdict(backdated).code == "capability_revoked"
    assert puppet.key not in story.founder.ledger.state.members


def test_what_a_decision_did_and_what_is_said_of_it_agree() -> None:
    """A removal in effect that relied on a grant of somebody whom a later entry removes."""
    story = managers("ann", "mia", "bob")
    story.tell(story.founder.revoke(story["ann"], MANAGE))
    zoe = Person("zoe")
    story.people["zoe"] = zoe
    story.bring_in(story.founder, zoe)
    story.sync()
    grant = story["bob"].grant(story["ann"], MANAGE)
    story["ann"].hear([grant])
    removal = story["ann"].remove(zoe)
    by_mia = story["mia"].remove(story["bob"])

    story.tell(grant, removal, by_mia)

    ledger = story.founder.ledger
    assert ledger.verdict(removal.operation_id).valid is (zoe.key not in ledger.state.members)


def test_a_member_whom_two_juniors_suspend_is_held_to_both_frontiers() -> None:
    story = managers("ann", "bob", "carol")
    early = story["ann"].write("early")
    story["carol"].hear([early])
    by_bob = story["bob"].remove(story["ann"])
    by_carol = story["carol"].remove(story["ann"])

    story.tell(early, by_bob, by_carol)

    assert story.founder.verdict(early).standing is Standing.HELD
    story.tell(story.founder.remove(story["bob"]))
    assert story.founder.verdict(early).valid


def test_who_is_admitted_anew_after_a_suspension_is_not_suspended() -> None:
    story = managers("ann", "bob")
    story.tell(story["bob"].remove(story["ann"]))
    story.tell(story.founder.remove(story["ann"]))

    story.bring_in(story.founder, story["ann"])
    story.sync()

    assert story["ann"].key not in story.founder.ledger.state.suspensions


def test_a_suspension_that_ended_does_not_come_back_with_its_issuer() -> None:
    story = managers("ann", "bob")
    story.tell(story["bob"].remove(story["ann"]))
    story.tell(story.founder.revoke(story["bob"], MANAGE))
    lifted = story["ann"].key not in story.founder.ledger.state.suspensions

    story.tell(story.founder.grant(story["bob"], MANAGE))

    assert lifted
    assert story["ann"].key not in story.founder.ledger.state.suspensions


def test_a_trial_refuses_what_would_not_be_taken() -> None:
    story, other = Story("bob", "carol"), Story("bob")
    written = story["bob"].write("mine")
    story.tell(written)
    next_one = story["carol"].write("next").operation
    stolen_prev = replace(next_one, seq=written.operation.seq + 1, prev=written.operation_id)
    founder = story.founder.ledger

    for refused in (sign_operation(stolen_prev, story["carol"].signer), other.founder.write("elsewhere")):
        before = len(founder)
        with pytest.raises((BrokenChainError, Exception)) as raised:  # the two must agree
            founder.add(refused)
        with pytest.raises(raised.type):
            founder.trial(refused)
        assert len(founder) == before


def test_a_frontier_that_names_what_nobody_has_only_waits() -> None:
    story = Story("bob", "carol")
    removal = story.founder.remove(story["bob"]).operation
    body = Remove(member=story["bob"].key, frontier=(OperationId(b"x" * 32),), cascade=())
    forged = sign_operation(replace(removal, body=body), story.founder.signer)

    ledger = deliver(None, [*story.said, forged])

    assert forged.operation_id not in ledger
    assert story["bob"].key in ledger.state.members


def test_a_frontier_may_not_name_operations_of_somebody_else() -> None:
    story = Story("bob", "carol")
    written = story["carol"].write()
    story.tell(written)

    refused = story.founder.remove(story["bob"], frontier=(written.operation_id,))

    assert story.founder.verdict(refused).code == "frontier_of_another"


def test_a_cascade_reaches_only_those_whom_the_target_let_in() -> None:
    story = Story("bob", "carol")

    refused = story.founder.remove(story["bob"], cascade=(story["carol"].key,))

    assert story.founder.verdict(refused).code == "cascade_not_below_target"


def test_two_who_admit_the_same_join_make_one_membership_with_the_senior_rank() -> None:
    story = Story("ann", "bob")
    for name in ("ann", "bob"):
        story.tell(story.founder.grant(story[name], INVITE))
    secret, carol = SoftwareSigner.generate(), Person("carol")
    invitation = story["bob"].invite_openly(secret)
    story.tell(invitation)
    carol.hear(story.said)
    join = carol.join(invitation, secret)
    story.tell(join)
    by_bob, by_ann = story["bob"].admit(join), story["ann"].admit(join)
    carol.hear([by_bob])
    written = carol.write("as bob's guest")

    one = deliver(None, [*story.said, by_bob, by_ann, written])
    other = deliver(None, [*story.said, by_ann, by_bob, written])

    assert one.state.members == other.state.members
    assert one.state.members[carol.key].admission == by_ann.operation_id
    assert one.verdict(written.operation_id) == other.verdict(written.operation_id)
    assert one.verdict(written.operation_id).valid


def test_a_former_member_does_not_come_back_by_an_admission_that_does_not_know_of_the_removal() -> None:
    story = Story("ann", "bob")
    story.tell(story.founder.grant(story["ann"], INVITE))
    secret = SoftwareSigner.generate()
    opened = story.founder.invite_openly(secret)
    story.tell(opened)
    left = story["bob"].leave()
    story["ann"].hear([left])
    join = story["bob"].join(opened, secret)
    story["ann"].hear([join])
    removal = story.founder.remove(story["bob"])
    admit = story["ann"].admit(join)

    story.tell(left, join, removal, admit)

    assert story["bob"].key not in story.founder.ledger.state.members


def test_a_removed_manager_does_not_undo_its_removal_through_a_senior_puppet() -> None:
    """Smallest history: mia removes bob; bob backdates a grant to ann, who ranks above mia; ann removes mia (decision 0013)."""
    story = Story("ann", "mia", "bob")
    for name in ("mia", "bob"):
        story.tell(story.founder.grant(story[name], MANAGE))
    removal = story["mia"].remove(story["bob"])
    backdated = story["bob"].grant(story["ann"], MANAGE)
    story["ann"].hear([backdated])
    revenge = story["ann"].remove(story["mia"])

    story.tell(removal, backdated, revenge)

    assert story["bob"].key not in story.founder.ledger.state.members
    assert story["mia"].key in story.founder.ledger.state.members
