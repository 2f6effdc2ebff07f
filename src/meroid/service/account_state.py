"""What an account's key log says, for log-ins with its account key."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from meroid.account.account_state import AccountState
from meroid.account.key_log import verify_key_log
from meroid.ids import AccountId
from meroid.service.ports.store import Store, Transaction

_REMEMBERED: Final = 64


class AccountStates:
    """Reads key logs; for an account that isn't here it does the work for the node's own, and says nothing.

    A log is verified again only when it has grown: its last entry commits to all before it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._verified: OrderedDict[bytes, AccountState] = OrderedDict()
        self._lock = threading.Lock()

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
        state = self._state(entries)
        return state if known else None

    def _state(self, entries: Sequence[bytes]) -> AccountState:
        last = entries[-1]
        with self._lock:
            state = self._verified.get(last)
            if state is not None:
                self._verified.move_to_end(last)
                return state
        state = verify_key_log(entries).state
        with self._lock:
            self._verified[last] = state
            while len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        return state
