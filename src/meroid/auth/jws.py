"""Compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), and nothing else.

joserfc does the format; signing and verifying go through libsodium, as everywhere in meroid.
What joserfc would let pass is refused before it looks: base64url that isn't canonical, JSON with
a name twice, header fields that aren't ours.
"""

import base64
import binascii
import json
import re
from typing import Final

import nacl.bindings
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry, deserialize_compact, serialize_compact

from meroid.errors import UnauthenticatedError
from meroid.keys.public import BadSignatureError, PublicKey, verify_signature
from meroid.keys.signer import Secret

ALGORITHM: Final = "EdDSA"
TYPE: Final = "JWT"
TOKEN_BYTES: Final = 8192
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class InvalidTokenError(UnauthenticatedError):
    """The token is malformed, not signed by this service, or not meant for it."""

    code = "invalid_token"
    next_step = "log in again"


class _LibsodiumEdDSA(JWSAlgModel):
    name = ALGORITHM
    description = "EdDSA over Ed25519 by libsodium"
    recommended = True
    key_type = "OKP"

    def sign(self, msg: bytes, key: OKPKey) -> bytes:
        private = key.private_key
        if private is None:
            raise ValueError("a public key doesn't sign")
        seed, public = private.private_bytes_raw(), key.public_key.public_bytes_raw()
        return nacl.bindings.crypto_sign(msg, seed + public)[: nacl.bindings.crypto_sign_BYTES]

    def verify(self, msg: bytes, sig: bytes, key: OKPKey) -> bool:
        try:
            verify_signature(PublicKey(key.public_key.public_bytes_raw()), msg, sig)
        except BadSignatureError:
            return False
        return True


class _Registry(JWSRegistry):
    """Knows one algorithm, whatever is registered elsewhere in the process."""

    def __init__(self) -> None:
        super().__init__(algorithms=[ALGORITHM])
        self.algorithms = {ALGORITHM: _LibsodiumEdDSA()}
        self.recommended = [ALGORITHM]
        self.max_payload_length = TOKEN_BYTES


_REGISTRY: Final = _Registry()


class SigningKey:
    """A private key with its id, ready to sign."""

    __slots__ = ("_key", "kid", "public")

    def __init__(self, kid: str, seed: Secret) -> None:
        public, _ = nacl.bindings.crypto_sign_seed_keypair(seed.reveal())
        self.kid = kid
        self.public = PublicKey(public)
        private: dict[str, str | list[str]] = {**_jwk(self.public), "d": _encode(seed.reveal())}
        self._key = OKPKey.import_key(private)

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"

    def sign(self, payload: bytes, *, media_type: str = TYPE) -> str:
        """The payload as a compact JWS with this key's id in its header; `media_type` is the header's `typ`."""
        header = {"alg": ALGORITHM, "typ": media_type, "kid": self.kid}
        return serialize_compact(header, payload, self._key, registry=_REGISTRY)


class VerifyingKey:
    """A public key with its id, ready to verify."""

    __slots__ = ("_key", "kid", "public")

    def __init__(self, kid: str, public: PublicKey) -> None:
        self.kid = kid
        self.public = public
        self._key = OKPKey.import_key({**_jwk(public)})

    def verify(self, token: str) -> bytes:
        """The payload of a token that this key signed.

        Raises:
            InvalidTokenError: it didn't.
        """
        try:
            return deserialize_compact(token, self._key, registry=_REGISTRY).payload
        except (JoseError, ValueError, TypeError):
            raise InvalidTokenError("the signature doesn't hold") from None

    def thumbprint(self) -> str:
        """RFC 7638 thumbprint of the public key, base64url."""
        return self._key.thumbprint()

    def public_jwk(self) -> dict[str, str]:
        """The key as a JWK for verifying signatures (RFC 7517, RFC 8037)."""
        return {**_jwk(self.public), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


def key_id_for(public: PublicKey) -> str:
    """The `kid` of a signing key: its RFC 7638 thumbprint."""
    return VerifyingKey("", public).thumbprint()


def parse_header(token: str) -> str:
    """Check a token's outer form, before any cryptography, and return its `kid`.

    Raises:
        InvalidTokenError: too long, not three canonical base64url segments, another algorithm or
            type, or header fields beyond `alg`, `typ` and `kid`.
    """
    segments = token.split(".") if len(token) <= TOKEN_BYTES and token.isascii() else ()
    if len(segments) != 3:
        raise InvalidTokenError("a token has three parts and at most 8192 characters")
    header, _, _ = (_decode(segment) for segment in segments)
    fields = parse_object(header)
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
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
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


def _jwk(public: PublicKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _encode(bytes(public))}


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(segment: str) -> bytes:
    """Decode base64url; one byte string has one text only, so a token can't be respelled."""
    if not _SEGMENT.fullmatch(segment):
        raise InvalidTokenError("a part of the token is not base64url")
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise InvalidTokenError("a part of the token is not base64url") from None
    if _encode(raw) != segment:
        raise InvalidTokenError("a part of the token is not canonical base64url")
    return raw
