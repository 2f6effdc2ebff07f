"""A key that tokens are bound to, and the proofs that it makes (DPoP, RFC 9449).

It lies in a file of its own beside the token file: who copies the tokens alone, out of a log, a backup of one
file or a browser, can do nothing with them. Who reads the whole folder has both.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Final, Self

import nacl.bindings

from meroid.client.failures import BadClientFileError
from meroid.client.private_file import read_private, write_private
from meroid.keys.jose import compact_json, encode_base64url, public_jwk, thumbprint
from meroid.keys.signer import Secret

_SEED_BYTES: Final = 32
_NAME_BYTES: Final = 16


class ProofKey:
    """An Ed25519 key that proves who holds a token."""

    def __init__(self, seed: Secret) -> None:
        """`seed`: 32 random bytes."""
        public, self._private = nacl.bindings.crypto_sign_seed_keypair(seed.reveal())
        self._jwk = public_jwk(public)
        self.thumbprint = thumbprint(self._jwk)

    @classmethod
    def new(cls) -> Self:
        """A new key, kept nowhere."""
        return cls(Secret(secrets.token_bytes(_SEED_BYTES)))

    def __repr__(self) -> str:
        return f"ProofKey({self.thumbprint})"

    def prove(self, method: str, url: str, at_ms: int, *, token: str | None = None) -> str:
        """A proof for one request.

        Args:
            method: upper case.
            url: as it is sent; query and fragment are left out.
            at_ms: now, milliseconds since the epoch.
            token: the access token that is sent with it, if one is.
        """
        header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": self._jwk}
        claims: dict[str, object] = {
            "jti": secrets.token_hex(_NAME_BYTES),
            "htm": method,
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": at_ms // 1000,
        }
        if token is not None:
            claims["ath"] = encode_base64url(hashlib.sha256(token.encode("ascii")).digest())
        signed = f"{encode_base64url(compact_json(header))}.{encode_base64url(compact_json(claims))}"
        whole = nacl.bindings.crypto_sign(signed.encode("ascii"), self._private)
        return f"{signed}.{encode_base64url(whole[: nacl.bindings.crypto_sign_BYTES])}"


class ProofKeyFile:
    """The file that keeps a proof key: 64 hex digits, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> ProofKey | None:
        """The key, or nothing where there is no file.

        Raises:
            BadClientFileError: it holds no key.
        """
        data = read_private(self.path)
        if data is None:
            return None
        try:
            seed = bytes.fromhex(data.decode("ascii"))
        except ValueError:
            seed = b""
        if len(seed) != _SEED_BYTES:
            raise BadClientFileError(f"{self.path} holds no key", next_step="remove it and log in again")
        return ProofKey(Secret(seed))

    def ensure(self) -> ProofKey:
        """The key; a new one, on disk before any token is bound to it, where there is none.

        Raises:
            BadClientFileError: the file can't be written, or holds no key.
        """
        known = self.load()
        if known is not None:
            return known
        seed = secrets.token_bytes(_SEED_BYTES)
        write_private(self.path, seed.hex().encode("ascii"))
        return ProofKey(Secret(seed))
