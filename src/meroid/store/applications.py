"""Installed applications."""

from collections.abc import Sequence
from typing import Any

from meroid.ids import ApplicationId, BlobId
from meroid.service.ports.content import ApplicationRecord
from meroid.store.repository import Repository

_PUT = """
INSERT INTO applications
  (application_id, blob_id, size, source, metadata, package, version, installed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (application_id) DO UPDATE SET
  blob_id = excluded.blob_id, size = excluded.size, source = excluded.source, metadata = excluded.metadata,
  package = excluded.package, version = excluded.version, installed_at = excluded.installed_at
"""
_GET = """
SELECT application_id, blob_id, size, source, metadata, package, version, installed_at
FROM applications WHERE application_id = ?
"""
_LIST = """
SELECT application_id, blob_id, size, source, metadata, package, version, installed_at
FROM applications ORDER BY installed_at, application_id
"""
_REMOVE = "DELETE FROM applications WHERE application_id = ?"


class SqlApplications(Repository):
    """The port `Applications` over SQL."""

    __slots__ = ()

    def put(self, record: ApplicationRecord) -> None:
        """Store an application, in place of one with this id."""
        self._session.run(
            _PUT,
            (
                record.application_id,
                record.blob_id,
                record.size,
                record.source,
                record.metadata,
                record.package,
                record.version,
                record.installed_at,
            ),
        )

    def get(self, application_id: ApplicationId) -> ApplicationRecord | None:
        """One application by its id."""
        row = self._session.one(_GET, (application_id,))
        return None if row is None else _application(row)

    def list(self) -> Sequence[ApplicationRecord]:
        """All applications, oldest first."""
        return tuple(map(_application, self._session.all(_LIST)))

    def remove(self, application_id: ApplicationId) -> bool:
        """Forget an application; true if it was there. Its blob stays."""
        return self._session.run(_REMOVE, (application_id,)) == 1


def _application(row: tuple[Any, ...]) -> ApplicationRecord:
    return ApplicationRecord(
        application_id=ApplicationId(row[0]),
        blob_id=BlobId(row[1]),
        size=row[2],
        source=row[3],
        metadata=row[4],
        package=row[5],
        version=row[6],
        installed_at=row[7],
    )
