"""Application state as a projection of the valid deltas (`semantics.md` rule 12)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from meroid.errors import UnavailableError
from meroid.ids import BlobId, OperationId
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealBrokenError
from meroid.ledger.epoch import open_data
from meroid.ledger.graph import Node
from meroid.ledger.operation import Delta
from meroid.service.payload import BadPayloadError, DeltaPayload
from meroid.service.ports.runtime import GuestEvent, Invocation, Outcome, Runtime
from meroid.service.ports.store import Transaction
from meroid.service.replica import Replica

MERGE_METHOD: Final = "__calimero_sync_next"
EMPTY_ROOT: Final = bytes(32)


class ApplicationMissingError(UnavailableError):
    """The code of the context's application isn't on this node."""

    code = "application_not_installed"
    next_step = "install the application of the context, or sync with a member who has it"


def bytecode_loader(tx: Transaction, blob_id: BlobId) -> Callable[[], bytes]:
    """Loads a module's bytes from the store when the runtime needs them."""

    def load() -> bytes:
        if tx.blobs.size(blob_id) is None:
            raise ApplicationMissingError("the application of this context is not installed here")
        return b"".join(tx.blobs.chunks(blob_id))

    return load


@dataclass(slots=True)
class Projection:
    """Changes of the state by a row of deltas, not stored yet."""

    root_hash: bytes
    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    applied: list[OperationId] = field(default_factory=list)
    events: list[tuple[bytes, tuple[GuestEvent, ...]]] = field(default_factory=list)
    alarms: list[OperationId] = field(default_factory=list)


class Projector:
    """Runs deltas through the application's merge."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def project(
        self, tx: Transaction, replica: Replica, deltas: Iterable[Node], *, executor: PublicKey, at: int, fresh: bool
    ) -> Projection:
        """Apply deltas in their order on the stored state, or on an empty one if `fresh`.

        A delta whose epoch key isn't here is left out, and waits; while the application isn't here,
        all do. One that opens to nonsense, or that the application refuses, counts as applied and
        changes nothing: every replica sees the same.
        """
        projection = Projection(root_hash=EMPTY_ROOT if fresh else replica.root_hash)
        binding = replica.ledger.state.application
        if tx.blobs.size(binding.blob_id) is None:
            return projection
        load = bytecode_loader(tx, binding.blob_id)
        members = replica.members()

        def read(key: bytes) -> bytes | None:
            if key in projection.writes:
                return projection.writes[key]
            return None if fresh else tx.state.read(replica.context_id, key)

        for node in deltas:
            payload = self._open(replica, node)
            if payload is None:
                continue
            projection.applied.append(node.operation_id)
            if isinstance(payload, BadPayloadError):
                projection.alarms.append(node.operation_id)
                continue
            invocation = Invocation(
                method=MERGE_METHOD,
                input=payload.artifact,
                context_id=replica.context_id,
                executor=executor,
                at=at,
                members=members,
            )
            outcome = self._runtime.run(binding.blob_id, load, invocation, read)
            self._note(replica, projection, node, payload, outcome)
        return projection

    def _open(self, replica: Replica, node: Node) -> DeltaPayload | BadPayloadError | None:
        body, epoch = node.operation.body, node.operation.epoch
        key = None if epoch is None else replica.epoch_keys.get(epoch)
        if key is None or not isinstance(body, Delta):
            return None
        try:
            plaintext = open_data(replica.context_id, key, node.author, node.operation.seq, body.nonce, body.ciphertext)
            return DeltaPayload.parse(plaintext)
        except SealBrokenError:
            return BadPayloadError("the data does not open under its epoch's key")
        except BadPayloadError as problem:
            return problem

    @staticmethod
    def _note(replica: Replica, projection: Projection, node: Node, payload: DeltaPayload, outcome: Outcome) -> None:
        if outcome.failure is not None:
            projection.alarms.append(node.operation_id)
            return
        projection.writes.update(outcome.writes)
        if outcome.root_hash is not None:
            projection.root_hash = outcome.root_hash
        if payload.events:
            projection.events.append((projection.root_hash, payload.events))
        # the author's root says something only where both applied exactly the same deltas (design §6)
        alone = replica.ledger.heads() == (node.operation_id,) and len(replica.waiting) == 1
        if alone and payload.root_hash != projection.root_hash:
            projection.alarms.append(node.operation_id)
