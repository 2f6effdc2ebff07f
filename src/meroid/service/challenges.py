"""Challenges: given out signed, checked, and used once on every worker of a node."""

from collections.abc import Callable

from meroid.auth.challenge import Challenge, ChallengeUsedError, UnknownHostError, audience_of, check_challenge
from meroid.auth.methods import LoginMethod
from meroid.auth.tokens import LEEWAY_S
from meroid.service.ports.store import Store, Transaction
from meroid.service.signing import SigningKeys


class ChallengeService:
    """Makes and checks challenges; only what was used stands in the store, until it has ended."""

    def __init__(self, store: Store, keys: SigningKeys, *, is_own_host: Callable[[str], bool]) -> None:
        """`is_own_host` tells host names (lower case, without port) that are this node's."""
        self._store = store
        self._keys = keys
        self._is_own_host = is_own_host

    def make(self, method: LoginMethod, host: str | None, at: int) -> Challenge:
        """A new challenge for a method, asked for under this `Host` header.

        Raises:
            UnknownHostError: there is no host, or the method relies on it and it isn't one of the node's.
        """
        audience = audience_of(host)
        if method.needs_host and not self._is_own_host(audience):
            raise UnknownHostError("the node doesn't know that it has this host name")
        return self._keys.issuer(at).challenge(method.name, audience, at)

    def check(self, text: str, method: LoginMethod, host: str | None, at: int) -> Challenge:
        """The challenge that a proof answers. Reads the store.

        Raises:
            BadChallengeError, ChallengeExpiredError, ChallengeUsedError: it can't be used here, or any more.
            UnknownHostError: there is no host.
        """
        challenge = self._keys.challenge(text, at)
        check_challenge(challenge, method=method.name, audience=audience_of(host), at=at)
        if self._store.read(lambda tx: tx.auth.is_challenge_used(challenge.nonce)):
            raise ChallengeUsedError("somebody used this challenge before")
        return challenge


def use_challenge(tx: Transaction, challenge: Challenge | None, at: int) -> None:
    """Use a challenge up, in the transaction that does what the proof was for; and forget those that ended.

    Raises:
        ChallengeUsedError: somebody was faster.
    """
    if challenge is None:
        return
    tx.auth.forget_challenges(expired_before=at - LEEWAY_S * 1000)
    if not tx.auth.use_challenge(challenge.nonce, expires_at=challenge.expires_at):
        raise ChallengeUsedError("somebody used this challenge before")
