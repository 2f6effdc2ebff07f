"""A removed member's node, changed by its owner so that it goes on as if it had never been removed.

Whoever has the machine has the store key, the store and the client key in it, and may run any program on them. This
one is built from the node's own parts and leaves out what the honest node does: it reads the ledger only up to the
removal, signs with the client key, encrypts under the epoch key that it still has, and talks to the others on the
topic that it still knows. It writes nothing to the store.
"""

import contextlib
import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from examples.life.machines import Machine, StoryError

from meroid.account.client_keys import ClientKeys
from meroid.app import open_vaulted
from meroid.clock import SystemClock
from meroid.config import load_settings
from meroid.errors import MeroidError
from meroid.ids import ContextId, EpochId
from meroid.keys.public import PublicKey
from meroid.ledger.authoring import author_next, next_seq
from meroid.ledger.epoch import EnvelopeSealer, handle, seal_data, topic
from meroid.ledger.ledger import Ledger
from meroid.ledger.operation import Delta, Remove, VerifiedOperation
from meroid.ledger.state import Member
from meroid.ledger.verify import reread_operation
from meroid.runtime.wasm import WasmRuntime
from meroid.service import requests
from meroid.service.keyring import KeyRing
from meroid.service.payload import DeltaPayload
from meroid.service.peering import Channel, ask_peer
from meroid.service.ports.runtime import Invocation, Outcome
from meroid.service.ports.store import Store, Transaction
from meroid.service.projection import bytecode_loader
from meroid.sync.zenoh_transport import ZenohTransport

PRESENT_S: Final = 15.0
ASK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The last epoch that this node got the key of."""

    epoch_id: EpochId
    key: bytes


class ModifiedNode:
    """The node of `machine` in the context, as `signer`; while it runs, the honest one must be stopped."""

    def __init__(self, machine: Machine, context_id: ContextId, signer: PublicKey, endpoints: tuple[str, ...]) -> None:
        self._context_id = context_id
        self.heard = 0
        with contextlib.ExitStack() as stack:
            vaulted = open_vaulted(load_settings(machine.nodes, machine.node), make=False)
            stack.callback(vaulted.store.close)
            self._store: Store = vaulted.store
            keys = KeyRing(vaulted.store, vaulted.seeds).of_context(context_id)
            self._signer: ClientKeys = next(each for each in keys if each.public_key == signer)
            self._ledger = vaulted.store.read(lambda tx: _before_removal(tx, context_id, signer))
            self._epoch = self._last_epoch()
            self._topic = topic(context_id, self._epoch.key)
            self._transport = ZenohTransport(listen=[f"tcp/127.0.0.1:{machine.swarm_port}"], connect=endpoints)
            stack.callback(self._transport.close)
            self._transport.subscribe(self._topic, self._hear)
            self._ends = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @property
    def others(self) -> list[Member]:
        """Who is a member, as far as this node knows."""
        return [member for key, member in self._ledger.state.members.items() if key != self._signer.public_key]

    def find_others(self) -> None:
        """Wait until the others are here."""
        wanted = {handle(self._context_id, self._epoch.key, member.key) for member in self.others}
        until = time.monotonic() + PRESENT_S
        while not wanted <= set(self._transport.present(self._topic)):
            if time.monotonic() > until:
                raise StoryError("the modified node does not find the others")
            time.sleep(0.02)

    def forge(self, key: str, value: str) -> VerifiedOperation:
        """Run `set` on the state that is here, and sign its delta: well-formed, well-encrypted, well-signed."""
        outcome = self._store.read(lambda tx: self._run(tx, {"key": key, "value": value}))
        if outcome.artifact is None or outcome.root_hash is None:
            raise StoryError("the application changed nothing")
        payload = DeltaPayload(artifact=outcome.artifact, events=outcome.events, root_hash=outcome.root_hash)
        author = self._signer.public_key
        seq = next_seq(self._ledger, author)
        nonce, ciphertext = seal_data(self._context_id, self._epoch.key, author, seq, payload.encoded())
        body = Delta(nonce=nonce, ciphertext=ciphertext)
        return author_next(self._ledger, self._signer, body, epoch=self._epoch.epoch_id)

    def publish(self, operation: VerifiedOperation) -> None:
        """Send an operation to everybody on the topic, as a node does."""
        sealer = EnvelopeSealer(self._context_id, self._epoch.key)
        self._transport.publish(self._topic, sealer.seal(operation.envelope))

    def ask_for_history(self, member: Member) -> str:
        """Ask a member for what is new; the stable code of its refusal, or nothing if it answers."""
        channel = Channel(
            context_id=self._context_id,
            topic=self._topic,
            handle=handle(self._context_id, self._epoch.key, member.key),
            responder=member.key,
            sealing=member.sealing,
        )
        try:
            question = requests.ask_history(self._ledger.graph.heads)
            ask_peer(self._transport, channel, self._signer, question, timeout_s=ASK_S)
        except MeroidError as refusal:
            return refusal.code
        return ""

    def _run(self, tx: Transaction, arguments: dict[str, str]) -> Outcome:
        application = self._ledger.state.application
        invocation = Invocation(
            method="set",
            input=json.dumps(arguments).encode(),
            context_id=self._context_id,
            executor=self._signer.public_key,
            at=SystemClock().now_ms(),
            members=tuple(sorted(self._ledger.state.members)),
        )
        load = bytecode_loader(tx, application.blob_id)
        state = tx.state
        return WasmRuntime().run(application.blob_id, load, invocation, lambda name: state.read(self._context_id, name))

    def _last_epoch(self) -> _Epoch:
        held = self._store.read(lambda tx: tx.epochs.keys(self._context_id))
        for epoch in self._ledger.state.usable_epochs():
            if epoch.epoch_id in held:
                return _Epoch(epoch.epoch_id, held[epoch.epoch_id])
        raise StoryError("the modified node holds no epoch key")

    def _hear(self, _: bytes) -> None:
        self.heard += 1


def _before_removal(tx: Transaction, context_id: ContextId, member: PublicKey) -> Ledger:
    """The ledger as it was before the member was removed from it."""
    stored = tx.operations.scan(context_id)
    ledger = Ledger(reread_operation(next(stored).envelope))
    for each in stored:
        operation = reread_operation(each.envelope)
        body = operation.operation.body
        if isinstance(body, Remove) and body.member == member:
            return ledger
        ledger.add(operation)
    raise StoryError("the removal has not reached this node")
