"""Checking tokens without asking for each: published keys, the feed of revocations, and nothing else.

For services of others. What it asks for, it asks through the caller's own HTTP; when that brings nothing any
more it refuses everything rather than take a revoked token.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Final

from meroid.auth.dpop import NOTHING_SHOWN, WINDOW_MS, BadProofError, Shown, check_key, verify_proof
from meroid.auth.jws import VerifyingKey, parse_token
from meroid.auth.revocations import Feed, read_feed
from meroid.auth.tokens import (
    AccessClaims,
    TokenRevokedError,
    TokenVerifier,
    check_expiry,
)
from meroid.errors import UnavailableError
from meroid.keys.jose import read_key_set

KEYS_PATH: Final = "/auth/jwks.json"
FEED_PATH: Final = "/auth/revocations"
ASK_AGAIN_MS: Final = 10_000
ASK_FOR_UNKNOWN_MS: Final = 1_000
MOST_REMEMBERED: Final = 100_000


class FeedStaleError(UnavailableError):
    """The feed of revocations is too old to say that a token still holds."""

    code = "feed_stale"
    next_step = "see why the auth service isn't reached, and compare the clocks"


class OfflineVerifier:
    """Verifies access tokens by what the auth service publishes; threads may share it.

    A token's permissions are those of the time when it was minted: what its key lost since then is seen
    when it is refreshed, an hour later by default.
    """

    def __init__(
        self,
        get: Callable[[str], bytes],
        *,
        issuer: str = "meroid",
        audience: str = "meroid",
        use_proof: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        """Make one.

        Args:
            get: gives the body of a successful answer to a GET of that path; raises whatever it likes.
            issuer: claim `iss` of the tokens.
            audience: claim `aud`.
            use_proof: notes that a proof (its 32-byte digest) was used, until that time (ms); false if it was
                before. Without it that is remembered in this object, which is right for one process.
        """
        self._get = get
        self._issuer = issuer
        self._audience = audience
        self._use_proof = use_proof or _UsedProofs()
        self._keys: Mapping[str, VerifyingKey] = {}
        self._verifier = TokenVerifier({}, issuer=issuer, audience=audience)
        self._feed: Feed | None = None
        self._asked_at: int | None = None
        self._lock = threading.Lock()

    def verify(self, token: str, at: int, shown: Shown = NOTHING_SHOWN) -> AccessClaims:
        """The claims of an access token that holds; `at` in ms, `shown` where the token is bound to a key.

        Raises:
            InvalidTokenError: it is none of this issuer, or for another audience.
            TokenExpiredError: it is past its time.
            TokenRevokedError: it, its key or its log-in has ended.
            FeedStaleError: whether it has ended can't be told.
            ProofRequiredError, ProofUnjudgedError, BadProofError: it is bound to a key that isn't proved.
        """
        self.refresh(at)
        if parse_token(token).kid not in self._keys:  # it was made with a new key just now, perhaps
            self.refresh(at, within=ASK_FOR_UNKNOWN_MS)
        claims = self._verifier.access(token)
        check_expiry(claims, at)
        feed = self._feed
        if feed is None or at > feed.expires_at * 1000:
            raise FeedStaleError("the feed of revocations is older than it may be")
        if feed.ends(claims.subject, claims.family_id):
            raise TokenRevokedError("the token, its key or its log-in has ended")
        if claims.proof_key is not None:
            self._prove(claims.proof_key, shown, token, at)
        return claims

    def refresh(self, at: int, *, within: int = ASK_AGAIN_MS) -> None:
        """Ask for keys and feed, unless that was done within so many ms; a failure leaves what is there."""
        with self._lock:
            if self._asked_at is not None and 0 <= at - self._asked_at < within:
                return
            self._asked_at = at
            try:
                published = read_key_set(json.loads(self._get(KEYS_PATH)))
                keys = {kid: VerifyingKey(kid, each.checked()) for kid, each in published.items()}
                feed = read_feed(self._get(FEED_PATH).decode("ascii"), keys, issuer=self._issuer)
            except Exception:  # noqa: BLE001 - the caller's HTTP may fail in any way; the feed's end decides
                return
            if keys.keys() != self._keys.keys():
                self._keys = keys
                self._verifier = TokenVerifier(keys, issuer=self._issuer, audience=self._audience)
            if feed.since is None and (self._feed is None or feed.issued_at >= self._feed.issued_at):
                self._feed = feed

    def _prove(self, key: str, shown: Shown, token: str, at: int) -> None:
        proof = verify_proof(shown, at, token=token)
        check_key(proof, key)
        if not self._use_proof(proof.digest, proof.forgotten_at):
            raise BadProofError("this proof was used before (jti)")


class _UsedProofs:
    """Proofs that were used, in the memory of one process."""

    def __init__(self) -> None:
        self._used: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def __call__(self, digest: bytes, until: int) -> bool:
        with self._lock:
            if digest in self._used:
                return False
            if len(self._used) >= MOST_REMEMBERED:
                over = until - 2 * WINDOW_MS - 1000  # a proof that holds now shows that this time has passed
                self._used = {each: end for each, end in self._used.items() if end >= over}
            if len(self._used) >= MOST_REMEMBERED:  # better to refuse than to forget one that still holds
                return False
            self._used[digest] = until
            return True
