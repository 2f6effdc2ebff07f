"""Saying a thing seldom: once a minute for each key, and of few keys."""

from typing import Final

from meroid.keys.public import PublicKey

PERIOD_MS: Final = 60_000
KEYS_MOST: Final = 64


class Seldom:
    """Tells whether it is time to speak about a key again; keys that anybody can make up don't fill memory."""

    def __init__(self) -> None:
        self._said: dict[PublicKey, int] = {}

    def allows(self, key: PublicKey, at: int) -> bool:
        """True once a minute for a key, and for at most 64 keys a minute; `at` in ms since the epoch."""
        self._said = {each: said for each, said in self._said.items() if said <= at < said + PERIOD_MS}
        if key in self._said or len(self._said) >= KEYS_MOST:
            return False
        self._said[key] = at
        return True
