"""PKCS#11 URIs (RFC 7512), the part that names a token and an object on it.

- Path: `token`, `serial`, `object`; at least one of the first two.
- Query: `module-path` (the driver; otherwise the environment variable `PKCS11_MODULE_PATH`) and
  `pin-source` (a private file with the PIN; otherwise a person is asked).
- `pin-value` is refused, as is every other attribute: one that is ignored might have meant a limit.

No error repeats a value of the URI.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from meroid.errors import InvalidInputError

MODULE_VARIABLE: Final = "PKCS11_MODULE_PATH"

_PATH_ATTRIBUTES: Final = frozenset({"token", "serial", "object"})
_QUERY_ATTRIBUTES: Final = frozenset({"module-path", "pin-source"})
_LONGEST: Final = 1024


class BadPkcs11UriError(InvalidInputError):
    """The URI doesn't name a token as RFC 7512 says, or uses a part of it that isn't supported."""

    code = "bad_pkcs11_uri"
    next_step = "write pkcs11:token=NAME;object=LABEL?module-path=/PATH/OF/DRIVER.so&pin-source=file:/PATH"


class PinInUriError(BadPkcs11UriError):
    """The URI holds the PIN itself; URIs end up in files, lists of processes and logs."""

    code = "pin_in_uri"
    next_step = "change the PIN, leave it out and type it when asked, or name a private file with pin-source"


class Pkcs11ModuleMissingError(InvalidInputError):
    """Nothing says which driver to load, or it can't be loaded."""

    code = "pkcs11_module_missing"
    next_step = f"install the token's PKCS#11 driver, and name it with module-path or {MODULE_VARIABLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Uri:
    """What a PKCS#11 URI names; `label` is that of the object, if the URI has one."""

    token: str | None
    serial: bytes | None
    label: str | None
    module_path: str | None
    pin_source: Path | None

    def module(self) -> str:
        """The driver's path.

        Raises:
            Pkcs11ModuleMissingError: neither the URI nor the environment names one.
        """
        path = self.module_path or os.environ.get(MODULE_VARIABLE)
        if not path:
            raise Pkcs11ModuleMissingError("no PKCS#11 driver was named")
        return path

    @property
    def token_name(self) -> str:
        """The token, for a person."""
        return self.token if self.token is not None else f"with serial number {(self.serial or b'').decode()}"


def parse_pkcs11_uri(rest: str) -> Pkcs11Uri:
    """Parse what follows `pkcs11:`.

    Raises:
        BadPkcs11UriError: malformed, names no token, or has an unknown attribute.
        PinInUriError: it has a `pin-value`.
    """
    if len(rest) > _LONGEST:
        raise BadPkcs11UriError(f"a PKCS#11 URI has at most {_LONGEST} characters")
    path, _, query = rest.partition("?")
    named = _attributes(path, ";", _PATH_ATTRIBUTES)
    asked = _attributes(query, "&", _QUERY_ATTRIBUTES)
    token, serial = named.get("token"), named.get("serial")
    if not token and not serial:
        raise BadPkcs11UriError("the URI names no token")
    return Pkcs11Uri(
        token=token,
        serial=None if serial is None else serial.encode(),
        label=named.get("object"),
        module_path=asked.get("module-path"),
        pin_source=_pin_source(asked.get("pin-source")),
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise PinInUriError("the URI holds a PIN")
        if name not in known:
            raise BadPkcs11UriError("the URI has an attribute that isn't supported")
        if not equals or not value or name in found:
            raise BadPkcs11UriError(f"{name} stands once, with a value")
        found[name] = _decoded(name, value)
    return found


def _decoded(name: str, value: str) -> str:
    try:
        text = unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        text = "\x00"
    if not text.isprintable():
        raise BadPkcs11UriError(f"the value of {name} isn't printable text")
    return text


def _pin_source(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text.removeprefix("file://").removeprefix("file:"))
    if not path.is_absolute():
        raise BadPkcs11UriError("pin-source names a file by its whole path")
    return path
