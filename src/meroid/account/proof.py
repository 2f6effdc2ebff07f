"""Identity proofs: files by which anyone, offline, sees that a client key belongs to an account.

An envelope (`keys.envelope`) signed by the client key, which shows possession, and by the account's
current key or keys. Its payload is a canonical map of the fields of `IdentityProof`. It is made by
choice alone, for one audience, and links the client key to the account for whoever reads it.

Whoever has the file can show it, but to its audience only and until it expires.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.account.account_state import VerifiedKeyLog
from meroid.account.authority import AccountKeys
from meroid.errors import ForbiddenError, IntegrityError, InvalidInputError
from meroid.ids import ID_BYTES, AccountId, ContextId
from meroid.keys.armour import armour, unarmour
from meroid.keys.canonical import canonical_bytes, parse_canonical
from meroid.keys.envelope import Envelope
from meroid.keys.public import PublicKey
from meroid.keys.signer import Signer

_TAG: Final = "meroid/identity-proof/v1"
_KIND: Final = "MEROID IDENTITY PROOF"
_LATEST: Final = 2**63


class BadProofError(IntegrityError):
    """The bytes aren't an identity proof."""

    code = "bad_proof"
    next_step = "have the proof made anew: `meroctl identity prove`"


class ProofNotOfAccountError(ForbiddenError):
    """The account in question didn't make the proof, or the client key didn't."""

    code = "proof_not_of_account"
    next_step = "check which account's key or id you compare with, and have the proof made anew by its owner"


class ProofDelegationRevokedError(ForbiddenError):
    """The account no longer stands by the client key."""

    code = "proof_delegation_revoked"
    next_step = "ask the account's owner for a proof of a client key that is in force"


class ProofWrongAudienceError(ForbiddenError):
    """The proof was made for somebody else."""

    code = "proof_wrong_audience"
    next_step = "have a proof made for you: `meroctl identity prove --to AUDIENCE`"


class ProofExpiredError(InvalidInputError):
    """The proof ended before the time at which it is used."""

    code = "proof_expired"
    next_step = "have the proof made anew: `meroctl identity prove`"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProof:
    """What both keys sign: this client key belongs to this account.

    `context_id` is named by choice. `serial` is that of a delegation in the account's key log, if
    the client key has one. `audience` is whom it is for, a name or an origin, compared as it is.
    The proof holds before `expires_at`, ms since the epoch, UTC.

    Raises:
        BadProofError: no audience, or a field out of range.
    """

    account_id: AccountId
    client_key: PublicKey
    context_id: ContextId | None
    serial: int | None
    audience: str
    expires_at: int

    def __post_init__(self) -> None:
        if not 0 < len(self.audience.encode()) <= limits.PROOF_AUDIENCE.value or not self.audience.isprintable():
            raise BadProofError(f"an audience is printable and has 1 to {limits.PROOF_AUDIENCE.value} bytes")
        if not 0 <= self.expires_at < _LATEST or not 0 <= (self.serial or 0) < _LATEST:
            raise BadProofError("the serial or the expiry is out of range")

    def payload(self) -> bytes:
        """The canonical bytes that are signed."""
        return canonical_bytes(
            {
                "account": self.account_id,
                "client_key": self.client_key,
                "context": self.context_id,
                "serial": self.serial,
                "audience": self.audience,
                "expires_at": self.expires_at,
            }
        )


def make_proof(proof: IdentityProof, client: Signer, account: Iterable[Signer]) -> bytes:
    """Sign a proof with the client key and with the account's current key or keys.

    Raises:
        ValueError: the client's signer has another key than the proof names.
    """
    if client.public_key != proof.client_key:
        raise ValueError("the proof names another client key")
    return Envelope.sign(_TAG, proof.payload(), client, *account).encoded


def verify_proof(data: bytes, account: PublicKey | VerifiedKeyLog, *, audience: str, at: int) -> IdentityProof:
    """Verify a proof, offline.

    Args:
        data: the proof's bytes.
        account: the account's public key, however it was learned, or its key log. With the key
            alone, the account id in the proof is only what this key says of itself.
        audience: whom the proof has to be for.
        at: the time, ms since the epoch.

    Raises:
        BadProofError, NotCanonicalError, BadEnvelopeError: no proof.
        BadSignatureError, BadPublicKeyError: it was changed, or a key is unusable.
        ProofNotOfAccountError: by other keys than the account's current ones and the client key.
        ProofDelegationRevokedError: the log has no delegation with the proof's serial in force.
        ProofWrongAudienceError, ProofExpiredError: for somebody else, or too old.
    """
    if len(data) > limits.PROOF_BYTES.value:
        raise BadProofError(f"a proof has at most {limits.PROOF_BYTES.value} bytes")
    envelope = Envelope.parse(data)
    proof = _parse(envelope.payload)
    _check_signers(envelope, proof, AccountKeys.of(account) if isinstance(account, PublicKey) else account.state.keys)
    envelope.verify(_TAG)
    if isinstance(account, VerifiedKeyLog):
        _check_log(proof, account)
    if proof.audience != audience:
        raise ProofWrongAudienceError("the proof was made for another audience")
    if at >= proof.expires_at:
        raise ProofExpiredError("the proof has expired")
    return proof


def proof_text(data: bytes) -> str:
    """A proof as a text file."""
    return armour(_KIND, data)


def parse_proof_text(text: str) -> bytes:
    """The bytes of a proof in a text file; nothing is verified yet.

    Raises:
        BadArmourError: the text isn't a proof, or was cut.
    """
    return unarmour(_KIND, text, most=limits.PROOF_BYTES.value)


def _check_signers(envelope: Envelope, proof: IdentityProof, keys: AccountKeys) -> None:
    signers = frozenset(envelope.signers)
    if proof.client_key not in signers:
        raise ProofNotOfAccountError("the client key didn't sign the proof")
    by_account = signers - {proof.client_key}
    if not by_account <= frozenset(keys.keys) or len(by_account) < keys.threshold:
        raise ProofNotOfAccountError("the proof is not signed by the current keys of this account")


def _check_log(proof: IdentityProof, log: VerifiedKeyLog) -> None:
    if proof.account_id != log.account_id:
        raise ProofNotOfAccountError("the proof is of another account")
    if proof.serial is not None and proof.serial not in log.state.delegations:
        raise ProofDelegationRevokedError("the account's key log has no such delegation in force")


def _parse(payload: bytes) -> IdentityProof:
    match parse_canonical(payload):
        case {
            "account": bytes() as account,
            "client_key": bytes() as client_key,
            "context": bytes() | None as context,
            "serial": int() | None as serial,
            "audience": str() as audience,
            "expires_at": int() as expires_at,
            **rest,
        } if not rest and not isinstance(serial, bool) and not isinstance(expires_at, bool):
            pass
        case _:
            raise BadProofError("the payload doesn't have the fields of a proof")
    if any(len(part) != ID_BYTES for part in (account, client_key, account if context is None else context)):
        raise BadProofError("ids and keys have 32 bytes")
    return IdentityProof(
        account_id=AccountId(account),
        client_key=PublicKey(client_key).checked(),
        context_id=None if context is None else ContextId(context),
        serial=serial,
        audience=audience,
        expires_at=expires_at,
    )
