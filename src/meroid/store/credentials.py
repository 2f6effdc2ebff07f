"""Root keys, and the token keys minted under them."""

from collections.abc import Sequence
from typing import Any

from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.service.ports.auth import MOCK_METHOD, RootKeyRecord, TokenKeyRecord
from meroid.store.permissions import parse_permissions, permissions_text
from meroid.store.repository import Repository

_HAS_ROOT_KEYS = "SELECT 1 FROM root_keys WHERE method <> ? LIMIT 1"
_ADD_ROOT_KEY = """
INSERT INTO root_keys
  (key_id, account_id, method, identifier, verifier, permissions, created_at, last_used_at, revoked_at, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (method, identifier) WHERE revoked_at IS NULL DO NOTHING
"""
_FORGET_SETUP_CODE = "DELETE FROM setup_code"
ROOT_KEY = """
SELECT key_id, account_id, method, identifier, verifier, permissions, created_at, last_used_at, revoked_at,
  changed_at
FROM root_keys WHERE key_id = ?
"""
_FIND_ROOT_KEY = """
SELECT key_id, account_id, method, identifier, verifier, permissions, created_at, last_used_at, revoked_at,
  changed_at
FROM root_keys WHERE method = ? AND identifier = ? AND revoked_at IS NULL
"""
_ROOT_KEYS = """
SELECT key_id, account_id, method, identifier, verifier, permissions, created_at, last_used_at, revoked_at,
  changed_at
FROM root_keys ORDER BY created_at, position
"""
_ROOT_KEYS_OF_ACCOUNT = """
SELECT key_id, account_id, method, identifier, verifier, permissions, created_at, last_used_at, revoked_at,
  changed_at
FROM root_keys WHERE account_id = ? ORDER BY created_at, position
"""
_TOUCH_ROOT_KEY = "UPDATE root_keys SET last_used_at = ?, verifier = COALESCE(?, verifier) WHERE key_id = ?"
_REPLACE_VERIFIER = """
UPDATE root_keys SET verifier = ?, changed_at = ? WHERE key_id = ? AND verifier IS NOT DISTINCT FROM ? AND revoked_at IS NULL
"""
_SET_ROOT_PERMISSIONS = "UPDATE root_keys SET permissions = ? WHERE key_id = ? AND revoked_at IS NULL"
_REVOKE_ROOT_KEY = "UPDATE root_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL"
_ADD_CLIENT = """
INSERT INTO token_keys
  (client_id, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at,
   expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
CLIENT = """
SELECT client_id, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at,
  expires_at
FROM token_keys WHERE client_id = ?
"""
_CLIENTS = """
SELECT client_id, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at,
  expires_at
FROM token_keys ORDER BY created_at, position
"""
_CLIENTS_OF_ACCOUNT = """
SELECT client_id, root_key_id, account_id, name, permissions, context_id, executor, node_url, created_at, revoked_at,
  expires_at
FROM token_keys WHERE account_id = ? ORDER BY created_at, position
"""
_SILENT_CLIENTS = """
SELECT client_id FROM token_keys WHERE NOT EXISTS
  (SELECT 1 FROM families WHERE families.key_id = token_keys.client_id AND families.revoked_at IS NULL)
"""
_SILENT_CLIENTS_OF_ACCOUNT = f"{_SILENT_CLIENTS} AND account_id = ?"
_LAST_CLIENT_END = """
SELECT MAX(expires_at) FROM token_keys WHERE expires_at > ? AND created_at <= ? AND revoked_at IS NULL
"""
_SET_CLIENT_PERMISSIONS = "UPDATE token_keys SET permissions = ? WHERE client_id = ? AND revoked_at IS NULL"
_REVOKE_CLIENT = "UPDATE token_keys SET revoked_at = ? WHERE client_id = ? AND revoked_at IS NULL"
_REVOKE_BOUND = "UPDATE token_keys SET revoked_at = ? WHERE executor = ? AND revoked_at IS NULL"


class SqlCredentials(Repository):
    """Root keys and token keys of `AuthRecords`."""

    __slots__ = ()

    def has_root_keys(self) -> bool:
        """True if there is or ever was a root key, revoked ones included, that of mock tokens not."""
        return self._session.one(_HAS_ROOT_KEYS, (MOCK_METHOD,)) is not None

    def claim_first_owner(self, record: RootKeyRecord) -> bool:
        """Store the first root key and forget the set-up code; false if there is or was a root key."""
        if self.has_root_keys():  # there is one writer, so nobody comes between
            return False
        self.add_root_key(record)
        self._session.run(_FORGET_SETUP_CODE)
        return True

    def add_root_key(self, record: RootKeyRecord) -> bool:
        """Store a root key; false if a live one has this method and identifier (then nothing changes).

        Raises:
            StoreConflictError: its id is taken, or the account isn't here.
        """
        added = self._session.run(
            _ADD_ROOT_KEY,
            (
                record.key_id,
                record.account_id,
                record.method,
                record.identifier,
                record.verifier,
                permissions_text(record.permissions),
                record.created_at,
                record.last_used_at,
                record.revoked_at,
                record.changed_at,
            ),
        )
        return added == 1

    def root_key(self, key_id: str) -> RootKeyRecord | None:
        """One root key by its id, revoked or not."""
        row = self._session.one(ROOT_KEY, (key_id,))
        return None if row is None else root_key_from(row)

    def find_root_key(self, method: str, identifier: str) -> RootKeyRecord | None:
        """The live (not revoked) root key of this login."""
        row = self._session.one(_FIND_ROOT_KEY, (method, identifier))
        return None if row is None else root_key_from(row)

    def root_keys(self, account_id: AccountId | None = None) -> Sequence[RootKeyRecord]:
        """Root keys, revoked ones included, oldest first; of one account if it is given."""
        if account_id is None:
            return tuple(map(root_key_from, self._session.all(_ROOT_KEYS)))
        return tuple(map(root_key_from, self._session.all(_ROOT_KEYS_OF_ACCOUNT, (account_id,))))

    def touch_root_key(self, key_id: str, *, at: int, verifier: str | None = None) -> None:
        """Note a log-in; with `verifier`, replace what the method checks against."""
        self._session.run(_TOUCH_ROOT_KEY, (at, verifier, key_id))

    def replace_verifier(self, key_id: str, *, old: str | None, new: str | None, at: int) -> bool:
        """Replace what the method checks against; false if it isn't `old` any more, or the key is revoked."""
        return self._session.run(_REPLACE_VERIFIER, (new, at, key_id, old)) == 1

    def set_root_permissions(self, key_id: str, permissions: Sequence[str]) -> bool:
        """Replace what a root key grants; false if it is unknown or revoked."""
        return self._session.run(_SET_ROOT_PERMISSIONS, (permissions_text(tuple(permissions)), key_id)) == 1

    def revoke_root_key(self, key_id: str, *, at: int) -> bool:
        """Revoke a root key; false if it is unknown or revoked already."""
        return self._session.run(_REVOKE_ROOT_KEY, (at, key_id)) == 1

    def add_token_key(self, record: TokenKeyRecord) -> None:
        """Store a token key.

        Raises:
            StoreConflictError: its id is taken, or its root key or account isn't here.
        """
        self._session.run(
            _ADD_CLIENT,
            (
                record.client_id,
                record.root_key_id,
                record.account_id,
                record.name,
                permissions_text(record.permissions),
                record.context_id,
                record.executor,
                record.node_url,
                record.created_at,
                record.revoked_at,
                record.expires_at,
            ),
        )

    def token_key(self, client_id: str) -> TokenKeyRecord | None:
        """One token key by its id, revoked or not."""
        row = self._session.one(CLIENT, (client_id,))
        return None if row is None else token_key_from(row)

    def token_keys(self, account_id: AccountId | None = None) -> Sequence[TokenKeyRecord]:
        """Token keys, revoked ones included, oldest first; of one account if it is given."""
        if account_id is None:
            return tuple(map(token_key_from, self._session.all(_CLIENTS)))
        return tuple(map(token_key_from, self._session.all(_CLIENTS_OF_ACCOUNT, (account_id,))))

    def silent_token_keys(self, account_id: AccountId | None = None) -> frozenset[str]:
        """Ids of token keys without a live family: their tokens ended with a log-in, a password or the account."""
        if account_id is None:
            rows = self._session.all(_SILENT_CLIENTS)
        else:
            rows = self._session.all(_SILENT_CLIENTS_OF_ACCOUNT, (account_id,))
        return frozenset(row[0] for row in rows)

    def last_token_end(self, *, created_by: int, after: int) -> int | None:
        """The latest `expires_at` behind `after`, of live token keys that were made by then; nothing if there is none."""
        row = self._session.one(_LAST_CLIENT_END, (after, created_by))
        return None if row is None else row[0]

    def set_token_permissions(self, client_id: str, permissions: Sequence[str]) -> bool:
        """Replace what a token key grants; false if it is unknown or revoked."""
        return self._session.run(_SET_CLIENT_PERMISSIONS, (permissions_text(tuple(permissions)), client_id)) == 1

    def revoke_token_key(self, client_id: str, *, at: int) -> bool:
        """Revoke a token key; false if it is unknown or revoked already."""
        return self._session.run(_REVOKE_CLIENT, (at, client_id)) == 1

    def revoke_bound(self, executor: PublicKey, *, at: int) -> int:
        """Revoke all live token keys bound to this client key; how many they were."""
        return self._session.run(_REVOKE_BOUND, (at, executor))


def root_key_from(row: tuple[Any, ...]) -> RootKeyRecord:
    """The record of a row, in the order of the table's columns."""
    return RootKeyRecord(
        key_id=row[0],
        account_id=AccountId(row[1]),
        method=row[2],
        identifier=row[3],
        verifier=row[4],
        permissions=parse_permissions(row[5]),
        created_at=row[6],
        last_used_at=row[7],
        revoked_at=row[8],
        changed_at=row[9],
    )


def token_key_from(row: tuple[Any, ...]) -> TokenKeyRecord:
    """The record of a row, in the order of the table's columns."""
    return TokenKeyRecord(
        client_id=row[0],
        root_key_id=row[1],
        account_id=AccountId(row[2]),
        name=row[3],
        permissions=parse_permissions(row[4]),
        context_id=None if row[5] is None else ContextId(row[5]),
        executor=None if row[6] is None else PublicKey(row[6]),
        node_url=row[7],
        created_at=row[8],
        revoked_at=row[9],
        expires_at=row[10],
    )
