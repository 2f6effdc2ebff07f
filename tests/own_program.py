"""A member, or one who was removed, that runs a program of its own in place of `merod`.

It has all that its stopped node had: client key, history, epoch keys, state, the application. The
node's services run on that store in this process, so a delta of it is made as every delta is made;
but it says only what the test lets it say, to whom the test lets it, whatever the rules say of it.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from tests.processes import Merod, eventually, stopped

from meroid.access.principal import Principal
from meroid.account.client_keys import ClientKeys
from meroid.app import Node, RunningNode
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer
from meroid.ledger.authoring import author_next, next_seq
from meroid.ledger.epoch import EnvelopeSealer, compose_rekey, handle, new_epoch_key, open_data, seal_data, topic
from meroid.ledger.operation import Body, Delta, Operation, VerifiedOperation
from meroid.ledger.verify import read_operation, sign_operation
from meroid.service.execution import Call
from meroid.service.peering import Channel, ask_peer
from meroid.service.ports.store import Transaction
from meroid.service.replica import Replica
from meroid.sync.zenoh_transport import ZenohTransport

ANSWER_S: Final = 5.0


class OwnProgram:
    """Acts as one identity in one context.

    `epoch` and `members` are the latest that it had from the others; what it says itself may change
    its own view of both.
    """

    def __init__(self, node: Node, transport: ZenohTransport, context_id: str, identity: str) -> None:
        account = node.prepare()
        _ignore_restoration(node)
        self.node = node
        self.transport = transport
        self.context_id = ContextId.parse(context_id)
        self.running = RunningNode(node, account, transport)
        self.replica: Replica = self.running.replicas.get(self.context_id)
        self.keys: ClientKeys = node.keys.own(account, PublicKey.parse(identity))
        self.epoch: EpochId = next(iter(self.topics))
        self.members = dict(self.replica.ledger.state.members)
        self._principal = Principal.node(account)

    @property
    def topics(self) -> dict[EpochId, str]:
        """The topics of all epochs whose keys it has, the latest first."""
        return {epoch: topic(self.context_id, key) for epoch, key in self.replica.known_epochs()}

    def reach(self, *nodes: Merod) -> None:
        """Connect to nodes."""
        self.transport.connect([node.endpoint for node in nodes])
        eventually(lambda: self.transport.peers() >= len(nodes), "the program is connected")

    # What it signs

    def write(self, key: str, value: str) -> VerifiedOperation:
        """Set a key of the sample application: the delta that its node would make."""
        arguments = json.dumps({"key": key, "value": value}).encode()
        call = Call(context_id=self.context_id, method="set", arguments=arguments, executor=self.keys.public_key)
        self.running.execution.execute(self._principal, call, self.node.clock.now_ms())
        last = self.replica.ledger.last_of(self.keys.public_key)
        assert last is not None
        return self.stored(last.operation_id)

    def say(self, body: Body, signer: Signer | None = None) -> VerifiedOperation:
        """Sign whatever it wants, on all that it knows, and build on it from now on."""
        operation = author_next(self.replica.ledger, signer or self.keys, body, epoch=next(iter(self.topics)))
        self.replica.ledger.add(operation)
        at = self.node.clock.now_ms()
        append = (self.context_id, operation.operation_id, operation.envelope)
        self.node.store.write(lambda tx: tx.operations.append(*append, applied=False, at=at))
        return operation

    def rekey(self) -> VerifiedOperation:
        """A further epoch, sealed for whom it takes for the readers, itself included."""
        key = new_epoch_key()
        body = compose_rekey(
            context=self.context_id,
            key=key,
            author=self.keys.public_key,
            seq=next_seq(self.replica.ledger, self.keys.public_key),
            recipients=[(member.key, member.sealing) for member in self.replica.ledger.state.readers()],
            previous=None,
        )
        said = self.say(body)
        self.replica.epoch_keys[body.epoch] = key
        self.node.store.write(lambda tx: tx.epochs.put(self.context_id, body.epoch, key))
        return said

    def write_on(self, heads: tuple[OperationId, ...], like: VerifiedOperation) -> VerifiedOperation:
        """The data of a delta of its own once more, as if it had seen these heads."""
        before, body = like.operation, like.operation.body
        assert isinstance(body, Delta)
        assert before.epoch is not None
        author, key = self.keys.public_key, self.replica.epoch_keys[before.epoch]
        last = self.replica.ledger.last_of(author)
        assert last is not None
        seq = last.operation.seq + 1
        data = open_data(self.context_id, key, author, before.seq, body.nonce, body.ciphertext)
        nonce, ciphertext = seal_data(self.context_id, key, author, seq, data)
        operation = Operation(
            context=self.context_id,
            author=author,
            seq=seq,
            prev=last.operation_id,
            parents=tuple(sorted(heads)),
            auth=before.auth,
            epoch=before.epoch,
            body=Delta(nonce=nonce, ciphertext=ciphertext),
        )
        return sign_operation(operation, self.keys)

    def stored(self, operation_id: OperationId) -> VerifiedOperation:
        """An operation of its store."""
        found = self.node.store.read(lambda tx: tx.operations.get(operation_id))
        assert found is not None
        return read_operation(found.envelope)

    def history(self, context_id: str) -> list[bytes]:
        """All operations of a context in its store."""
        wanted = ContextId.parse(context_id)
        return self.node.store.read(lambda tx: [each.envelope for each in tx.operations.scan(wanted)])

    # What it sends

    def publish(self, envelope: bytes) -> None:
        """Send an operation to whoever listens on a topic that it knows."""
        for epoch, name in self.topics.items():
            sealer = EnvelopeSealer(self.context_id, self.replica.epoch_keys[epoch])
            self.transport.publish(name, sealer.seal(envelope))

    def ask(self, member: str, request: Value, epoch: EpochId | None = None) -> Value:
        """Ask a member, under the latest epoch that it was told or the given one, with its real client key."""
        asked = epoch or self.epoch
        responder = PublicKey.parse(member)
        channel = Channel(
            context_id=self.context_id,
            topic=self.topics[asked],
            handle=handle(self.context_id, self.replica.epoch_keys[asked], responder),
            responder=responder,
            sealing=self.members[responder].sealing,
        )
        return ask_peer(self.transport, channel, self.keys, request, timeout_s=ANSWER_S)


@contextmanager
def own_program(node: Merod, context_id: str, identity: str) -> Iterator[OwnProgram]:
    """The program in the place of a node, which runs again after it; nobody hears of it until it reaches out."""
    with stopped(node), node.opened() as offline, closing(ZenohTransport(["tcp/127.0.0.1:0"])) as transport:
        program = OwnProgram(offline, transport, context_id, identity)
        try:
            yield program
        finally:
            program.running.close()


def _ignore_restoration(node: Node) -> None:
    """A copied home's keys rotate before they sign; this program obeys no such rule."""

    def release(tx: Transaction) -> None:
        for key in tx.accounts.restored():
            tx.accounts.release(key)

    node.store.write(release)
    node.keys.reread()
