"""Blobs in chunks."""

from collections.abc import Iterable, Iterator, Sequence

from meroid.ids import BlobId
from meroid.store.repository import Repository

_ADD = "INSERT INTO blobs (blob_id, size, stored_at) VALUES (?, 0, ?) ON CONFLICT (blob_id) DO NOTHING"
_ADD_CHUNK = "INSERT INTO blob_chunks (blob_id, number, content) VALUES (?, ?, ?)"
_SET_SIZE = "UPDATE blobs SET size = ? WHERE blob_id = ?"
_SIZE = "SELECT size FROM blobs WHERE blob_id = ?"
_CHUNK = "SELECT content FROM blob_chunks WHERE blob_id = ? AND number = ?"
_LIST = "SELECT blob_id, size FROM blobs ORDER BY stored_at, blob_id"
_REMOVE_CHUNKS = "DELETE FROM blob_chunks WHERE blob_id = ?"
_REMOVE = "DELETE FROM blobs WHERE blob_id = ?"


class SqlBlobs(Repository):
    """The port `Blobs` over SQL."""

    __slots__ = ()

    def put(self, blob_id: BlobId, chunks: Iterable[bytes], *, at: int) -> None:
        """Store a blob; one that is here stays, because its id says what it holds.

        The chunks are taken while the only writer waits: have them at hand.
        """
        if self._session.run(_ADD, (blob_id, at)) == 0:
            return
        size = 0
        for number, chunk in enumerate(chunks):
            self._session.run(_ADD_CHUNK, (blob_id, number, chunk))
            size += len(chunk)
        self._session.run(_SET_SIZE, (size, blob_id))

    def size(self, blob_id: BlobId) -> int | None:
        """Bytes of a blob, or nothing if it isn't here."""
        row = self._session.one(_SIZE, (blob_id,))
        return None if row is None else int(row[0])

    def chunks(self, blob_id: BlobId) -> Iterator[bytes]:
        """The chunks in order, one in memory at a time."""
        number = 0
        while (row := self._session.one(_CHUNK, (blob_id, number))) is not None:
            yield row[0]
            number += 1

    def list(self) -> Sequence[tuple[BlobId, int]]:
        """All blobs with their sizes in bytes, oldest first."""
        return tuple((BlobId(row[0]), row[1]) for row in self._session.all(_LIST))

    def remove(self, blob_id: BlobId) -> bool:
        """Forget a blob; true if it was there."""
        self._session.run(_REMOVE_CHUNKS, (blob_id,))
        return self._session.run(_REMOVE, (blob_id,)) == 1
