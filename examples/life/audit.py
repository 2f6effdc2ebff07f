"""An auditor's look into the ledger of a stopped node, opened with that node's own store key."""

from collections.abc import Iterator
from contextlib import contextmanager

from examples.life.machines import Machine, StoryError

from meroid.account.client_keys import ClientKeys
from meroid.app import Vaulted, open_vaulted
from meroid.config import load_settings
from meroid.ids import ContextId, EpochId, OperationId
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.epoch import open_data, open_wrap
from meroid.ledger.operation import Delta, Rekey, VerifiedOperation
from meroid.ledger.verdict import Verdict
from meroid.ledger.verify import read_operation
from meroid.service.keyring import KeyRing
from meroid.service.replica import Replica, Replicas


class Books:
    """The ledger of one context on one node, with the keys that the node holds."""

    def __init__(self, vaulted: Vaulted, context_id: ContextId, node: str) -> None:
        self.node = node
        self._store = vaulted.store
        self._replica: Replica = Replicas(vaulted.store).get(context_id)
        self._keys: tuple[ClientKeys, ...] = KeyRing(vaulted.store, vaulted.seeds).of_context(context_id)

    def has(self, operation_id: OperationId) -> bool:
        """Whether this node ever got an operation, valid or not."""
        return operation_id in self._replica.ledger

    def verdict(self, operation_id: OperationId) -> Verdict:
        """What the rules say of an operation that this node got."""
        if not self.has(operation_id):
            raise StoryError(f"{self.node} never got the operation {operation_id}")
        return self._replica.ledger.verdict(operation_id)

    def reread(self, operation_id: OperationId) -> VerifiedOperation:
        """The operation from its stored bytes, its signature verified anew."""
        stored = self._store.read(lambda tx: tx.operations.get(operation_id))
        if stored is None:
            raise StoryError(f"{self.node} does not have the operation {operation_id}")
        return read_operation(stored.envelope)

    def rekey_of(self, epoch_id: EpochId) -> VerifiedOperation:
        """The operation that began an epoch."""
        return self.reread(self._replica.ledger.state.epochs[epoch_id].rekey.operation_id)

    def opens(self, delta: VerifiedOperation, rekey: VerifiedOperation) -> bool:
        """Whether any key that this node holds, or can open from the `rekey`, decrypts a delta."""
        body, wrapped = delta.operation.body, rekey.operation.body
        if not isinstance(body, Delta) or not isinstance(wrapped, Rekey):
            raise StoryError("a delta and the rekey of its epoch are needed")
        keys = [*self._replica.epoch_keys.values(), *self._unwrapped(rekey, wrapped)]
        return any(self._decrypts(key, delta, body) for key in keys)

    def _unwrapped(self, rekey: VerifiedOperation, body: Rekey) -> Iterator[bytes]:
        for keys in self._keys:
            key = open_wrap(
                context=self._replica.context_id,
                rekey=body,
                author=rekey.operation.author,
                seq=rekey.operation.seq,
                recipient=keys.public_key,
                sealing=keys.sealing,
            )
            if key is not None:
                yield key

    def _decrypts(self, key: bytes, delta: VerifiedOperation, body: Delta) -> bool:
        author, seq = delta.operation.author, delta.operation.seq
        try:
            open_data(self._replica.context_id, key, author, seq, body.nonce, body.ciphertext)
        except SealBrokenError:
            return False
        return True


@contextmanager
def books(machine: Machine, context_id: ContextId) -> Iterator[Books]:
    """Open the ledger of a stopped node."""
    vaulted = open_vaulted(load_settings(machine.nodes, machine.node), make=False)
    try:
        yield Books(vaulted, context_id, machine.node)
    finally:
        vaulted.store.close()
