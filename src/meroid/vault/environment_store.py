"""The key store `env:NAME`: an environment variable, for containers; it can only be read.

It can be read by whoever may read the process's environment, and it is inherited by its children;
prefer a file where there is one.
"""

import os
import re
from typing import Final

from meroid.keys.signer import Secret
from meroid.vault.key_store import (
    KeyStore,
    KeyStoreReadOnlyError,
    Surroundings,
    UnknownKeyStoreError,
    decode_store_key,
)

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def open_environment_store(rest: str, _surroundings: Surroundings) -> KeyStore:
    """The variable that the URI names.

    Raises:
        UnknownKeyStoreError: that is no name of a variable.
    """
    if not _VARIABLE.fullmatch(rest):
        raise UnknownKeyStoreError("env: needs the name of an environment variable")
    return EnvironmentSecretStore(rest)


class EnvironmentSecretStore:
    """An environment variable with base64url of the key."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def place(self) -> str:
        """The variable."""
        return f"env:{self._name}"

    @property
    def successor(self) -> KeyStore:
        """Always refuses.

        Raises:
            KeyStoreReadOnlyError: a process can't set its own environment for the next start.
        """
        raise KeyStoreReadOnlyError(
            f"{self._name} is an environment variable, so its key can't be rotated from here",
            next_step="move the key to file:, rotate it there, set the variable anew and move it back",
        )

    def load(self) -> Secret | None:
        """The key, or nothing if the variable isn't set or empty.

        Raises:
            KeyStoreDamagedError: it doesn't hold base64url of 32 bytes.
        """
        text = Secret(os.environ.get(self._name, "").encode("utf-8", "surrogateescape"))
        return decode_store_key(text, self._name) if len(text) else None

    def save(self, secret: Secret) -> None:
        """Always refuses.

        Raises:
            KeyStoreReadOnlyError: a process can't set its own environment for the next start.
        """
        raise KeyStoreReadOnlyError(f"{self._name} is an environment variable and can't be stored from here")

    def remove(self) -> bool:
        """Never could: it is set by whoever starts the process."""
        return False

    def promote(self) -> None:
        """Always refuses.

        Raises:
            KeyStoreReadOnlyError: as `successor`.
        """
        self.successor.load()
