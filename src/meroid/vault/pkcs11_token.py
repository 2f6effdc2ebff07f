"""A hardware token through its PKCS#11 driver (extra `hsm`): finding it, the PIN, and what its errors mean."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from meroid.errors import ForbiddenError, InvalidInputError, MeroidError, NotFoundError, UnavailableError
from meroid.keys.signer import Ask, Secret
from meroid.vault.file_store import read_owned
from meroid.vault.key_store import KeyStoreNotInstalledError
from meroid.vault.pkcs11_uri import BadPkcs11UriError, Pkcs11ModuleMissingError, Pkcs11Uri

if TYPE_CHECKING:
    from pkcs11 import Session, Token

T = TypeVar("T")

_LONGEST_PIN: Final = 256


class TokenMissingError(UnavailableError):
    """No token of this name is plugged in."""

    code = "token_missing"
    next_step = "plug the token in, and check its name with the driver's own program"


class TokenUnpluggedError(UnavailableError):
    """The token went away, or lost its state, while it was in use."""

    code = "token_unplugged"
    next_step = "plug the token in again and repeat; if nothing helps, restart the node"


class TokenFailedError(UnavailableError):
    """The token refused for a reason of its own."""

    code = "token_failed"
    next_step = "try again; look the named error up in the token's documentation"


class TokenUnsuitedError(InvalidInputError):
    """The token, or the object on it, can't do what is needed."""

    code = "token_unsuited"
    next_step = "use a token with AES-CBC for the store key, with Ed25519 for an account key"


class TokenObjectMissingError(NotFoundError):
    """The token lacks the key that should be on it."""

    code = "token_object_missing"
    next_step = "plug in the token that holds it; check the object's label"


class PinNeededError(ForbiddenError):
    """Nobody can be asked for the PIN, and no file holds it."""

    code = "pin_needed"
    next_step = "start from a terminal, or name a private file that holds the PIN with pin-source"


class WrongPinError(ForbiddenError):
    """The token doesn't accept the PIN. It is tried once only: tokens lock themselves after a few."""

    code = "wrong_pin"
    next_step = "try again with the right PIN; after a few wrong ones the token locks itself"


class PinLockedError(ForbiddenError):
    """The token has locked itself, or its PIN was never set or has expired."""

    code = "pin_locked"
    next_step = "unlock the token or set its PIN with the driver's own program (it needs the SO PIN)"


class Pkcs11Token:
    """One token; opened and unlocked when it is first used, by one thread at a time."""

    def __init__(self, uri: Pkcs11Uri, ask: Ask | None) -> None:
        self._uri = uri
        self._ask = ask
        self._session: Session | None = None
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The token, for a person."""
        return self._uri.token_name

    def use(self, work: Callable[["Session"], T]) -> T:
        """Run a work on the unlocked token.

        Raises:
            TokenMissingError, TokenUnpluggedError, TokenFailedError, TokenUnsuitedError: as they say.
            TokenObjectMissingError: the work needs a key that isn't there.
            PinNeededError, WrongPinError, PinLockedError: it doesn't open.
            Pkcs11ModuleMissingError, KeyStoreNotInstalledError: there is no driver, or no library for it.
        """
        with self._lock:
            session = self._session
            if session is None:
                session = self._session = self._open()
            try:
                return work(session)
            except MeroidError:
                raise
            except Exception as error:
                refusal = self._refusal(error)
                if refusal is None:
                    raise
                if isinstance(refusal, TokenUnpluggedError):
                    self._drop()
                raise refusal from None

    def close(self) -> None:
        """Log out; the next use asks for the PIN again."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        """Forget the session; the next use opens another one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(RuntimeError):  # what all of the library's errors are; the token may be gone
                session.close()

    def _open(self) -> "Session":
        try:
            from pkcs11.exceptions import UserAlreadyLoggedIn  # noqa: PLC0415 - an extra
        except ImportError:
            raise KeyStoreNotInstalledError(
                "hardware tokens need the extra `hsm`", next_step="install it: pip install 'meroid[hsm]'"
            ) from None
        token = self._find()
        opened = _log_in(token, self._pin())
        if isinstance(opened, UserAlreadyLoggedIn):  # by another object of this process; the state is shared
            return token.open(rw=True)
        if isinstance(opened, UnicodeDecodeError):
            raise WrongPinError(f"token {self.name}: a PIN is UTF-8 text")
        if isinstance(opened, Exception):
            raise self._refusal(opened) or opened
        return opened

    def _find(self) -> "Token":
        import pkcs11  # noqa: PLC0415 - an extra

        try:
            driver = pkcs11.lib(self._uri.module())
        except (pkcs11.PKCS11Error, RuntimeError, OSError):
            raise Pkcs11ModuleMissingError("the PKCS#11 driver can't be loaded") from None
        try:
            return driver.get_token(token_label=self._uri.token, token_serial=self._uri.serial)
        except pkcs11.MultipleTokensReturned:
            raise BadPkcs11UriError(
                f"more than one token is called {self.name}", next_step="add the serial number: serial=…"
            ) from None
        except pkcs11.PKCS11Error:
            raise TokenMissingError(f"there is no token {self.name}") from None

    def _pin(self) -> Secret:
        source = self._uri.pin_source
        if source is not None:
            pin = read_owned(source, _LONGEST_PIN)
            if pin is None:
                raise PinNeededError(f"{source} isn't there")
            return Secret(pin.reveal().strip(b"\r\n"))
        if self._ask is None:
            raise PinNeededError(f"nobody can be asked for the PIN of token {self.name}")
        return self._ask(f"PIN of token {self.name}")

    def _refusal(self, error: Exception) -> MeroidError | None:
        """Our refusal for what the library raised, none for a mistake in our own code."""
        kind = type(error).__name__
        if type(error).__module__ != "pkcs11.exceptions":
            return None
        for kinds, refusal, reason in _REFUSALS:
            if kind in kinds:
                return refusal(f"token {self.name}: {reason}")
        return TokenFailedError(f"token {self.name} refused: {kind}")


def _log_in(token: "Token", pin: Secret) -> "Session | Exception":
    """The session, or why there is none: raised from here, a traceback with variables would show the PIN."""
    try:
        return token.open(rw=True, user_pin=pin.reveal().decode())
    except (RuntimeError, UnicodeDecodeError) as error:  # the library's errors are the former
        return error.with_traceback(None)


def _kinds(names: str) -> frozenset[str]:
    return frozenset(names.split())


_REFUSALS: Final[tuple[tuple[frozenset[str], type[MeroidError], str], ...]] = (
    (_kinds("PinIncorrect PinInvalid PinLenRange"), WrongPinError, "it refuses the PIN"),
    (
        _kinds("PinLocked PinExpired UserPinNotInitialized"),
        PinLockedError,
        "its PIN is locked, expired or was never set",
    ),
    (
        _kinds(
            "DeviceRemoved TokenNotPresent TokenNotRecognised SessionHandleInvalid SessionClosed "
            "ObjectHandleInvalid KeyHandleInvalid SlotIDInvalid UserNotLoggedIn"
        ),
        TokenUnpluggedError,
        "it was unplugged, or restarted",
    ),
    (_kinds("NoSuchKey"), TokenObjectMissingError, "the key isn't on it"),
    (_kinds("MultipleObjectsReturned"), TokenUnsuitedError, "two keys on it have the same name"),
    (
        _kinds(
            "MechanismInvalid MechanismParamInvalid FunctionNotSupported AttributeTypeInvalid AttributeValueInvalid "
            "DomainParamsInvalid TemplateInconsistent KeyTypeInconsistent KeySizeRange"
        ),
        TokenUnsuitedError,
        "it can't do what is needed",
    ),
)
