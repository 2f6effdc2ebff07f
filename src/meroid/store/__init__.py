"""The ports over SQL: transactions, repositories, schema and migrations."""

from meroid.store.errors import (
    StoreClosedError,
    StoreConflictError,
    StoreFailedError,
    StoreInUseError,
    StoreLockedError,
    StoreTooNewError,
)
from meroid.store.sqlite import SqliteStore

__all__ = [
    "SqliteStore",
    "StoreClosedError",
    "StoreConflictError",
    "StoreFailedError",
    "StoreInUseError",
    "StoreLockedError",
    "StoreTooNewError",
]
