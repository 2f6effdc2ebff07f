"""Passkeys (WebAuthn level 3; extra `passkey`): a browser's credential, bound to the node's host name.

The relying party's id is the host name of the challenge, and the page has to be one of that very
host, over https unless it is this machine. The person must have been verified (PIN, finger, face).
Of attestations only `none` and `packed` are read; they are checked, and nobody's make is required.

The verifier is JSON: the public key (COSE, base64url), the counter of signatures, and a name.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

from meroid.auth.challenge import Challenge
from meroid.auth.first_owner import host_name, is_loopback_host
from meroid.auth.methods import (
    BadProviderDataError,
    Enrolment,
    LoginAttempt,
    VerifiedLogin,
    WrongCredentialsError,
    optional_text_field,
    text_field,
)
from meroid.keys.canonical import tagged_hash

METHOD: Final = "passkey"
RELYING_PARTY: Final = "meroid"

T = TypeVar("T")

_LONGEST_CHALLENGE: Final = 4096
_LONGEST_ID: Final = 1364  # base64url of 1023 bytes, the most that WebAuthn allows
_LONGEST_PART: Final = 64 * 1024
_LONGEST_NAME: Final = 64
_MOST_PARTS: Final = 16
_USER_ID_BYTES: Final = 16
_USER_TAG: Final = "meroid/passkey-user/v1"
_FORMATS: Final = frozenset({"none", "packed"})
# ES256, COSE: the point of P-256 whose x is the tagged hash "meroid/passkey-nobody/v1" over one zero byte. Nobody
# knows its secret; an unknown credential is checked against it, so that this costs what a known one costs.
_NOBODY: Final = base64.urlsafe_b64decode(
    "pQECAyYgASFYIEbGs9kHUxbjLD_ko7duxfn5DroltB_9Xfo7r0HWm1MtIlggt8nWyI5ivxVnfhzL74cHqT2w_nMqQHvmDADWDhDONaA="
)


class PasskeyRefusedError(WrongCredentialsError):
    """The passkey's answer doesn't hold: another challenge, host, page or key, or nobody was verified."""

    code = "passkey_refused"
    next_step = "try again on the node's own page, and confirm with PIN, finger or face"


class PasskeyCounterError(WrongCredentialsError):
    """The passkey's counter went back: somebody may have a copy of it."""

    code = "passkey_copied"
    next_step = "log in with another root key, remove this one, and find out who has a copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is kept of a passkey."""

    key: bytes
    count: int
    name: str

    def to_text(self) -> str:
        key = base64.urlsafe_b64encode(self.key).decode("ascii")
        return json.dumps({"key": key, "count": self.count, "name": self.name}, separators=(",", ":"))

    @classmethod
    def of(cls, verifier: str) -> Self:
        fields = json.loads(verifier)
        return cls(key=base64.urlsafe_b64decode(fields["key"]), count=fields["count"], name=fields["name"])


class PasskeyLogin:
    """`provider_data.challenge`, and `.credential` as a browser's `toJSON()` gives it; `.name` at registration."""

    name: Final = METHOD
    kind: Final = "passkey"
    description: Final = "Sign in with a passkey"
    needs_host: Final = True

    def shown(self) -> Mapping[str, object]:
        """Nothing beyond what every method shows."""
        return {"enabled": True, "description": self.description}

    def options(self, challenge: Challenge) -> Mapping[str, object]:
        """What `navigator.credentials` takes: `create` to register, `get` to log in."""
        from webauthn import generate_authentication_options, generate_registration_options, options_to_json  # noqa: PLC0415 - an extra
        from webauthn.helpers.structs import (  # noqa: PLC0415 - an extra
            AuthenticatorSelectionCriteria,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        create = generate_registration_options(
            rp_id=challenge.audience,
            rp_name=RELYING_PARTY,
            user_name=RELYING_PARTY,
            user_id=tagged_hash(_USER_TAG, challenge.nonce)[:_USER_ID_BYTES],
            challenge=challenge.nonce,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
        )
        get = generate_authentication_options(
            rp_id=challenge.audience,
            challenge=challenge.nonce,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return {"create": json.loads(options_to_json(create)), "get": json.loads(options_to_json(get))}

    def label(self, identifier: str, verifier: str | None) -> str:
        """The name that was given at registration, or the credential's id."""
        return (_Kept.of(verifier).name if verifier is not None else "") or identifier

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The credential's id, base64url without padding."""
        return str(_credential(attempt)["id"]) if attempt.method == METHOD else None

    def challenge_in(self, attempt: LoginAttempt) -> str:
        """The challenge."""
        return text_field(attempt, "challenge", longest=_LONGEST_CHALLENGE)

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check an assertion, and that its counter went on."""
        from webauthn import verify_authentication_response  # noqa: PLC0415 - an extra

        credential, challenge = _credential(attempt), attempt.answered()
        kept = _Kept(key=_NOBODY, count=0, name="") if verifier is None else _Kept.of(verifier)
        verified = _asked_of_library(
            lambda: verify_authentication_response(
                credential=credential,
                expected_challenge=challenge.nonce,
                expected_rp_id=challenge.audience,
                expected_origin=_origin(credential, challenge),
                credential_public_key=kept.key,
                credential_current_sign_count=0,  # the counter is compared below, with an error of its own
                require_user_verification=True,
            )
        )
        if (verified.new_sign_count or kept.count) and verified.new_sign_count <= kept.count:
            raise PasskeyCounterError("the passkey's counter didn't go on")
        moved = verified.new_sign_count != kept.count
        renewed = replace(kept, count=verified.new_sign_count).to_text() if moved else None
        return VerifiedLogin(identifier=str(credential["id"]), verifier=renewed)

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Check a registration."""
        from webauthn import verify_registration_response  # noqa: PLC0415 - an extra

        credential, challenge = _credential(attempt), attempt.answered()
        name = optional_text_field(attempt, "name", longest=_LONGEST_NAME) or ""
        _asked_of_library(lambda: _check_format(credential))
        verified = _asked_of_library(
            lambda: verify_registration_response(
                credential=credential,
                expected_challenge=challenge.nonce,
                expected_rp_id=challenge.audience,
                expected_origin=_origin(credential, challenge),
                require_user_verification=True,
            )
        )
        kept = _Kept(key=verified.credential_public_key, count=verified.sign_count, name=name)
        return VerifiedLogin(identifier=str(credential["id"]), verifier=kept.to_text())


def _credential(attempt: LoginAttempt) -> dict[str, Any]:
    """The credential, bounded; the library reads it.

    Raises:
        BadProviderDataError: it isn't an object of texts with an id.
    """
    match attempt.provider_data.get("credential"):
        case {"id": str() as credential_id, "rawId": str() as raw, "response": dict() as response, **rest} if (
            raw == credential_id and 0 < len(credential_id) <= _LONGEST_ID and len(response) <= _MOST_PARTS
        ):
            pass
        case _:
            raise BadProviderDataError("provider_data.credential is no credential of a browser")
    padded = credential_id + "=" * (-len(credential_id) % 4)
    try:
        again = base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).rstrip(b"=").decode("ascii")
    except ValueError:
        again = ""
    if again != credential_id:
        raise BadProviderDataError("provider_data.credential.id is no canonical base64url")
    if any(isinstance(value, str) and len(value) > _LONGEST_PART for value in response.values()):
        raise BadProviderDataError("provider_data.credential.response is too long")
    return {
        "id": credential_id,
        "rawId": raw,
        "type": rest.get("type", "public-key"),
        "response": response,
    }


def _origin(credential: Mapping[str, Any], challenge: Challenge) -> str:
    """The page's origin, if it is one of the challenge's host.

    Raises:
        PasskeyRefusedError: it is another's, or http on another machine.
    """
    data = credential["response"].get("clientDataJSON")
    try:
        origin = json.loads(base64.urlsafe_b64decode(f"{data}==="))["origin"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PasskeyRefusedError("the passkey's answer names no page") from None
    scheme, _, host = origin.partition("://") if isinstance(origin, str) else ("", "", "")
    secure = scheme == "https" or (scheme == "http" and is_loopback_host(host))
    if not secure or host_name(host) != challenge.audience:
        raise PasskeyRefusedError("the passkey answered to a page of another host")
    return str(origin)


def _check_format(credential: Mapping[str, Any]) -> None:
    from webauthn.helpers import base64url_to_bytes, parse_attestation_object  # noqa: PLC0415 - an extra

    attestation = parse_attestation_object(base64url_to_bytes(credential["response"]["attestationObject"]))
    if str(getattr(attestation.fmt, "value", attestation.fmt)) not in _FORMATS:
        raise PasskeyRefusedError("the attestation has a format that isn't read here")


def _asked_of_library(work: Callable[[], T]) -> T:
    """What the library makes of a stranger's bytes; whatever it raises is one refusal."""
    try:
        return work()
    except WrongCredentialsError:
        raise
    except Exception:  # noqa: BLE001 - its parsers raise many kinds, of several packages
        raise PasskeyRefusedError("the passkey's answer doesn't hold") from None
