"""Log-ins, their refresh tokens, and the keys that sign tokens."""

from collections.abc import Sequence
from typing import Any

from meroid.ids import AccountId
from meroid.keys.public import PublicKey
from meroid.service.ports.auth import FamilyRecord, RefreshRecord, SigningKeyRecord, Standing
from meroid.store.credentials import CLIENT, ROOT_KEY, root_key_from, token_key_from
from meroid.store.permissions import parse_permissions, permissions_text
from meroid.store.repository import Repository

_ADD_FAMILY = """
INSERT INTO families (family_id, key_id, narrowed_to, logged_in_at, created_at, revoked_at, proof_key)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_FAMILY = """
SELECT family_id, key_id, narrowed_to, logged_in_at, created_at, revoked_at, proof_key FROM families
WHERE family_id = ?
"""
_REVOKE_FAMILY = "UPDATE families SET revoked_at = ? WHERE family_id = ? AND revoked_at IS NULL"
_END_FAMILIES = """
UPDATE families SET revoked_at = ?
WHERE revoked_at IS NULL AND family_id <> ?
  AND (key_id = ? OR key_id IN (SELECT client_id FROM token_keys WHERE root_key_id = ?))
"""
_REVOKE_ACCOUNT_FAMILIES = """
UPDATE families SET revoked_at = ? WHERE revoked_at IS NULL AND key_id IN (
  SELECT key_id FROM root_keys WHERE account_id = ? UNION SELECT client_id FROM token_keys WHERE account_id = ?
)
"""
_ADD_REFRESH = """
INSERT INTO refresh_tokens (jti, family_id, issued_at, expires_at, successor, exchanged_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
_REFRESH = """
SELECT jti, family_id, issued_at, expires_at, successor, exchanged_at FROM refresh_tokens WHERE jti = ?
"""
_CONSUME_REFRESH = """
UPDATE refresh_tokens SET successor = ?, exchanged_at = ? WHERE jti = ? AND exchanged_at IS NULL
"""
_RENEW_REFRESH = """
UPDATE refresh_tokens SET issued_at = ?, expires_at = ? WHERE jti = ? AND exchanged_at IS NULL
"""
_FORGET_REFRESHES = "DELETE FROM refresh_tokens WHERE expires_at < ?"
_ADD_SIGNING_KEY = """
INSERT INTO signing_keys (kid, sealed_secret, public_key, created_at, retired_at)
SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE retired_at IS NULL)
"""
_SIGNING_KEYS = """
SELECT kid, sealed_secret, public_key, created_at, retired_at FROM signing_keys
ORDER BY created_at DESC, position DESC
"""
_RETIRE_SIGNING_KEY = "UPDATE signing_keys SET retired_at = ? WHERE kid = ? AND retired_at IS NULL"
_FORGET_SIGNING_KEY = "DELETE FROM signing_keys WHERE kid = ? AND retired_at IS NOT NULL"


class SqlLogins(Repository):
    """Families, refresh tokens and signing keys of `AuthRecords`."""

    __slots__ = ()

    def open_family(self, family: FamilyRecord, first: RefreshRecord) -> None:
        """Store a new family with its first refresh token.

        Raises:
            StoreConflictError: an id is taken, or the token isn't of this family.
        """
        narrowed = None if family.narrowed_to is None else permissions_text(family.narrowed_to)
        self._session.run(
            _ADD_FAMILY,
            (
                family.family_id,
                family.key_id,
                narrowed,
                family.logged_in_at,
                family.created_at,
                family.revoked_at,
                family.proof_key,
            ),
        )
        self._add_refresh(first)

    def family(self, family_id: str) -> FamilyRecord | None:
        """One family by its id, revoked or not."""
        row = self._session.one(_FAMILY, (family_id,))
        return None if row is None else _family(row)

    def revoke_family(self, family_id: str, *, at: int) -> bool:
        """Revoke a family; false if it is unknown or revoked already."""
        return self._session.run(_REVOKE_FAMILY, (at, family_id)) == 1

    def end_families(self, root_key_id: str, *, but: str | None, at: int) -> int:
        """Revoke the families of a root key and of the token keys under it, but one; how many they were."""
        return self._session.run(_END_FAMILIES, (at, but or "", root_key_id, root_key_id))

    def revoke_account_families(self, account_id: AccountId, *, at: int) -> int:
        """Revoke every live family of an account's root keys and token keys; how many they were."""
        return self._session.run(_REVOKE_ACCOUNT_FAMILIES, (at, account_id, account_id))

    def standing(self, key_id: str, family_id: str) -> Standing | None:
        """What decides about a token of this subject and family, revoked records included."""
        family = self.family(family_id)
        if family is None or family.key_id != key_id:
            return None
        # Three point reads on one snapshot: joined, the driver takes three times as long for the same rows.
        client = self._session.one(CLIENT, (key_id,))
        root = self._session.one(ROOT_KEY, (key_id if client is None else client[1],))
        if root is None:
            return None
        return Standing(
            family=family, root=root_key_from(root), client=None if client is None else token_key_from(client)
        )

    def refresh(self, jti: str) -> RefreshRecord | None:
        """One refresh token by its id, exchanged or not."""
        row = self._session.one(_REFRESH, (jti,))
        if row is None:
            return None
        return RefreshRecord(
            jti=row[0],
            family_id=row[1],
            issued_at=row[2],
            expires_at=row[3],
            successor=row[4],
            exchanged_at=row[5],
        )

    def consume_refresh(self, jti: str, successor: RefreshRecord, *, at: int) -> bool:
        """Exchange a refresh token for `successor`, which is stored.

        False if it was exchanged before or is unknown (then nothing changes).

        Raises:
            StoreConflictError: the successor's id is taken, or its family isn't here.
        """
        if self._session.run(_CONSUME_REFRESH, (successor.jti, at, jti)) == 0:
            return False
        self._add_refresh(successor)
        return True

    def renew_refresh(self, jti: str, *, issued_at: int, expires_at: int) -> None:
        """Give a refresh token another time; nothing happens if it was exchanged or is unknown."""
        self._session.run(_RENEW_REFRESH, (issued_at, expires_at, jti))

    def forget_refreshes(self, *, expired_before: int) -> int:
        """Remove refresh tokens that expired before that time; how many they were."""
        return self._session.run(_FORGET_REFRESHES, (expired_before,))

    def add_signing_key(self, record: SigningKeyRecord) -> bool:
        """Store a signing key; false if one is in use already (then nothing changes)."""
        added = self._session.run(
            _ADD_SIGNING_KEY,
            (record.kid, record.sealed_secret, record.public, record.created_at, record.retired_at),
        )
        return added == 1

    def signing_keys(self) -> Sequence[SigningKeyRecord]:
        """All signing keys, retired ones included, newest first."""
        return tuple(
            SigningKeyRecord(
                kid=row[0],
                sealed_secret=row[1],
                public=PublicKey(row[2]),
                created_at=row[3],
                retired_at=row[4],
            )
            for row in self._session.all(_SIGNING_KEYS)
        )

    def retire_signing_key(self, kid: str, *, at: int) -> bool:
        """Retire a signing key; false if it is unknown or retired already."""
        return self._session.run(_RETIRE_SIGNING_KEY, (at, kid)) == 1

    def forget_signing_key(self, kid: str) -> bool:
        """Remove a retired signing key; false if it is unknown or in use (then nothing changes)."""
        return self._session.run(_FORGET_SIGNING_KEY, (kid,)) == 1

    def _add_refresh(self, record: RefreshRecord) -> None:
        self._session.run(
            _ADD_REFRESH,
            (
                record.jti,
                record.family_id,
                record.issued_at,
                record.expires_at,
                record.successor,
                record.exchanged_at,
            ),
        )


def _family(row: tuple[Any, ...]) -> FamilyRecord:
    return FamilyRecord(
        family_id=row[0],
        key_id=row[1],
        narrowed_to=None if row[2] is None else parse_permissions(row[2]),
        logged_in_at=row[3],
        created_at=row[4],
        revoked_at=row[5],
        proof_key=row[6],
    )
