"""P7: after revocation the key can't sign anything that any replica accepts, however it backdates.

The removed member, who was a manager, stops its node and drives the store of it with a program of
its own: its client key, its epoch keys and its view of the context are the real ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from tests.own_program import OwnProgram, own_program
from tests.processes import Merod, eventually, start, stop, stopped
from tests.three_nodes import Shared, ThreeNodes, agree, context, grant, members, remove, root_hash

from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.software import SoftwareSigner
from meroid.ledger.capability import ON_JOINING, Capability
from meroid.ledger.operation import Grant, Invite, Join, Leave, MemberKeys, Remove, Revoke, VerifiedOperation
from meroid.ledger.verdict import Standing, Verdict
from meroid.service import requests
from meroid.service.peering import PeerRefusedError
from meroid.service.replica import Replica, Replicas

CORRECTED: Final = "StateCorrected"
FORGED: Final = {
    "a delta": "author_removed",
    "a new epoch": "author_removed",
    "a delta in that epoch": "author_removed",
    "an invitation for a puppet": "author_removed",
    "the puppet's join": "rests_on_void_invitation",
    "a right for the puppet": "author_removed",
    "the puppet's leave": "rests_on_void_admission",
    "the phone's write right taken": "author_removed",
    "the removal of the founder": "author_removed",
    "the removal of the phone": "author_removed",
    "its own leave": "author_removed",
    "a delta on the newest heads": "not_a_member",
}
"""What it signs after its removal, and why each is void. All but the last cite only what it knew before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What was before the attack, and what the two others made of it."""

    shared: Shared
    root_before: str
    forged: dict[str, VerifiedOperation]
    offers_refused: dict[str, str]
    seen: dict[str, tuple[str, dict[str, str], set[str]]]
    verdicts: dict[str, dict[str, Verdict]]
    removal: dict[str, object]
    applied: dict[str, set[OperationId]]


@pytest.fixture(scope="module")
def attack(nodes: ThreeNodes) -> Attack:
    shared = joined(nodes)
    grant(nodes.founder, shared.founder, shared.context_id, shared.laptop, "ManageMembers")
    eventually(lambda: "ManageMembers" in rights(nodes.laptop, shared), "the laptop knows that it is a manager")
    stop(nodes.laptop)
    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
    nodes.founder.call(shared.context_id, shared.founder, "set", key="later", value="by the founder")
    eventually(lambda: "later" in entries(nodes.phone, shared), "the phone goes on")
    root_before = root_hash(nodes.founder, shared.context_id)
    # somebody tells it the newest heads, which it has no way to learn
    heads = tuple(OperationId(bytes(head)) for head in context(nodes.founder, shared.context_id)["dagHeads"])

    with own_program(nodes.laptop, shared.context_id, shared.laptop) as removed:
        assert removed.keys.public_key in removed.members, "its store tells of the removal"
        forged = dict(zip(FORGED, forge(removed, shared, heads), strict=True))
        removed.reach(nodes.founder, nodes.phone)
        send(removed, forged.values(), nodes.founder, nodes.phone)
        refused = {member: code_of_offer(removed, forged.values(), member) for member in (shared.founder, shared.phone)}
    seen = {
        node.name: (root_hash(node, shared.context_id), entries(node, shared), set(members(node, shared.context_id)))
        for node in (nodes.founder, nodes.phone)
    }
    with stopped(nodes.founder, nodes.phone):
        replicas = {node.name: replica_of(node, shared) for node in (nodes.founder, nodes.phone)}
    verdicts = {
        name: {what: replica.ledger.verdict(each.operation_id) for what, each in forged.items()}
        for name, replica in replicas.items()
    }
    return Attack(
        shared=shared,
        root_before=root_before,
        forged=forged,
        offers_refused=refused,
        seen=seen,
        verdicts=verdicts,
        removal={name: body_of(replicas[name], verdicts[name]["a delta"].because) for name in replicas},
        applied={name: replica.applied for name, replica in replicas.items()},
    )


def joined(nodes: ThreeNodes) -> Shared:
    """A context in which all three are, and into which the laptop wrote."""
    shared = nodes.share()
    nodes.laptop.call(shared.context_id, shared.laptop, "set", key="early", value="by the laptop")
    agree(shared.context_id, *nodes.all)
    return shared


def forge(removed: OwnProgram, shared: Shared, heads: tuple[OperationId, ...]) -> Iterator[VerifiedOperation]:
    """All of `FORGED`, in its order."""
    founder, phone = PublicKey.parse(shared.founder), PublicKey.parse(shared.phone)
    puppet = SoftwareSigner.generate()
    delta = removed.write("stolen", "1")
    yield delta
    yield removed.rekey()
    yield removed.write("stolen", "2")
    invitation = removed.say(Invite(invitee=puppet.public_key, secret_key=None, capabilities=ON_JOINING, uses=1))
    yield invitation
    keys = MemberKeys(sealing=removed.keys.sealing.public, next_keys=bytes(32))
    yield removed.say(Join(invitation=invitation.operation_id, keys=keys, proof=None), puppet)
    yield removed.say(Grant(member=puppet.public_key, capability=Capability.INVITE))
    yield removed.say(Leave(), puppet)
    yield removed.say(Revoke(member=phone, capability=Capability.WRITE, frontier=()))
    yield removed.say(Remove(member=founder, frontier=(), cascade=()))
    yield removed.say(Remove(member=phone, frontier=(), cascade=()))
    yield removed.say(Leave())
    yield removed.write_on(heads, like=delta)


def send(program: OwnProgram, operations: Iterable[VerifiedOperation], *nodes: Merod) -> None:
    """Publish operations one by one; each node has stored each when this returns, as it stores void ones too."""
    for operation in operations:
        send_one(program, operation, *nodes)


def send_one(program: OwnProgram, operation: VerifiedOperation, *nodes: Merod) -> None:
    before = [node.stored() for node in nodes]
    program.publish(operation.envelope)
    eventually(
        lambda: all(node.stored() != earlier for node, earlier in zip(nodes, before, strict=True)),
        "each node stores what it got",
    )


def code_of_offer(program: OwnProgram, operations: Iterable[VerifiedOperation], member: str) -> str:
    """How a member refuses to take operations from it."""
    with pytest.raises(PeerRefusedError) as refusal:
        program.ask(member, requests.ask_offer(operations))
    return refusal.value.code


def replica_of(node: Merod, shared: Shared) -> Replica:
    """The context as it lies in the store of a stopped node."""
    with node.opened() as offline:
        return Replicas(offline.store).get(ContextId.parse(shared.context_id))


def body_of(replica: Replica, operation_id: OperationId | None) -> object:
    return None if operation_id is None else replica.ledger.graph[operation_id].operation.body


def entries(node: Merod, shared: Shared) -> dict[str, str]:
    executor = {"founder-node": shared.founder, "laptop-node": shared.laptop, "phone-node": shared.phone}[node.name]
    found: dict[str, str] = node.call(shared.context_id, executor, "entries")
    return found


def rights(node: Merod, shared: Shared) -> list[str]:
    listed = node.data("GET", f"/admin-api/contexts/{shared.context_id}/members")["members"]
    return [name for member in listed if member["publicKey"] == shared.laptop for name in member["capabilities"]]


def both_go_on(nodes: ThreeNodes, shared: Shared) -> None:
    nodes.founder.call(shared.context_id, shared.founder, "set", key="onward", value="by the founder")
    eventually(lambda: entries(nodes.phone, shared).get("onward") == "by the founder", "the phone hears the founder")
    nodes.phone.call(shared.context_id, shared.phone, "set", key="onward", value="by the phone")
    eventually(lambda: entries(nodes.founder, shared).get("onward") == "by the phone", "the founder hears the phone")
    assert root_hash(nodes.founder, shared.context_id) == root_hash(nodes.phone, shared.context_id)


@pytest.mark.parametrize("name", ["founder-node", "phone-node"])
@pytest.mark.parametrize("what", FORGED)
def test_whatever_it_signs_is_void_in_every_store(attack: Attack, name: str, what: str) -> None:
    verdict = attack.verdicts[name][what]

    assert (verdict.standing, verdict.code) == (Standing.VOID, FORGED[what])
    assert attack.forged[what].operation_id not in attack.applied[name]


@pytest.mark.parametrize("name", ["founder-node", "phone-node"])
def test_the_verdict_names_the_removal(attack: Attack, name: str) -> None:
    laptop = PublicKey.parse(attack.shared.laptop)

    assert attack.removal[name] == Remove(member=laptop, frontier=(), cascade=())


@pytest.mark.parametrize("name", ["founder-node", "phone-node"])
def test_state_and_membership_are_as_before(attack: Attack, name: str) -> None:
    root, found, present = attack.seen[name]

    assert root == attack.root_before
    assert found == {"early": "by the laptop", "later": "by the founder"}
    assert present == {attack.shared.founder, attack.shared.phone}


def test_nobody_takes_an_operation_from_its_hand(attack: Attack) -> None:
    assert attack.offers_refused == {
        attack.shared.founder: "peer_refused",
        attack.shared.phone: "peer_refused",
    }


def test_the_others_go_on(nodes: ThreeNodes, attack: Attack) -> None:
    nodes.wait_until_connected()

    both_go_on(nodes, attack.shared)


def test_who_believed_it_before_hearing_of_the_removal_takes_it_out_again(nodes: ThreeNodes) -> None:
    shared = joined(nodes)
    stop(nodes.phone, nodes.laptop)
    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
    nodes.founder.call(shared.context_id, shared.founder, "set", key="later", value="by the founder")
    before = root_hash(nodes.founder, shared.context_id)
    stop(nodes.founder)
    start(nodes.phone)

    with own_program(nodes.laptop, shared.context_id, shared.laptop) as removed:
        forged = removed.write("stolen", "1")
        removed.reach(nodes.phone)
        removed.publish(forged.envelope)
        eventually(lambda: "stolen" in entries(nodes.phone, shared), "the phone, which can't know, takes it")
    with nodes.phone.listening(shared.context_id) as events:
        start(nodes.founder)
        corrected = events.until(lambda frame: CORRECTED in str(frame))

    assert corrected["result"]["contextId"] == shared.context_id
    eventually(lambda: root_hash(nodes.phone, shared.context_id) == before, "the phone has the founder's state")
    assert entries(nodes.phone, shared) == entries(nodes.founder, shared)
    assert "stolen" not in entries(nodes.phone, shared)
    nodes.wait_until_connected()
    both_go_on(nodes, shared)
    with stopped(nodes.phone):
        verdict = replica_of(nodes.phone, shared).ledger.verdict(forged.operation_id)
    assert (verdict.standing, verdict.code) == (Standing.VOID, "author_removed")
