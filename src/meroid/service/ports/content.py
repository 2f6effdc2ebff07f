"""Storage of contexts, operations, state, applications, blobs and aliases.

Every method runs inside one transaction of `Store`; nothing here commits by itself.
Times are milliseconds since the epoch, UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from meroid.ids import ApplicationId, BlobId, ContextId, EpochId, Id32, OperationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRecord:
    """A context that this node takes part in."""

    context_id: ContextId
    application_id: ApplicationId
    protocol: str
    root_hash: bytes
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOperation:
    """One operation as it was received; `position` grows with each append on this node."""

    position: int
    operation_id: OperationId
    context_id: ContextId
    envelope: bytes
    applied: bool
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRecord:
    """An installed application; `source` is an address without path of this machine."""

    application_id: ApplicationId
    blob_id: BlobId
    size: int
    source: str
    metadata: bytes
    package: str
    version: str
    installed_at: int


class AliasScope(StrEnum):
    """What an alias names."""

    CONTEXT = "context"
    APPLICATION = "application"
    IDENTITY = "identity"


class Contexts(Protocol):
    """The contexts of this node."""

    def add(self, record: ContextRecord) -> None: ...
    def get(self, context_id: ContextId) -> ContextRecord | None: ...
    def list(self) -> Sequence[ContextRecord]: ...
    def set_root(self, context_id: ContextId, root_hash: bytes) -> None: ...
    def set_application(self, context_id: ContextId, application_id: ApplicationId) -> None: ...
    def keep_endpoints(self, context_id: ContextId, endpoints: Iterable[str]) -> None:
        """Keep addresses of other nodes of a context, beside those that are kept; a context keeps so many and no more."""
        ...

    def endpoints(self, context_id: ContextId | None = None) -> Sequence[str]:
        """The kept addresses, of one context or of all, each once."""
        ...

    def remove(self, context_id: ContextId) -> bool:
        """Forget context, addresses, operations, state and epochs; true if it was there."""
        ...


class Operations(Protocol):
    """The append-only operations of all contexts."""

    def append(
        self, context_id: ContextId, operation_id: OperationId, envelope: bytes, *, applied: bool, at: int
    ) -> bool:
        """Store an operation; false if it is here already (then nothing changes)."""
        ...

    def get(self, operation_id: OperationId) -> StoredOperation | None: ...
    def scan(self, context_id: ContextId) -> Iterator[StoredOperation]:
        """All operations of a context in order of position, read in pages."""
        ...

    def mark_applied(self, operation_ids: Iterable[OperationId], *, applied: bool) -> None: ...


class State(Protocol):
    """Key-value state of the applications, per context."""

    def read(self, context_id: ContextId, key: bytes) -> bytes | None: ...
    def write(self, context_id: ContextId, changes: Mapping[bytes, bytes | None]) -> None:
        """Set keys; `None` removes one."""
        ...

    def clear(self, context_id: ContextId) -> None: ...
    def size(self, context_id: ContextId) -> int:
        """Bytes of all keys and values."""
        ...


class Epochs(Protocol):
    """Epoch keys that this node holds (32 bytes each)."""

    def put(self, context_id: ContextId, epoch_id: EpochId, key: bytes) -> None: ...
    def keys(self, context_id: ContextId) -> Mapping[EpochId, bytes]: ...


class Applications(Protocol):
    """Installed applications."""

    def put(self, record: ApplicationRecord) -> None: ...
    def get(self, application_id: ApplicationId) -> ApplicationRecord | None: ...
    def list(self) -> Sequence[ApplicationRecord]: ...
    def remove(self, application_id: ApplicationId) -> bool: ...


class Blobs(Protocol):
    """Blobs in chunks of at most 1 MiB."""

    def put(self, blob_id: BlobId, chunks: Iterable[bytes], *, at: int) -> None: ...
    def size(self, blob_id: BlobId) -> int | None: ...
    def chunks(self, blob_id: BlobId) -> Iterator[bytes]: ...
    def list(self) -> Sequence[tuple[BlobId, int]]: ...
    def remove(self, blob_id: BlobId) -> bool: ...


class Aliases(Protocol):
    """Names for ids; identities are named within a context, the others on the node."""

    def add(self, scope: AliasScope, context_id: ContextId | None, name: str, target: Id32 | bytes) -> bool:
        """Store a name; false if it is taken (then nothing changes)."""
        ...

    def get(self, scope: AliasScope, context_id: ContextId | None, name: str) -> bytes | None: ...
    def list(self, scope: AliasScope, context_id: ContextId | None) -> Mapping[str, bytes]: ...
    def remove(self, scope: AliasScope, context_id: ContextId | None, name: str) -> bool: ...
