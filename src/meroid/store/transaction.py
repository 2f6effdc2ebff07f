"""All repositories inside one transaction."""

from meroid.store.accounts import SqlAccounts
from meroid.store.aliases import SqlAliases
from meroid.store.applications import SqlApplications
from meroid.store.audit import SqlAudit
from meroid.store.auth import SqlAuthRecords
from meroid.store.blobs import SqlBlobs
from meroid.store.contexts import SqlContexts
from meroid.store.epochs import SqlEpochs
from meroid.store.operations import SqlOperations
from meroid.store.session import Session
from meroid.store.state import SqlState


class SqlTransaction:
    """The repositories over one session; they are small, so each is made when it is asked for."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def accounts(self) -> SqlAccounts:
        """Accounts, key logs and client keys."""
        return SqlAccounts(self._session)

    @property
    def auth(self) -> SqlAuthRecords:
        """Records of the auth service."""
        return SqlAuthRecords(self._session)

    @property
    def contexts(self) -> SqlContexts:
        """Contexts."""
        return SqlContexts(self._session)

    @property
    def operations(self) -> SqlOperations:
        """Operations."""
        return SqlOperations(self._session)

    @property
    def state(self) -> SqlState:
        """State of the applications."""
        return SqlState(self._session)

    @property
    def epochs(self) -> SqlEpochs:
        """Epoch keys."""
        return SqlEpochs(self._session)

    @property
    def applications(self) -> SqlApplications:
        """Installed applications."""
        return SqlApplications(self._session)

    @property
    def blobs(self) -> SqlBlobs:
        """Blobs."""
        return SqlBlobs(self._session)

    @property
    def aliases(self) -> SqlAliases:
        """Aliases."""
        return SqlAliases(self._session)

    @property
    def audit(self) -> SqlAudit:
        """The audit trail."""
        return SqlAudit(self._session)
