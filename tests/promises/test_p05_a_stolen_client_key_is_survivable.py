"""P5: a stolen client key harms one context only, can't reach root or siblings, and can be rotated away by its owner
though the thief has it.

The thief has everything that a client key gives: the key, its epoch keys and its view of the context, from a copy of
the laptop's home. It acts through a program of its own, while the honest laptop goes on.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.own_program import OwnProgram
from tests.processes import Merod, eventually, stopped
from tests.three_nodes import Shared, ThreeNodes, agree, members, root_hash

from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.keys.software import SoftwareSigner
from meroid.ledger.authoring import author_next
from meroid.ledger.operation import Leave, MemberKeys, Rotate, VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.service import requests
from meroid.service.peering import PeerRefusedError
from meroid.service.replica import Replicas
from meroid.sync.zenoh_transport import ZenohTransport

OWN_ROTATION = "a rotation to a key of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theft:
    """What the thief did after the rotation, and what became of it."""

    shared: Shared
    other: Shared
    following: str
    refused: dict[str, str]
    verdicts: dict[str, dict[str, Verdict | None]]
    entries: dict[str, dict[str, str]]
    members: dict[str, set[str]]


@pytest.fixture(scope="module")
def theft(nodes: ThreeNodes, tmp_path_factory: pytest.TempPathFactory) -> Theft:
    shared, other = nodes.share(), nodes.share()
    nodes.laptop.call(shared.context_id, shared.laptop, "set", key="early", value="by the laptop")
    agree(shared.context_id, *nodes.all)
    copy = stolen_copy(nodes.laptop, tmp_path_factory.mktemp("thief"))

    following = rotate(nodes.laptop, shared)
    eventually(
        lambda: all(following in members(node, shared.context_id) for node in nodes.all), "all know the next key"
    )
    with copy.opened() as offline, closing(ZenohTransport(["tcp/127.0.0.1:0"])) as transport:
        thief = OwnProgram(offline, transport, shared.context_id, shared.laptop)
        forged = dict(forge(thief, shared))
        thief.reach(*nodes.all)
        for what, operation in forged.items():
            publish(thief, operation, nodes, kept=what != OWN_ROTATION)
        refused = {
            name: code_of(thief, member) for name, member in (("founder", shared.founder), ("phone", shared.phone))
        }
        thief.running.close()
    nodes.laptop.call(shared.context_id, following, "set", key="onward", value="by the next key")
    agree(shared.context_id, *nodes.all)
    executors = {nodes.founder: shared.founder, nodes.laptop: following, nodes.phone: shared.phone}
    entries = {node.name: node.call(shared.context_id, key, "entries") for node, key in executors.items()}
    known = {node.name: set(members(node, shared.context_id)) for node in nodes.all}
    with stopped(nodes.founder, nodes.phone):
        verdicts = {node.name: dict(judged(node, shared, forged)) for node in (nodes.founder, nodes.phone)}
    return Theft(
        shared=shared,
        other=other,
        following=following,
        refused=refused,
        verdicts=verdicts,
        entries=entries,
        members=known,
    )


def stolen_copy(victim: Merod, folder: Path) -> Merod:
    """The victim's home as somebody copied it."""
    with stopped(victim):
        shutil.copytree(victim.home, folder / "nodes")
    return Merod(victim.name, folder)


def rotate(node: Merod, shared: Shared) -> str:
    """Rotate the laptop's key from its command line."""
    ran = node.meroctl(
        "--output-format", "json", "context", "identity", "rotate", shared.laptop, "--context", shared.context_id
    )
    following: str = ran.first["data"]["publicKey"]
    return following


def forge(thief: OwnProgram, shared: Shared) -> Iterator[tuple[str, VerifiedOperation]]:
    """A delta, a rotation to a key of its own, and an end of the membership, all on the old view."""
    own = SoftwareSigner.generate()
    keys = MemberKeys(sealing=thief.keys.sealing.public, next_keys=bytes(32))
    body = Rotate(previous=PublicKey.parse(shared.laptop), keys=keys, frontier=())
    yield OWN_ROTATION, author_next(thief.replica.ledger, own, body, epoch=thief.epoch)
    yield "a delta", thief.write("stolen", "1")
    yield "the member's leave", thief.say(Leave())


def publish(thief: OwnProgram, operation: VerifiedOperation, nodes: ThreeNodes, *, kept: bool) -> None:
    """Send an operation; what a former key signs is kept as void, what a stranger signs isn't kept at all."""
    before = [node.stored() for node in nodes.all]
    thief.publish(operation.envelope)
    if kept:
        eventually(
            lambda: all(node.stored() != was for node, was in zip(nodes.all, before, strict=True)),
            "each node stores what it got",
        )


def code_of(thief: OwnProgram, member: str) -> str:
    """How a member refuses to hand out what is new."""
    with pytest.raises(PeerRefusedError) as refusal:
        thief.ask(member, requests.ask_keys(thief.topics))
    return refusal.value.code


def judged(node: Merod, shared: Shared, forged: dict[str, VerifiedOperation]) -> Iterator[tuple[str, Verdict | None]]:
    with node.opened() as offline:
        ledger = Replicas(offline.store).get(ContextId.parse(shared.context_id)).ledger
        for what, operation in forged.items():
            yield what, ledger.verdict(operation.operation_id) if operation.operation_id in ledger else None


def test_what_the_thief_signs_after_the_rotation_counts_nowhere(theft: Theft) -> None:
    for verdicts in theft.verdicts.values():
        assert {what: verdict and verdict.code for what, verdict in verdicts.items()} == {
            OWN_ROTATION: None,
            "a delta": "key_rotated",
            "the member's leave": "key_rotated",
        }


def test_the_state_has_what_the_owner_wrote_before_and_after_and_nothing_of_the_thief(theft: Theft) -> None:
    expected = {"early": "by the laptop", "onward": "by the next key"}
    assert all(entries == expected for entries in theft.entries.values())


def test_the_membership_goes_on_under_the_next_key(theft: Theft) -> None:
    expected = {theft.shared.founder, theft.shared.phone, theft.following}
    assert all(known == expected for known in theft.members.values())


def test_the_thief_is_served_nothing_by_the_old_key(theft: Theft) -> None:
    assert set(theft.refused.values()) == {"peer_refused"}


def test_the_old_key_is_refused_with_a_code_that_names_the_rotation(nodes: ThreeNodes, theft: Theft) -> None:
    answer = nodes.laptop.execute(theft.shared.context_id, theft.shared.laptop, "get", key="early")

    assert answer["error"]["type"] == "Unauthorized"
    assert answer["error"]["meroid"]["code"] == "key_rotated"


def test_the_other_context_of_the_same_account_is_untouched(nodes: ThreeNodes, theft: Theft) -> None:
    other = theft.other
    nodes.wait_until_connected()
    before = root_hash(nodes.laptop, other.context_id)

    nodes.laptop.call(other.context_id, other.laptop, "set", key="here", value="as ever")

    agree(other.context_id, *nodes.all)
    assert root_hash(nodes.phone, other.context_id) != before
    assert theft.following not in members(nodes.founder, other.context_id)
