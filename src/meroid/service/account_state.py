"""What an account's key log says, for log-ins with its account key."""

from meroid.account.account_state import AccountState
from meroid.ids import AccountId
from meroid.service.ports.store import Store, Transaction
from meroid.service.verified_logs import VerifiedLogs


class AccountStates:
    """Reads key logs; for an account that isn't here it does the work for the node's own, and says nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs = VerifiedLogs()

    def __call__(self, account_id: AccountId) -> AccountState | None:
        """The state of an account of this node.

        Raises:
            IntegrityError: the log in the store doesn't hold.
        """

        def read(tx: Transaction) -> AccountState | None:
            known = tx.accounts.get(account_id)
            account = known or tx.accounts.owner()
            log = None if account is None else self._logs.within(tx, account.account_id)
            return None if known is None or log is None else log.state

        return self._store.read(read)
