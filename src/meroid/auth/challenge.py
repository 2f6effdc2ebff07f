"""Challenges: what a wallet or a key signs to log in.

A challenge is a signed text (JWS) and stands nowhere until it is used: asking for many costs no
storage. It ends after five minutes, is for one method, and for the host name under which it was
asked for: its `aud`. Who signs one looks at that name first, so that a challenge which another
site passed on is of no use to it. Using one keeps its nonce until it has ended.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meroid.auth.first_owner import host_name
from meroid.errors import ForbiddenError, UnauthenticatedError

LIFETIME_MS: Final = 5 * 60_000
NONCE_BYTES: Final = 32
TYPE: Final = "challenge"

_HOST: Final = re.compile(r"[a-z0-9._:-]{1,253}", re.ASCII)  # as long as a name can be (RFC 1035 §2.3.4)
_ID_BYTES: Final = 16
_GREATEST_TIME_S: Final = 2**53


class BadChallengeError(UnauthenticatedError):
    """The challenge isn't one of this service, or is for another method or another host name."""

    code = "bad_challenge"
    next_step = "ask for a challenge of this method at the address that you log in to, and sign that one"


class ChallengeExpiredError(UnauthenticatedError):
    """The challenge is older than five minutes."""

    code = "challenge_expired"
    next_step = "ask for another challenge and sign it within five minutes"


class ChallengeUsedError(UnauthenticatedError):
    """Somebody logged in with this challenge before."""

    code = "challenge_used"
    next_step = "ask for another challenge; each works once"


class UnknownHostError(ForbiddenError):
    """The node doesn't know that it has this host name, so a signature under it would bind to nothing."""

    code = "host_unknown"
    next_step = "add the name to server.allowed_hosts of the node, or use an address of the machine itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge.

    Attributes:
        text: the signed text, ASCII, as it was given out.
        method: the log-in method that it is for.
        audience: the host name that it was asked for under, lower case, without port.
        nonce: 32 random bytes.
        expires_at: ms since the epoch; it holds before this time.
    """

    text: str
    method: str
    audience: str
    nonce: bytes
    expires_at: int

    @property
    def nonce_text(self) -> str:
        """The nonce as the wire has it: base64 with padding."""
        return base64.b64encode(self.nonce).decode("ascii")


def audience_of(host: str | None) -> str:
    """The audience that a `Host` header stands for: its name without port, in lower case.

    Raises:
        UnknownHostError: there is none, or it can't be a name.
    """
    name = host_name(host or "")
    if not _HOST.fullmatch(name):
        raise UnknownHostError("the request names no host")
    return name


def new_challenge_claims(method: str, audience: str, *, issuer: str, at: int) -> dict[str, object]:
    """The claims of a challenge, with a random nonce; times in seconds (RFC 7519)."""
    return {
        "iss": issuer,
        "aud": audience,
        "jti": secrets.token_hex(_ID_BYTES),
        "iat": at // 1000,
        "exp": (at + LIFETIME_MS) // 1000,
        "token_type": TYPE,
        "method": method,
        "nonce": base64.b64encode(secrets.token_bytes(NONCE_BYTES)).decode("ascii"),
    }


def encode_claims(claims: Mapping[str, object]) -> bytes:
    """The claims as compact ASCII JSON."""
    return json.dumps(claims, separators=(",", ":")).encode("ascii")


def read_challenge(text: str, fields: Mapping[str, object], *, issuer: str) -> Challenge:
    """The challenge in claims whose signature holds.

    Raises:
        BadChallengeError: a claim is missing or of another kind: a token, for example.
    """
    match fields:
        case {
            "iss": str() as made_by,
            "aud": str() as audience,
            "exp": int() as expires_at,
            "token_type": str() as kind,
            "method": str() as method,
            "nonce": str() as nonce,
        } if made_by == issuer and kind == TYPE and 0 <= expires_at <= _GREATEST_TIME_S:
            pass
        case _:
            raise BadChallengeError("this is no challenge of this service")
    try:
        raw = base64.b64decode(nonce, validate=True)
    except (binascii.Error, ValueError):
        raise BadChallengeError("the challenge's nonce is malformed") from None
    if len(raw) != NONCE_BYTES:
        raise BadChallengeError("the challenge's nonce is malformed")
    return Challenge(text=text, method=method, audience=audience, nonce=raw, expires_at=expires_at * 1000)


def check_challenge(challenge: Challenge, *, method: str, audience: str, at: int) -> None:
    """Refuse a challenge that isn't for this log-in.

    Raises:
        BadChallengeError: it is for another method or host name.
        ChallengeExpiredError: it is past its time.
    """
    if challenge.method != method:
        raise BadChallengeError(f"the challenge is for the method {challenge.method}, not {method}")
    if challenge.audience != audience:
        raise BadChallengeError("the challenge was asked for under another host name")
    if at >= challenge.expires_at:
        raise ChallengeExpiredError("the challenge has expired")
