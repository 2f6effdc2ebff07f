"""Proofs of keys that were used, and what ended of the tokens that were given out."""

from collections.abc import Sequence

from meroid.ids import ContextId
from meroid.service.ports.auth import Ending
from meroid.store.repository import Repository

_USE = "INSERT INTO used_proofs (digest, expires_at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
_FORGET = "DELETE FROM used_proofs WHERE expires_at < ?"
_CONTEXTS = """
SELECT DISTINCT t.context_id FROM families f LEFT JOIN token_keys t ON t.client_id = f.key_id WHERE f.proof_key = ?
"""
# Each part has an index that leads it. A service token outlives the lifetime that `since` allows for.
_ENDINGS = """
SELECT key_id, NULL, revoked_at FROM root_keys WHERE revoked_at >= ?
UNION
SELECT client_id, NULL, revoked_at FROM token_keys WHERE revoked_at >= ?
UNION
SELECT t.client_id, NULL, r.revoked_at FROM root_keys r JOIN token_keys t ON t.root_key_id = r.key_id
  WHERE r.revoked_at >= ? AND t.revoked_at IS NULL
UNION
SELECT key_id, family_id, revoked_at FROM families WHERE revoked_at >= ?
UNION
SELECT client_id, NULL, revoked_at FROM token_keys WHERE expires_at > ? AND revoked_at IS NOT NULL
UNION
SELECT t.client_id, NULL, r.revoked_at FROM token_keys t JOIN root_keys r ON r.key_id = t.root_key_id
  WHERE t.expires_at > ? AND r.revoked_at IS NOT NULL AND t.revoked_at IS NULL
UNION
SELECT f.key_id, f.family_id, f.revoked_at FROM token_keys t JOIN families f ON f.key_id = t.client_id
  WHERE t.expires_at > ? AND f.revoked_at IS NOT NULL
ORDER BY 3, 1, 2
"""


class SqlProofs(Repository):
    """Used proofs and endings of `AuthRecords`."""

    __slots__ = ()

    def use_proof(self, digest: bytes, *, expires_at: int) -> bool:
        """Note that a proof was used; false if it was before."""
        return self._session.run(_USE, (digest, expires_at)) == 1

    def forget_proofs(self, *, expired_before: int) -> int:
        """Forget used proofs that ended before that time; how many they were."""
        return self._session.run(_FORGET, (expired_before,))

    def contexts_of_proof_key(self, proof_key: str) -> Sequence[ContextId | None]:
        """What the tokens of a key are bound to, each once; `None` stands for unbound ones."""
        return tuple(
            None if row[0] is None else ContextId(row[0]) for row in self._session.all(_CONTEXTS, (proof_key,))
        )

    def endings(self, *, since: int, at: int) -> Sequence[Ending]:
        """What ended at or after `since`, and earlier if a service token of it would live beyond `at`; by time."""
        bound = (since, since, since, since, at, at, at)
        rows = self._session.all(_ENDINGS, bound)
        return tuple(Ending(subject=row[0], family_id=row[1], ended_at=row[2]) for row in rows)
