"""Proofs of root keys, made where the secret is: what `/auth/token` and `/admin/keys` take.

Nothing is signed for a challenge that names another host than the one that was asked, and a NEAR
key signs for one recipient only: so a node can't pass on what it got from elsewhere.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self

import base58

from meroid.account.key_log import account_id_of
from meroid.account.key_login import HARDWARE_KEY, RECOVERY_PHRASE, KeyLogin
from meroid.account.root_key import NEAR_WALLET, certification_text
from meroid.account.seed import Seed
from meroid.client.answers import text_at
from meroid.client.failures import NotANodeError
from meroid.client.tokens import claims_of
from meroid.errors import ForbiddenError, InvalidInputError
from meroid.ids import AccountId
from meroid.keys.nep413 import NONCE_BYTES, Nep413Message, near_key_text, parse_near_key
from meroid.keys.signer import Secret, Signer
from meroid.keys.software import SoftwareSigner

NEAR_RECIPIENT: Final = "calimero"
USER_PASSWORD: Final = "user_password"  # noqa: S105 - the name of a method
_NEAR_PREFIX: Final = "ed25519:"
_SEED_BYTES: Final = 32


class ForeignChallengeError(ForbiddenError):
    """The node's challenge is for another host: somebody could log in there with the signature."""

    code = "foreign_challenge"
    next_step = "don't log in here; tell the owner of the node, and check the address"


class BadNearKeyFileError(InvalidInputError):
    """The file holds no NEAR key pair."""

    code = "bad_near_key_file"
    next_step = "give the file that near-cli wrote: JSON with account_id, public_key and private_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedChallenge:
    """A challenge that a node offers, for the host that it was asked at."""

    text: str
    nonce: bytes
    host: str

    @classmethod
    def read(cls, answer: object, *, host: str) -> Self:
        """The challenge in an answer of `/auth/challenge`, asked for at `host`.

        Raises:
            ForeignChallengeError: it is for another host.
            NotANodeError: there is none.
        """
        text, nonce_text = text_at(answer, "data", "challenge"), text_at(answer, "data", "nonce")
        try:
            nonce = base64.b64decode(nonce_text, validate=True)
        except (binascii.Error, ValueError):
            nonce = b""
        claims = claims_of(text)
        if len(nonce) != NONCE_BYTES or claims.get("nonce") != nonce_text:
            raise NotANodeError("the answer holds no challenge")
        if claims.get("aud") != host.lower().removesuffix("."):
            raise ForeignChallengeError("the challenge is for another host than the one that was asked")
        return cls(text=text, nonce=nonce, host=host.lower().removesuffix("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is sent: the method, the key and the method's own fields."""

    auth_method: str
    public_key: str
    provider_data: Mapping[str, object]

    def body(self) -> dict[str, object]:
        """The fields as both routes take them."""
        return {
            "auth_method": self.auth_method,
            "public_key": self.public_key,
            "provider_data": dict(self.provider_data),
        }

    def __repr__(self) -> str:  # provider_data may hold a password
        return f"Proof({self.auth_method})"


class RootKey(Protocol):
    """A root key whose secret is here."""

    @property
    def method(self) -> str: ...
    @property
    def label(self) -> str:
        """What a person knows it by."""
        ...

    def to_log_in(self, challenge: OfferedChallenge) -> Proof: ...
    def to_bind(self, challenge: OfferedChallenge, account_id: AccountId) -> Proof: ...


class NearKey:
    """A full-access key of a NEAR account."""

    method: Final = NEAR_WALLET

    def __init__(self, near_account: str, signer: Signer, *, recipient: str = NEAR_RECIPIENT) -> None:
        self.label = near_account
        self._signer = signer
        self._recipient = recipient

    @classmethod
    def from_file(cls, data: bytes, *, recipient: str = NEAR_RECIPIENT) -> Self:
        """Read a credentials file of near-cli; it is a secret.

        Raises:
            BadNearKeyFileError: it is none, or its two keys don't belong together.
        """
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError):
            fields = None
        match fields:
            case {"account_id": str() as account, "public_key": str() as public, "private_key": str() as private}:
                signer = SoftwareSigner(_near_seed(private))
            case _:
                raise BadNearKeyFileError("the file is no JSON with account_id, public_key and private_key")
        if parse_near_key(public) != signer.public_key:
            raise BadNearKeyFileError("the private key in the file isn't that of the public key")
        return cls(account, signer, recipient=recipient)

    def to_log_in(self, challenge: OfferedChallenge) -> Proof:
        """The signature over the challenge."""
        return self._proof(challenge, challenge.text)

    def to_bind(self, challenge: OfferedChallenge, account_id: AccountId) -> Proof:
        """The certification of the account."""
        return self._proof(challenge, certification_text(account_id))

    def _proof(self, challenge: OfferedChallenge, text: str) -> Proof:
        message = Nep413Message(message=text, nonce=challenge.nonce, recipient=self._recipient)
        signature = self._signer.sign(message.digest())
        return Proof(
            auth_method=self.method,
            public_key=near_key_text(self._signer.public_key),
            provider_data={
                "wallet_address": self.label,
                "challenge": challenge.text,
                "message": text,
                "recipient": self._recipient,
                "signature": base64.b64encode(signature).decode("ascii"),
            },
        )

    def __repr__(self) -> str:
        return f"NearKey({self.label})"


class HardwareKey:
    """A key that signs on a token."""

    method: Final = HARDWARE_KEY

    def __init__(self, signer: Signer) -> None:
        self.label = str(signer.public_key)
        self._signer = signer

    def to_log_in(self, challenge: OfferedChallenge) -> Proof:
        """The signature that logs in."""
        return _key_proof(self._signer, self._login(challenge).to_log_in(), self.method, challenge, None)

    def to_bind(self, challenge: OfferedChallenge, account_id: AccountId) -> Proof:
        """The signature that binds the key."""
        return _key_proof(self._signer, self._login(challenge).to_bind(account_id), self.method, challenge, None)

    def _login(self, challenge: OfferedChallenge) -> KeyLogin:
        return _login(self.method, challenge, self._signer)


class Phrase:
    """The recovery words of an account: the account key of one generation, derived here."""

    method: Final = RECOVERY_PHRASE

    def __init__(self, seed: Seed, generation: int = 0, *, account_id: AccountId | None = None) -> None:
        """`account_id` is needed where a recovery put these words in the place of others."""
        self._seed = seed
        self._generation = generation
        self._signer = seed.account_key(generation)
        self._account_id = account_id or account_id_of(seed)
        self.label = str(self._account_id)

    def next(self) -> "Phrase":
        """The same words with the account key of the next generation."""
        return Phrase(self._seed, self._generation + 1, account_id=self._account_id)

    @property
    def generation(self) -> int:
        """Which account key signs."""
        return self._generation

    def to_log_in(self, challenge: OfferedChallenge) -> Proof:
        """The signature that logs in."""
        message = _login(self.method, challenge, self._signer).to_log_in()
        return _key_proof(self._signer, message, self.method, challenge, self._account_id)

    def to_bind(self, challenge: OfferedChallenge, account_id: AccountId) -> Proof:
        """The signature that lets the words open the account again."""
        message = _login(self.method, challenge, self._signer).to_bind(account_id)
        return _key_proof(self._signer, message, self.method, challenge, account_id)

    def __repr__(self) -> str:
        return f"Phrase({self.label})"


def password_proof(username: str, password: str) -> Proof:
    """A user name with its password; it answers no challenge."""
    return Proof(
        auth_method=USER_PASSWORD,
        public_key=username,
        provider_data={"username": username, "password": password},
    )


def _login(method: str, challenge: OfferedChallenge, signer: Signer) -> KeyLogin:
    return KeyLogin(method=method, host=challenge.host, challenge=challenge.text, key=signer.public_key)


def _key_proof(
    signer: Signer, message: bytes, method: str, challenge: OfferedChallenge, account_id: AccountId | None
) -> Proof:
    fields: dict[str, object] = {
        "challenge": challenge.text,
        "signature": base64.b64encode(signer.sign(message)).decode("ascii"),
    }
    if account_id is not None:
        fields["account_id"] = str(account_id)
    return Proof(auth_method=method, public_key=str(signer.public_key), provider_data=fields)


def _near_seed(private_key: str) -> Secret:
    """The seed in `ed25519:` and base58 of seed and public key, 64 bytes, or of the seed alone."""
    try:
        raw = base58.b58decode(private_key.removeprefix(_NEAR_PREFIX))
    except ValueError:
        raw = b""
    if not private_key.startswith(_NEAR_PREFIX) or len(raw) not in {_SEED_BYTES, 2 * _SEED_BYTES}:
        raise BadNearKeyFileError("the private key in the file is no ed25519 key")
    return Secret(raw[:_SEED_BYTES])
