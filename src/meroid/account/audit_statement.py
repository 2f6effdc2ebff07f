"""The signed head of an audit trail: a compact JWS (RFC 7515, EdDSA) that anybody verifies with the published keys.

Its header is `{"alg":"EdDSA","kid":…,"typ":"audit+jwt"}`, so that it is never taken for a token; its claims are
`iss`, `iat` (seconds), `count` and `head` (hex of the last event's hash).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meroid.account.audit import AuditHead
from meroid.errors import IntegrityError
from meroid.ids import ID_BYTES
from meroid.keys.jose import decode_base64url, json_object, read_key_set as read_jwk_set, split_compact
from meroid.keys.public import BadSignatureError, PublicKey, verify_signature

STATEMENT_TYPE: Final = "audit+jwt"
STATEMENT_CHARACTERS: Final = 2048


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
    try:
        parts = split_compact(token, most=STATEMENT_CHARACTERS)
        header, claims = json_object(decode_base64url(parts.header)), json_object(parts.payload)
    except ValueError as problem:
        raise BadStatementError(f"this is no statement: {problem}") from None
    kid = header.get("kid")
    if header != {"alg": "EdDSA", "typ": STATEMENT_TYPE, "kid": kid} or not isinstance(kid, str):
        raise BadStatementError("the statement has the header of something else")
    key = keys.get(kid)
    if key is None:
        raise BadStatementError(f"the statement is signed by a key that isn't among these: {kid[:64]}")
    try:
        verify_signature(key, parts.signed, parts.signature)
    except BadSignatureError:
        raise BadStatementError("the signature of the statement doesn't hold") from None
    return _statement(claims, kid)


def read_key_set(document: object) -> dict[str, PublicKey]:
    """The Ed25519 keys of a JWK set (RFC 7517, RFC 8037) by their ids; others are passed over.

    Raises:
        BadStatementError: it is no such set.
    """
    try:
        return read_jwk_set(document)
    except ValueError as problem:
        raise BadStatementError(str(problem)) from None


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
