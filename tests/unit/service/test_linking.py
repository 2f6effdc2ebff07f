"""A second device at another node: the code, the door, and the end of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.node_world import Machine, World, eventually

from meroid.ids import ContextId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.ledger.capability import ALL, ON_JOINING, Capability
from meroid.ledger.operation import MemberKeys, Remove
from meroid.ledger.verify import link_proof_message
from meroid.service import requests
from meroid.service.authorship import KeyUnlinkedError, LacksCapabilityError, MembershipEndedError
from meroid.service.contexts import OwnLinkedKeyError
from meroid.service.entry import IdentityBoundError
from meroid.service.link_codes import LinkCode, LinkCodeExpiredError, TooManyLinkOffersError, prove_holder
from meroid.service.linking import NotTheMainKeyError
from meroid.service.peering import Channel, PeerRefusedError, ask_peer
from meroid.service.ports.transport import PeerUnreachableError
from meroid.service.refusals import RuleRefusalError
from meroid.service.tickets import door_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def offer(
    machine: Machine,
    context: ContextId,
    main: PublicKey,
    key: PublicKey | None = None,
    capabilities: frozenset[Capability] | None = None,
) -> LinkCode:
    linking = machine.running.linking
    return linking.offer(machine.me, context, main, key=key, capabilities=capabilities, at=machine.at).code


def take(machine: Machine, code: LinkCode, key: PublicKey | None = None) -> PublicKey:
    return machine.running.linking.take(machine.me, code, key, machine.at)[1]


def test_a_second_device_reads_and_writes_and_everybody_sees_it(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    third = one.invite_and_join(three, context, founder)
    one.call(context, founder, "set", key="a", value="before")

    device = take(two, offer(one, context, founder))

    assert two.call(context, device, "get", key="a") == "before"
    two.call(context, device, "set", key="b", value="from the device")
    eventually(lambda: three.call(context, third, "get", key="b") == "from the device")
    member = three.running.replicas.get(context).ledger.state.members[device]
    assert (member.linked_to, member.capabilities) == (founder, ON_JOINING)


def test_a_code_for_a_named_key_has_no_secret_and_lets_in_that_key_only(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    named, other = two.identity(), two.identity()

    code = offer(one, context, founder, named)

    assert code.salt is None
    with pytest.raises(PeerRefusedError):
        take(two, code, other)
    assert take(two, code, named) == named


def test_a_code_is_for_one_device_and_a_lost_answer_can_be_repeated(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    code = offer(one, context, founder)

    device = take(two, code)

    with pytest.raises(PeerRefusedError):
        take(three, code)
    assert take(two, code, device) == device


def test_who_lost_the_answer_tries_again_with_the_same_new_identity(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    code = offer(one, context, founder)
    take_part, entry = two.running.linking._entry.take_part, two.running.linking._entry
    entry.take_part = lambda *_: (_ for _ in ()).throw(PeerRefusedError("lost"))  # type: ignore[method-assign]
    with pytest.raises(PeerRefusedError):
        take(two, code)
    entry.take_part = take_part  # type: ignore[method-assign]

    device = take(two, code)

    linked = one.running.replicas.get(context).ledger.state.linked_keys(founder)
    assert [each.key for each in linked] == [device]


def test_a_code_ends_after_ten_minutes_here_and_there(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    made = one.running.linking.offer(
        one.me, context, founder, key=None, capabilities=None, at=one.at - 600_000 - 60_000
    )

    with pytest.raises(LinkCodeExpiredError):
        take(two, made.code)
    with pytest.raises((PeerRefusedError, PeerUnreachableError)):  # a device whose clock is late
        two.running.linking.take(two.me, made.code, None, made.ends_at - 1)


def test_a_restart_ends_the_codes(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    code = offer(one, context, founder)
    world.restart(one)

    with pytest.raises(PeerUnreachableError):
        take(two, code)


def test_only_so_many_codes_are_open(world: World) -> None:
    one = world.machine("one")
    context, founder = one.create(one.install())
    for _ in range(16):
        offer(one, context, founder)

    with pytest.raises(TooManyLinkOffersError):
        offer(one, context, founder)


def test_an_unlinked_device_gets_nothing_more_and_knows_why(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    device = take(two, offer(one, context, founder))
    two.call(context, device, "set", key="a", value="stays")
    eventually(lambda: one.call(context, founder, "get", key="a") == "stays")

    stay = one.running.linking.unlink(one.me, context, founder, device, one.at)

    assert stay == 1
    one.call(context, founder, "set", key="a", value="after")
    eventually(lambda: device not in two.running.replicas.get(context).ledger.state.members)
    with pytest.raises(KeyUnlinkedError):
        two.call(context, device, "set", key="a", value="no more")
    state = two.running.replicas.get(context).ledger.state
    assert not any(
        epoch.usable
        for epoch in state.epochs.values()
        if epoch.epoch_id in two.running.replicas.get(context).epoch_keys
    )


def test_a_device_that_was_away_is_shown_its_unlinking(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    device = take(two, offer(one, context, founder))
    world.network.partition(["one"], ["two"])
    one.running.linking.unlink(one.me, context, founder, device, one.at)
    world.network.heal()

    two.running.replication.repair(two.running.replicas.get(context))

    with pytest.raises((KeyUnlinkedError, MembershipEndedError)):
        two.call(context, device, "set", key="a", value="no more")


def test_a_linked_key_offers_and_unlinks_nothing(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    device = take(two, offer(one, context, founder, capabilities=ALL))

    with pytest.raises(NotTheMainKeyError):
        offer(two, context, device)
    with pytest.raises(NotTheMainKeyError):
        two.running.linking.unlink(two.me, context, device, device, two.at)


def test_removing_a_linked_key_means_the_member(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)
    device = take(three, offer(two, context, laptop))
    eventually(lambda: device in one.running.replicas.get(context).ledger.state.members)

    issued = one.running.contexts.remove(one.me, context, founder, device, one.at)

    assert isinstance(issued.operation.body, Remove)
    assert issued.operation.body.member == laptop
    assert one.running.replicas.get(context).ledger.state.members.keys() == {founder}
    eventually(lambda: device not in three.running.replicas.get(context).ledger.state.members)


def test_a_member_that_names_its_own_device_does_not_remove_itself(world: World) -> None:
    one, two, three = (world.machine(name) for name in ("one", "two", "three"))
    context, founder = one.create(one.install())
    one.invite_and_join(two, context, founder)
    device = take(three, offer(one, context, founder))

    with pytest.raises(OwnLinkedKeyError):
        one.running.contexts.remove(one.me, context, founder, device, one.at)

    assert {founder, device} <= one.running.replicas.get(context).ledger.state.members.keys()


def test_a_device_rotates_its_own_key(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    device = take(two, offer(one, context, founder))

    following = two.running.rotation.rotate(two.me, context, device, two.at)

    two.call(context, following, "set", key="a", value="rotated")
    eventually(lambda: one.call(context, founder, "get", key="a") == "rotated")
    assert one.running.replicas.get(context).ledger.state.main_key(device) == founder


def test_nobody_offers_what_it_lacks(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)

    with pytest.raises(LacksCapabilityError):
        offer(two, context, laptop, capabilities=frozenset({Capability.INVITE}))


def test_an_identity_of_another_context_is_not_linked(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    application = one.install()
    context, founder = one.create(application)
    other, _ = one.create(application)
    key = one.invite_and_join(two, other, one.running.contexts.owned(one.me, other)[0])

    with pytest.raises(IdentityBoundError):
        take(two, offer(one, context, founder), key)


def test_a_member_is_told_that_it_is_one_already(world: World) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    laptop = one.invite_and_join(two, context, founder)

    with pytest.raises(RuleRefusalError) as refusal:
        take(two, offer(one, context, founder), laptop)
    assert refusal.value.code == "already_member"


@pytest.mark.parametrize(
    ("field", "value"),
    [(2, bytes(32)), (2, b"s"), (3, b"n" * 33), (4, b""), (4, bytes(64)), (5, None), (5, bytes(64)), (5, b"x")],
    ids=[
        "weak key",
        "short key",
        "long commitment",
        "no consent",
        "bad consent",
        "no proof",
        "bad proof",
        "short proof",
    ],
)
def test_a_bad_request_at_the_door_links_nothing(world: World, field: int, value: Value) -> None:
    one, two = world.machine("one"), world.machine("two")
    context, founder = one.create(one.install())
    code = offer(one, context, founder)
    assert code.salt is not None
    key = two.identity()
    keys = two.node.keys.own(two.me.account_id, key)
    published = two.node.keys.publish(two.me.account_id, keys)
    odd = replace(published, next_keys=b"n" * 33) if field == 3 else published
    consent = keys.sign(
        link_proof_message(context, founder, key, MemberKeys(sealing=odd.sealing, next_keys=odd.next_keys))
    )
    request = requests.ask_link(odd, consent, prove_holder(code.salt, code.ticket.grant, key))
    assert isinstance(request, dict)
    request = {number: each for number, each in {**request, field: value}.items() if each is not None}
    door = door_of(code.ticket.grant)
    channel = Channel(
        context_id=context, topic=door.topic, handle=door.handle, responder=founder, sealing=code.ticket.sealing
    )

    two.running.transport.connect(code.ticket.endpoints)
    try:
        reply = ask_peer(two.running.transport, channel, keys, request, timeout_s=5)
    except PeerRefusedError:
        pass
    else:
        assert requests.read_link(reply) == "bad_link_proof"
    assert one.running.replicas.get(context).ledger.state.members.keys() == {founder}
    assert take(two, code, key) == key
