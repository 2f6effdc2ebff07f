from tests.cast import Person, Story

from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import Capability
from meroid.ledger.verdict import Standing


def test_the_founder_is_a_member_with_every_capability() -> None:
    story = Story()

    member = story.founder.ledger.state.members[story.founder.key]

    assert member.capabilities == frozenset(Capability)
    assert member.rank == ()


def test_who_joins_by_name_gets_read_and_write_and_a_rank_below_its_inviter() -> None:
    story = Story("bob")

    member = story.founder.ledger.state.members[story["bob"].key]

    assert member.capabilities == {Capability.READ, Capability.WRITE}
    assert len(member.rank) == 1


def test_a_stranger_can_not_take_an_invitation_made_for_another() -> None:
    story = Story("bob")
    eve, carol = Person("eve"), Person("carol")
    invitation = story.founder.invite(carol)
    story.tell(invitation)
    eve.hear(story.said)

    join = eve.join(invitation)
    story.tell(join)

    assert story["bob"].verdict(join).code == "not_invited"
    assert eve.key not in story["bob"].ledger.state.members


def test_who_holds_the_secret_is_a_member_only_once_admitted() -> None:
    story = Story("bob")
    secret, carol = SoftwareSigner.generate(), Person("carol")
    invitation = story.founder.invite_openly(secret)
    story.tell(invitation)
    carol.hear(story.said)

    join = carol.join(invitation, secret)
    story.tell(join)
    before = carol.key in story["bob"].ledger.state.members
    story.tell(story.founder.admit(join))

    assert not before
    assert carol.key in story["bob"].ledger.state.members


def test_a_wrong_secret_proves_nothing() -> None:
    story = Story("bob")
    carol = Person("carol")
    invitation = story.founder.invite_openly(SoftwareSigner.generate())
    story.tell(invitation)
    carol.hear(story.said)

    join = carol.join(invitation, SoftwareSigner.generate())
    story.tell(join)

    assert story["bob"].verdict(join).code == "bad_invitation_proof"


def test_a_removed_member_can_not_write_however_it_backdates() -> None:
    story = Story("bob", "carol")
    before = story["bob"].write("before")
    story.tell(before)
    old_replica = story["bob"]
    removal = story.founder.remove(story["bob"])
    backdated = old_replica.write("after, citing old ancestors")
    story.tell(removal, backdated)

    for person in (story.founder, story["carol"]):
        assert person.verdict(before).valid
        assert person.verdict(backdated).code == "author_removed"
        assert person.verdict(backdated).because == removal.operation_id
        assert story["bob"].key not in person.ledger.state.members


def test_what_was_among_the_ancestors_of_a_removal_stays() -> None:
    story = Story("bob", "carol")
    written = [story["bob"].write(str(number)) for number in range(3)]
    story.tell(*written)

    story.tell(story.founder.remove(story["bob"]))

    assert all(story["carol"].verdict(delta).valid for delta in written)


def test_a_removal_may_honour_more_than_its_ancestors() -> None:
    story = Story("bob", "carol")
    late = story["bob"].write("late")
    story["carol"].hear([late])
    story.founder.hear([late])
    removal = story.founder.remove(story["bob"], frontier=(late.operation_id,))
    story.tell(removal, late)

    assert story["carol"].verdict(late).valid


def test_the_epoch_of_before_a_removal_may_not_encrypt_new_writes() -> None:
    story = Story("bob", "carol")
    old = story.founder.ledger.state.usable_epochs()[0].epoch_id
    story.tell(story.founder.remove(story["bob"]))

    refused = story["carol"].write("under the old key", epoch_id=old)
    story.tell(refused)
    rekey = story["carol"].rekey()
    story.tell(rekey)
    written = story["carol"].write("under the new key")
    story.tell(written)

    assert story.founder.verdict(refused).code == "epoch_not_usable"
    assert story.founder.verdict(written).valid


def test_a_removed_member_is_let_in_again_only_by_an_invitation_that_knows_of_the_removal() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.remove(story["bob"]))

    story.bring_in(story.founder, story["bob"])
    story.sync()

    assert story["bob"].key in story["carol"].ledger.state.members
    story.tell(story["carol"].rekey())
    again = story["bob"].write("again")
    story.tell(again)
    assert story["carol"].verdict(again).valid


def test_an_open_invitation_of_a_removed_member_lets_nobody_in() -> None:
    story = Story("bob", "carol")
    secret, puppet = SoftwareSigner.generate(), Person("puppet")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    invitation = story["bob"].invite_openly(secret)
    story.tell(invitation)
    puppet.hear(story.said)
    removal = story.founder.remove(story["bob"])

    join = puppet.join(invitation, secret)
    story["bob"].hear([join])
    admit = story["bob"].admit(join)
    story.tell(removal, join, admit)

    assert not story["carol"].verdict(admit).valid
    assert puppet.key not in story["carol"].ledger.state.members


def test_a_named_invitation_of_a_removed_member_ends_though_the_joiner_backdates() -> None:
    story = Story("bob", "carol")
    puppet = Person("puppet")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    invitation = story["bob"].invite(puppet)
    story.tell(invitation)
    puppet.hear(story.said)
    removal = story.founder.remove(story["bob"])

    join = puppet.join(invitation)
    story.tell(removal, join)

    assert story["carol"].verdict(join).code == "invitation_ended"
    assert puppet.key not in story["carol"].ledger.state.members


def test_members_admitted_before_the_removal_of_their_inviter_stay_unless_named() -> None:
    story = Story("bob", "carol")
    dave, erin = Person("dave"), Person("erin")
    story.people |= {"dave": dave, "erin": erin}
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    for person in (dave, erin):
        story.bring_in(story["bob"], person)
        story.sync()

    story.tell(story.founder.remove(story["bob"], cascade=(erin.key,)))

    members = story["carol"].ledger.state.members
    assert dave.key in members
    assert erin.key not in members


def test_two_managers_who_remove_each_other_end_with_the_more_senior() -> None:
    story = Story("bob", "carol")
    for name in ("bob", "carol"):
        story.tell(story.founder.grant(story[name], Capability.MANAGE_MEMBERS))
    by_senior = story["bob"].remove(story["carol"])
    by_junior = story["carol"].remove(story["bob"])

    story.tell(by_senior, by_junior)

    for person in (story.founder, story["bob"], story["carol"]):
        members = person.ledger.state.members
        assert story["bob"].key in members
        assert story["carol"].key not in members
        assert person.verdict(by_junior).code == "author_removed"


def test_a_junior_manager_only_suspends_a_senior_and_its_end_lifts_it() -> None:
    story = Story("bob", "carol")
    for name in ("bob", "carol"):
        story.tell(story.founder.grant(story[name], Capability.MANAGE_MEMBERS))
    concurrent = story["bob"].write("while carol decides")
    removal = story["carol"].remove(story["bob"])
    story.tell(concurrent, removal)

    assert story.founder.verdict(concurrent).standing is Standing.HELD
    assert story["bob"].key in story.founder.ledger.state.members
    assert not story.founder.ledger.state.usable_epochs()

    story.tell(story.founder.remove(story["carol"]))

    assert story.founder.verdict(concurrent).valid


def test_nobody_gives_what_it_does_not_have() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.MANAGE_MEMBERS))

    refused = story["bob"].grant(story["carol"], Capability.MANAGE_APPLICATION)
    story.tell(refused)

    assert story.founder.verdict(refused).code == "gives_more_than_held"


def test_a_revoked_capability_voids_what_needs_it_and_nothing_else() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    dave = Person("dave")
    revocation = story.founder.revoke(story["bob"], Capability.INVITE)
    invitation = story["bob"].invite(dave)
    written = story["bob"].write()
    story.tell(revocation, invitation, written)

    assert story["carol"].verdict(invitation).code == "capability_revoked"
    assert story["carol"].verdict(written).valid
    assert not story["carol"].ledger.state.members[story["bob"].key].may(Capability.INVITE)


def test_a_grant_built_on_a_revocation_gives_the_capability_back() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    story.tell(story.founder.revoke(story["bob"], Capability.INVITE))

    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    invitation = story["bob"].invite(Person("dave"))
    story.tell(invitation)

    assert story["carol"].verdict(invitation).valid


def test_the_only_manager_can_not_leave_while_others_are_members() -> None:
    story = Story("bob")

    leave = story.founder.leave()
    story.tell(leave)

    assert story["bob"].verdict(leave).code == "only_manager"
    assert story.founder.key in story["bob"].ledger.state.members


def test_who_left_writes_no_more_and_what_it_wrote_stays() -> None:
    story = Story("bob", "carol")
    written = story["bob"].write()
    story.tell(written)
    leave = story["bob"].leave()
    story.tell(leave)

    assert story["carol"].verdict(leave).valid
    assert story["carol"].verdict(written).valid
    assert story["bob"].key not in story["carol"].ledger.state.members


def test_an_invitation_for_one_use_admits_once() -> None:
    story = Story("bob")
    secret, first, second = SoftwareSigner.generate(), Person("first"), Person("second")
    invitation = story.founder.invite_openly(secret, uses=1)
    story.tell(invitation)
    first.hear(story.said)
    second.hear(story.said)
    joins = [first.join(invitation, secret), second.join(invitation, secret)]
    story.tell(*joins)

    story.tell(story.founder.admit(joins[0]))
    refused = story.founder.admit(joins[1])
    story.tell(refused)

    assert story["bob"].verdict(refused).code == "no_such_invitation"
    assert second.key not in story["bob"].ledger.state.members


def test_new_operations_cite_no_void_one() -> None:
    story = Story("bob", "carol")
    removal = story.founder.remove(story["bob"])
    flood = [story["bob"].write(str(number)) for number in range(3)]
    story.tell(removal, *flood)

    rekey = story["carol"].rekey()

    assert rekey.operation.parents == (removal.operation_id,)
