"""Challenges that were used, until they have ended."""

from meroid.store.repository import Repository

_USE = "INSERT INTO used_challenges (nonce, expires_at) VALUES (?, ?) ON CONFLICT (nonce) DO NOTHING"
_IS_USED = "SELECT 1 FROM used_challenges WHERE nonce = ?"
_FORGET = "DELETE FROM used_challenges WHERE expires_at < ?"


class SqlChallenges(Repository):
    """Used challenges of `AuthRecords`."""

    __slots__ = ()

    def use_challenge(self, nonce: bytes, *, expires_at: int) -> bool:
        """Note that a challenge was used; false if it was before."""
        return self._session.run(_USE, (nonce, expires_at)) == 1

    def is_challenge_used(self, nonce: bytes) -> bool:
        """Whether a challenge was used."""
        return self._session.one(_IS_USED, (nonce,)) is not None

    def forget_challenges(self, *, expired_before: int) -> int:
        """Forget used challenges that ended before that time; how many they were."""
        return self._session.run(_FORGET, (expired_before,))
