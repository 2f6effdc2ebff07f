"""Installing and listing applications."""

import hashlib
from collections.abc import Sequence
from typing import Final

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.ids import ApplicationId, BlobId
from meroid.ledger.operation import Binding
from meroid.service.ports.content import ApplicationRecord
from meroid.service.ports.runtime import Runtime
from meroid.service.ports.store import Store, Transaction

CHUNK_BYTES: Final = 1024 * 1024
_PLAIN_PACKAGE, _PLAIN_VERSION = "unknown", "0.0.0"  # the wire's names for a plain module


class ApplicationTooLargeError(InvalidInputError):
    """The module is larger than a node takes."""

    code = "application_too_large"
    next_step = "build the application for release and strip it"


def chunks_of(content: bytes) -> list[bytes]:
    """Content cut into chunks of 1 MiB."""
    return [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)]


def blob_id_of(content: bytes) -> BlobId:
    """SHA-256 over the chunks' SHA-256 (`wire/node.md` §1.7)."""
    digest = hashlib.sha256()
    for chunk in chunks_of(content):
        digest.update(hashlib.sha256(chunk).digest())
    return BlobId(digest.digest())


def application_id_of(blob_id: BlobId, size: int, source: str, metadata: bytes) -> ApplicationId:
    """SHA-256 over the Borsh form of the four (`wire/node.md` §1.2)."""
    text = source.encode()
    parts = (
        bytes(blob_id),
        size.to_bytes(8, "little"),
        len(text).to_bytes(4, "little") + text,
        len(metadata).to_bytes(4, "little") + metadata,
    )
    return ApplicationId(hashlib.sha256(b"".join(parts)).digest())


class ApplicationService:
    """The applications of this node."""

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime

    def install(self, bytecode: bytes, *, source: str, metadata: bytes, at: int) -> ApplicationRecord:
        """Check and keep a module; installing the same again changes nothing.

        Raises:
            ApplicationTooLargeError: beyond `limits.APPLICATION_BYTES`.
            BadModuleError: it can't run here.
            NotCompiledError: it couldn't be tried now.
        """
        if len(bytecode) > limits.APPLICATION_BYTES.value:
            raise ApplicationTooLargeError(f"an application has at most {limits.APPLICATION_BYTES.value} bytes")
        blob_id = blob_id_of(bytecode)
        self._runtime.check(blob_id, bytecode)
        record = ApplicationRecord(
            application_id=application_id_of(blob_id, len(bytecode), source, metadata),
            blob_id=blob_id,
            size=len(bytecode),
            source=source,
            metadata=metadata,
            package=_PLAIN_PACKAGE,
            version=_PLAIN_VERSION,
            installed_at=at,
        )
        self._store.write(lambda tx: _keep(tx, record, bytecode, at))
        return record

    def install_bound(self, binding: Binding, bytecode: bytes, at: int) -> None:
        """Keep the module that a context is bound to, as a member handed it out.

        Raises:
            InvalidInputError: it isn't that module.
        """
        expected = application_id_of(binding.blob_id, binding.size, binding.source, binding.metadata)
        if blob_id_of(bytecode) != binding.blob_id or expected != binding.application_id:
            raise InvalidInputError("the module is not the one that the context is bound to")
        self.install(bytecode, source=binding.source, metadata=binding.metadata, at=at)

    def get(self, application_id: ApplicationId) -> ApplicationRecord | None:
        """One application, or nothing."""
        return self._store.read(lambda tx: tx.applications.get(application_id))

    def list(self) -> Sequence[ApplicationRecord]:
        """All applications."""
        return self._store.read(lambda tx: tx.applications.list())

    def uninstall(self, application_id: ApplicationId) -> bool:
        """Forget an application; true if it was there. Contexts that use it keep its module."""
        return self._store.write(lambda tx: tx.applications.remove(application_id))


def _keep(tx: Transaction, record: ApplicationRecord, bytecode: bytes, at: int) -> None:
    if tx.blobs.size(record.blob_id) is None:
        tx.blobs.put(record.blob_id, chunks_of(bytecode), at=at)
    if tx.applications.get(record.application_id) is None:
        tx.applications.put(record)
