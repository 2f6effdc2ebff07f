"""Delegation certificates: the account key says that a client key acts for the account.

An envelope (`keys.envelope`) whose payload is a canonical map of all fields below. It is private
to its holder and the holder's auth service, since it links a client key to an account; it is
shown to a third party by choice alone. The key log has its digest, which covers the signature, so
the log links nothing; a certificate in the log outlives rotations, until its serial is revoked.
"""

from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.account.account_state import VerifiedKeyLog
from meroid.account.changes import Delegation
from meroid.errors import ForbiddenError, IntegrityError, InvalidInputError
from meroid.ids import ID_BYTES, AccountId, ContextId
from meroid.keys.armour import armour, unarmour
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer

_TAG: Final = "meroid/delegation-certificate/v1"
_DIGEST_TAG: Final = "meroid/delegation-certificate-digest/v1"
_KIND: Final = "MEROID DELEGATION CERTIFICATE"
_LATEST: Final = 2**63


class BadCertificateError(IntegrityError):
    """The bytes aren't a delegation certificate of this account key."""

    code = "bad_certificate"
    next_step = "have the certificate issued anew by the account"


class CertificateExpiredError(InvalidInputError):
    """The certificate ended before the time at which it is used."""

    code = "certificate_expired"
    next_step = "have the certificate issued anew by the account"


class CertificateNotInForceError(ForbiddenError):
    """The account's key log doesn't have this certificate, or has it revoked."""

    code = "certificate_not_in_force"
    next_step = "get a later copy of the account's key log, or have a new certificate issued by the account"


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationCertificate:
    """What the account key signs.

    `permissions` is the ceiling of what the client key may do for the account, sorted, each once.
    `serial` counts the certificates of the account: `next_serial` of its state. Times in ms since the epoch, UTC; the
    certificate holds before `expires_at`, or for good.

    Raises:
        BadCertificateError: permissions out of order, or a number out of range.
    """

    account_id: AccountId
    client_key: PublicKey
    context_id: ContextId | None
    permissions: tuple[str, ...]
    serial: int
    expires_at: int | None

    def __post_init__(self) -> None:
        if tuple(sorted(set(self.permissions))) != self.permissions:
            raise BadCertificateError("the permissions are sorted and each stands once")
        if not 0 <= self.serial < _LATEST or not 0 <= (self.expires_at or 0) < _LATEST:
            raise BadCertificateError("the serial or the expiry is out of range")

    def payload(self) -> bytes:
        """The canonical bytes that are signed."""
        return canonical_bytes(
            {
                "account": self.account_id,
                "client_key": self.client_key,
                "context": self.context_id,
                "permissions": self.permissions,
                "serial": self.serial,
                "expires_at": self.expires_at,
            }
        )


def issue_certificate(certificate: DelegationCertificate, *signers: Signer) -> bytes:
    """Sign a certificate with the account's current key or keys."""
    return Envelope.sign(_TAG, certificate.payload(), *signers).encoded


def certificate_digest(data: bytes) -> bytes:
    """What the key log says of a certificate; 32 bytes."""
    return tagged_hash(_DIGEST_TAG, data)


def delegation_of(certificate: DelegationCertificate, data: bytes) -> Delegation:
    """The change of the key log that puts an issued certificate in force."""
    return Delegation(serial=certificate.serial, certificate=certificate_digest(data))


def verify_certificate(data: bytes, account_key: PublicKey, *, at: int) -> DelegationCertificate:
    """Verify a certificate with nothing but the account's public key; `at` in ms since the epoch.

    That the key is the current one of `account_id` is for the account's key log to say.

    Raises:
        BadCertificateError: malformed, too large, or signed by another key.
        NotCanonicalError, BadEnvelopeError: not an envelope.
        BadSignatureError, BadPublicKeyError: the signature or the client key doesn't hold.
        CertificateExpiredError: it ended.
    """
    envelope = _envelope(data)
    if envelope.signers != (account_key,):
        raise BadCertificateError("the certificate is not signed by this account key, and by it alone")
    return _certificate(envelope, at)


def verify_delegated(data: bytes, log: VerifiedKeyLog, *, at: int) -> DelegationCertificate:
    """Verify a certificate that an account's key log says is in force; `at` in ms since the epoch.

    The log's entry was signed by the account's keys of its time, so those may be retired by now.

    Raises:
        CertificateNotInForceError: of another account, revoked, or not in the log.
        BadCertificateError, CertificateExpiredError and others: as `verify_certificate`.
    """
    certificate = _certificate(_envelope(data), at)
    if certificate.account_id != log.account_id:
        raise CertificateNotInForceError("the certificate is of another account")
    if log.state.delegations.get(certificate.serial) != certificate_digest(data):
        raise CertificateNotInForceError("the account's key log has no such certificate in force")
    return certificate


def certificate_text(data: bytes) -> str:
    """A certificate as a text file."""
    return armour(_KIND, data)


def parse_certificate_text(text: str) -> bytes:
    """The bytes of a certificate in a text file; nothing is verified yet.

    Raises:
        BadArmourError: the text isn't a certificate, or was cut.
    """
    return unarmour(_KIND, text, most=limits.CERTIFICATE_BYTES.value)


def _envelope(data: bytes) -> Envelope:
    if len(data) > limits.CERTIFICATE_BYTES.value:
        raise BadCertificateError(f"a certificate has at most {limits.CERTIFICATE_BYTES.value} bytes")
    return Envelope.parse(data)


def _certificate(envelope: Envelope, at: int) -> DelegationCertificate:
    envelope.verify(_TAG)
    certificate = _parse(parse_canonical(envelope.payload))
    if certificate.expires_at is not None and at >= certificate.expires_at:
        raise CertificateExpiredError("the certificate has expired")
    return certificate


def _parse(fields: Value) -> DelegationCertificate:
    match fields:
        case {
            "account": bytes() as account,
            "client_key": bytes() as client_key,
            "context": bytes() | None as context,
            "permissions": [*_] as permissions,
            "serial": int() as serial,
            "expires_at": int() | None as expires_at,
            **rest,
        } if not rest and not isinstance(serial, bool) and not isinstance(expires_at, bool):
            pass
        case _:
            raise BadCertificateError("the payload doesn't have the fields of a certificate")
    if any(len(part) != ID_BYTES for part in (account, client_key, account if context is None else context)):
        raise BadCertificateError("ids and keys have 32 bytes")
    return DelegationCertificate(
        account_id=AccountId(account),
        client_key=PublicKey(client_key).checked(),
        context_id=None if context is None else ContextId(context),
        permissions=tuple(_permission(text) for text in permissions),
        serial=serial,
        expires_at=expires_at,
    )


def _permission(text: Value) -> str:
    if not isinstance(text, str):
        raise BadCertificateError("a permission is a text")
    return text
