"""Accounts, key logs and client keys of this node."""

from collections.abc import Sequence
from typing import Any

from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.store.errors import StoreConflictError
from meroid.store.repository import Repository

_ADD = """
INSERT INTO accounts (account_id, sealed_seed, device, created_at, owner, log_unsettled_at, label)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ACCOUNTS = """
SELECT account_id, sealed_seed, device, created_at, owner, backed_up_at, disabled_at, log_unsettled_at, label FROM accounts
"""
_GET = _ACCOUNTS + " WHERE account_id = ?"
_OWNER = _ACCOUNTS + " WHERE owner = 1"
_LIST = _ACCOUNTS + " ORDER BY created_at, account_id"
_COUNT = "SELECT COUNT(*) FROM accounts"
_SET_BACKED_UP = "UPDATE accounts SET backed_up_at = ? WHERE account_id = ?"
_SET_DISABLED = "UPDATE accounts SET disabled_at = ? WHERE account_id = ?"
_SET_LOG_SETTLED = "UPDATE accounts SET log_unsettled_at = NULL WHERE account_id = ?"
_RENEW_DEVICE = "UPDATE accounts SET device = ?, log_unsettled_at = ? WHERE account_id = ?"
_RESTORED_ALL = "UPDATE client_keys SET restored_at = ? WHERE account_id = ?"
_RESTORED = "SELECT public_key FROM client_keys WHERE restored_at IS NOT NULL ORDER BY position"
_KEY_LOG = "SELECT entry FROM key_log WHERE account_id = ? ORDER BY sequence"
# The log is one chain: an entry goes to its end or nowhere.
_APPEND_KEY_LOG = """
INSERT INTO key_log (account_id, sequence, entry)
SELECT ?, ?, ? WHERE ? = (SELECT COALESCE(MAX(sequence), -1) + 1 FROM key_log WHERE account_id = ?)
"""
_NEXT_SLOT = "SELECT COALESCE(MAX(slot), -1) + 1 FROM client_keys WHERE account_id = ? AND device = ?"
_ADD_CLIENT_KEY = """
INSERT INTO client_keys (public_key, account_id, device, slot, generation, context_id, created_at, restored_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_KEYS = """
SELECT public_key, account_id, device, slot, generation, context_id, created_at, restored_at FROM client_keys
"""
_IN_ORDER = " ORDER BY created_at, position"
_CLIENT_KEY = _KEYS + " WHERE public_key = ?"
_CLIENT_KEYS = _KEYS + _IN_ORDER
_CLIENT_KEYS_OF_ACCOUNT = _KEYS + " WHERE account_id = ?" + _IN_ORDER
_CLIENT_KEYS_OF_CONTEXT = _KEYS + " WHERE context_id = ?" + _IN_ORDER
_CLIENT_KEYS_OF_BOTH = _KEYS + " WHERE context_id = ? AND account_id = ?" + _IN_ORDER
_MARK_RESTORED = "UPDATE client_keys SET restored_at = ? WHERE public_key = ?"
_RELEASE = "UPDATE client_keys SET restored_at = NULL WHERE public_key = ?"
_COUNT_UNBOUND = """
SELECT COUNT(*) FROM client_keys WHERE account_id = ? AND context_id IS NULL AND restored_at IS NULL
"""
_BIND = "UPDATE client_keys SET context_id = ? WHERE public_key = ? AND context_id IS NULL"


class SqlAccounts(Repository):
    """The port `Accounts` over SQL."""

    __slots__ = ()

    def add(self, record: AccountRecord, inception: bytes) -> None:
        """Store a new account with the first entry of its key log.

        Raises:
            StoreConflictError: it is here already, or there is an owner already.
        """
        self._session.run(
            _ADD,
            (
                record.account_id,
                record.sealed_seed,
                record.device,
                record.created_at,
                int(record.owner),
                record.log_unsettled_at,
                record.label,
            ),
        )
        self.append_key_log(record.account_id, 0, inception)

    def get(self, account_id: AccountId) -> AccountRecord | None:
        """One account by its id."""
        row = self._session.one(_GET, (account_id,))
        return None if row is None else _account(row)

    def owner(self) -> AccountRecord | None:
        """The node's own account."""
        row = self._session.one(_OWNER)
        return None if row is None else _account(row)

    def list(self) -> Sequence[AccountRecord]:
        """All accounts, oldest first."""
        return tuple(map(_account, self._session.all(_LIST)))

    def count(self) -> int:
        """How many accounts there are."""
        row = self._session.one(_COUNT)
        return 0 if row is None else int(row[0])

    def set_backed_up(self, account_id: AccountId, at: int) -> None:
        """Note that the words of an account were written down and confirmed."""
        self._session.run(_SET_BACKED_UP, (at, account_id))

    def set_disabled(self, account_id: AccountId, at: int | None) -> None:
        """Disable an account from a time on, or with `None` enable it."""
        self._session.run(_SET_DISABLED, (at, account_id))

    def set_log_settled(self, account_id: AccountId) -> None:
        """Note that the key log here is whole."""
        self._session.run(_SET_LOG_SETTLED, (account_id,))

    def renew_device(self, account_id: AccountId, device: int, at: int) -> None:
        """Note that this home is another device from now on, that its log is unsettled and all its keys restored."""
        self._session.run(_RENEW_DEVICE, (device, at, account_id))
        self._session.run(_RESTORED_ALL, (at, account_id))

    def key_log(self, account_id: AccountId) -> Sequence[bytes]:
        """The entries of a key log in order."""
        return tuple(row[0] for row in self._session.all(_KEY_LOG, (account_id,)))

    def append_key_log(self, account_id: AccountId, sequence: int, entry: bytes) -> None:
        """Store the next entry of a key log.

        Raises:
            StoreConflictError: `sequence` isn't the next one, or the account isn't here.
        """
        if self._session.run(_APPEND_KEY_LOG, (account_id, sequence, entry, sequence, account_id)) == 0:
            raise StoreConflictError("the key log has moved on")

    def next_slot(self, account_id: AccountId, device: int) -> int:
        """The slot after the highest one that was ever used on this device."""
        row = self._session.one(_NEXT_SLOT, (account_id, device))
        return 0 if row is None else int(row[0])

    def add_client_key(self, record: ClientKeyRecord) -> None:
        """Store a client key.

        Raises:
            StoreConflictError: the key or its place is taken, or the account isn't here.
        """
        self._session.run(
            _ADD_CLIENT_KEY,
            (
                record.public_key,
                record.account_id,
                record.device,
                record.slot,
                record.generation,
                record.context_id,
                record.created_at,
                record.restored_at,
            ),
        )

    def client_key(self, public_key: PublicKey) -> ClientKeyRecord | None:
        """One client key of this node."""
        row = self._session.one(_CLIENT_KEY, (public_key,))
        return None if row is None else _client_key(row)

    def client_keys(
        self, *, account_id: AccountId | None = None, context_id: ContextId | None = None
    ) -> Sequence[ClientKeyRecord]:
        """Client keys, narrowed by what is given, oldest first."""
        if context_id is not None and account_id is not None:
            rows = self._session.all(_CLIENT_KEYS_OF_BOTH, (context_id, account_id))
        elif context_id is not None:
            rows = self._session.all(_CLIENT_KEYS_OF_CONTEXT, (context_id,))
        elif account_id is not None:
            rows = self._session.all(_CLIENT_KEYS_OF_ACCOUNT, (account_id,))
        else:
            rows = self._session.all(_CLIENT_KEYS)
        return tuple(map(_client_key, rows))

    def restored(self) -> Sequence[PublicKey]:
        """Client keys that came from a backup and sign nothing yet."""
        return tuple(PublicKey(row[0]) for row in self._session.all(_RESTORED))

    def mark_restored(self, public_key: PublicKey, at: int) -> None:
        """Note that somebody else signed with this key, so that it rotates before it signs again."""
        self._session.run(_MARK_RESTORED, (at, public_key))

    def release(self, public_key: PublicKey) -> None:
        """Note that nothing hinders a restored key any more."""
        self._session.run(_RELEASE, (public_key,))

    def count_unbound(self, account_id: AccountId) -> int:
        """How many client keys of an account wait for a context; restored ones never get one."""
        row = self._session.one(_COUNT_UNBOUND, (account_id,))
        return 0 if row is None else int(row[0])

    def bind_client_key(self, public_key: PublicKey, context_id: ContextId) -> bool:
        """Bind an unbound key to a context for good; false if it was bound already."""
        return self._session.run(_BIND, (context_id, public_key)) == 1


def _account(row: tuple[Any, ...]) -> AccountRecord:
    return AccountRecord(
        account_id=AccountId(row[0]),
        sealed_seed=row[1],
        device=row[2],
        created_at=row[3],
        owner=bool(row[4]),
        backed_up_at=row[5],
        disabled_at=row[6],
        log_unsettled_at=row[7],
        label=row[8],
    )


def _client_key(row: tuple[Any, ...]) -> ClientKeyRecord:
    return ClientKeyRecord(
        public_key=PublicKey(row[0]),
        account_id=AccountId(row[1]),
        device=row[2],
        slot=row[3],
        generation=row[4],
        context_id=None if row[5] is None else ContextId(row[5]),
        created_at=row[6],
        restored_at=row[7],
    )
