"""Which key store a URI names. A new kind of store is a file beside this one, and a line in `_OPENERS`.

| URI | where the store key lies |
|---|---|
| `file:` | `store.key` in the home; `file:NAME` in the home, `file:/PATH` anywhere |
| `env:NAME` | the environment variable NAME, for containers; can't be written |
| `keyring:` | the keychain of the desktop; `keyring:SERVICE`, `keyring:?backend=NAME` |
| `pkcs11:token=T` | sealed in the home under a key that a hardware token holds (RFC 7512) |
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from meroid.keys.signer import Ask
from meroid.vault.environment_store import open_environment_store
from meroid.vault.file_store import open_file_store
from meroid.vault.key_store import STORE_KEY_BYTES, KeyStore, Surroundings, UnknownKeyStoreError
from meroid.vault.keyring_store import open_keyring_store
from meroid.vault.pkcs11_store import open_pkcs11_store

__all__ = ["SCHEMES", "STORE_KEY_BYTES", "open_secret_store"]

_OPENERS: Final[Mapping[str, Callable[[str, Surroundings], KeyStore]]] = {
    "file": open_file_store,
    "env": open_environment_store,
    "keyring": open_keyring_store,
    "pkcs11": open_pkcs11_store,
}
SCHEMES: Final = tuple(_OPENERS)


def open_secret_store(uri: str, home: Path, ask: Ask | None = None) -> KeyStore:
    """The key store that a URI names; nothing is read, made or asked for yet.

    Args:
        uri: as the table above; it never holds a secret.
        home: the directory of the node.
        ask: asks a person for the PIN of a token; without it only `pin-source` can give one.

    Raises:
        UnknownKeyStoreError: no such scheme, or what follows it names nothing.
        BadPkcs11UriError, KeyStoreBackendRefusedError: as the stores say.
    """
    if not uri.isprintable():  # it goes into a file of settings, and into what is shown to a person
        raise UnknownKeyStoreError("a URI of a key store is printable text")
    scheme, colon, rest = uri.partition(":")
    opener = _OPENERS.get(scheme)
    if opener is None or not colon:
        raise UnknownKeyStoreError(f"there is no such key store; there are {', '.join(f'{s}:' for s in SCHEMES)}")
    return opener(rest, Surroundings(home=home, ask=ask))
