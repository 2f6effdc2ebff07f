"""P5: a linked device that is lost harms one context only, and the member itself takes it away.

The laptop's owner links a phone of hers, by code, from one command line to the other. Then the phone is lost: who has
it goes on with a program of its own, on the keys and the view of the moment before it was unlinked.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.own_program import OwnProgram
from tests.processes import Merod, eventually, stopped
from tests.three_nodes import ThreeNodes, agree, bring_in, create_context, members, root_hash

from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.ledger.operation import Body, Leave, Unlink
from meroid.ledger.verdict import Verdict
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.peering import MembershipNoticeError
from meroid.service.replica import Replicas
from meroid.sync.zenoh_transport import ZenohTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was seen before the device was unlinked, and what became of what came after."""

    context_id: str
    founder: str
    laptop: str
    device: str
    code: str
    listed: dict[str, str | None]
    may: list[str]
    stay: int
    shown: Body
    verdicts: dict[str, dict[str, Verdict | None]]
    entries: dict[str, dict[str, str]]
    roots: dict[str, str]


def command(node: Merod, *words: str) -> Any:
    """The data that a command of meroctl answers with."""
    return node.meroctl("--output-format", "json", "context", "identity", *words).first["data"]


@pytest.fixture(scope="module")
def loss(nodes: ThreeNodes, tmp_path_factory: pytest.TempPathFactory) -> Loss:
    nodes.wait_until_connected()
    made = create_context(nodes.founder, nodes.application_id)
    context_id, founder = made["contextId"], made["memberPublicKey"]
    laptop = bring_in(nodes.founder, founder, context_id, nodes.laptop)
    folder = tmp_path_factory.mktemp("code")

    offered = command(nodes.laptop, "link", "--context", context_id)
    (folder / "code").write_text(offered["code"])
    device = command(nodes.phone, "link", "--code-file", str(folder / "code"))["publicKey"]
    eventually(lambda: all(device in members(node, context_id) for node in nodes.all), "all know the device")
    nodes.phone.call(context_id, device, "set", key="early", value="by the device")
    agree(context_id, *nodes.all)
    listed = nodes.founder.data("GET", f"/admin-api/contexts/{context_id}/members")["members"]
    copy = copied(nodes.phone, folder)
    nodes.wait_until_connected()

    stay = command(nodes.laptop, "unlink", device, "--context", context_id)["changes"]
    eventually(lambda: not any(device in members(node, context_id) for node in nodes.all), "all know of the unlinking")
    nodes.laptop.call(context_id, laptop, "set", key="after", value="by the laptop")
    agree(context_id, nodes.founder, nodes.laptop)
    with copy.opened() as offline, closing(ZenohTransport(["tcp/127.0.0.1:0"])) as transport:
        finder = OwnProgram(offline, transport, context_id, device)
        forged = {"a delta": finder.write("late", "1"), "a leave": finder.say(Leave())}
        finder.reach(nodes.founder, nodes.laptop)
        before = nodes.founder.stored()
        finder.publish(forged["a delta"].envelope)
        eventually(lambda: nodes.founder.stored() != before, "the founder's node stores what it got")
        with pytest.raises(MembershipNoticeError) as notice:
            finder.ask(founder, requests.ask_keys(finder.topics))
        finder.running.close()
    executors = {nodes.founder: founder, nodes.laptop: laptop}
    entries = {node.name: node.call(context_id, key, "entries") for node, key in executors.items()}
    roots = {node.name: root_hash(node, context_id) for node in nodes.all}
    with stopped(nodes.founder):
        verdicts = {nodes.founder.name: dict(judged(nodes.founder, context_id, forged))}
    return Loss(
        context_id=context_id,
        founder=founder,
        laptop=laptop,
        device=device,
        code=offered["code"],
        listed={each["publicKey"]: each.get("linkedTo") for each in listed},
        may=offered["capabilities"],
        stay=stay,
        shown=read_operation(notice.value.envelope).operation.body,
        verdicts=verdicts,
        entries=entries,
        roots=roots,
    )


def copied(node: Merod, folder: Path) -> Merod:
    """A home as it was at this moment."""
    with stopped(node):
        shutil.copytree(node.home, folder / "nodes")
    return Merod(node.name, folder)


def judged(node: Merod, context_id: str, forged: dict[str, Any]) -> Iterator[tuple[str, Verdict | None]]:
    with node.opened() as offline:
        ledger = Replicas(offline.store).get(ContextId.parse(context_id)).ledger
        for what, operation in forged.items():
            yield what, ledger.verdict(operation.operation_id) if operation.operation_id in ledger else None


def test_others_see_whose_device_it_is_and_it_may_read_and_write(loss: Loss) -> None:
    assert loss.listed == {loss.founder: None, loss.laptop: None, loss.device: loss.laptop}
    assert loss.may == ["Read", "Write"]


def test_what_it_wrote_before_stays_and_what_comes_after_does_not_count(loss: Loss) -> None:
    assert loss.stay == 1
    assert all(entries == {"early": "by the device", "after": "by the laptop"} for entries in loss.entries.values())
    for verdicts in loss.verdicts.values():
        assert {what: verdict and verdict.code for what, verdict in verdicts.items()} == {
            "a delta": "key_unlinked",
            "a leave": None,
        }


def test_who_has_it_is_handed_nothing_and_its_state_stands_still(nodes: ThreeNodes, loss: Loss) -> None:
    assert loss.shown == Unlink(key=PublicKey.parse(loss.device), frontier=())
    assert loss.roots[nodes.founder.name] == loss.roots[nodes.laptop.name]
    assert loss.roots[nodes.phone.name] != loss.roots[nodes.founder.name]


def test_its_own_node_refuses_it_with_a_code_that_says_why(nodes: ThreeNodes, loss: Loss) -> None:
    answer = nodes.phone.execute(loss.context_id, loss.device, "get", key="early")

    assert answer["error"]["type"] == "Unauthorized"
    assert answer["error"]["meroid"]["code"] == "key_unlinked"


def test_the_member_and_its_history_go_on(nodes: ThreeNodes, loss: Loss) -> None:
    nodes.wait_until_connected()

    nodes.laptop.call(loss.context_id, loss.laptop, "set", key="onward", value="1")

    agree(loss.context_id, nodes.founder, nodes.laptop)
    assert nodes.founder.call(loss.context_id, loss.founder, "get", key="onward") == "1"


def test_no_log_has_the_code(nodes: ThreeNodes, loss: Loss) -> None:
    assert not any(loss.code[10:60] in node.log for node in nodes.all)
