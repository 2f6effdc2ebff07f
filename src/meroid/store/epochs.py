"""Epoch keys that this node holds."""

from collections.abc import Mapping

from meroid.ids import ContextId, EpochId
from meroid.store.repository import Repository

_PUT = """
INSERT INTO epochs (context_id, epoch_id, epoch_key) VALUES (?, ?, ?)
ON CONFLICT (context_id, epoch_id) DO NOTHING
"""
_KEYS = "SELECT epoch_id, epoch_key FROM epochs WHERE context_id = ?"


class SqlEpochs(Repository):
    """The port `Epochs` over SQL."""

    __slots__ = ()

    def put(self, context_id: ContextId, epoch_id: EpochId, key: bytes) -> None:
        """Keep a key of 32 bytes; one that is here stays, because the epoch's id commits to it."""
        self._session.run(_PUT, (context_id, epoch_id, key))

    def keys(self, context_id: ContextId) -> Mapping[EpochId, bytes]:
        """All keys of a context by epoch."""
        return {EpochId(row[0]): row[1] for row in self._session.all(_KEYS, (context_id,))}
