"""Root keys in the key log: digests that name nobody, and a wallet's certification of the account.

A binding holds two digests and no name. The identifier's salt follows from the seed, so whoever
restores the account has it again, and nobody else can try user names against the log.
"""

from dataclasses import dataclass
from typing import Final, Self

from meroid import limits
from meroid.account.changes import RootKeyBinding
from meroid.account.seed import Seed
from meroid.errors import IntegrityError
from meroid.ids import ID_BYTES, AccountId
from meroid.keys.canonical import canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.nep413 import Nep413Message, verify_nep413
from meroid.keys.public import SIGNATURE_BYTES, PublicKey
from meroid.keys.sealing import KEY_BYTES, expand

NEAR_WALLET: Final = "near_wallet"
_SALT_LABEL: Final = "meroid/root-key-salt/v1"
_IDENTIFIER_TAG: Final = "meroid/root-key-identifier/v1"
_EVIDENCE_TAG: Final = "meroid/root-key-evidence/v1"
_LONGEST: Final = 4 * limits.NEP413_BYTES.value


class BadWalletCertificationError(IntegrityError):
    """The certification doesn't certify this account, or isn't what was bound."""

    code = "bad_wallet_certification"
    next_step = "sign the account's certification text in the wallet anew"


def root_key_salt(seed: Seed, method: str, identifier: str) -> bytes:
    """The salt of one root key, 32 bytes; showing it opens this binding and no other."""
    return expand(seed.backup_secret().reveal(), _SALT_LABEL, method.encode(), identifier.encode())


def root_key_identifier(method: str, identifier: str, salt: bytes) -> bytes:
    """The digest that stands in the log for a user name, a NEAR account id or a credential id; 32 bytes.

    Raises:
        ValueError: the salt doesn't have 32 bytes.
    """
    if len(salt) != KEY_BYTES:
        raise ValueError(f"a salt has {KEY_BYTES} bytes")
    return tagged_hash(_IDENTIFIER_TAG, salt, canonical_bytes([method, identifier]))


def certification_text(account_id: AccountId) -> str:
    """What the wallet shows and signs to certify an account."""
    return f"This wallet opens the meroid account {account_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletCertification:
    """A NEAR wallet's signature under an account's certification text, kept beside the log.

    The log has its digest alone. The digest covers the signature, which nobody can guess, so the log
    doesn't give the wallet away.
    """

    signed: Nep413Message
    key: PublicKey
    signature: bytes

    def verify(self, account_id: AccountId) -> None:
        """Verify that the wallet certifies this account.

        Raises:
            BadWalletCertificationError: it signed another text.
            BadNearSignatureError: it didn't sign.
        """
        if self.signed.message != certification_text(account_id):
            raise BadWalletCertificationError("the wallet signed another text than this account's certification")
        verify_nep413(self.signed, self.key, self.signature)

    @property
    def digest(self) -> bytes:
        """What stands in the log as evidence; 32 bytes."""
        return tagged_hash(_EVIDENCE_TAG, self.encoded)

    @property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return canonical_bytes(
            {
                "message": self.signed.message,
                "nonce": self.signed.nonce,
                "recipient": self.signed.recipient,
                "callback_url": self.signed.callback_url,
                "key": self.key,
                "signature": self.signature,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `encoded` gave; nothing is verified yet.

        Raises:
            BadWalletCertificationError: too large, or not these fields.
            BadNep413MessageError, BadPublicKeyError, NotCanonicalError: a part can't be.
        """
        if len(data) > _LONGEST:
            raise BadWalletCertificationError(f"a certification has at most {_LONGEST} bytes")
        match parse_canonical(data):
            case {
                "message": str() as message,
                "nonce": bytes() as nonce,
                "recipient": str() as recipient,
                "callback_url": str() | None as callback_url,
                "key": bytes() as key,
                "signature": bytes() as signature,
                **rest,
            } if not rest and len(key) == ID_BYTES and len(signature) == SIGNATURE_BYTES:
                pass
            case _:
                raise BadWalletCertificationError("the bytes don't have the fields of a certification")
        signed = Nep413Message(message=message, nonce=nonce, recipient=recipient, callback_url=callback_url)
        return cls(signed=signed, key=PublicKey(key).checked(), signature=signature)


def wallet_binding(
    account_id: AccountId, near_account: str, salt: bytes, certification: WalletCertification
) -> RootKeyBinding:
    """The change that binds a NEAR wallet.

    Raises:
        BadWalletCertificationError, BadNearSignatureError: the wallet doesn't certify this account.
    """
    certification.verify(account_id)
    return RootKeyBinding(
        method=NEAR_WALLET,
        identifier=root_key_identifier(NEAR_WALLET, near_account, salt),
        evidence=certification.digest,
    )


def check_wallet_evidence(account_id: AccountId, binding: RootKeyBinding, evidence: bytes) -> WalletCertification:
    """Check the evidence that somebody shows for a binding in an account's log.

    Raises:
        BadWalletCertificationError: it isn't what was bound, or certifies another account.
        BadNearSignatureError, BadNep413MessageError, BadPublicKeyError, NotCanonicalError: it can't hold.
    """
    certification = WalletCertification.parse(evidence)
    if binding.evidence != certification.digest:
        raise BadWalletCertificationError("this is not the certification that was bound")
    certification.verify(account_id)
    return certification
