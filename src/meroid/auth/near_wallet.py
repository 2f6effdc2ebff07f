"""NEAR wallets: a log-in is a NEP-413 signature over a challenge, by a full-access key of the NEAR account.

A wallet that is bound to an account that exists certifies it: what it signs then is the account's
certification text, with the nonce of a challenge. So a signature for a log-in binds nothing, and
one that binds logs nobody in. The certification is kept as the root key's verifier.

The wallet that makes the first owner signs the challenge, since it can't know the account yet; it
may certify afterwards.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.account.root_key import WalletCertification, certification_text
from meroid.auth.challenge import Challenge
from meroid.auth.methods import (
    BadProviderDataError,
    Enrolment,
    LoginAttempt,
    VerifiedLogin,
    WrongCredentialsError,
    text_field,
)
from meroid.auth.near_account import (
    AccessKey,
    NearAccounts,
    NearRateLimitedError,
    check_full_access,
    parse_near_account,
)
from meroid.auth.turns import TurnsPerAddress
from meroid.keys.nep413 import BadNearSignatureError, Nep413Message, parse_near_key, parse_near_signature, verify_nep413
from meroid.keys.public import PublicKey

METHOD: Final = "near_wallet"
ALIAS: Final = "near"
RECIPIENT: Final = "calimero"  # what the existing login page asks wallets to sign for
LOOK_UPS_OF_ADDRESS: Final = 3  # at once, so that one address can't hold all that there are
_LONGEST_ACCOUNT: Final = 64
_LONGEST_SIGNATURE: Final = 128
_LONGEST_CHALLENGE: Final = 4096


class WrongRecipientError(WrongCredentialsError):
    """The wallet signed for another recipient, so perhaps for another site."""

    code = "near_wrong_recipient"
    next_step = "sign for the recipient that /auth/providers names"


class WrongWalletSignatureError(WrongCredentialsError):
    """The signature isn't one of this key over the challenge, or what was signed isn't the challenge."""

    code = "near_wrong_signature"
    next_step = "sign the challenge itself, with its nonce and the recipient of /auth/providers"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearNetwork:
    """What callers are told so that their wallet signs the right thing; empty texts where nothing is configured."""

    network: str = "testnet"
    rpc_url: str = ""
    wallet_url: str = ""
    recipient: str = RECIPIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """The fields of an attempt, read and not yet verified."""

    account_id: str
    key: PublicKey
    message: str
    recipient: str
    callback_url: str | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class _InTurn:
    """The chain, asked for one address: it can't take all the look-ups that there are."""

    accounts: NearAccounts
    turns: TurnsPerAddress
    address: str

    def access_key(self, account_id: str, key: PublicKey) -> AccessKey:
        """As `NearAccounts` says."""
        with self.turns.turn(self.address) as given:
            if not given:
                raise NearRateLimitedError(
                    "too many NEAR accounts are being looked up for one address", retry_after_s=1
                )
            return self.accounts.access_key(account_id, key)


class NearWalletLogin:
    """NEAR account and signature, sent as `provider_data.wallet_address`, `.message`, `.signature`."""

    name: Final = METHOD
    kind: Final = "wallet"
    description: Final = "Sign in with a NEAR wallet"
    needs_host: Final = False  # the recipient is what the person sees and what binds

    def __init__(self, accounts: NearAccounts | None, network: NearNetwork | None = None) -> None:
        """`accounts` asks the chain; without it only implicit accounts log in."""
        self._accounts = accounts
        self._network = network or NearNetwork()
        self._turns = TurnsPerAddress(LOOK_UPS_OF_ADDRESS)

    def shown(self) -> Mapping[str, object]:
        """Network, endpoint, wallet and recipient."""
        shown = self._network
        return {
            "network": shown.network,
            "rpc_url": shown.rpc_url,
            "wallet_url": shown.wallet_url,
            "recipient": shown.recipient,
        }

    def options(self, _: Challenge) -> None:
        """The challenge is all that is needed."""

    def label(self, identifier: str, _: str | None) -> str:
        """The NEAR account."""
        return identifier

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The NEAR account id."""
        return _account(attempt) if attempt.method in {METHOD, ALIAS} else None

    def challenge_in(self, attempt: LoginAttempt) -> str:
        """The challenge: a field of its own, or else the message itself, as on the wire."""
        field = "challenge" if attempt.provider_data.get("challenge") is not None else "message"
        return text_field(attempt, field, longest=_LONGEST_CHALLENGE)

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the signature over the challenge, then the key."""
        signed, challenge = _read(attempt), attempt.answered()
        if signed.message != challenge.text:
            raise WrongWalletSignatureError("the wallet signed another text than the challenge")
        self._check_signature(signed, challenge)
        self._check_account(signed, attempt)
        return VerifiedLogin(identifier=signed.account_id)

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Check the certification of the account, which the first owner may give later."""
        signed, challenge = _read(attempt), attempt.answered()
        if enrolment.claims and signed.message == challenge.text:
            return self.verify(attempt, None)
        if signed.message != certification_text(enrolment.account_id):
            raise WrongWalletSignatureError(
                "the wallet signed another text than this account's certification",
                next_step=f"sign exactly: {certification_text(enrolment.account_id)}",
            )
        message = self._check_signature(signed, challenge)
        self._check_account(signed, attempt)
        certification = WalletCertification(signed=message, key=signed.key, signature=signed.signature)
        certification.verify(enrolment.account_id)
        return VerifiedLogin(identifier=signed.account_id, verifier=certification_to_text(certification))

    def _check_account(self, signed: _Signed, attempt: LoginAttempt) -> None:
        """Find out that the key is a full-access key of the account."""
        accounts = None if self._accounts is None else _InTurn(self._accounts, self._turns, attempt.address)
        check_full_access(accounts, signed.account_id, signed.key)

    def _check_signature(self, signed: _Signed, challenge: Challenge) -> Nep413Message:
        """The message as it was signed: wallets put the callback URL in or leave it out."""
        if signed.recipient != self._network.recipient:
            raise WrongRecipientError("the signature is for another recipient")
        callbacks = [None] if signed.callback_url is None else [None, signed.callback_url]
        for callback in callbacks:
            message = Nep413Message(
                message=signed.message, nonce=challenge.nonce, recipient=signed.recipient, callback_url=callback
            )
            try:
                verify_nep413(message, signed.key, signed.signature)
            except BadNearSignatureError:
                continue
            return message
        raise WrongWalletSignatureError("the signature is not one of this key over the challenge")


def certification_to_text(certification: WalletCertification) -> str:
    """A certification as a root key's verifier: its canonical bytes in base64url without padding."""
    return base64.urlsafe_b64encode(certification.encoded).rstrip(b"=").decode("ascii")


def certification_from_text(verifier: str) -> WalletCertification:
    """Read what `certification_to_text` gave; raises as `WalletCertification.parse`."""
    return WalletCertification.parse(base64.urlsafe_b64decode(verifier + "=" * (-len(verifier) % 4)))


def _account(attempt: LoginAttempt) -> str:
    # The original reads `wallet_address` at log-in, and `account_id` where a key is added.
    field = "wallet_address" if "wallet_address" in attempt.provider_data else "account_id"
    return parse_near_account(text_field(attempt, field, longest=_LONGEST_ACCOUNT))


def _read(attempt: LoginAttempt) -> _Signed:
    recipient = attempt.provider_data.get("recipient")
    try:
        signature = parse_near_signature(text_field(attempt, "signature", longest=_LONGEST_SIGNATURE))
    except BadNearSignatureError as problem:
        raise BadProviderDataError(f"provider_data.signature: {problem.reason}") from None
    return _Signed(
        account_id=_account(attempt),
        key=parse_near_key(attempt.public_key),
        message=text_field(attempt, "message", longest=limits.NEP413_BYTES.value),
        recipient=RECIPIENT if recipient is None else text_field(attempt, "recipient", longest=_LONGEST_CHALLENGE),
        callback_url=_callback(attempt),
        signature=signature,
    )


def _callback(attempt: LoginAttempt) -> str | None:
    """An empty callback URL isn't the same as none."""
    value = attempt.provider_data.get("callback_url")
    return value if value in (None, "") else text_field(attempt, "callback_url", longest=limits.NEP413_BYTES.value)
