"""A second device over HTTP: `/admin-api/contexts/…/link`, `unlink` and one identity."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kv_store import kv_store_bytecode
from tests.node_world import eventually
from tests.served_node import Member, ServedNode, network, served_node
from websockets.sync.client import connect

OTHER_KEY = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedNode, ServedNode]]:
    folders = [tmp_path_factory.mktemp(name) for name in ("node", "other")]
    with (
        network() as joined,
        served_node(folders[0], joined, mode="proxy", name="one") as node,
        served_node(folders[1], joined, mode="proxy", name="two") as other,
    ):
        yield node, other


@pytest.fixture(scope="module")
def node(nodes: tuple[ServedNode, ServedNode]) -> ServedNode:
    return nodes[0]


@pytest.fixture(scope="module")
def other(nodes: tuple[ServedNode, ServedNode]) -> ServedNode:
    return nodes[1]


@pytest.fixture(scope="module")
def application(node: ServedNode) -> str:
    return node.install(kv_store_bytecode())


def offer(node: ServedNode, main: Member, **more: Any) -> Any:
    return node.data("POST", f"contexts/{main.context}/identities/link", {"identity": main.key, **more})


def test_a_code_brings_in_a_device_that_is_listed_with_its_member(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    made = offer(node, mine)

    taken = other.data("POST", "contexts/link", {"code": made["code"]})

    assert (taken["contextId"], taken["linkedTo"]) == (mine.context, mine.key)
    assert (made["secret"], made["capabilities"]) == (True, ["Read", "Write"])
    members = node.data("GET", f"contexts/{mine.context}/members")["members"]
    assert [each.get("linkedTo") for each in members] == [None, mine.key]
    assert members[1]["publicKey"] == taken["publicKey"]
    assert other.data("GET", f"contexts/{mine.context}/identities-owned") == {"identities": [taken["publicKey"]]}


def test_an_identity_is_shown_with_what_is_linked_and_what_it_wrote(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    device = Member(context=mine.context, key=link(node, other, mine))
    other.call(device, "set", {"key": "a", "value": "b"})

    shown = other.data("GET", f"contexts/{mine.context}/identities/{device.key}")
    main = other.data("GET", f"contexts/{mine.context}/identities/{mine.key}")

    assert (shown["linkedTo"], shown["changes"], shown["owned"], shown["linkedKeys"]) == (mine.key, 1, True, [])
    assert "linkedTo" not in main
    assert main["linkedKeys"] == [device.key]
    got = node.ask("GET", f"contexts/{mine.context}/identities/{OTHER_KEY}")
    assert (got.status, got.code) == (404, "no_such_identity")


def link(node: ServedNode, other: ServedNode, main: Member, **more: Any) -> str:
    return str(other.data("POST", "contexts/link", {"code": offer(node, main, **more)["code"]})["publicKey"])


def test_whom_a_device_lets_in_has_a_rank_with_a_pair_in_it(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    device = Member(context=mine.context, key=link(node, other, mine, all=True))

    guest = other.admit(node, device)

    members = {each["publicKey"]: each for each in other.data("GET", f"contexts/{mine.context}/members")["members"]}
    assert members[guest.key]["rank"] == [[4, 1]]  # the link is the founder's fourth operation, after init


def test_unlinking_says_how_many_changes_stay_and_ends_the_device(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    device = link(node, other, mine)
    path = f"contexts/{mine.context}/identities/unlink"

    answer = node.data("POST", path, {"identity": mine.key, "key": device})

    assert answer == {"publicKey": device, "changes": 0}
    assert node.data("GET", f"contexts/{mine.context}/identities") == {"identities": [mine.key]}
    again = node.ask("POST", path, {"identity": mine.key, "key": device})
    assert (again.status, again.code) == (403, "not_linked_here")


def test_a_named_device_gets_a_code_without_a_secret_and_what_was_asked_for(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    key = other.identity()
    made = offer(node, mine, key=key, capabilities=["Read", "Invite"])

    taken = other.data("POST", "contexts/link", {"code": made["code"], "identity": key})

    assert made["secret"] is False
    assert taken["publicKey"] == key
    members = {each["publicKey"]: each for each in node.data("GET", f"contexts/{mine.context}/members")["members"]}
    assert members[key]["capabilities"] == ["Read", "Invite"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"capabilities": ["Sing"]}, 400, "unknown_capability"),
        ({"capabilities": ["Member"]}, 400, "unknown_capability"),
        ({"capabilities": []}, 422, "bad_length"),
        ({"key": "x"}, 422, "bad_id"),
        ({"identity": OTHER_KEY}, 403, "not_your_identity"),
    ],
)
def test_a_code_that_can_not_be_is_refused(
    node: ServedNode, application: str, body: Any, status: int, code: str
) -> None:
    mine = node.create(application)

    got = node.ask("POST", f"contexts/{mine.context}/identities/link", {"identity": mine.key, **body})

    assert (got.status, got.code) == (status, code)


def test_a_used_or_damaged_code_is_refused_and_not_repeated(
    node: ServedNode, other: ServedNode, application: str
) -> None:
    mine = node.create(application)
    code = offer(node, mine)["code"]
    other.data("POST", "contexts/link", {"code": code})

    used = other.ask("POST", "contexts/link", {"code": code, "identity": other.identity()})
    damaged = other.ask("POST", "contexts/link", {"code": code[:-2]})

    assert (used.status, used.code) == (403, "peer_refused")
    assert (damaged.status, damaged.code) == (400, "bad_link_code")
    assert code[10:60] not in used.text + damaged.text


def test_tokens_and_subscriptions_of_a_device_work_and_end_with_its_unlinking(tmp_path: Path) -> None:
    with (
        network() as joined,
        served_node(tmp_path, joined, mode="proxy", name="one") as node,
        served_node(tmp_path, joined, mode="embedded", name="two") as other,
    ):
        mine = node.create(node.install(kv_store_bytecode()))
        device = Member(context=mine.context, key=link(node, other, mine))
        token = other.mint("context:execute", bound_to=device)
        url = f"ws://127.0.0.1:{other.server.port}/ws?token={token}"
        with connect(url) as socket:
            socket.send(json.dumps({"id": 1, "method": "subscribe", "params": {"contextIds": [mine.context]}}))
            assert "result" in json.loads(socket.recv(timeout=10))
            node.call(mine, "set", {"key": "a", "value": "b"})
            assert json.loads(socket.recv(timeout=10))["result"]["contextId"] == mine.context
        assert other.call(device, "get", {"key": "a"}, token=token).json["result"]["output"] == "b"

        node.data("POST", f"contexts/{mine.context}/identities/unlink", {"identity": mine.key, "key": device.key})

        eventually(lambda: other.call(device, "get", {"key": "a"}, token=token).status == 401)
