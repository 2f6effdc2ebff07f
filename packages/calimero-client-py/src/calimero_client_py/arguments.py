"""Arguments read before anything is sent: ids, JSON texts, aliases, plain types."""

import json
from urllib.parse import urlsplit

import base58

from calimero_client_py.errors import BadInputError, InvalidIdError
from meroid.ids import BadIdError, Id32
from meroid.limits import ALIAS_BYTES

_U64 = 2**64


def text_argument(name: str, value: object) -> str:
    """A text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"argument '{name}': '{type(value).__name__}' object is not a str")
    return value


def id_argument(kind: str, name: str, value: object) -> str:
    """Base58 of exactly 32 bytes.

    Raises:
        TypeError: it is no text.
        InvalidIdError: it is no id.
    """
    given = text_argument(name, value)
    try:
        Id32.parse(given)
    except BadIdError as error:
        raise InvalidIdError(f"Invalid {kind} '{given}': {error.reason}") from None
    return given


def bytes_argument(name: str, value: object) -> bytes:
    """Bytes; nothing that is merely like them.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bytes):
        raise TypeError(f"argument '{name}': '{type(value).__name__}' object is not bytes")
    return value


def json_argument(name: str, value: object, what: str) -> object:
    """The value that a JSON text stands for.

    Raises:
        TypeError: it is no text.
        BadInputError: it is no JSON; the message begins with `what`.
    """
    try:
        parsed: object = json.loads(text_argument(name, value))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{what}: {error}") from None
    return parsed


def alias_argument(value: object) -> str:
    """An alias of at most 50 bytes.

    Raises:
        TypeError: it is no text.
        BadInputError: it is too long or empty.
    """
    alias = text_argument("alias", value)
    if not 0 < len(alias.encode("utf-8", "surrogatepass")) <= ALIAS_BYTES.value:
        raise BadInputError(f"Invalid alias: it must have 1 to {ALIAS_BYTES.value} bytes")
    return alias


def u64_argument(name: str, value: object) -> int:
    """A whole number from 0 to 2^64 - 1.

    Raises:
        TypeError: it is no whole number.
        OverflowError: it is outside.
    """
    if not isinstance(value, int):
        raise TypeError(f"argument '{name}': '{type(value).__name__}' object is not an int")
    if not 0 <= value < _U64:
        raise OverflowError(f"argument '{name}': {value} does not fit into 64 bits without sign")
    return int(value)


def url_argument(value: object) -> str:
    """The address of an application.

    Raises:
        BadInputError: it is no absolute address.
    """
    url = text_argument("url", value)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadInputError(f"Invalid URL '{url}': {error}") from None
    if not parts.scheme or not (parts.netloc or parts.path):
        raise BadInputError(f"Invalid URL '{url}': it is not absolute")
    return url


def hash_argument(value: object) -> str | None:
    """64 hex digits, as the base58 that the wire wants; None stays None.

    Raises:
        BadInputError: it is something else.
    """
    if value is None:
        return None
    try:
        raw = bytes.fromhex(text_argument("hash", value))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise BadInputError("Invalid hash: it must be 64 hexadecimal digits")
    return base58.b58encode(raw).decode("ascii")


def base58_argument(name: str, value: object, what: str) -> str:
    """Base58 of any length.

    Raises:
        BadInputError: it isn't; the message begins with `what`.
    """
    given = text_argument(name, value)
    try:
        if not given:
            raise ValueError("it is empty")  # noqa: TRY301 - one message for both
        base58.b58decode(given)
    except ValueError as error:
        raise BadInputError(f"{what}: {error}") from None
    return given
