"""Histories against linked keys: who lost a device, who stole one, and what neither may do."""

from dataclasses import replace
from itertools import permutations

import pytest
from tests.cast import Person, Story, deliver

from meroid.ledger.authoring import NotAMemberError, compose
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Body, Join, Leave, Link, MemberKeys, Remove, Unlink, VerifiedOperation
from meroid.ledger.verify import sign_operation

MANAGING = frozenset({Capability.READ, Capability.WRITE, Capability.INVITE, Capability.MANAGE_MEMBERS})


class Elsewise(Person):
    """The same client key with another sealing key beside it."""

    @property
    def keys(self) -> MemberKeys:
        return replace(super().keys, sealing=Person("somebody").keys.sealing)


def in_every_order(story: Story, *late: VerifiedOperation) -> Ledger:
    """A replica, after all orders of arrival of what came late were found to give the same."""
    replicas = [deliver(deliver(None, story.said), order) for order in permutations(late)]
    first = replicas[0]
    for other in replicas[1:]:
        assert other.state.members == first.state.members
        assert other.state.suspensions.keys() == first.state.suspensions.keys()
        for operation in late:
            assert other.verdict(operation.operation_id) == first.verdict(operation.operation_id)
    return first


def device_of(
    story: Story, member: Person, name: str = "device", capabilities: frozenset[Capability] = ON_JOINING
) -> Person:
    device = Person(name)
    story.people[name] = device
    story.tell(member.link(device, capabilities))
    return device


def copy_of(person: Person, story: Story) -> Person:
    """A thief with somebody's key and the replica of this moment."""
    thief = Person(person.name)
    thief.generation = person.generation
    thief.hear(story.said)
    return thief


def codes(ledger: Ledger, *operations: VerifiedOperation) -> list[str]:
    return [ledger.verdict(each.operation_id).code for each in operations]


def managers(*names: str) -> Story:
    story = Story(*names)
    for name in names:
        for capability in (Capability.INVITE, Capability.MANAGE_MEMBERS):
            story.tell(story.founder.grant(story[name], capability))
    return story


def test_an_unlinked_device_gains_nothing_by_backdating() -> None:
    story = managers("bob", "carol")
    device = device_of(story, story["bob"], capabilities=MANAGING)
    thief = copy_of(device, story)
    unlink = story["bob"].unlink(device)

    written, invitation = thief.write("backdated"), thief.invite(Person("puppet"))
    removal, rotation = thief.remove(story["carol"]), thief.rotate()

    merged = in_every_order(story, unlink, written, invitation, removal, rotation)
    # carol is junior to bob, so that the removal would have ended her membership
    assert codes(merged, written, invitation, removal, rotation) == ["key_unlinked"] * 4
    assert story["carol"].key in merged.state.members
    assert device.key not in merged.state.members


def test_whom_a_device_lets_in_after_it_was_unlinked_is_not_in() -> None:
    story = managers("bob")
    device = device_of(story, story["bob"], capabilities=MANAGING)
    early, late = Person("early"), Person("late")
    open_before = device.invite(early)
    story.tell(open_before)
    thief = copy_of(device, story)
    story.tell(story["bob"].unlink(device))
    backdated = thief.invite(late)
    for person, invitation in ((early, open_before), (late, backdated)):
        person.hear([*story.said, backdated])
        story.said.append(invitation)
        story.tell(person.join(invitation))

    assert not {early.key, late.key} & story.founder.ledger.state.members.keys()


def test_a_thief_of_the_main_key_links_its_own_device_and_the_owner_rotates() -> None:
    story = Story("bob", "carol")
    thief, own = copy_of(story["bob"], story), Person("the thief's device")
    link = thief.link(own)
    own.hear([*story.said, link])
    written, rotated = own.write("from the thief's device"), own.rotate()

    rotation = story["bob"].rotate()

    merged = in_every_order(story, link, written, rotated, rotation)
    assert codes(merged, link, written, rotated) == ["key_rotated", "rests_on_void_link", "rests_on_void_link"]
    assert own.key not in merged.state.members


def test_a_thief_of_the_main_key_links_its_own_device_after_the_rotation() -> None:
    story = Story("bob", "carol")
    thief, own = copy_of(story["bob"], story), Person("the thief's device")
    story.tell(story["bob"].rotate())

    backdated = thief.link(own)
    own.hear([*story.said, backdated])
    with pytest.raises(NotAMemberError):
        own.write()
    story.tell(backdated)

    assert codes(story["carol"].ledger, backdated) == ["key_rotated"]
    assert own.key not in story["carol"].ledger.state.members


def test_a_thief_of_the_main_key_unlinks_the_owners_device_and_the_rotation_brings_it_back() -> None:
    story = Story("bob", "carol")
    device = device_of(story, story["bob"])
    unlink = copy_of(story["bob"], story).unlink(device)
    written = device.write("still here")

    rotation = story["bob"].rotate()

    merged = in_every_order(story, unlink, rotation, written)
    assert codes(merged, unlink, written) == ["key_rotated", "valid"]
    assert device.key in merged.state.members


def test_a_device_can_not_outlive_a_removal_behind_an_unlinking_that_falls() -> None:
    story = Story("bob", "carol")
    device = device_of(story, story["bob"])
    writing = copy_of(device, story)
    unlink = copy_of(story["bob"], story).unlink(device)
    rotation = story["bob"].rotate()
    early = deliver(None, [*story.said, unlink])  # at this cut the device is none any more
    body = Remove(member=Person("bob").key, frontier=(rotation.operation_id,), cascade=())
    removal = sign_operation(compose(early, story.founder.key, body, epoch=None), story.founder.signer)
    written = writing.write("backdated")

    merged = in_every_order(story, unlink, rotation, removal, written)

    assert codes(merged, unlink, rotation, written) == ["key_rotated", "valid", "author_removed"]
    assert merged.state.members.keys() == {story.founder.key, story["carol"].key}


def test_a_link_that_the_remover_has_not_seen_falls_with_the_member() -> None:
    story = Story("bob", "carol")
    removal = story.founder.remove(story["bob"])
    device = Person("device")
    link = story["bob"].link(device)
    device.hear([*story.said, link])
    written = device.write("unseen")

    merged = in_every_order(story, removal, link, written)

    assert codes(merged, link, written) == ["author_removed"] * 2


def test_a_revocation_that_has_not_seen_the_link_reaches_it() -> None:
    story = Story("bob", "carol")
    revocation = story.founder.revoke(story["bob"], Capability.WRITE)
    device = Person("device")
    link = story["bob"].link(device)
    device.hear([*story.said, link])
    written = device.write("unseen")

    merged = in_every_order(story, revocation, link, written)

    assert codes(merged, link, written) == ["capability_revoked", "rests_on_void_link"]


def test_a_revocation_reaches_what_a_device_writes_beside_it() -> None:
    story = Story("bob", "carol")
    device = device_of(story, story["bob"])
    seen = device.write("seen")
    story.tell(seen)
    revocation = story.founder.revoke(story["bob"], Capability.WRITE)
    beside = device.write("beside")

    merged = in_every_order(story, revocation, beside)

    assert codes(merged, seen, beside) == ["valid", "capability_revoked"]


@pytest.mark.parametrize(
    "what",
    ["link", "unlink itself", "unlink a sibling", "leave", "remove its member", "remove its member in a cascade"],
)
def test_what_concerns_the_membership_is_for_the_main_key(what: str) -> None:
    story = managers("bob")
    device, sibling = (device_of(story, story["bob"], name, MANAGING) for name in ("device", "sibling"))
    other = Person("another")
    main = story["bob"].key
    bodies: dict[str, Body] = {
        "link": Link(key=other.key, keys=other.keys, capabilities=ON_JOINING, proof=other.agree(device)),
        "unlink itself": Unlink(key=device.key, frontier=()),
        "unlink a sibling": Unlink(key=sibling.key, frontier=()),
        "leave": Leave(),
        "remove its member": Remove(member=main, frontier=(), cascade=()),
        "remove its member in a cascade": Remove(member=story.founder.key, frontier=(), cascade=(main,)),
    }

    said = device.say(bodies[what])

    expected = "cascade_needs_seniority" if "cascade" in what else "not_the_main_key"
    assert device.verdict(said).code == expected


def test_a_device_does_not_take_a_right_from_its_member_and_gives_it_none() -> None:
    story = managers("bob")
    device = device_of(story, story["bob"], capabilities=MANAGING)

    revocation = device.revoke(story["bob"], Capability.MANAGE_MEMBERS)
    grant = device.grant(story["bob"], Capability.MANAGE_APPLICATION)

    assert codes(device.ledger, revocation, grant) == ["not_senior", "gives_more_than_held"]


def test_a_device_gives_no_more_than_its_link_says() -> None:
    story = managers("bob")
    device = device_of(story, story["bob"], capabilities=frozenset({Capability.READ, Capability.INVITE}))
    invitee = Person("dave")

    invitation = device.invite(invitee)

    assert device.verdict(invitation).code == "gives_more_than_held"


def test_only_the_member_itself_unlinks_its_device() -> None:
    story = managers("bob", "carol")
    device = device_of(story, story["bob"])

    said = [person.say(Unlink(key=device.key, frontier=())) for person in (story.founder, story["carol"])]
    of_no_device = story["bob"].say(Unlink(key=story["carol"].key, frontier=()))

    assert codes(story.founder.ledger, said[0]) == ["not_linked_here"]
    assert codes(story["carol"].ledger, said[1]) == ["not_linked_here"]
    assert codes(story["bob"].ledger, of_no_device) == ["not_linked_here"]


def test_an_unlinking_names_operations_of_that_key_only() -> None:
    story = Story("bob", "carol")
    device = device_of(story, story["bob"])
    other = story["carol"].write()
    story.tell(other)

    unlink = story["bob"].unlink(device, (other.operation_id,))

    assert story["bob"].verdict(unlink).code == "frontier_of_another"


def test_a_members_key_a_retired_one_and_one_that_was_here_before_are_not_linked() -> None:
    story = Story("bob", "carol", "dave", "erin")
    old = Person("carol")
    story.tell(story["carol"].rotate(), story.founder.remove(story["dave"]), story["erin"].leave())
    device = device_of(story, story["bob"])
    story.tell(story["bob"].unlink(device))

    keys = (story.founder, old, story["dave"], story["erin"], device)
    links = [story["bob"].link(person) for person in keys]

    assert codes(story["bob"].ledger, *links) == ["already_member", "key_retired", *["key_not_new"] * 3]


def test_a_device_of_a_removed_member_is_not_linked_by_somebody_else() -> None:
    story = Story("bob", "carol")
    device = device_of(story, story["bob"])
    story.tell(story.founder.remove(story["bob"]))

    link = story["carol"].link(device)

    assert story["carol"].verdict(link).code == "key_not_new"


def test_a_consent_is_good_for_one_main_key_in_one_context_and_these_keys() -> None:
    story = Story("bob", "carol")
    device, elsewhere = Person("device"), Person("bob")
    elsewhere.found()  # the same key, in another context
    consents = [device.agree(story["carol"]), device.agree(elsewhere), Elsewise("device").agree(story["bob"])]

    said = [
        story["bob"].say(Link(key=device.key, keys=device.keys, capabilities=ON_JOINING, proof=proof))
        for proof in consents
    ]

    assert codes(story["bob"].ledger, *said) == ["bad_link_proof"] * 3


def test_a_consent_that_is_used_again_harms_no_membership_of_the_keys_own() -> None:
    story = managers("bob", "carol")
    device = Person("device")
    story.people["device"] = device
    before = copy_of(story["bob"], story)
    link = story["bob"].link(device, ON_JOINING)
    story.tell(link, story["bob"].unlink(device))
    invitation = story["carol"].invite(device)
    story.tell(invitation)
    fields = compose(
        deliver(None, story.said),
        device.key,
        Join(invitation=invitation.operation_id, keys=device.keys, proof=None),
        epoch=None,
    )
    story.tell(sign_operation(fields, device.signer))
    assert isinstance(link.operation.body, Link)

    branch = before.write("a branch of its own")
    again = before.say(link.operation.body)
    undone = before.say(Unlink(key=device.key, frontier=()))

    merged = in_every_order(story, branch, again, undone)
    assert codes(merged, again, undone) == ["valid", "valid"]
    assert merged.state.members[device.key].linked_to is None


def test_a_suspended_members_devices_are_suspended_those_that_it_links_later_too() -> None:
    story = managers("bob", "carol")
    device = device_of(story, story["bob"])
    seen = device.write("seen")
    story.tell(seen)
    story.tell(story["carol"].remove(story["bob"]))

    later = device_of(story, story["bob"], "later")
    story.tell(story.founder.rekey())
    held = [each.write("held") for each in (device, later)]
    story.tell(*held)

    state = story.founder.ledger.state
    assert {story["bob"].key, device.key, later.key} <= state.suspensions.keys()
    assert not {device.key, later.key} & {reader.key for reader in state.readers()}
    assert codes(story.founder.ledger, seen, *held) == ["valid", "author_suspended", "author_suspended"]
