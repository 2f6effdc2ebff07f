"""What an Ed25519 key signs to open an account, and to become a root key of one.

The bytes name the purpose, the log-in method, the host, the challenge and the key, under a tag that
nothing else has. So a signature for a log-in binds no root key and the reverse, and neither is good
for another node. Who signs first checks that the host is the one that it talks to.
"""

from dataclasses import dataclass
from typing import Final

from meroid.ids import AccountId
from meroid.keys.canonical import canonical_bytes, tagged_message
from meroid.keys.public import PublicKey

HARDWARE_KEY: Final = "hardware_key"
RECOVERY_PHRASE: Final = "recovery_phrase"

_TAG: Final = "meroid/key-login/v1"
_LOG_IN, _BIND = "log in", "bind"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLogin:
    """One signature to be made.

    Attributes:
        method: `hardware_key` or `recovery_phrase`.
        host: the host name in the challenge, lower case.
        challenge: the challenge's text.
        key: the key that signs.
    """

    method: str
    host: str
    challenge: str
    key: PublicKey

    def to_log_in(self) -> bytes:
        """The bytes that the key signs to log in."""
        return self._message(_LOG_IN, None)

    def to_bind(self, account_id: AccountId) -> bytes:
        """The bytes that the key signs to become a root key of an account."""
        return self._message(_BIND, account_id)

    def _message(self, purpose: str, account_id: AccountId | None) -> bytes:
        fields = {
            "purpose": purpose,
            "method": self.method,
            "host": self.host,
            "challenge": self.challenge,
            "key": bytes(self.key),
            "account": None if account_id is None else bytes(account_id),
        }
        return tagged_message(_TAG, canonical_bytes(fields))
