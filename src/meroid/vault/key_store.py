"""What all key stores share: the protocol, the text form of a store key, the refusals.

A key store keeps one store key (32 bytes) as base64url. While the key is being rotated, the new
one lies beside it in the store's successor.
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from meroid.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from meroid.keys.signer import Ask, Secret, SecretStore
from meroid.vault.locked_memory import LockedSecret

STORE_KEY_BYTES: Final = 32
LONGEST_TEXT: Final = 128
"""Bytes that are read from a place that should hold a key, which takes 44 and a line break."""

_KEY_TEXT: Final = re.compile(rb"[A-Za-z0-9_-]{43}=?")


class UnknownKeyStoreError(InvalidInputError):
    """The URI names no key store of this version."""

    code = "unknown_key_store"
    next_step = "use file: (in the home), file:/path, env:NAME, keyring: or pkcs11:token=NAME"


class KeyStoreOpenToOthersError(ForbiddenError):
    """Somebody else can read or change the file with the secret."""

    code = "key_store_open_to_others"
    next_step = "make the file yours alone (chmod 600); if others could read it, rotate the store key"


class KeyStoreDamagedError(InvalidInputError):
    """The key store holds something, but no key."""

    code = "key_store_damaged"
    next_step = "put the store key back from where you keep a copy; without it the database can't be opened"


class KeyStoreTakenError(ConflictError):
    """The key store holds a key already; it is never overwritten."""

    code = "key_store_taken"
    next_step = "use the key that is there, or name another key store"


class KeyStoreReadOnlyError(ForbiddenError):
    """This key store can only be read."""

    code = "key_store_read_only"
    next_step = "set the variable to base64url of 32 random bytes before the start, or use file:"


class KeyStoreUnavailableError(UnavailableError):
    """The system doesn't let this process at the key store."""

    code = "key_store_unavailable"
    next_step = "check that path and rights allow this user to reach the key store"


class KeyStoreNotInstalledError(UnavailableError):
    """This key store needs an optional part of meroid that isn't installed."""

    code = "key_store_not_installed"
    next_step = "install the extra that the reason names"


class NoStoreKeyError(NotFoundError):
    """The key store holds no key."""

    code = "no_store_key"
    next_step = (
        "put the key back there, or name the key store that has it (`node.key_store` in config.toml); if it is lost: "
    )
    "merod account restore, under another name"


class WrongStoreKeyError(ForbiddenError):
    """The key store holds a key, but not the one that the database opens with."""

    code = "wrong_store_key"
    next_step = "name the key store that belongs to this home (`key_store` in its configuration)"


class KeyStore(SecretStore, Protocol):
    """A `SecretStore` whose key can be moved and rotated."""

    @property
    def place(self) -> str:
        """Where the key lies, for a person, without a secret; the same for every URI of one place."""
        ...

    @property
    def successor(self) -> "KeyStore":
        """The place beside this one where the next key waits while all is sealed anew under it.

        Raises:
            KeyStoreReadOnlyError: this store can't be written, so there is none.
        """
        ...

    def remove(self) -> bool:
        """Remove the key, with all that an earlier call left when it was interrupted; whether it could."""
        ...

    def promote(self) -> None:
        """Put the successor's key in the place of the one here, which is destroyed.

        A crash leaves the successor in place until the end, so the call can be repeated.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a key store may need beside its URI: the home of the node, and how to ask for a PIN."""

    home: Path
    ask: Ask | None = None


def make_store_key() -> LockedSecret:
    """A new random store key."""
    return LockedSecret(secrets.token_bytes(STORE_KEY_BYTES))


def encode_store_key(key: Secret) -> Secret:
    """The text form of a key: base64url of its 32 bytes, 44 characters."""
    if len(key) != STORE_KEY_BYTES:
        raise ValueError(f"a store key has {STORE_KEY_BYTES} bytes")
    return Secret(base64.urlsafe_b64encode(key.reveal()))


def decode_store_key(text: Secret, source: str) -> LockedSecret:
    """The key that a text holds; `source` says where it was found.

    Raises:
        KeyStoreDamagedError: it isn't base64url of 32 bytes.
    """
    key = _decoded(text)
    text.wipe()
    if key is None:
        raise KeyStoreDamagedError(f"{source} doesn't hold base64url of {STORE_KEY_BYTES} bytes")
    return key


def _decoded(text: Secret) -> LockedSecret | None:
    stripped = text.reveal().strip()
    if not _KEY_TEXT.fullmatch(stripped):
        return None
    try:
        return LockedSecret(base64.urlsafe_b64decode(stripped.rstrip(b"=") + b"="))
    except binascii.Error:
        return None
