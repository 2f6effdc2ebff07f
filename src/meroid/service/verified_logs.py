"""Key logs of the store, each verified once and then only in what was added."""

import threading
from collections.abc import Sequence
from typing import Final

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.key_log import extend_key_log, verify_key_log
from meroid.account.key_log_entry import KeyLogEntry
from meroid.ids import AccountId
from meroid.service.ports.store import Transaction

_LOGS_KEPT: Final = 64


class VerifiedLogs:
    """Reads logs inside transactions; of the latest 64 it remembers what they amount to."""

    def __init__(self) -> None:
        self._verified: dict[AccountId, VerifiedKeyLog] = {}
        self._lock = threading.Lock()

    def within(self, tx: Transaction, account_id: AccountId) -> VerifiedKeyLog | None:
        """The log of an account as this transaction sees it; nothing if the account has none here.

        Raises:
            IntegrityError: the log in the store doesn't hold.
        """
        entries = tx.accounts.key_log(account_id)
        if not entries:
            return None
        known = self._verified.get(account_id)
        if known is None or not _is_beginning(known, entries):  # else a transaction that failed left it here
            known = verify_key_log(entries)
        for entry in entries[known.length :]:
            known = extend_key_log(known, entry)
        self._keep(known)
        return known

    def _keep(self, log: VerifiedKeyLog) -> None:
        with self._lock:
            self._verified.pop(log.account_id, None)
            self._verified[log.account_id] = log
            while len(self._verified) > _LOGS_KEPT:
                self._verified.pop(next(iter(self._verified)))


def _is_beginning(log: VerifiedKeyLog, entries: Sequence[bytes]) -> bool:
    return log.length <= len(entries) and KeyLogEntry.parse(entries[log.length - 1]).entry_id == log.head
