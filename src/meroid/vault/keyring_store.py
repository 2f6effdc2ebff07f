"""The key store `keyring:`: the keychain of the desktop, through the library keyring (extra `keyring`).

- The keychain is named, never looked for: the library would otherwise take whatever is installed,
  plain-text files among it. By default it is that of the system; `?backend=` names another one of
  the table below, and everything else is refused.
- Nothing prompts: a node may have no screen. A locked keychain is a refusal.
- The entry is service `meroid` and the home's path as user name; `keyring:SERVICE` names a service
  of its own, whose entry doesn't depend on the home (name one before a home is moved elsewhere).
- The library takes and gives `str`, which can't be wiped.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol
from urllib.parse import unquote

from meroid.errors import ForbiddenError, UnavailableError
from meroid.keys.signer import Secret
from meroid.vault.key_store import (
    KeyStore,
    KeyStoreDamagedError,
    KeyStoreNotInstalledError,
    KeyStoreTakenError,
    KeyStoreUnavailableError,
    Surroundings,
    UnknownKeyStoreError,
    decode_store_key,
    encode_store_key,
)

DEFAULT_SERVICE: Final = "meroid"

_NAMED_USER: Final = "store key"
_BACKENDS: Final[Mapping[str, tuple[str, str]]] = {
    "secret-service": ("meroid.vault.secret_service", "UnpromptedSecretService"),
    "kwallet": ("keyring.backends.kwallet", "DBusKeyring"),
    "macos": ("keyring.backends.macOS", "Keyring"),
    "windows": ("keyring.backends.Windows", "WinVaultKeyring"),
}
_OF_SYSTEM: Final[Mapping[str, str]] = {"darwin": "macos", "win32": "windows", "cygwin": "windows"}


class KeyStoreBackendRefusedError(ForbiddenError):
    """The keychain that was asked for isn't one that meroid trusts with a key."""

    code = "key_store_backend_refused"
    next_step = f"name one of these, or none to take that of the system: {', '.join(_BACKENDS)}"


class KeychainUnreachableError(UnavailableError):
    """There is no keychain in this session."""

    code = "keychain_unreachable"
    next_step = "start the node inside of the desktop session whose keychain holds the key, or use file:"


class KeychainLockedError(UnavailableError):
    """The keychain is locked, or was never set up."""

    code = "keychain_locked"
    next_step = "unlock the keychain (log in to the desktop, or open its keychain program) and try again"


class Backend(Protocol):
    """The part of a keychain of the library that we use."""

    def get_password(self, service: str, username: str, /) -> str | None: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


def open_keyring_store(rest: str, surroundings: Surroundings) -> KeyStore:
    """`keyring:`, `keyring:SERVICE`, each with `?backend=NAME` if need be.

    Raises:
        UnknownKeyStoreError: the service holds control characters, or something else follows it.
        KeyStoreBackendRefusedError: another keychain than those of the table.
    """
    service, asked, query = rest.partition("?")
    service = unquote(service)
    name, _, backend = query.partition("=")
    if not service.isprintable() or (asked and (name != "backend" or "&" in backend)):
        raise UnknownKeyStoreError("keyring: takes a service and ?backend=NAME")
    backend = backend if asked else _OF_SYSTEM.get(sys.platform, "secret-service")
    if backend not in _BACKENDS:
        raise KeyStoreBackendRefusedError("this is no keychain that a key may lie in")
    user = _NAMED_USER if service else str(surroundings.home.resolve())
    return KeyringSecretStore(Entry(backend, service or DEFAULT_SERVICE, user))


class KeyringSecretStore:
    """One entry of a keychain. Two processes that save at once aren't kept apart: keychains can't."""

    def __init__(self, entry: "Entry") -> None:
        self._entry = entry

    @property
    def place(self) -> str:
        """Keychain, service and user name."""
        return self._entry.place

    @property
    def successor(self) -> "KeyringSecretStore":
        """The entry whose user name has `.next` added."""
        return KeyringSecretStore(self._entry.successor)

    def load(self) -> Secret | None:
        """The key, or nothing if there is no such entry.

        Raises:
            KeychainLockedError, KeychainUnreachableError, KeyStoreUnavailableError: it can't be asked.
            KeyStoreNotInstalledError: the extra `keyring` is missing.
            KeyStoreDamagedError: the entry holds no key.
        """
        text = self._entry.get()
        return None if text is None else decode_store_key(text, self.place)

    def save(self, secret: Secret) -> None:
        """Make the entry and read it back.

        Raises:
            KeyStoreTakenError: there is one, or that of a rotation that isn't finished.
            KeychainLockedError, KeychainUnreachableError, KeyStoreUnavailableError: it can't be made.
            KeyStoreDamagedError: the keychain gave back something else.
        """
        text = encode_store_key(secret)
        for entry in (self._entry, self._entry.successor):
            if entry.get() is not None:
                raise KeyStoreTakenError(f"{entry.place} is there already")
        self._entry.set(text)

    def remove(self) -> bool:
        """Delete the entry, and every other one of the same name.

        Raises:
            KeychainLockedError, KeychainUnreachableError, KeyStoreUnavailableError: it can't be deleted.
        """
        while self._entry.get() is not None:
            self._entry.delete()
        return True

    def promote(self) -> None:
        """Overwrite the entry with the successor's, then delete that one.

        Raises:
            KeychainLockedError, KeychainUnreachableError, KeyStoreUnavailableError: it can't be done.
            KeyStoreDamagedError: the keychain gave back something else.
        """
        text = self._entry.successor.get()
        if text is not None:
            self._entry.set(text)
            self.successor.remove()

    def __repr__(self) -> str:
        return f"KeyringSecretStore({self.place})"


class Entry:
    """A text in a keychain, under a service and a user name; the errors are those of the store."""

    def __init__(self, keychain: str, service: str, user: str) -> None:
        self._keychain = keychain
        self._service = service
        self._user = user
        self._opened: Backend | None = None

    @property
    def place(self) -> str:
        """Keychain, service and user name."""
        return f"keyring: {self._service} ({self._user}) in {self._keychain}"

    @property
    def successor(self) -> "Entry":
        """The entry whose user name has `.next` added."""
        return Entry(self._keychain, self._service, f"{self._user}.next")

    def get(self) -> Secret | None:
        """The text, if there is such an entry."""
        with _translated():
            text = self._backend().get_password(self._service, self._user)
        return None if text is None else Secret(text.encode())

    def set(self, text: Secret) -> None:
        """Make or overwrite the entry, and read it back."""
        with _translated():
            self._backend().set_password(self._service, self._user, text.reveal().decode())
        found = self.get()
        if found is None or found.reveal() != text.reveal():
            raise KeyStoreDamagedError(
                f"{self.place} gave back something else than was stored",
                next_step="use another key store; the keychain doesn't keep what it is given",
            )

    def delete(self) -> None:
        """Delete one entry of this name."""
        with _translated():
            self._backend().delete_password(self._service, self._user)

    def _backend(self) -> Backend:
        if self._opened is None:
            module, name = _BACKENDS[self._keychain]
            try:
                self._opened = getattr(import_module(module), name)()
            except ImportError:
                raise KeyStoreNotInstalledError(
                    "this key store needs the extra `keyring`", next_step="install it: pip install 'meroid[keyring]'"
                ) from None
        return self._opened


class _translated:  # noqa: N801 - it reads as the verb it is
    """Turns what a keychain raises into our refusals; nothing of the library's own message is passed on."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, KeyStoreNotInstalledError):
            return
        # By name, since the library may be missing, and each of its keychains brings errors of its own.
        names = {each.__name__ for each in type(error).__mro__}
        if names & {"KeyringLocked", "LockedException", "PromptDismissedException"}:
            raise KeychainLockedError("the keychain is locked, or was never set up") from None
        if names & {"InitError", "NoKeyringError", "SecretServiceNotAvailableException", "OSError", "RuntimeError"}:
            raise KeychainUnreachableError("there is no keychain in this session") from None
        raise KeyStoreUnavailableError(f"the keychain failed ({type(error).__name__})") from None
