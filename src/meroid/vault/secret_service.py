"""The freedesktop keychain (GNOME, KDE and others), without ever opening a prompt. Needs the extra `keyring`."""

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import secretstorage
from keyring.backends.SecretService import Keyring
from keyring.errors import InitError, KeyringLocked
from secretstorage.exceptions import ItemNotFoundException, SecretServiceNotAvailableException

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

_LOCKED: Final = "the keychain is locked, or was never set up"
_PATIENCE_S: Final = 10.0


class UnpromptedSecretService(Keyring):
    """The library's keychain, which raises `KeyringLocked` where that one would ask on the screen and wait."""

    def get_preferred_collection(self) -> secretstorage.Collection:
        """The default keychain, unlocked."""
        try:
            bus = secretstorage.dbus_init()
        except (SecretServiceNotAvailableException, OSError):
            raise InitError("there is no session bus") from None
        try:
            return _unlocked_collection(bus)
        except BaseException:
            bus.close()
            raise

    def unlock(self, item: secretstorage.Item) -> None:
        """Raise if an entry is locked by itself."""
        if item.is_locked():
            with closing(item.connection):
                raise KeyringLocked(_LOCKED)


def _unlocked_collection(bus: "DBusConnection") -> secretstorage.Collection:
    # The library waits for ever; a keychain that is stuck must not keep a node from saying so.
    setattr(bus, "send_and_get_reply", partial(bus.send_and_get_reply, timeout=_PATIENCE_S))  # noqa: B010 - mypy
    try:
        collection = secretstorage.Collection(bus)  # unlike get_default_collection, it never makes one
        locked = collection.is_locked()
    except ItemNotFoundException:
        raise KeyringLocked(_LOCKED) from None
    except (SecretServiceNotAvailableException, TimeoutError):
        raise InitError("nothing on the session bus keeps secrets") from None
    if locked:
        raise KeyringLocked(_LOCKED)
    return collection
