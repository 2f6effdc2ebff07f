"""A second device in one membership (`semantics.md` §1, rules 1 and 4)."""

from collections.abc import Iterable

from tests.cast import Person, Story, deliver

from meroid.keys.software import SoftwareSigner
from meroid.ledger.authoring import compose
from meroid.ledger.capability import ALL, ON_JOINING, Capability
from meroid.ledger.operation import Body, Grant, Link, Remove, Revoke, Unlink, VerifiedOperation
from meroid.ledger.verify import link_proof_message, sign_operation


def with_device(
    story: Story, of: Person, name: str = "device", capabilities: Iterable[Capability] = ON_JOINING
) -> Person:
    """A device that is linked and has heard everything."""
    device = Person(name)
    story.people[name] = device
    story.tell(of.link(device, capabilities))
    return device


def test_a_linked_key_has_the_rank_of_its_member_and_a_line_of_its_own() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])

    members = story["carol"].ledger.state.members

    linked, main = members[device.key], members[story["bob"].key]
    assert (linked.rank, linked.linked_to, linked.line) == (main.rank, main.line, device.key)
    assert linked.capabilities == ON_JOINING


def test_a_linked_key_counts_for_itself_and_reads_and_writes() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])

    written = device.write("from the device")
    story.tell(written)

    assert (written.operation.seq, written.operation.prev) == (1, None)
    assert story["carol"].verdict(written).valid
    assert device.key in {reader.key for reader in story["carol"].ledger.state.readers()}


def test_a_new_epoch_is_sealed_for_the_device_and_the_old_one_stays_usable_after_a_link() -> None:
    story = Story("bob")
    device = with_device(story, story["bob"])
    assert story.founder.ledger.state.usable_epochs()

    story.tell(device.rekey())

    assert story.founder.ledger.state.usable_epochs()


def test_an_unlinked_key_is_no_member_and_the_epoch_of_before_is_not_usable() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])
    before = device.write("before")
    story.tell(before)

    story.tell(story["bob"].unlink(device))

    state = story["carol"].ledger.state
    assert device.key not in state.members
    assert not state.usable_epochs()
    assert story["carol"].verdict(before).valid


def test_a_member_gives_its_device_no_more_than_it_has() -> None:
    story = Story("bob")
    device = Person("device")

    link = story["bob"].link(device, ALL)
    story.tell(link)

    assert story.founder.verdict(link).code == "gives_more_than_held"


def test_a_device_may_only_what_its_link_gives_and_its_member_still_may() -> None:
    story = Story("bob", "carol")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    device = with_device(story, story["bob"], capabilities={Capability.READ, Capability.INVITE})
    assert not device.ledger.state.members[device.key].may(Capability.WRITE)

    story.tell(story.founder.revoke(story["bob"], Capability.INVITE))
    taken = story["carol"].ledger.state.members[device.key].capabilities
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))

    assert taken == {Capability.READ}
    assert story["carol"].ledger.state.members[device.key].may(Capability.INVITE)


def test_whom_a_device_lets_in_ranks_below_its_member_after_the_link_alone() -> None:
    story = Story("bob")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    device = with_device(story, story["bob"], capabilities={Capability.READ, Capability.WRITE, Capability.INVITE})
    carol, dave = Person("carol"), Person("dave")
    story.people |= {"carol": carol}
    story.bring_in(device, carol)
    story.sync()
    story.people |= {"dave": dave}
    story.bring_in(story["bob"], dave)
    story.sync()

    members = story.founder.ledger.state.members
    top = members[story["bob"].key].rank
    link = story.founder.ledger.graph[members[device.key].admission]
    assert members[carol.key].rank == (*top, (link.operation.seq, 1))
    assert link.step < members[carol.key].rank[-1] < members[dave.key].rank[-1]


def test_a_device_rotates_itself_also_before_it_said_anything() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])
    old = device.key

    story.tell(device.rotate())
    story.tell(device.rotate())

    state = story["carol"].ledger.state
    assert state.key_now(old) == device.key
    assert state.members[device.key].linked_to == story["bob"].key
    assert state.main_key(old) == story["bob"].key


def test_a_rotation_of_the_member_leaves_its_devices() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])

    story.tell(story["bob"].rotate())
    story.tell(device.rekey())
    written = device.write("after")
    story.tell(written)

    assert story["carol"].verdict(written).valid
    assert story["carol"].ledger.state.main_key(device.key) == story["bob"].key


def test_removing_a_member_ends_its_devices_and_keeps_what_was_seen_of_them() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])
    seen = device.write("seen")
    story.tell(seen)
    unseen = device.write("unseen")

    removal = story.founder.remove(story["bob"])
    story.tell(unseen, removal)

    assert not {story["bob"].key, device.key} & story["carol"].ledger.state.members.keys()
    assert story["carol"].verdict(seen).valid
    assert story["carol"].verdict(unseen).code == "author_removed"


def unaware(story: Story, author: Person, body: Body, late: VerifiedOperation) -> VerifiedOperation:
    """What an author signs that doesn't build on something it names."""
    early = deliver(None, story.said)
    author.hear([late])
    return sign_operation(compose(early, author.key, body, epoch=None), author.signer)


def test_a_removal_may_honour_more_of_a_device() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])
    late = device.write("late")
    body = Remove(member=story["bob"].key, frontier=(late.operation_id,), cascade=())

    removal = unaware(story, story.founder, body, late)
    story.tell(late, removal)

    assert story["carol"].verdict(removal).valid
    assert story["carol"].verdict(late).valid


def test_leaving_ends_the_devices() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])

    story.tell(story["bob"].leave())

    assert device.key not in story["carol"].ledger.state.members


def test_unlinking_keeps_what_it_names() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story["bob"])
    late = device.write("on the way")

    unlink = unaware(story, story["bob"], Unlink(key=device.key, frontier=(late.operation_id,)), late)
    story.tell(late, unlink)

    assert story["carol"].verdict(unlink).valid
    assert story["carol"].verdict(late).valid


def test_the_only_manager_stays_though_its_own_device_manages_too() -> None:
    story = Story("bob")
    with_device(story, story.founder, capabilities=ALL)

    leave = story.founder.leave()
    story.tell(leave)

    assert story["bob"].verdict(leave).code == "only_manager"


def test_the_last_member_may_leave_though_it_has_devices() -> None:
    story = Story()
    with_device(story, story.founder)

    leave = story.founder.leave()

    assert story.founder.verdict(leave).valid


def test_rights_are_given_to_members_and_not_to_their_devices() -> None:
    story = Story("bob")
    device = with_device(story, story["bob"])
    bodies: list[Body] = [
        Grant(member=device.key, capability=Capability.INVITE),
        Revoke(member=device.key, capability=Capability.READ, frontier=()),
        Remove(member=device.key, frontier=(), cascade=()),
    ]

    said = [story.founder.say(body) for body in bodies]

    assert {story.founder.verdict(each).code for each in said} == {"target_is_linked"}


def test_a_cascade_names_members_and_reaches_their_devices() -> None:
    story = Story("bob")
    story.tell(story.founder.grant(story["bob"], Capability.INVITE))
    dave = Person("dave")
    story.people["dave"] = dave
    story.bring_in(story["bob"], dave)
    story.sync()
    device = with_device(story, dave)

    by_device = story.founder.remove(story["bob"], cascade=(device.key,))
    removal = story.founder.remove(story["bob"], cascade=(dave.key,))
    story.tell(by_device, removal)

    assert story.founder.verdict(by_device).code == "target_is_linked"
    assert story.founder.ledger.state.members.keys() == {story.founder.key}


def test_a_device_manages_with_the_rank_of_its_member() -> None:
    story = Story("bob", "carol")
    device = with_device(story, story.founder, capabilities=ALL)

    story.tell(device.remove(story["carol"]))

    assert story["carol"].key not in story["bob"].ledger.state.members


def test_a_key_is_linked_by_its_own_consent_only() -> None:
    story = Story("bob", "carol")
    device, stranger = Person("device"), SoftwareSigner.generate()
    message = link_proof_message(story.founder.ledger.context_id, story["bob"].key, device.key, device.keys)
    proofs = [device.agree(story["carol"]), stranger.sign(message)]

    said = [
        story["bob"].say(Link(key=device.key, keys=device.keys, capabilities=ON_JOINING, proof=proof))
        for proof in proofs
    ]

    assert [story["bob"].verdict(each).code for each in said] == ["bad_link_proof"] * 2
