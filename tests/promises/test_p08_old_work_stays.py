"""P8: what was signed before stays valid, verifiable and unchanged."""

from tests.processes import Merod, eventually, stopped
from tests.three_nodes import (
    Shared,
    ThreeNodes,
    agree,
    bring_in,
    create_context,
    members,
    remove,
)

from meroid.ids import ContextId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.operation import Kind, VerifiedOperation
from meroid.ledger.verdict import VALID
from meroid.ledger.verify import read_operation
from meroid.service.ports.content import StoredOperation
from meroid.service.replica import Replica, Replicas


def write_some(node: Merod, context_id: str, executor: str) -> dict[str, str]:
    """Several deltas; what is left of them in the state."""
    for number in range(3):
        node.call(context_id, executor, "set", key=f"laptop-{number}", value=f"before the removal, {number}")
    node.call(context_id, executor, "set", key="laptop-1", value="written twice")
    node.call(context_id, executor, "remove", key="laptop-2")
    return {"laptop-0": "before the removal, 0", "laptop-1": "written twice"}


def in_store(node: Merod, context_id: str) -> tuple[list[StoredOperation], Replica]:
    """All operations of a context as a stopped node keeps them, and what it makes of them."""
    with node.opened() as offline:
        stored = offline.store.read(lambda tx: list(tx.operations.scan(ContextId.parse(context_id))))
        return stored, Replicas(offline.store).get(ContextId.parse(context_id))


def of(author: str, stored: list[StoredOperation]) -> dict[OperationId, VerifiedOperation]:
    """The operations of an author, each verified anew from its bytes."""
    read = (read_operation(each.envelope) for each in stored)
    return {each.operation_id: each for each in read if each.operation.author == PublicKey.parse(author)}


def holds(node: Merod, shared: Shared, executor: str, expected: dict[str, str]) -> None:
    found = node.call(shared.context_id, executor, "entries")
    assert {key: value for key, value in found.items() if key.startswith("laptop-")} == expected


def test_no_byte_of_it_changes_in_any_store_and_it_stays_in_the_state(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    written = write_some(nodes.laptop, shared.context_id, shared.laptop)
    agree(shared.context_id, *nodes.all)
    with stopped(nodes.founder, nodes.laptop):
        before = {node.name: in_store(node, shared.context_id)[0] for node in (nodes.founder, nodes.laptop)}
    nodes.wait_until_connected()

    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
    nodes.founder.call(shared.context_id, shared.founder, "set", key="after", value="by the founder")
    eventually(lambda: nodes.phone.call(shared.context_id, shared.phone, "get", key="after"), "the phone goes on")
    eventually(lambda: shared.laptop not in members(nodes.laptop, shared.context_id), "the laptop heard of its removal")

    holds(nodes.founder, shared, shared.founder, written)
    holds(nodes.phone, shared, shared.phone, written)
    with stopped(*nodes.all):
        after = {node.name: in_store(node, shared.context_id) for node in nodes.all}
    for name, rows in before.items():
        stored, _ = after[name]
        assert stored[: len(rows)] == rows, f"{name} changed what it had"
        assert len(stored) > len(rows), f"{name} knows nothing of the removal"
    for stored, replica in after.values():
        work = of(shared.laptop, stored)
        assert work == of(shared.laptop, before[nodes.laptop.name])
        assert [each.operation.kind for each in work.values()] == [Kind.JOIN, *[Kind.DELTA] * 5]
        assert {replica.ledger.verdict(each) for each in work} == {VALID}
        deltas = {each for each, verified in work.items() if verified.operation.kind is Kind.DELTA}
        assert deltas <= replica.applied


def test_who_joins_after_the_removal_gets_it_too(nodes: ThreeNodes) -> None:
    nodes.wait_until_connected()
    made = create_context(nodes.founder, nodes.application_id)
    context_id, founder = made["contextId"], made["memberPublicKey"]
    laptop = bring_in(nodes.founder, founder, context_id, nodes.laptop)
    written = write_some(nodes.laptop, context_id, laptop)
    agree(context_id, nodes.founder, nodes.laptop)
    remove(nodes.founder, founder, context_id, laptop)

    phone = bring_in(nodes.founder, founder, context_id, nodes.phone)

    shared = Shared(context_id, founder, laptop, phone)
    agree(context_id, nodes.founder, nodes.phone)
    holds(nodes.phone, shared, phone, written)
    with stopped(nodes.founder, nodes.phone):
        here, _ = in_store(nodes.founder, context_id)
        there, replica = in_store(nodes.phone, context_id)
    work = of(laptop, there)
    assert {each: verified.envelope for each, verified in work.items()} == {
        each: verified.envelope for each, verified in of(laptop, here).items()
    }
    assert {replica.ledger.verdict(each) for each in work} == {VALID}
