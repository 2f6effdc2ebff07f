"""Compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), and nothing else.

Every header but ours is refused before any cryptography, and one byte string has one text only. A general library
would read, check and write each part again for algorithms that don't exist here; it is the second opinion in the tests
(`docs/decisions/0025`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import nacl.bindings

from meroid.errors import UnauthenticatedError
from meroid.keys.jose import (
    compact_json,
    decode_base64url,
    encode_base64url,
    json_object,
    public_jwk,
    split_compact,
    thumbprint,
)
from meroid.keys.public import SIGNATURE_BYTES, BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret

ALGORITHM: Final = "EdDSA"
TYPE: Final = "JWT"
TOKEN_BYTES: Final = 8192
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class InvalidTokenError(UnauthenticatedError):
    """The token is malformed, not signed by this service, or not meant for it."""

    code = "invalid_token"
    next_step = "log in again"


@dataclass(frozen=True, slots=True)
class Jws:
    """A token taken apart, not yet verified: who it says signed it, what was signed, and the signature."""

    kid: str
    signed: bytes
    payload: bytes
    signature: bytes


class SigningKey:
    """A private key with its id, ready to sign."""

    __slots__ = ("_header", "_secret", "kid", "public")

    def __init__(self, kid: str, seed: Secret) -> None:
        public, secret = nacl.bindings.crypto_sign_seed_keypair(seed.reveal())
        self.kid = kid
        self.public = PublicKey(public)
        self._secret = Secret(secret)
        self._header = _header_text(TYPE, kid)

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"

    def sign(self, payload: bytes) -> str:
        """The payload as a token: a compact JWS with this key's id in its header."""
        return self._signed(self._header, payload)

    def state(self, payload: bytes, typ: str) -> str:
        """The payload as a statement for anybody: a JWS of another type, so that it is never taken for a token."""
        return self._signed(_header_text(typ, self.kid), payload)

    def _signed(self, header: str, payload: bytes) -> str:
        text = f"{header}.{encode_base64url(payload)}"
        signature = nacl.bindings.crypto_sign(text.encode("ascii"), self._secret.reveal())[:SIGNATURE_BYTES]
        return f"{text}.{encode_base64url(signature)}"


class VerifyingKey:
    """A public key with its id, ready to verify."""

    __slots__ = ("kid", "public")

    def __init__(self, kid: str, public: PublicKey) -> None:
        self.kid = kid
        self.public = public

    def verify(self, token: Jws) -> bytes:
        """The payload of a token that this key signed.

        Raises:
            InvalidTokenError: it didn't.
        """
        try:
            verify_signature(self.public, token.signed, token.signature)
        except BadSignatureError:
            raise InvalidTokenError("the signature doesn't hold") from None
        return token.payload

    def thumbprint(self) -> str:
        """RFC 7638 thumbprint of the public key, base64url."""
        return thumbprint(public_jwk(self.public))

    def public_jwk(self) -> dict[str, str]:
        """The key as a JWK for verifying signatures (RFC 7517, RFC 8037)."""
        return {**public_jwk(self.public), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


def key_id_for(public: PublicKey) -> str:
    """The `kid` of a signing key: its RFC 7638 thumbprint."""
    return VerifyingKey("", public).thumbprint()


def parse_token(token: str) -> Jws:
    """Take a token apart and check its outer form, before any cryptography.

    Raises:
        InvalidTokenError: too long, not three canonical base64url segments, another algorithm or
            type, or header fields beyond `alg`, `typ` and `kid`.
    """
    try:
        parts = split_compact(token, most=TOKEN_BYTES)
        kid = _kid_of(parts.header)
    except ValueError as problem:
        raise InvalidTokenError(f"this is no token: {problem}") from None
    return Jws(kid=kid, signed=parts.signed, payload=parts.payload, signature=parts.signature)


@lru_cache(maxsize=64)  # the tokens of one key have one header
def _kid_of(header: str) -> str:
    fields = json_object(decode_base64url(header))
    kid = fields.pop("kid", None)
    if fields != {"alg": ALGORITHM, "typ": TYPE}:
        raise ValueError("the header is not one of this service")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise ValueError("it names no signing key")
    return kid


def parse_object(data: bytes) -> dict[str, object]:
    """Read a JSON object in which each name stands once.

    Raises:
        InvalidTokenError: anything else.
    """
    try:
        return json_object(data)
    except ValueError as problem:
        raise InvalidTokenError(f"this is no token: {problem}") from None


def _header_text(typ: str, kid: str) -> str:
    return encode_base64url(compact_json({"alg": ALGORITHM, "typ": typ, "kid": kid}))
