"""Compact JWS and keys in JSON (RFC 7515, RFC 7517, RFC 7638, RFC 8037), as far as what is signed here needs them.

One byte string has one text only, and in an object each name stands once. Which header and which key something must
have is its reader's business, and so is the error: here it is ValueError throughout.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meroid.ids import ID_BYTES
from meroid.keys.public import PublicKey

KEYS_MOST: Final = 64

# From base64url to base64; what has no place in the first and one in the second becomes what has none in either.
_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/...")
# By length modulo 4: with which digits a text ends whose last bits, those that stand for nothing, are zero.
_LAST_DIGITS: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


@dataclass(frozen=True, slots=True)
class CompactJws:
    """A compact JWS taken apart, not yet verified: the text of its header, what was signed, content and signature."""

    header: str
    signed: bytes
    payload: bytes
    signature: bytes


def split_compact(text: str, *, most: int) -> CompactJws:
    """Take a compact JWS of at most so many characters apart; ValueError if it isn't three parts of base64url."""
    parts = text.split(".") if len(text) <= most and text.isascii() else ()
    if len(parts) != 3:
        raise ValueError(f"it hasn't three parts and at most {most} characters")
    header, payload, signature = parts
    return CompactJws(
        header=header,
        signed=f"{header}.{payload}".encode("ascii"),
        payload=decode_base64url(payload),
        signature=decode_base64url(signature),
    )


def encode_base64url(raw: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of a text that isn't empty; ValueError unless it is the one text that they have."""
    surplus = len(text) % 4
    if not text or (surplus and text[-1] not in _LAST_DIGITS.get(surplus, ())):
        raise ValueError("a part is not canonical base64url")
    try:
        padded = text.encode("ascii").translate(_TO_BASE64) + b"=" * (-surplus % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        raise ValueError("a part is not base64url") from None


def json_object(data: bytes) -> dict[str, object]:
    """A JSON object in which each name stands once; ValueError for anything else."""
    try:
        value = _READER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("the content is not a JSON object with unique names") from None
    if not isinstance(value, dict):
        raise ValueError("the content is not a JSON object")  # noqa: TRY004 - what came in is wrong, no argument
    return value


def compact_json(value: object) -> bytes:
    """JSON without spaces, in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def public_jwk(public: PublicKey | bytes) -> dict[str, str]:
    """An Ed25519 key as a JWK with its required members (RFC 8037 §2)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(bytes(public))}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The RFC 7638 thumbprint of a key with its required members only: SHA-256, base64url."""
    return encode_base64url(hashlib.sha256(compact_json(dict(sorted(jwk.items())))).digest())


def read_key_set(document: object) -> dict[str, PublicKey]:
    """The Ed25519 keys of a JWK set by their ids, at most 64; others are passed over (RFC 7517 §5).

    ValueError if it is no such set.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MOST:
        raise ValueError("this is no set of keys (JWKS)")
    found: dict[str, PublicKey] = {}
    for each in keys:
        match each:
            case {"kty": "OKP", "crv": "Ed25519", "kid": str() as kid, "x": str() as x}:
                raw = decode_base64url(x)
                if len(raw) == ID_BYTES:
                    found[kid] = PublicKey(raw)
            case _:
                pass
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_READER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
