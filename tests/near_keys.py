"""NEAR key pairs for tests: an implicit account is named by its key, a named one by whoever asks."""

import json
from dataclasses import dataclass
from pathlib import Path

import base58

from meroid.keys.nep413 import near_key_text
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner


@dataclass(frozen=True, slots=True)
class NearPair:
    """A key pair with the account that it is for."""

    account: str
    seed: bytes
    signer: SoftwareSigner

    @classmethod
    def of(cls, number: int, account: str | None = None) -> "NearPair":
        """The pair of a number; without an account it is the implicit one."""
        seed = bytes([number]) * 32
        signer = SoftwareSigner(Secret(seed))
        return cls(account or bytes(signer.public_key).hex(), seed, signer)

    @property
    def public_text(self) -> str:
        return near_key_text(self.signer.public_key)

    def write(self, path: Path) -> Path:
        """The credentials file that near-cli would have written."""
        private = base58.b58encode(self.seed + bytes(self.signer.public_key)).decode("ascii")
        fields = {"account_id": self.account, "public_key": self.public_text, "private_key": f"ed25519:{private}"}
        path.write_text(json.dumps(fields), "utf-8")
        path.chmod(0o600)
        return path
