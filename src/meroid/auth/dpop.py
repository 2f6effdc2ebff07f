"""Proofs that a caller holds the key that its token is bound to (DPoP, RFC 9449).

A proof is a JWS of type `dpop+jwt`, signed with EdDSA over Ed25519 or with ES256 (keys that a browser's
WebCrypto keeps to itself), whose header holds the public key. It is good for one request: method and address
(`htm`, `htu`), a minute (`iat`), one token (`ath`), and once (`jti`). What a token is bound to is the key's
thumbprint (RFC 7638), its claim `cnf.jkt`.

Here is what can be judged without a memory; that a proof is used once is the store's part.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from meroid.errors import UnauthenticatedError
from meroid.keys.jose import decode_base64url, encode_base64url, json_object, split_compact, thumbprint
from meroid.keys.public import BadPublicKeyError, BadSignatureError, PublicKey, verify_signature

PROOF_TYPE: Final = "dpop+jwt"
WINDOW_MS: Final = 60_000
"""How far `iat` may lie before or behind the clock here."""
PROOF_CHARACTERS: Final = 4096

_JTI: Final = re.compile(r"[!-~]{8,256}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[!-~]*)?", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_FIELD_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_LATEST_S: Final = 2**53


class BadProofError(UnauthenticatedError):
    """The proof of the key is malformed, of another key, request, token or time, or was used before."""

    code = "bad_dpop_proof"
    next_step = "make a new proof for each request, with the key of the token and a clock that is right"


class ProofRequiredError(UnauthenticatedError):
    """The token is bound to a key, and the request comes without a proof of that key."""

    code = "proof_required"
    next_step = "send a DPoP proof (RFC 9449) made with the key that the token is bound to"


class ProofUnjudgedError(UnauthenticatedError):
    """The token is bound to a key, and which request the proof is for can't be told here."""

    code = "proof_unjudged"
    next_step = (
        "add the host name to server.allowed_hosts; behind a proxy, add that to server.trusted_proxies and let it set "
        "X-Forwarded-For, -Proto and -Host, and for /auth/validate -Method and -Uri"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The request that a proof is for: method in upper case, address as the client sees it, without query."""

    method: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a request shows beside its token.

    `proof` is the text of the proof, if there is one; `target` is what the proof has to name, or nothing
    where that can't be told.
    """

    proof: str | None = None
    target: Target | None = None

    def __repr__(self) -> str:
        return f"Shown(target={self.target!r})"


NOTHING_SHOWN: Final = Shown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof whose signature holds; `key` is the thumbprint of its key, `issued_at` in seconds."""

    key: str
    proof_id: str
    method: str
    url: str
    issued_at: int
    token_hash: str | None

    @property
    def digest(self) -> bytes:
        """32 bytes that only this proof has: two keys may pick the same `jti`."""
        return hashlib.sha256(f"{self.key}.{self.proof_id}".encode("ascii")).digest()

    @property
    def forgotten_at(self) -> int:
        """From when on its time alone refuses it, ms."""
        return self.issued_at * 1000 + WINDOW_MS + 1000


def verify_proof(shown: Shown, at: int, *, token: str | None = None) -> Proof:
    """The proof of a request, for this token if there is one; `at` in ms.

    Raises:
        ProofRequiredError: there is none.
        ProofUnjudgedError: nobody can say what it should be for.
        BadProofError: it isn't for this.
    """
    if not shown.proof:
        raise ProofRequiredError("this token is bound to a key, and no proof of it was sent")
    if shown.target is None:
        raise ProofUnjudgedError("under which address the client sent this request can't be told")
    proof = read_proof(shown.proof)
    if proof.method != shown.target.method:
        raise BadProofError("the proof is for another method (htm)")
    wanted = normal_url(shown.target.url)
    if wanted is None or normal_url(proof.url) != wanted:
        raise BadProofError("the proof is for another address (htu)")
    if abs(at - proof.issued_at * 1000) > WINDOW_MS:
        raise BadProofError("the proof is too old, or of the future (iat)")
    if token is not None and proof.token_hash != token_hash(token):
        raise BadProofError("the proof is for another token (ath)")
    return proof


def check_key(proof: Proof, key: str) -> None:
    """Refuse the proof of another key than the one that a token is bound to.

    Raises:
        BadProofError: it is another.
    """
    if proof.key != key:
        raise BadProofError("the token is bound to another key")


def read_proof(text: str) -> Proof:
    """Read a proof and verify its signature.

    Raises:
        BadProofError: anything wrong with it by itself.
    """
    try:
        parts = split_compact(text, most=PROOF_CHARACTERS)
        header, claims = json_object(decode_base64url(parts.header)), json_object(parts.payload)
    except ValueError as problem:
        raise BadProofError(f"this is no proof: {problem}") from None
    if header.keys() != {"typ", "alg", "jwk"} or header["typ"] != PROOF_TYPE:
        raise BadProofError("the header of a proof holds typ (dpop+jwt), alg and jwk, and nothing else")
    jwk = _texts(header["jwk"])
    match header["alg"], jwk:
        case "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": x} if len(jwk) == 3:
            _verify_ed25519(_field(x), parts.signed, parts.signature)
        case "ES256", {"kty": "EC", "crv": "P-256", "x": x, "y": y} if len(jwk) == 4:
            _verify_p256(_field(x), _field(y), parts.signed, parts.signature)
        case _:
            raise BadProofError("the key is no public Ed25519 key (EdDSA) and no P-256 key (ES256), and nothing else")
    return _proof(thumbprint(jwk), claims)


def is_thumbprint(text: object) -> bool:
    """True for 43 characters of base64url."""
    return isinstance(text, str) and _THUMBPRINT.fullmatch(text) is not None


def token_hash(token: str) -> str:
    """The claim `ath` for a token."""
    return encode_base64url(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())


def normal_url(url: str) -> str | None:
    """An address as two of them are compared: scheme and host in lower case, no default port, query or fragment.

    The path is compared as it stands. Nothing for what is no http address.
    """
    found = _URL.fullmatch(url.partition("#")[0].partition("?")[0])
    if found is None:
        return None
    scheme, host, port, path = found.groups()
    scheme, shown_port = scheme.lower(), port or ""
    if shown_port == _DEFAULT_PORTS[scheme]:
        shown_port = ""
    return f"{scheme}://{host.lower()}{shown_port}{path or '/'}"


def _proof(key: str, claims: Mapping[str, object]) -> Proof:
    match claims:
        case {"jti": str() as jti, "htm": str() as method, "htu": str() as url, "iat": int() as issued_at} if (
            _JTI.fullmatch(jti) and not isinstance(issued_at, bool) and 0 <= issued_at <= _LATEST_S
        ):
            ath = claims.get("ath")
            if ath is not None and not is_thumbprint(ath):
                raise BadProofError("ath is the SHA-256 of the token in base64url")
            return Proof(
                key=key,
                proof_id=jti,
                method=method,
                url=url,
                issued_at=issued_at,
                token_hash=ath if isinstance(ath, str) else None,
            )
        case _:
            raise BadProofError("a proof says jti (8 to 256 printable characters), htm, htu and iat (seconds)")


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise BadProofError("jwk is a public key")
    return value


def _field(text: str) -> bytes:
    try:
        raw = decode_base64url(text)
    except ValueError:
        raw = b""
    if len(raw) != _FIELD_BYTES:
        raise BadProofError("a coordinate of the key is not 32 bytes")
    return raw


def _verify_ed25519(x: bytes, signed: bytes, signature: bytes) -> None:
    try:
        verify_signature(PublicKey(x).checked(), signed, signature)
    except (BadSignatureError, BadPublicKeyError):
        raise BadProofError("the signature of the proof doesn't hold") from None


def _verify_p256(x: bytes, y: bytes, signed: bytes, signature: bytes) -> None:
    if len(signature) != _SIGNATURE_BYTES:
        raise BadProofError("the signature of the proof doesn't hold")
    half = _SIGNATURE_BYTES // 2
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    try:
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1()).public_key()
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        raise BadProofError("the signature of the proof doesn't hold") from None
