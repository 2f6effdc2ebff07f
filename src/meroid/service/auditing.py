"""Recording what was refused, off the way of those who wait for an answer.

What is done is appended to `tx.audit` in the transaction that does it. A refusal changes nothing, so it
is only noted here, and written together with others; a flood costs a bounded memory and few writes.
"""

import threading
from typing import Final

from meroid.access.principal import Principal
from meroid.account.audit import Action, Actor, AuditEvent
from meroid.service.ports.store import Store, Transaction

NOTED_MOST: Final = 1024
_EVERYBODY: Final = "everybody"  # whom refusals count for once too many different ones wait


def actor_of(principal: Principal) -> Actor:
    """Who a principal is in the audit trail."""
    return Actor(account_id=principal.account_id, key_id=principal.key_id, address=principal.address)


class Refusals:
    """Refusals that wait to be written; safe from any thread, and `note` never waits for the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[tuple[str, str], tuple[AuditEvent, int]] = {}
        self._lock = threading.Lock()

    def note(self, subject: str, event: AuditEvent) -> None:
        """Note a refusal; `subject` is whose it is: at most one event a minute for each subject and code."""
        with self._lock:
            key = (subject, event.outcome)
            if key not in self._noted and len(self._noted) >= NOTED_MOST:
                key = (_EVERYBODY, event.outcome)
            first, times = self._noted.get(key, (event, 0))
            self._noted[key] = (first, times + 1)

    def note_request(self, code: str, by: Actor, at: int, route: str) -> None:
        """Note that a caller with a known key was refused on a route (its pattern)."""
        if by.key_id is None:
            return
        event = AuditEvent(at=at, action=Action.REQUEST, by=by, outcome=code, details={"route": route})
        self.note(f"key:{by.key_id}", event)

    def write(self) -> int:
        """Write what was noted; how many refusals it were. Blocks.

        Raises:
            MeroidError: the store can't be written; then they wait for the next time.
        """
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return 0

        def work(tx: Transaction) -> None:
            for (subject, _), (event, times) in noted.items():
                tx.audit.append_bounded(subject, event, times=times)

        try:
            self._store.write(work)
        except BaseException:
            with self._lock:
                for key, (event, times) in noted.items():
                    _, more = self._noted.get(key, (event, 0))
                    self._noted[key] = (event, times + more)
            raise
        return sum(times for _, times in noted.values())
