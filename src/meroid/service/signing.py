"""The keys that sign tokens: made at first start, sealed in the store, followed when another process rotates them."""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meroid.account.audit import Action, AuditEvent
from meroid.auth.challenge import BadChallengeError, Challenge
from meroid.auth.jws import InvalidTokenError, SigningKey, VerifyingKey, key_id_for
from meroid.auth.tokens import (
    REFRESH_LIFETIME_MS,
    AccessClaims,
    RefreshClaims,
    TokenIssuer,
    TokenVerifier,
)
from meroid.errors import UnavailableError
from meroid.keys.signer import Secret
from meroid.service.ports.auth import SigningKeyRecord
from meroid.service.ports.sealer import SecretSealer, signing_key_label
from meroid.service.ports.store import Store, Transaction

SEED_BYTES: Final = 32
LOOK_AGAIN_MS: Final = 60_000  # a retired key ends by time alone


class NoSigningKeyError(UnavailableError):
    """No key to sign tokens with was made yet."""

    code = "no_signing_key"
    next_step = "start the node once with embedded auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    kids: tuple[str, ...]
    issuer: TokenIssuer
    verifier: TokenVerifier
    published: tuple[VerifyingKey, ...]
    looked_at: int
    version: bytes

    def holds(self, at: int, version: bytes) -> bool:
        return self.version == version and 0 <= at - self.looked_at < LOOK_AGAIN_MS


class SigningKeys:
    """The signing keys of this service, shared by everything that mints or verifies.

    They are read anew when the store has changed, so whoever rotates them, in whichever process, is followed at the
    next request; a key id that was made up causes no read.
    """

    def __init__(
        self,
        store: Store,
        sealer: SecretSealer,
        *,
        issuer: str,
        audience: str,
        overlap_ms: int = REFRESH_LIFETIME_MS,
    ) -> None:
        """`overlap_ms`: how long a retired key still verifies, no shorter than refreshed tokens live; service tokens prolong it."""
        self._store = store
        self._sealer = sealer
        self._issuer = issuer
        self._audience = audience
        self._overlap_ms = overlap_ms
        self._loaded: _Loaded | None = None
        self._lock = threading.Lock()

    def ensure(self, at: int) -> None:
        """Make the first signing key if there is none; of two processes that try, one succeeds."""
        if any(record.retired_at is None for record in self._store.read(lambda tx: tx.auth.signing_keys())):
            return
        record = self._new(at)

        def work(tx: Transaction) -> None:
            if tx.auth.add_signing_key(record):
                tx.audit.append(AuditEvent(at=at, action=Action.SIGNING_KEY_CREATE, target=record.kid))

        self._store.write(work)

    def rotate(self, at: int, *, at_once: bool = False) -> SigningKeyRecord:
        """Sign with a new key from now on; the one that signed until now.

        Tokens of the old key are accepted until they end, or no more `at_once`.

        Raises:
            NoSigningKeyError: there is none to rotate.
        """
        record = self._new(at)

        def work(tx: Transaction) -> SigningKeyRecord:
            known = tx.auth.signing_keys()
            active = _active(known)
            tx.auth.retire_signing_key(active.kid, at=at)
            tx.auth.add_signing_key(record)
            for each in known if at_once else ():
                tx.auth.forget_signing_key(each.kid)
            event = AuditEvent(
                at=at,
                action=Action.SIGNING_KEY_ROTATE,
                target=record.kid,
                details={"before": active.kid, "at_once": str(at_once).lower()},
            )
            tx.audit.append(event)
            return replace(active, retired_at=at)

        old = self._store.write(work)
        self._loaded = None
        return old

    def active(self) -> SigningKeyRecord:
        """The key that signs now.

        Raises:
            NoSigningKeyError: no key was made yet.
        """
        return _active(self._store.read(lambda tx: tx.auth.signing_keys()))

    def verifies_until(self, retired_at: int) -> int:
        """Until when a key that is retired then is looked at, ms: no less than a token that it signed may live."""
        return self._store.read(lambda tx: self._end(tx, retired_at))

    def forget_retired(self, at: int) -> int:
        """Remove the keys that verify nothing any more; how many they were. For housekeeping."""

        def work(tx: Transaction) -> int:
            good = {each.kid for each in self._verifying(tx, at)}
            past = [each.kid for each in tx.auth.signing_keys() if each.kid not in good]
            return sum(tx.auth.forget_signing_key(kid) for kid in past)

        return self._store.write(work)

    def issuer(self, at: int) -> TokenIssuer:
        """What mints tokens now.

        Raises:
            NoSigningKeyError: no key was made yet.
        """
        return self._current(at).issuer

    def published(self, at: int) -> tuple[VerifyingKey, ...]:
        """The keys that verify tokens now, newest first."""
        return self._current(at).published

    def access(self, token: str, at: int) -> AccessClaims:
        """Verify an access token, except for its time.

        Raises:
            InvalidTokenError: anything wrong with it.
        """
        return self._current(at).verifier.access(token)

    def refresh(self, token: str, at: int) -> RefreshClaims:
        """Verify a refresh token, except for its time.

        Raises:
            InvalidTokenError: anything wrong with it.
        """
        return self._current(at).verifier.refresh(token)

    def verifier(self, at: int, version: bytes) -> TokenVerifier:
        """What verifies tokens now, the same one as long as the keys are; `version` is the store's, asked for just now."""
        return self._current(at, version).verifier

    def challenge(self, text: str, at: int) -> Challenge:
        """Verify a challenge, except for its time and what it is for.

        Raises:
            BadChallengeError: it is none of this service.
        """
        try:
            return self._current(at).verifier.challenge(text)
        except InvalidTokenError:
            raise BadChallengeError("this is no challenge of this service") from None

    def _current(self, at: int, version: bytes | None = None) -> _Loaded:
        known = self._store.version() if version is None else version
        loaded = self._loaded
        if loaded is not None and loaded.holds(at, known):
            return loaded
        with self._lock:
            loaded = self._loaded
            if loaded is None or not loaded.holds(at, known):
                loaded = self._loaded = self._load(at, known, loaded)
            return loaded

    def _load(self, at: int, version: bytes, before: _Loaded | None) -> _Loaded:
        records = self._store.read(lambda tx: self._verifying(tx, at))
        active = _active(records)
        kids = (active.kid, *(each.kid for each in records))
        if before is not None and before.kids == kids:  # keep what was verified already
            return replace(before, looked_at=at, version=version)
        signing = SigningKey(active.kid, self._sealer.open(signing_key_label(active.kid), active.sealed_secret))
        keys = {each.kid: VerifyingKey(each.kid, each.public) for each in records}
        return _Loaded(
            kids=kids,
            issuer=TokenIssuer(signing, issuer=self._issuer, audience=self._audience),
            verifier=TokenVerifier(keys, issuer=self._issuer, audience=self._audience),
            published=tuple(keys.values()),
            looked_at=at,
            version=version,
        )

    def _new(self, at: int) -> SigningKeyRecord:
        seed = Secret(secrets.token_bytes(SEED_BYTES))
        public = SigningKey("", seed).public
        kid = key_id_for(public)
        sealed = self._sealer.seal(signing_key_label(kid), seed)
        seed.wipe()
        return SigningKeyRecord(kid=kid, sealed_secret=sealed, public=public, created_at=at)

    def _verifying(self, tx: Transaction, at: int) -> list[SigningKeyRecord]:
        """The keys that verify tokens now, newest first."""
        known = tx.auth.signing_keys()
        return [each for each in known if each.retired_at is None or at <= self._end(tx, each.retired_at)]

    def _end(self, tx: Transaction, retired_at: int) -> int:
        end = retired_at + self._overlap_ms
        return tx.auth.last_token_end(created_by=retired_at + LOOK_AGAIN_MS, after=end) or end


def _active(records: Sequence[SigningKeyRecord]) -> SigningKeyRecord:
    active = next((each for each in records if each.retired_at is None), None)
    if active is None:
        raise NoSigningKeyError("no key to sign tokens with was made yet")
    return active
