"""What an account's key log says, for log-ins with its account key."""

from collections.abc import Sequence

from meroid.account.account_state import AccountState
from meroid.account.key_log import verify_key_log
from meroid.ids import AccountId
from meroid.service.ports.store import Store, Transaction


class AccountStates:
    """Reads key logs; for an account that isn't here it does the work for the node's own, and says nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, account_id: AccountId) -> AccountState | None:
        """The state of an account of this node, verified from its inception on.

        Raises:
            IntegrityError: the log in the store doesn't hold.
        """

        def read(tx: Transaction) -> tuple[bool, Sequence[bytes]]:
            known = tx.accounts.get(account_id)
            account = known or tx.accounts.owner()
            return known is not None, () if account is None else tx.accounts.key_log(account.account_id)

        known, entries = self._store.read(read)
        if not entries:
            return None
        state = verify_key_log(entries).state
        return state if known else None
