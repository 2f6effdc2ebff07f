"""Where a request comes from; forwarded headers count only when a trusted proxy sends them."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from meroid.auth.first_owner import Peer, is_loopback_address

_OF_OLD_PROXIES: Final = "1.0"
_FORWARDING: Final = frozenset({"forwarded", "via", "x-real-ip"})
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_NIP: Final = ".127.0.0.1.nip.io"


class Proxies:
    """The proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed."""

    def __init__(self, trusted: Sequence[str] = (), *, node_host: str | None = None) -> None:
        """`trusted` holds addresses and networks, such as `10.0.0.0/8`; ValueError for anything else.

        With a `node_host` every request counts as one to that host, whatever its headers say.
        """
        self._node_host = node_host
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(each, strict=False) for each in trusted]

    def trusts(self, address: str) -> bool:
        """Whether this address is a trusted proxy."""
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_address(self, socket_address: str, forwarded_for: Sequence[str]) -> str:
        """The nearest address that isn't a trusted proxy, read from the connection outwards."""
        address = socket_address
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        while hops and self.trusts(address):
            hop = _parse_address(hops.pop())
            if hop is None:
                break
            address = str(hop)
        return address

    def peer(
        self,
        socket_address: str,
        headers: Mapping[str, str],
        forwarded_for: Sequence[str],
        *,
        http_version: str = "1.1",
    ) -> Peer:
        """The other side of a request; `headers` have lower-case names.

        HTTP/1.0 tells of a proxy too: nginx speaks it where nobody told it otherwise, names itself in `Host` and says
        nothing of whom it asks for, so that every stranger would seem to be on this machine.
        """
        return Peer(
            address=self.client_address(socket_address, forwarded_for) if forwarded_for else socket_address,
            via_proxy=bool(forwarded_for) and self.trusts(socket_address),
            host=headers.get("host"),
            origin=headers.get("origin"),
            forwarded=http_version == _OF_OLD_PROXIES
            or not _FORWARDING.isdisjoint(headers)
            or "\nx-forwarded-" in "\n" + "\n".join(headers),
            node=self._node_host or self._named_by_proxy(socket_address, headers) or headers.get("host"),
        )

    def says_https(self, socket_address: str, headers: Mapping[str, str]) -> bool:
        """Whether a trusted proxy took the request over TLS."""
        return headers.get("x-forwarded-proto", "").lower() == "https" and self.trusts(socket_address)

    def _named_by_proxy(self, socket_address: str, headers: Mapping[str, str]) -> str | None:
        named = headers.get("x-forwarded-host")
        if named is None or not self.trusts(socket_address):
            return None
        return named.rpartition(",")[2].strip()  # the nearest proxy writes last


def host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets, lower case; nothing if it is malformed."""
    found = _HOST.fullmatch(host)
    return found.group("name").strip("[]").lower() if found else None


def origin_host(origin: str) -> str | None:
    """The host name in an Origin header; nothing for `null`, and for what isn't http or https."""
    scheme, _, host = origin.lower().partition("://")
    return host_name(host) if scheme in {"http", "https"} else None


def is_loopback_name(name: str) -> bool:
    """Whether a host name always means this machine: `localhost`, 127.0.0.0/8, `::1`, `*.127.0.0.1.nip.io`."""
    return name == "localhost" or name.endswith(_NIP) or name == _NIP[1:] or is_loopback_address(name)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
