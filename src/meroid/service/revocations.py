"""The feed of revocations: what makes the gate refuse tokens that others may still take for alive."""

import threading
from collections.abc import Sequence
from typing import Final

from meroid.auth.revocations import FEED_LIFETIME_S, FEED_STEP_S, whole_minute
from meroid.auth.tokens import LEEWAY_S
from meroid.service.ports.auth import Ending
from meroid.service.ports.store import Store, Transaction
from meroid.service.signing import SigningKeys

LOOK_AGAIN_MS: Final = 1_000
_LATELY_MS: Final = 600_000
_LONGEST: Final = "longest_access_ms"


class RevocationFeed:
    """Makes the feed; the store is read at most once a second, whoever asks."""

    def __init__(self, store: Store, keys: SigningKeys, *, access_ms: int) -> None:
        """`access_ms`: how long access tokens live that aren't service tokens."""
        self._store = store
        self._keys = keys
        self._access_ms = access_ms
        self._lock = threading.Lock()
        self._looked_at: int | None = None
        self._endings: Sequence[Ending] = ()
        self._made: tuple[int, Sequence[Ending], dict[int | None, str]] | None = None

    def note_lifetime(self) -> None:
        """Remember the longest lifetime that this service ever gave: a shorter one doesn't end older tokens."""

        def work(tx: Transaction) -> None:
            if self._access_ms > _longest(tx):
                tx.auth.put_setting(_LONGEST, str(self._access_ms))

        self._store.write(work)

    def text(self, at: int, *, since: int | None = None) -> str:
        """The signed feed; with `since` (seconds) without what ended before that minute.

        Who asks for more than ten minutes back gets it whole: so there are few texts, each made once, whatever strangers ask.

        Raises:
            NoSigningKeyError: no key was made yet.
        """
        endings = self._look(at)
        issued_at = at // 1000 // FEED_STEP_S * FEED_STEP_S
        first = None if since is None else min(whole_minute(since * 1000), whole_minute(at))
        if first is not None and first < whole_minute(at - _LATELY_MS):
            first = None
        made = self._made
        if made is None or made[0] != issued_at or made[1] is not endings:
            made = self._made = (issued_at, endings, {})
        if first not in made[2]:
            wanted = [each for each in endings if first is None or whole_minute(each.ended_at) >= first]
            made[2][first] = self._sign(wanted, issued_at, first, at)
        return made[2][first]

    def _sign(self, endings: Sequence[Ending], issued_at: int, since: int | None, at: int) -> str:
        keys: dict[str, int] = {}
        for each in endings:
            if each.family_id is None:
                keys.setdefault(each.subject, whole_minute(each.ended_at))
        logins = {
            each.family_id: whole_minute(each.ended_at)
            for each in endings
            if each.family_id is not None and each.subject not in keys
        }
        return self._keys.issuer(at).revocations(keys, logins, since=since, issued_at=issued_at)

    def _look(self, at: int) -> Sequence[Ending]:
        with self._lock:
            if self._looked_at is None or not 0 <= at - self._looked_at < LOOK_AGAIN_MS:
                found = self._store.read(lambda tx: self._found(tx, at))
                if found != self._endings:
                    self._endings = found
                self._looked_at = at
            return self._endings

    def _found(self, tx: Transaction, at: int) -> Sequence[Ending]:
        alive_ms = max(self._access_ms, _longest(tx)) + (LEEWAY_S + FEED_LIFETIME_S) * 1000
        return tx.auth.endings(since=at - alive_ms, at=at - (LEEWAY_S + FEED_LIFETIME_S) * 1000)


def _longest(tx: Transaction) -> int:
    return int(tx.auth.setting(_LONGEST) or 0)
