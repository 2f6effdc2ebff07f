"""Log-ins by an Ed25519 signature over a challenge: hardware keys, and the key that the recovery words give.

What is signed is in `account.key_login`. The words never leave the client: it derives the account key
from them.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from meroid.account.account_state import AccountState
from meroid.account.key_login import HARDWARE_KEY, RECOVERY_PHRASE, KeyLogin
from meroid.auth.challenge import Challenge
from meroid.auth.methods import (
    BadProviderDataError,
    Enrolment,
    LoginAttempt,
    VerifiedLogin,
    WrongCredentialsError,
    text_field,
)
from meroid.errors import InvalidInputError, UnauthenticatedError
from meroid.ids import AccountId, BadIdError
from meroid.keys.public import SIGNATURE_BYTES, BadPublicKeyError, BadSignatureError, PublicKey, verify_signature

_LONGEST_CHALLENGE: Final = 4096
_LONGEST_ID: Final = 64


class WrongKeySignatureError(WrongCredentialsError):
    """The signature isn't one of this key over this challenge for this purpose."""

    code = "wrong_key_signature"
    next_step = "sign what docs/auth.md says, with the key that is sent as public_key"


class AccountKeyRetiredError(UnauthenticatedError):
    """The account had this key once; a later one took its place. It stays out, whoever has it.

    Only a holder of that key is told, so it counts as no failed guess.
    """

    code = "account_key_retired"
    next_step = "derive the account key of the next generation from the words, and sign with that one"


class AccountNeedsMoreKeysError(UnauthenticatedError):
    """One key of this account isn't enough: several sign together."""

    code = "account_needs_more_keys"
    next_step = "log in with another root key of the account"


class NotThisAccountError(InvalidInputError):
    """The words belong to another account than the one that is logged in."""

    code = "not_this_account"
    next_step = "log in with these words instead, or give the words of this account"


class HardwareKeyLogin:
    """A key on a token (PKCS#11): `public_key` in base58, `provider_data.challenge` and `.signature` (base64)."""

    name: Final = HARDWARE_KEY
    kind: Final = "key"
    description: Final = "Sign in with a key on a hardware token"
    needs_host: Final = True

    def shown(self) -> Mapping[str, object]:
        """Nothing beyond what every method shows."""
        return {"enabled": True, "description": self.description}

    def options(self, _: Challenge) -> None:
        """The challenge is all that is needed."""

    def label(self, identifier: str, _: str | None) -> str:
        """The key."""
        return identifier

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The key."""
        return str(_key(attempt)) if attempt.method == HARDWARE_KEY else None

    def challenge_in(self, attempt: LoginAttempt) -> str:
        """The challenge."""
        return text_field(attempt, "challenge", longest=_LONGEST_CHALLENGE)

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the signature."""
        key = _key(attempt)
        _check(key, _login(attempt, key).to_log_in(), attempt)
        return VerifiedLogin(identifier=str(key))

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Check that the key's holder wants it to open this account."""
        if enrolment.claims:
            return self.verify(attempt, None)
        key = _key(attempt)
        _check(key, _login(attempt, key).to_bind(enrolment.account_id), attempt)
        return VerifiedLogin(identifier=str(key))


class RecoveryPhraseLogin:
    """The account key that the words give: `public_key`, `provider_data.account_id`, `.challenge`, `.signature`."""

    name: Final = RECOVERY_PHRASE
    kind: Final = "key"
    description: Final = "Sign in with the recovery words of the account"
    needs_host: Final = True

    def __init__(self, state_of: Callable[[AccountId], AccountState | None]) -> None:
        """`state_of` gives what an account's key log says now, with the same work for unknown accounts."""
        self._state_of = state_of

    def shown(self) -> Mapping[str, object]:
        """Nothing beyond what every method shows."""
        return {"enabled": True, "description": self.description}

    def options(self, _: Challenge) -> None:
        """The challenge is all that is needed."""

    def label(self, identifier: str, _: str | None) -> str:
        """The account id."""
        return identifier

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The account id."""
        return str(_account(attempt)) if attempt.method == RECOVERY_PHRASE else None

    def challenge_in(self, attempt: LoginAttempt) -> str:
        """The challenge."""
        return text_field(attempt, "challenge", longest=_LONGEST_CHALLENGE)

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the signature, then that the key is the account's key now."""
        account_id, key = _account(attempt), _key(attempt)
        _check(key, _login(attempt, key).to_log_in(), attempt)
        self._check_current(self._state_of(account_id), key)
        return VerifiedLogin(identifier=str(account_id), opens=account_id)

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Check that the words are those of this account."""
        account_id, key = _account(attempt), _key(attempt)
        if account_id != enrolment.account_id:
            raise NotThisAccountError("the words belong to another account")
        if enrolment.claims:
            return self.verify(attempt, None)
        _check(key, _login(attempt, key).to_bind(account_id), attempt)
        state = self._state_of(account_id)
        if state is not None and key not in {*state.keys.keys, *state.retired_keys}:
            raise NotThisAccountError("the words belong to another account")
        self._check_current(state, key)
        return VerifiedLogin(identifier=str(account_id), opens=account_id)

    @staticmethod
    def _check_current(state: AccountState | None, key: PublicKey) -> None:
        if state is not None and key in state.retired_keys:
            raise AccountKeyRetiredError(f"the account key is of generation {state.generation} by now")
        if state is None or key not in state.keys.keys:
            raise WrongCredentialsError("this proof opens no account here")
        if state.keys.threshold > 1:
            raise AccountNeedsMoreKeysError(f"{state.keys.threshold} keys of this account sign together")


def _login(attempt: LoginAttempt, key: PublicKey) -> KeyLogin:
    challenge = attempt.answered()
    return KeyLogin(method=challenge.method, host=challenge.audience, challenge=challenge.text, key=key)


def _check(key: PublicKey, message: bytes, attempt: LoginAttempt) -> None:
    try:
        verify_signature(key, message, _signature(attempt))
    except BadSignatureError:
        raise WrongKeySignatureError("the signature is not one of this key over this challenge") from None


def _signature(attempt: LoginAttempt) -> bytes:
    text = text_field(attempt, "signature", longest=2 * SIGNATURE_BYTES)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadProviderDataError("provider_data.signature is not base64") from None
    if len(raw) != SIGNATURE_BYTES:
        raise BadProviderDataError(f"provider_data.signature has {SIGNATURE_BYTES} bytes")
    return raw


def _key(attempt: LoginAttempt) -> PublicKey:
    try:
        return PublicKey.parse(attempt.public_key).checked()
    except (BadIdError, BadPublicKeyError):
        raise BadProviderDataError("public_key is no usable Ed25519 key in base58") from None


def _account(attempt: LoginAttempt) -> AccountId:
    try:
        return AccountId.parse(text_field(attempt, "account_id", longest=_LONGEST_ID))
    except BadIdError:
        raise BadProviderDataError("provider_data.account_id is no account id") from None
