"""P6: revocation is per context, and takes effect on the next request here and the next message elsewhere.

The laptop's node is in embedded mode, where tokens count. The removal is the mission's command.
"""

from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.kv_store import SOURCE
from tests.processes import Merod, Ran, eventually, start, stop
from tests.three_nodes import ThreeNodes, agree, members, remove

from calimero_client_py import Client, create_client, create_connection

REVOKE: Final = ("context", "identity", "revoke", "laptop", "Member", "--as", "founder", "--context", "demo")
ENDED: Final = "membership_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Two contexts with all three in them; the laptop's membership in `demo` has ended, that in `notes` not."""

    nodes: ThreeNodes
    demo: str
    notes: str
    keys: dict[str, str]
    demo_tokens: dict[str, str]
    notes_tokens: dict[str, str]
    command: Ran
    known_at_once: list[str]
    news: Any
    first_answer: Any


@pytest.fixture(scope="module")
def story(nodes: ThreeNodes) -> Story:
    nodes.share()  # so all reach each other, whatever was restarted before
    kv_store = str(SOURCE / "build" / "kv_store.wasm")
    application = nodes.founder.meroctl("--output-format", "json", "app", "install", "--path", kv_store)
    keys: dict[str, str] = {}
    application_id = str(application.first["data"]["applicationId"])
    contexts = {name: _shared(nodes, name, application_id, keys) for name in ("demo", "notes")}
    demo, notes = contexts["demo"], contexts["notes"]
    tokens = {name: _bound(nodes.laptop, contexts[name], keys[f"laptop in {name}"]) for name in contexts}
    with nodes.laptop.listening(demo) as events:
        command = nodes.founder.meroctl(*REVOKE)
        known_at_once = members(nodes.founder, demo)
        news = events.until(lambda frame: "error" in frame)
        first_answer = nodes.laptop.execute(demo, keys["laptop in demo"], "get", key="before")
    return Story(
        nodes=nodes,
        demo=demo,
        notes=notes,
        keys=keys,
        demo_tokens=tokens["demo"],
        notes_tokens=tokens["notes"],
        command=command,
        known_at_once=known_at_once,
        news=news,
        first_answer=first_answer,
    )


def _shared(nodes: ThreeNodes, name: str, application_id: str, keys: dict[str, str]) -> str:
    """A context made, shared and written to with commands only."""
    create = ("context", "create", "--protocol", "near", "-a", application_id, "--name", name, "--as", "founder")
    made = nodes.founder.meroctl("--output-format", "json", *create).first["data"]
    context_id, keys[f"founder in {name}"] = str(made["contextId"]), str(made["memberPublicKey"])
    for alias, node in (("laptop", nodes.laptop), ("phone", nodes.phone)):
        generated = node.meroctl("--output-format", "json", "context", "identity", "generate")
        key = keys[f"{alias} in {name}"] = str(generated.first["data"]["publicKey"])
        invite = ("context", "invite", key, alias, "--context", name, "--as", "founder")
        invited = nodes.founder.meroctl("--output-format", "json", *invite)
        node.meroctl("context", "join", invited.first["data"], "--name", name, "--as", alias)
    before = ("call", "set", "--context", name, "--args", '{"key": "before", "value": "1"}')
    nodes.laptop.meroctl(*before, "--as", "laptop")
    agree(context_id, *nodes.all)
    return context_id


def _bound(node: Merod, context_id: str, executor: str) -> dict[str, str]:
    """A token pair for one context and identity."""
    body = {"context_id": context_id, "context_identity": executor, "permissions": ["context:execute"]}
    pair: dict[str, str] = node.data("POST", "/admin/client-key", body)
    return pair


@pytest.fixture
def python_client(nodes: ThreeNodes, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The Python client of the person at the laptop, with the tokens that `meroctl login` kept."""
    monkeypatch.setenv("HOME", str(nodes.laptop.person))
    return create_client(create_connection(nodes.laptop.url, node_name=nodes.laptop.name))


# Here


def test_the_command_of_the_mission_ends_the_membership_at_once_on_its_own_node(story: Story) -> None:
    assert "Successfully revoked permissions" in story.command.out
    assert set(story.known_at_once) == {story.keys["founder in demo"], story.keys["phone in demo"]}


# Elsewhere: each way in which the removed member may ask its node


def test_the_first_request_after_the_news_arrived_is_refused(story: Story) -> None:
    assert story.news["error"]["meroid"]["code"] == ENDED
    assert story.first_answer["error"]["meroid"]["code"] == ENDED


@pytest.mark.parametrize(("method", "arguments"), [("get", {"key": "before"}), ("set", {"key": "x", "value": "y"})])
def test_json_rpc_refuses_reading_and_writing_with_the_code(
    story: Story, method: str, arguments: dict[str, str]
) -> None:
    key = story.keys["laptop in demo"]

    error = story.nodes.laptop.execute(story.demo, key, method, **arguments)["error"]

    assert error["type"] == "Unauthorized"
    assert error["data"] == {"context_id": story.demo, "public_key": key}
    assert "code" not in error
    assert error["meroid"]["code"] == ENDED
    assert key in error["meroid"]["reason"]
    assert "invitation" in error["meroid"]["next"]


def test_meroctl_says_why_and_ends_with_one(story: Story) -> None:
    call = ("call", "get", "--context", "demo", "--as", "laptop", "--args", '{"key": "before"}')

    ran = story.nodes.laptop.meroctl(*call, ends_with=1)

    assert f"[{ENDED}]" in ran.err
    assert "advice: ask a member who may invite" in ran.err


def test_the_python_client_gets_the_code(story: Story, python_client: Client) -> None:
    answer = python_client.execute_function(story.demo, "get", '{"key": "before"}', story.keys["laptop in demo"])

    assert "result" not in answer
    assert answer["error"]["type"] == "Unauthorized"
    assert answer["error"]["meroid"]["code"] == ENDED


def test_the_admin_api_refuses_to_act_as_it(story: Story) -> None:
    laptop, phone = story.keys["laptop in demo"], story.keys["phone in demo"]
    invitation = {"contextId": story.demo, "inviterId": laptop, "inviteeId": phone}
    removal = {"capabilities": [[phone, "Member"]], "signer_id": laptop}

    invited = story.nodes.laptop.ask("POST", "/admin-api/contexts/invite", invitation)
    removed = story.nodes.laptop.ask("POST", f"/admin-api/contexts/{story.demo}/capabilities/revoke", removal)

    assert (invited.status, invited.code) == (403, ENDED)
    assert (removed.status, removed.code) == (403, ENDED)


def test_a_token_bound_to_that_context_is_worth_nothing_any_more(story: Story) -> None:
    laptop, token = story.nodes.laptop, story.demo_tokens["access_token"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": {}}

    refusals = [
        laptop.ask("POST", "/jsonrpc", body, token=token),
        laptop.ask("GET", "/admin-api/is-authed", token=token),
        laptop.ask("GET", f"/admin-api/contexts/{story.demo}", token=token),
        laptop.ask("GET", "/auth/validate", token=token),
    ]

    assert [(got.status, got.code, got.headers.get("x-auth-error")) for got in refusals] == [
        (401, "token_revoked", "token_revoked")
    ] * 4


def test_it_cannot_be_refreshed_either(story: Story) -> None:
    pair = {name: story.demo_tokens[name] for name in ("access_token", "refresh_token")}

    got = story.nodes.laptop.ask("POST", "/auth/refresh", pair)

    assert (got.status, got.code) == (401, "token_revoked")
    assert "x-auth-error" not in got.headers


def test_no_new_token_is_bound_to_the_ended_membership(story: Story) -> None:
    body = {"context_id": story.demo, "context_identity": story.keys["laptop in demo"]}

    got = story.nodes.laptop.ask("POST", "/admin/client-key", body)

    assert (got.status, got.code) == (403, ENDED)


# What goes on


def test_the_account_goes_on(story: Story) -> None:
    laptop = story.nodes.laptop

    assert laptop.ask("GET", "/auth/validate").status == 200
    assert laptop.ask("GET", "/admin-api/is-authed").status == 200
    assert "Signed In" in laptop.meroctl("whoami").out
    laptop.meroctl("context", "identity", "generate")


def test_its_other_context_goes_on_in_both_directions(story: Story) -> None:
    nodes, notes = story.nodes, story.notes
    nodes.laptop.meroctl(
        "call", "set", "--context", "notes", "--as", "laptop", "--args", '{"key": "k", "value": "from the laptop"}'
    )
    founder, laptop = story.keys["founder in notes"], story.keys["laptop in notes"]
    eventually(lambda: nodes.founder.call(notes, founder, "get", key="k") == "from the laptop", "the founder hears it")
    nodes.founder.call(notes, founder, "set", key="k", value="from the founder")
    eventually(lambda: nodes.laptop.call(notes, laptop, "get", key="k") == "from the founder", "the laptop hears it")


def test_an_unbound_token_and_one_bound_to_the_other_context_work_there(story: Story, python_client: Client) -> None:
    laptop, key = story.nodes.laptop, story.keys["laptop in notes"]

    bound = laptop.execute(story.notes, key, "get", key="before", token=story.notes_tokens["access_token"])
    unbound = python_client.execute_function(story.notes, "get", '{"key": "before"}', key)

    assert bound["result"]["output"] == unbound["result"]["output"] == "1"


def test_the_remaining_members_go_on(story: Story) -> None:
    nodes, demo = story.nodes, story.demo
    nodes.phone.call(demo, story.keys["phone in demo"], "set", key="on", value="and on")
    founder = story.keys["founder in demo"]
    eventually(lambda: nodes.founder.call(demo, founder, "get", key="on") == "and on", "the founder hears the phone")


# A capability instead of the membership


def test_one_capability_can_be_taken_in_one_context_alone(story: Story) -> None:
    nodes = story.nodes
    revoke = ("context", "identity", "revoke", "phone", "Write", "--as", "founder", "--context", "notes")
    nodes.founder.meroctl(*revoke, program="merocli")
    phone, write = story.keys["phone in notes"], {"key": "k", "value": "v"}
    eventually(lambda: "error" in nodes.phone.execute(story.notes, phone, "set", **write), "the phone hears of it")

    assert nodes.phone.execute(story.notes, phone, "set", **write)["error"]["meroid"]["code"] == "lacks_capability"
    assert nodes.phone.call(story.notes, phone, "get", key="before") == "1"
    nodes.phone.call(story.demo, story.keys["phone in demo"], "set", **write)


# A node that was away


def test_a_node_that_was_off_when_its_member_was_removed_refuses_it_after_its_start(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    stop(nodes.laptop)
    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
    start(nodes.laptop)

    def code() -> object:
        answer = nodes.laptop.execute(shared.context_id, shared.laptop, "get", key="any")
        return answer.get("error", {}).get("meroid", {}).get("code")

    eventually(lambda: code() == ENDED, "its own node refuses it")
