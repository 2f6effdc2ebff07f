"""Who may become the first owner of an empty node (design §5, "First owner")."""

import ipaddress
from dataclasses import dataclass
from typing import Final

_LOOPBACK_NAME: Final = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end of a request.

    `address` is the caller's IP address; `via_proxy` says that a trusted proxy named it, so it
    isn't the TCP peer. `host` and `origin` are the headers as sent; `forwarded` is true if there
    was any `Forwarded`, `X-Forwarded-*` or `Via`, or HTTP/1.0, which proxies speak. `node` is the host that tokens for one node are compared with: `host`,
    what a trusted proxy says instead, or what is configured.
    """

    address: str
    via_proxy: bool = False
    host: str | None = None
    origin: str | None = None
    forwarded: bool = False
    node: str | None = None


def is_direct(peer: Peer) -> bool:
    """True if the request comes from this machine itself, and not through a proxy or another site's page.

    The TCP peer is loopback, nothing says "forwarded", `Host` is a loopback name (so no DNS
    rebinding), and `Origin` is absent or the node's own.
    """
    if peer.via_proxy or peer.forwarded or peer.host is None:
        return False
    return is_loopback_address(peer.address) and is_loopback_host(peer.host) and _own_origin(peer.origin, peer.host)


def is_loopback_address(address: str) -> bool:
    """True for 127.0.0.0/8 and ::1, also as an IPv4-mapped IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def is_loopback_host(host: str) -> bool:
    """True if a `Host` header names this machine: `localhost` or a loopback address, with or without port."""
    name = host_name(host)
    return name == _LOOPBACK_NAME or is_loopback_address(name)


def host_name(host: str) -> str:
    """The name in a `Host` header: without port and brackets, in lower case, without a final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host if host.count(":") > 1 else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _own_origin(origin: str | None, host: str) -> bool:
    return origin is None or origin.lower() in {f"http://{host.lower()}", f"https://{host.lower()}"}
