"""The store as the use cases see it: one reader's view, one writer's transaction."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from meroid.service.ports.accounts import Accounts
from meroid.service.ports.audit import AuditTrail
from meroid.service.ports.auth import AuthRecords
from meroid.service.ports.content import (
    Aliases,
    Applications,
    Blobs,
    Contexts,
    Epochs,
    Operations,
    State,
)
from meroid.service.ports.login_links import LoginLinks

T = TypeVar("T")


class Transaction(Protocol):
    """All repositories inside one transaction; nothing outlives the call that got it."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def auth(self) -> AuthRecords: ...
    @property
    def login_links(self) -> LoginLinks: ...
    @property
    def contexts(self) -> Contexts: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def state(self) -> State: ...
    @property
    def epochs(self) -> Epochs: ...
    @property
    def applications(self) -> Applications: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def aliases(self) -> Aliases: ...
    @property
    def audit(self) -> AuditTrail: ...


class Store(Protocol):
    """Transactions on one database.

    `write` runs its work in the one writer, together with what others ask at the same time
    (group commit); it returns when the commit is on disk. Work that raises is undone alone
    and raises to its caller. `read` runs at once, in the caller's thread, on a snapshot.

    `version` tells whether anything changed: what was read after asking for it still holds while it stays
    the same. It is different after each commit of any process, and costs much less than any read.
    """

    @property
    def write_failed(self) -> bool:
        """Whether the disk refused the last write of this process."""
        ...

    def write(self, work: Callable[[Transaction], T]) -> T: ...
    def read(self, work: Callable[[Transaction], T]) -> T: ...
    def version(self) -> bytes: ...
    def close(self) -> None: ...
