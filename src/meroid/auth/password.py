"""Passwords: Argon2id (RFC 9106 §4, second recommended option) and the log-in method over them."""

import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from meroid.auth.challenge import Challenge
from meroid.auth.methods import (
    BadProviderDataError,
    Enrolment,
    LoginAttempt,
    MethodBusyError,
    VerifiedLogin,
    WrongCredentialsError,
    text_field,
)
from meroid.errors import InvalidInputError

METHOD: Final = "user_password"
ALIAS: Final = "username_password"
LEAST_CHARACTERS: Final = 8
MOST_CHARACTERS: Final = 128
MOST_BYTES: Final = 1024
USERNAME_CHARACTERS: Final = 128
HASHES_AT_ONCE: Final = 4  # each takes `memory_kib`
HASHES_WAITING: Final = 12

_SALT_BYTES: Final = 16
_TAG_BYTES: Final = 32


class WeakPasswordError(InvalidInputError):
    """A new password is shorter than the rule."""

    code = "weak_password"
    next_step = f"choose one of at least {LEAST_CHARACTERS} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """Argon2id parameters; stored with each hash, so they can change."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4

    def hasher(self) -> argon2.PasswordHasher:
        """The library's hasher with these parameters."""
        return argon2.PasswordHasher(
            time_cost=self.passes,
            memory_cost=self.memory_kib,
            parallelism=self.lanes,
            hash_len=_TAG_BYTES,
            salt_len=_SALT_BYTES,
            type=argon2.Type.ID,
        )

    def unmatched(self) -> str:
        """A well-formed hash that no password has; checking it costs what a real one costs."""
        salt, tag = (b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _TAG_BYTES))
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p={self.lanes}${salt}${tag}"


DEFAULT_COST: Final = Argon2Cost()


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Outcome of a check; `outdated` means the stored hash has other parameters than today's."""

    matches: bool
    outdated: bool = False


def hash_password(password: str, cost: Argon2Cost = DEFAULT_COST) -> str:
    """Hash a password with a random salt; a PHC string."""
    return cost.hasher().hash(_normal(password))


def verify_password(stored: str | None, password: str, cost: Argon2Cost = DEFAULT_COST) -> PasswordCheck:
    """Compare a password with a PHC string; without one the same work is done and nothing matches."""
    hasher = cost.hasher()
    try:
        hasher.verify(stored if stored is not None else cost.unmatched(), _normal(password))
    except (VerificationError, InvalidHashError):
        return PasswordCheck(matches=False)
    return PasswordCheck(matches=stored is not None, outdated=stored is not None and hasher.check_needs_rehash(stored))


def check_new_password(password: str, *, lenient: bool) -> None:
    """Apply the rule for new passwords; `lenient` waives it (first owner, directly on loopback).

    Raises:
        WeakPasswordError: too short.
    """
    if len(password) < (1 if lenient else LEAST_CHARACTERS):
        raise WeakPasswordError("the password is too short")


class PasswordLogin:
    """User name and password, sent as `provider_data.username` and `.password`."""

    name: Final = METHOD
    kind: Final = "credentials"
    description: Final = "Sign in with a user name and a password"
    needs_host: Final = False

    def __init__(self, cost: Argon2Cost = DEFAULT_COST, *, at_once: int = HASHES_AT_ONCE) -> None:
        self._cost = cost
        self._admitted = threading.BoundedSemaphore(at_once + HASHES_WAITING)
        self._running = threading.BoundedSemaphore(at_once)

    def shown(self) -> Mapping[str, object]:
        """Nothing beyond what every method shows."""
        return {"enabled": True, "description": self.description}

    def challenge_in(self, _: LoginAttempt) -> None:
        """Passwords answer no challenge."""

    def options(self, _: Challenge) -> None:
        """The challenge is all that is needed."""

    def label(self, identifier: str, _: str | None) -> str:
        """The user name."""
        return identifier

    def identify(self, attempt: LoginAttempt) -> str | None:
        """The user name, unchanged: names are case-sensitive."""
        if attempt.method not in {METHOD, ALIAS}:
            return None
        username = _text(attempt, "username", longest=USERNAME_CHARACTERS)
        if any(unicodedata.category(character) == "Cc" for character in username):
            raise BadProviderDataError("the user name has control characters")
        _text(attempt, "password", longest=MOST_CHARACTERS)
        return unicodedata.normalize("NFC", username)

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        """Check the password; returns a new hash when the stored one has old parameters."""
        identifier, password = self._read(attempt)
        with self._turn():
            check = verify_password(verifier, password, self._cost)
            if not check.matches:
                raise WrongCredentialsError("user name or password is wrong")
            renewed = hash_password(password, self._cost) if check.outdated else None
        return VerifiedLogin(identifier=identifier, verifier=renewed)

    def enrol(self, attempt: LoginAttempt, enrolment: Enrolment) -> VerifiedLogin:
        """Hash a new password."""
        identifier, password = self._read(attempt)
        check_new_password(password, lenient=enrolment.lenient)
        with self._turn():
            return VerifiedLogin(identifier=identifier, verifier=hash_password(password, self._cost))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A turn at hashing: few at once, some waiting, the rest refused at once."""
        if not self._admitted.acquire(blocking=False):
            raise MethodBusyError("too many passwords are being checked at once", retry_after_s=1)
        try:
            with self._running:
                yield
        finally:
            self._admitted.release()

    def _read(self, attempt: LoginAttempt) -> tuple[str, str]:
        identifier = self.identify(attempt)
        if identifier is None:
            raise BadProviderDataError("these fields belong to another method")
        return identifier, _text(attempt, "password", longest=MOST_CHARACTERS)


def _normal(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8")  # RFC 8265 §4.2


def _text(attempt: LoginAttempt, field: str, *, longest: int) -> str:
    value = text_field(attempt, field, longest=longest)
    if len(value.encode("utf-8")) > MOST_BYTES:
        raise BadProviderDataError(f"provider_data.{field} has more than {MOST_BYTES} bytes")
    return value
