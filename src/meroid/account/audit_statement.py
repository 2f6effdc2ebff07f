"""The signed head of an audit trail: a compact JWS (RFC 7515, EdDSA) that anybody verifies with the published keys.

Its header is `{"alg":"EdDSA","kid":…,"typ":"audit+jwt"}`, so that it is never taken for a token; its claims are
`iss`, `iat` (seconds), `count` and `head` (hex of the last event's hash).
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meroid.account.audit import AuditHead
from meroid.errors import IntegrityError
from meroid.ids import ID_BYTES
from meroid.keys.public import BadSignatureError, PublicKey, verify_signature

STATEMENT_TYPE: Final = "audit+jwt"
STATEMENT_CHARACTERS: Final = 2048
KEYS_MOST: Final = 64


class BadStatementError(IntegrityError):
    """The statement about the head isn't one, or isn't signed by one of these keys."""

    code = "audit_bad_statement"
    next_step = "get /auth/jwks.json of the node that made the export, as it was then, and name it with --jwks"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatement:
    """What a service said of its trail; `at` in ms."""

    issuer: str
    at: int
    head: AuditHead
    kid: str


def statement_claims(issuer: str, head: AuditHead, at: int) -> dict[str, object]:
    """The claims of a statement; `at` in ms."""
    return {"iss": issuer, "iat": at // 1000, "count": head.count, "head": head.digest.hex()}


def read_statement(token: str, keys: Mapping[str, PublicKey]) -> AuditStatement:
    """Verify a statement with the keys by their ids.

    Raises:
        BadStatementError: malformed, of another type, or not signed by the key that it names.
    """
    parts = token.split(".") if len(token) <= STATEMENT_CHARACTERS and token.isascii() else []
    if len(parts) != 3:
        raise BadStatementError("the statement isn't a compact JWS")
    header, claims = (_object(_decode(each)) for each in parts[:2])
    kid = header.get("kid")
    if header != {"alg": "EdDSA", "typ": STATEMENT_TYPE, "kid": kid} or not isinstance(kid, str):
        raise BadStatementError("the statement has the header of something else")
    key = keys.get(kid)
    if key is None:
        raise BadStatementError(f"the statement is signed by a key that isn't among these: {kid[:64]}")
    try:
        verify_signature(key, f"{parts[0]}.{parts[1]}".encode("ascii"), _decode(parts[2]))
    except BadSignatureError:
        raise BadStatementError("the signature of the statement doesn't hold") from None
    return _statement(claims, kid)


def read_key_set(document: object) -> dict[str, PublicKey]:
    """The Ed25519 keys of a JWK set (RFC 7517, RFC 8037) by their ids; others are passed over.

    Raises:
        BadStatementError: it is no such set.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MOST:
        raise BadStatementError("this is no set of keys (JWKS)")
    found: dict[str, PublicKey] = {}
    for each in keys:
        if not isinstance(each, dict) or (each.get("kty"), each.get("crv")) != ("OKP", "Ed25519"):
            continue
        kid, x = each.get("kid"), each.get("x")
        raw = _decode(x) if isinstance(x, str) else b""
        if isinstance(kid, str) and len(raw) == ID_BYTES:
            found[kid] = PublicKey(raw)
    return found


def _statement(claims: Mapping[str, object], kid: str) -> AuditStatement:
    issuer, iat, count, head = (claims.get(each) for each in ("iss", "iat", "count", "head"))
    if not isinstance(issuer, str) or type(iat) is not int or type(count) is not int or not isinstance(head, str):
        raise BadStatementError("the statement doesn't say what it is about")
    try:
        digest = bytes.fromhex(head)
    except ValueError:
        digest = b""
    if len(digest) != ID_BYTES or count < 0:
        raise BadStatementError("the statement names no head")
    return AuditStatement(issuer=issuer, at=iat * 1000, head=AuditHead(count=count, digest=digest), kid=kid)


def _object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise BadStatementError("a part of the statement is no JSON object") from None
    if not isinstance(value, dict):
        raise BadStatementError("a part of the statement is no JSON object")
    return value


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _decode(text: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise BadStatementError("a part of the statement is not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text:
        raise BadStatementError("a part of the statement is not canonical base64url")
    return raw
