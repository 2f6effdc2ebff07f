"""P9: a removed member stops receiving updates: it can't decrypt, isn't served, and learns no topic.

In the place of the laptop's node runs a program of its own with all that the node had. A session on
the bus that keeps to no rule records for it what comes under the names that it knows, and under
every pattern. Below the session, on the wire, the engine tells each neighbour what a node
subscribes to; so whoever taps it learns topics, and `test_who_is_told_the_new_topic…` is about that.
"""

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest
import zenoh
from tests.own_program import OwnProgram, own_program
from tests.processes import Merod, eventually, stop, stopped
from tests.three_nodes import (
    Shared,
    ThreeNodes,
    agree,
    context,
    grant,
    invite,
    invite_openly,
    members,
    new_identity,
    remove,
)

from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.epoch import open_envelope, open_wrap, topic
from meroid.ledger.operation import Delta, Operation, Rekey, Remove, VerifiedOperation
from meroid.ledger.verify import read_operation
from meroid.service import requests
from meroid.service.peering import Channel, PeerRefusedError, ask_peer
from meroid.service.tickets import door_of
from meroid.sync.configuration import session_config
from meroid.sync.endpoints import parse_endpoint
from meroid.sync.keys import here_pattern, topic_key

PATTERNS: Final = ("**", "*/**", "meroid/**", "meroid/*", "meroid/*/**")
SECRET: Final = "what only members may read"
ENDED: Final = "membership_ended"


@dataclass
class Recorder:
    """What a session on the bus heard: names and bytes, in the order in which they came."""

    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def note(self, sample: zenoh.Sample) -> None:
        self.heard.append((str(sample.key_expr), sample.payload.to_bytes()))

    def opened(self, context_id: ContextId, keys: dict[EpochId, bytes], since: int = 0) -> list[VerifiedOperation]:
        """Every operation that opens with one of these keys."""
        found = []
        for _, message in self.heard[since:]:
            for key in keys.values():
                with contextlib.suppress(SealBrokenError):
                    found.append(read_operation(open_envelope(context_id, key, message)))
        return found


@contextmanager
def recording(topics: list[str], *nodes: Merod) -> Iterator[Recorder]:
    """Connect to nodes and listen: to messages and presence, under topics and under every pattern."""
    recorder = Recorder()
    session = zenoh.open(session_config((), [parse_endpoint(node.endpoint) for node in nodes], local_discovery=None))
    try:
        eventually(lambda: len(list(session.info.peers_zid())) >= len(nodes), "the recorder is connected")
        for name in (*PATTERNS, *map(topic_key, topics)):
            session.declare_subscriber(name, recorder.note)
        for name in (*PATTERNS, *map(here_pattern, topics)):
            session.liveliness().declare_subscriber(name, recorder.note, history=True)
        yield recorder
    finally:
        session.close()  # type: ignore[no-untyped-call]  # the library's stub lacks it


def keys_in_store(node: Merod, context_id: ContextId) -> dict[EpochId, bytes]:
    with node.opened() as offline:
        return dict(offline.store.read(lambda tx: tx.epochs.keys(context_id)))


def write_on(nodes: ThreeNodes, shared: Shared) -> None:
    """Founder and phone write, and the founder changes the membership."""
    for number in range(3):
        nodes.founder.call(shared.context_id, shared.founder, "set", key=f"f{number}", value=SECRET)
        nodes.phone.call(shared.context_id, shared.phone, "set", key=f"p{number}", value=SECRET)
    grant(nodes.founder, shared.founder, shared.context_id, shared.phone, "Invite")
    invite(nodes.founder, shared.founder, shared.context_id, new_identity(nodes.phone))
    agree(shared.context_id, nodes.founder, nodes.phone)


def until_heard_of(node: Merod, shared: Shared) -> None:
    """Wait until a node knows that the laptop was removed; until then it writes for the laptop, too."""
    eventually(lambda: shared.laptop not in members(node, shared.context_id), f"{node.name} knows, too")


# It can't decrypt, and learns no topic


def test_of_what_it_hears_after_its_removal_only_the_news_of_the_removal_opens(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    with own_program(nodes.laptop, shared.context_id, shared.laptop) as laptop:
        context_id, keys, topics = laptop.context_id, dict(laptop.replica.epoch_keys), [*laptop.topics.values()]
        with recording(topics, nodes.founder, nodes.phone) as recorder:
            nodes.founder.call(shared.context_id, shared.founder, "set", key="before", value="for all three")
            eventually(lambda: recorder.opened(context_id, keys), "the recorder works: a member's program reads along")
            removed_at = len(recorder.heard)

            remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
            until_heard_of(nodes.phone, shared)
            write_on(nodes, shared)
            eventually(lambda: len(recorder.opened(context_id, keys, removed_at)) >= 2, "the news of the removal came")

        opened = recorder.opened(context_id, keys, removed_at)
        assert {type(each.operation.body) for each in opened} == {Remove, Rekey}
        for each in opened:
            assert cannot_unwrap(laptop, each)
        known = {topic_key(name) for name in topics}
        assert {name for name, _ in recorder.heard if not name.startswith(tuple(known))} == set()


def test_only_who_has_not_heard_of_the_removal_still_writes_what_an_old_key_opens(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    context_id = ContextId.parse(shared.context_id)

    def write_while_it_is_removed() -> None:
        for number in itertools.count():
            knew = shared.laptop not in members(nodes.phone, shared.context_id)
            nodes.phone.call(shared.context_id, shared.phone, "set", key=f"p{number}", value=SECRET)
            if knew:
                return

    with own_program(nodes.laptop, shared.context_id, shared.laptop) as laptop:
        keys, topics = dict(laptop.replica.epoch_keys), [*laptop.topics.values()]
        with recording(topics, nodes.founder, nodes.phone) as recorder, ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write_while_it_is_removed)
            eventually(lambda: len(recorder.opened(context_id, keys)) >= 3, "the phone writes")
            remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
            writing.result(30)
            agree(shared.context_id, nodes.founder, nodes.phone)
    with stopped(nodes.phone), nodes.phone.opened() as offline:
        stored = offline.store.read(lambda tx: [each.envelope for each in tx.operations.scan(context_id)])

    history = {each.operation_id: each.operation for each in map(read_operation, stored)}
    removal = next(key for key, operation in history.items() if isinstance(operation.body, Remove))
    written = deltas_of(history, PublicKey.parse(shared.phone))
    knowing = {key for key in written if removal in ancestors(history, key)}
    opened = {each.operation_id for each in recorder.opened(context_id, keys)}
    assert knowing
    assert knowing.isdisjoint(opened)
    assert written - knowing
    assert written - knowing <= opened


def deltas_of(history: dict[OperationId, Operation], author: PublicKey) -> set[OperationId]:
    """The data operations of a member."""
    return {key for key, each in history.items() if isinstance(each.body, Delta) and each.author == author}


def ancestors(history: dict[OperationId, Operation], of: OperationId) -> set[OperationId]:
    """All that an operation is built on."""
    found: set[OperationId] = set()
    todo = [of]
    while todo:
        new = set(history[todo.pop()].parents) - found
        found |= new
        todo += new
    return found


def cannot_unwrap(laptop: OwnProgram, operation: VerifiedOperation) -> bool:
    """Nothing in the operation is a key for the removed member."""
    body = operation.operation.body
    if not isinstance(body, Rekey):
        return True
    assert laptop.keys.public_key not in {recipient for recipient, _ in body.wraps}
    return all(
        open_wrap(
            context=laptop.context_id,
            rekey=Rekey(epoch=body.epoch, wraps=((laptop.keys.public_key, wrap),), previous=None),
            author=operation.operation.author,
            seq=operation.operation.seq,
            recipient=laptop.keys.public_key,
            sealing=laptop.keys.sealing,
        )
        is None
        for _, wrap in body.wraps
    )


def test_who_is_told_the_new_topic_records_ciphertext_that_no_old_key_opens(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    context_id = ContextId.parse(shared.context_id)
    stop(nodes.laptop)
    old = keys_in_store(nodes.laptop, context_id)
    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
    agree(shared.context_id, nodes.founder, nodes.phone)
    with stopped(nodes.founder):
        current = keys_in_store(nodes.founder, context_id)
    new = {epoch: key for epoch, key in current.items() if epoch not in old}
    topics = [topic(context_id, key) for key in new.values()]
    assert new
    assert set(topics).isdisjoint(topic(context_id, key) for key in old.values())

    with recording(topics, nodes.founder, nodes.phone) as recorder:
        write_on(nodes, shared)
        eventually(
            lambda: sum(isinstance(each.operation.body, Delta) for each in recorder.opened(context_id, new)) >= 6,
            "all that was written is recorded",
        )

    assert recorder.opened(context_id, old) == []
    assert not any(SECRET.encode() in message for _, message in recorder.heard)


# It isn't served


def test_no_member_answers_it_whatever_it_asks(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    with own_program(nodes.laptop, shared.context_id, shared.laptop) as laptop:
        state = laptop.replica.ledger.state
        laptop.reach(nodes.founder, nodes.phone)
        asked: dict[str, Value] = {
            "history": requests.ask_history(()),
            "keys": requests.ask_keys([laptop.epoch]),
            "blob": requests.ask_blob(state.application.blob_id, 0),
            "door": requests.ask_door(),
        }
        for member in (shared.founder, shared.phone):
            for question in asked.values():
                assert laptop.ask(member, question) is not None, "as a member it is served"

        remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
        until_heard_of(nodes.phone, shared)
        write_on(nodes, shared)

        for member in (shared.founder, shared.phone):
            for epoch in laptop.topics:
                for question in asked.values():
                    with pytest.raises(PeerRefusedError) as refusal:
                        laptop.ask(member, question, epoch)
                    assert refusal.value.code == "peer_refused"


def test_it_gets_nothing_at_the_doors_of_invitations_that_it_knows_of(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    invite_openly(nodes.founder, shared.founder, shared.context_id)
    invite(nodes.founder, shared.founder, shared.context_id, new_identity(nodes.phone))
    eventually(
        lambda: context(nodes.laptop, shared.context_id) == context(nodes.founder, shared.context_id),
        "the laptop knows of the invitations",
    )
    stop(nodes.laptop)
    remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)

    with own_program(nodes.laptop, shared.context_id, shared.laptop) as laptop:
        laptop.reach(nodes.founder)
        doors = [each.operation_id for each in laptop.replica.ledger.state.invitations.values()]
        assert len(doors) == 2
        for grant_id in doors:
            for question in (requests.ask_door(), requests.ask_history(())):
                with pytest.raises(PeerRefusedError):
                    knock(laptop, shared.founder, grant_id, question)


def knock(laptop: OwnProgram, inviter: str, grant_id: OperationId, question: Value) -> Value:
    responder = PublicKey.parse(inviter)
    door = door_of(grant_id)
    channel = Channel(
        context_id=laptop.context_id,
        topic=door.topic,
        handle=door.handle,
        responder=responder,
        sealing=laptop.members[responder].sealing,
    )
    return ask_peer(laptop.transport, channel, laptop.keys, question, timeout_s=5.0)


# Its own node, which keeps to the rules


def test_its_own_node_says_why_and_has_no_event_no_key_and_no_update_any_more(nodes: ThreeNodes) -> None:
    shared = nodes.share()
    context_id = ContextId.parse(shared.context_id)
    nodes.laptop.call(shared.context_id, shared.laptop, "set", key="before", value="1")
    agree(shared.context_id, *nodes.all)

    with nodes.laptop.listening(shared.context_id) as events:
        remove(nodes.founder, shared.founder, shared.context_id, shared.laptop)
        news = events.until(lambda frame: "error" in frame)
        write_on(nodes, shared)
        again = events.subscribe(shared.context_id)
        sync = nodes.laptop.ask("POST", f"/admin-api/contexts/sync/{shared.context_id}")
        rest = events.rest(0.5)

    assert news["id"] is None
    assert news["error"]["type"] == "Unauthorized"
    assert news["error"]["meroid"]["code"] == ENDED
    assert news["error"]["meroid"]["next"]
    assert again["error"]["meroid"]["code"] == "not_a_reader"
    assert sync.status in {200, 403}
    assert rest == []
    with stopped(nodes.laptop, nodes.founder):
        held, current = keys_in_store(nodes.laptop, context_id), keys_in_store(nodes.founder, context_id)
        with nodes.laptop.opened() as offline:
            stored = offline.store.read(lambda tx: [each.envelope for each in tx.operations.scan(context_id)])
    bodies = [read_operation(each).operation.body for each in stored]
    removal = bodies.index(Remove(member=PublicKey.parse(shared.laptop), frontier=(), cascade=()))
    before = {body.epoch for body in bodies[:removal] if isinstance(body, Rekey)}
    assert held.keys() == before
    assert current.keys() > before
    assert {type(body) for body in bodies[removal + 1 :]} <= {Rekey}
