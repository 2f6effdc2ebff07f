"""P3: a client key signs every transaction and delta; anyone can verify it offline; one flipped bit is refused."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.own_program import own_program
from tests.processes import Merod, stopped
from tests.three_nodes import Shared, ThreeNodes, agree, grant, remove

from meroid.errors import MeroidError
from meroid.ids import ContextId
from meroid.keys.canonical import Value
from meroid.ledger.codec import decode_operation
from meroid.ledger.operation import Delta
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.peering import PeerRefusedError

VERIFIER = """
import sys
from meroid.ledger.verify import read_operation
for line in sys.stdin:
    verified = read_operation(bytes.fromhex(line))
    print(verified.operation_id, verified.operation.author, verified.operation.kind.name)
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("meroid.")}
assert rooms <= {"errors", "ids", "limits", "keys", "ledger"}, rooms
assert not {"socket", "sqlcipher3", "sqlalchemy", "zenoh"} & sys.modules.keys()
"""
"""Anyone's verifier: the bytes of operations and the rooms `keys` and `ledger`, no node, no account, no network."""

SIGNED = b"meroid/operation-signature/v1\x00"


@dataclass(frozen=True, slots=True)
class Lived:
    """A context in which every kind of operation that there is so far has happened, and its operations."""

    shared: Shared
    stored: list[bytes]


@pytest.fixture(scope="module")
def lived(nodes: ThreeNodes) -> Lived:
    shared = nodes.share()
    for node, key in ((nodes.founder, shared.founder), (nodes.laptop, shared.laptop), (nodes.phone, shared.phone)):
        node.call(shared.context_id, key, "set", key=key, value="written")
    agree(shared.context_id, *nodes.all)
    grant(nodes.founder, shared.founder, shared.context_id, shared.laptop, "Invite")
    revoke = {"capabilities": [[shared.laptop, "Invite"]], "signer_id": shared.founder}
    nodes.founder.data("POST", f"/admin-api/contexts/{shared.context_id}/capabilities/revoke", revoke)
    remove(nodes.founder, shared.founder, shared.context_id, shared.phone)
    nodes.founder.call(shared.context_id, shared.founder, "remove", key=shared.phone)
    agree(shared.context_id, nodes.founder, nodes.laptop)
    with stopped(nodes.founder):
        return Lived(shared, envelopes(nodes.founder, shared.context_id))


def envelopes(node: Merod, context_id: str) -> list[bytes]:
    """The operations in the store of a stopped node."""
    with node.opened() as offline:
        return offline.store.read(
            lambda tx: [each.envelope for each in tx.operations.scan(ContextId.parse(context_id))]
        )


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_call_that_changes_something_is_one_delta_of_the_caller_and_reading_is_none(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    expected = [shared.founder, *[shared.laptop] * 3, shared.phone]
    for _ in range(3):
        nodes.laptop.call(shared.context_id, shared.laptop, "set", key="k", value="v")
    agree(shared.context_id, *nodes.all)
    nodes.phone.call(shared.context_id, shared.phone, "remove", key="k")
    for node, key in ((nodes.laptop, shared.laptop), (nodes.phone, shared.phone)):
        node.call(shared.context_id, key, "get", key="k")
        node.call(shared.context_id, key, "entries")
    agree(shared.context_id, *nodes.all)

    with stopped(nodes.founder, nodes.phone):
        for node in (nodes.founder, nodes.phone):
            operations = [read_operation(each).operation for each in envelopes(node, shared.context_id)]
            deltas = [str(each.author) for each in operations if isinstance(each.body, Delta)]
            assert deltas == expected, "the first is the founder's init"


def test_anyone_verifies_them_offline_with_keys_and_ledger_alone(lived: Lived) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", VERIFIER],
        input="\n".join(each.hex() for each in lived.stored),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    assert len(told) == len(lived.stored)
    assert {author for _, author, _ in told} == {lived.shared.founder, lived.shared.laptop, lived.shared.phone}
    kinds = {"GENESIS", "INVITE", "JOIN", "GRANT", "REVOKE", "REMOVE", "REKEY", "DELTA"}
    assert {kind for _, _, kind in told} == kinds


def test_another_librarys_ed25519_agrees_that_the_author_signed_these_bytes(lived: Lived) -> None:
    for envelope in lived.stored:
        payload, signature = cbor2.loads(envelope)
        author = cbor2.loads(payload)[3]
        Ed25519PublicKey.from_public_bytes(author).verify(signature, SIGNED + payload)
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(author).verify(signature, SIGNED + flipped(payload, 77))


def test_no_operation_survives_the_flip_of_any_bit(lived: Lived) -> None:
    one_of_each_kind = {decode_operation(each).operation.kind: each for each in lived.stored}
    assert len(one_of_each_kind) == 8

    # every bit of the delta; of the others every seventh, which touches every byte
    survived = [
        (kind, bit)
        for kind, envelope in one_of_each_kind.items()
        for bit in range(0, len(envelope) * 8, 1 if kind.is_delta else 7)
        if is_accepted(flipped(envelope, bit))
    ]

    assert survived == []


def is_accepted(envelope: bytes) -> bool:
    try:
        read_operation(envelope)
    except MeroidError:
        return False
    return True


def test_a_running_node_takes_none_of_them_from_a_member_and_the_whole_one_at_once(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    with own_program(nodes.laptop, shared.context_id, shared.laptop) as laptop:
        before = laptop.history(shared.context_id)
        delta = laptop.write("whole", "and unchanged")
        laptop.reach(nodes.founder)
        bits = range(0, len(delta.envelope) * 8, 31)
        for bit in bits:
            laptop.publish(flipped(delta.envelope, bit))
        for bit in islice(bits, 0, None, 4):
            with pytest.raises(PeerRefusedError):
                laptop.ask(shared.founder, offer([flipped(delta.envelope, bit)]))
        assert nodes.founder.call(shared.context_id, shared.founder, "entries") == {}

        taken = requests.read_offer(laptop.ask(shared.founder, offer([delta.envelope])))

    assert taken == {delta.operation_id: "valid"}
    assert nodes.founder.call(shared.context_id, shared.founder, "entries") == {"whole": "and unchanged"}
    with stopped(nodes.founder):
        assert set(envelopes(nodes.founder, shared.context_id)) == {*before, delta.envelope}


def test_a_running_node_takes_no_operation_of_another_context(nodes: ThreeNodes) -> None:
    here, there = nodes.share(), nodes.share()
    nodes.laptop.call(there.context_id, there.laptop, "set", key="foreign", value="from the other context")
    agree(there.context_id, nodes.laptop, nodes.founder)
    with own_program(nodes.laptop, here.context_id, here.laptop) as laptop:
        before, foreign = laptop.history(here.context_id), laptop.history(there.context_id)
        laptop.reach(nodes.founder)
        for envelope in foreign:
            laptop.publish(envelope)
        with pytest.raises(PeerRefusedError):
            laptop.ask(here.founder, offer(foreign[-1:]))

    assert nodes.founder.call(here.context_id, here.founder, "entries") == {}
    with stopped(nodes.founder):
        assert set(envelopes(nodes.founder, here.context_id)) == set(before)


def offer(operations: Sequence[bytes]) -> Value:
    return {1: requests.OFFER, 2: [*operations]}
