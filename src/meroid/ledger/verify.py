"""From well-formed to well-signed; the only maker of `VerifiedOperation`."""

from typing import Final

from meroid.ids import ContextId, OperationId
from meroid.keys.canonical import canonical_bytes, tagged_message
from meroid.keys.public import PublicKey, verify_signature
from meroid.keys.signer import Signer
from meroid.ledger.codec import decode_operation, encode_envelope, encode_operation, operation_id
from meroid.ledger.operation import MemberKeys, Operation, UnverifiedOperation, VerifiedOperation

_SIGNATURE_TAG: Final = "meroid/operation-signature/v1"
_INVITATION_TAG: Final = "meroid/invitation-proof/v1"
_LINK_TAG: Final = "meroid/link-proof/v1"


def verify_operation(unverified: UnverifiedOperation) -> VerifiedOperation:
    """Check the author's key and signature.

    Raises:
        BadPublicKeyError: the author's key is no usable Ed25519 key.
        BadSignatureError: the signature isn't the author's over these bytes.
    """
    author = unverified.operation.author.checked()
    verify_signature(author, tagged_message(_SIGNATURE_TAG, unverified.payload), unverified.signature)
    return VerifiedOperation(
        operation_id=unverified.operation_id,
        operation=unverified.operation,
        envelope=encode_envelope(unverified.payload, unverified.signature),
    )


def read_operation(envelope: bytes) -> VerifiedOperation:
    """Decode and verify in one step.

    Raises:
        MalformedOperationError, UnknownKindError, BadPublicKeyError, BadSignatureError: as the two
            steps say.
    """
    return verify_operation(decode_operation(envelope))


def reread_operation(envelope: bytes) -> VerifiedOperation:
    """Decode what this node verified before it stored it; the signature isn't checked again."""
    unverified = decode_operation(envelope)
    return VerifiedOperation(operation_id=unverified.operation_id, operation=unverified.operation, envelope=envelope)


def sign_operation(operation: Operation, signer: Signer) -> VerifiedOperation:
    """Sign an operation; its author is the signer's key.

    Raises:
        OperationTooLargeError: nobody would read it.
    """
    payload = encode_operation(operation)
    signature = signer.sign(tagged_message(_SIGNATURE_TAG, payload))
    return VerifiedOperation(
        operation_id=operation_id(payload), operation=operation, envelope=encode_envelope(payload, signature)
    )


def invitation_proof_message(context: ContextId, invitation: OperationId, joiner: PublicKey) -> bytes:
    """What the secret of an open invitation signs, so that its holder lets in this key only."""
    return tagged_message(_INVITATION_TAG, canonical_bytes([context, invitation, joiner]))


def link_proof_message(context: ContextId, main: PublicKey, key: PublicKey, keys: MemberKeys) -> bytes:
    """What a key signs to be linked to the membership of `main`, the client key that signs the `link`."""
    return tagged_message(_LINK_TAG, canonical_bytes([context, main, key, keys.sealing, keys.next_keys]))
