"""The base address of a node: parsed once, path prefix kept."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from meroid.client.failures import BadAddressError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 2048
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """Where a node is reached.

    Attributes:
        scheme: `http` or `https`.
        host: name or address, lower case, without brackets.
        port: TCP port.
        prefix: path before every route, without a closing slash; empty for a bare origin.
    """

    scheme: str
    host: str
    port: int
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an http or https address.

        Raises:
            BadAddressError: another scheme, no host, a bad port, or a user name, query or fragment in it.
        """
        if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
            raise BadAddressError("the address has characters that don't belong there, or too many")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadAddressError(f"{text!r} is no address: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise BadAddressError(f"{text!r} doesn't begin with http:// or https://")
        if not parts.hostname:
            raise BadAddressError(f"{text!r} names no host")
        if parts.username is not None or parts.password is not None:
            raise BadAddressError("the address holds a user name or password, which would end up in logs")
        if parts.query or parts.fragment:
            raise BadAddressError(f"{text!r} has a query or a fragment, which a base address can't have")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
            prefix=parts.path.rstrip("/"),
        )

    @property
    def origin(self) -> str:
        """Scheme, host and, unless it is the default, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def is_same_place(self, other: "NodeAddress") -> bool:
        """Whether both name one listener; the names of the loopback interface count as one."""
        same_host = self.host == other.host or {self.host, other.host} <= _LOOPBACK_NAMES
        return same_host and (self.scheme, self.port) == (other.scheme, other.port)

    def __str__(self) -> str:
        return self.origin + (self.prefix or "/")
