"""Compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), and nothing else.

Every header but ours is refused before any cryptography, and one byte string has one text only. A general library
would read, check and write each part again for algorithms that don't exist here; it is the second opinion in the tests
(`docs/decisions/0025`).
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import nacl.bindings

from meroid.errors import UnauthenticatedError
from meroid.keys.public import SIGNATURE_BYTES, BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret

ALGORITHM: Final = "EdDSA"
TYPE: Final = "JWT"
TOKEN_BYTES: Final = 8192
# From base64url to base64; what has no place in the first and one in the second becomes what has none in either.
_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/...")
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# By length modulo 4: with which digits a text ends whose last bits, those that stand for nothing, are zero.
_LAST_DIGITS: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


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
        text = f"{header}.{_encode(payload)}"
        signature = nacl.bindings.crypto_sign(text.encode("ascii"), self._secret.reveal())[:SIGNATURE_BYTES]
        return f"{text}.{_encode(signature)}"


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
        return _encode(hashlib.sha256(_compact(dict(sorted(_jwk(self.public).items())))).digest())

    def public_jwk(self) -> dict[str, str]:
        """The key as a JWK for verifying signatures (RFC 7517, RFC 8037)."""
        return {**_jwk(self.public), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


def key_id_for(public: PublicKey) -> str:
    """The `kid` of a signing key: its RFC 7638 thumbprint."""
    return VerifyingKey("", public).thumbprint()


def parse_token(token: str) -> Jws:
    """Take a token apart and check its outer form, before any cryptography.

    Raises:
        InvalidTokenError: too long, not three canonical base64url segments, another algorithm or
            type, or header fields beyond `alg`, `typ` and `kid`.
    """
    segments = token.split(".") if len(token) <= TOKEN_BYTES and token.isascii() else ()
    if len(segments) != 3:
        raise InvalidTokenError("a token has three parts and at most 8192 characters")
    header, payload, signature = segments
    return Jws(
        kid=_kid_of(header),
        signed=f"{header}.{payload}".encode("ascii"),
        payload=_decode(payload),
        signature=_decode(signature),
    )


@lru_cache(maxsize=64)  # the tokens of one key have one header
def _kid_of(header: str) -> str:
    fields = parse_object(_decode(header))
    kid = fields.pop("kid", None)
    if fields != {"alg": ALGORITHM, "typ": TYPE}:
        raise InvalidTokenError("the token's header is not one of this service")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise InvalidTokenError("the token names no signing key")
    return kid


def parse_object(data: bytes) -> dict[str, object]:
    """Read a JSON object in which each name stands once.

    Raises:
        InvalidTokenError: anything else.
    """
    try:
        value = _READER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidTokenError("the token's content is not a JSON object with unique names") from None
    if not isinstance(value, dict):
        raise InvalidTokenError("the token's content is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_READER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def _jwk(public: PublicKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _encode(bytes(public))}


def _header_text(typ: str, kid: str) -> str:
    return _encode(_compact({"alg": ALGORITHM, "typ": typ, "kid": kid}))


def _compact(fields: dict[str, str]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(segment: str) -> bytes:
    """Decode base64url; one byte string has one text only, so a token can't be respelled."""
    surplus = len(segment) % 4
    if not segment or (surplus and segment[-1] not in _LAST_DIGITS.get(surplus, ())):
        raise InvalidTokenError("a part of the token is not canonical base64url")
    try:
        padded = segment.encode("ascii").translate(_TO_BASE64) + b"=" * (-surplus % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        raise InvalidTokenError("a part of the token is not base64url") from None
