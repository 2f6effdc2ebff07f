"""Addresses `tcp/host:port`: read, made ready for listening, and as others can use them.

They come from configuration and from invitations, so the form is strict: the engine's own
syntax has options after `#` and `?` and links to devices, and none of that is let through.
"""

import contextlib
import errno
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from meroid.sync.errors import BadEndpointError, CannotListenError
from meroid.sync.limits import ADVERTISED_ENDPOINTS

_log = structlog.get_logger(__name__)

_FORM = re.compile(
    r"tcp/(?:\[(?P<six>[0-9a-fA-F:.]{2,45})\]|(?P<host>[0-9A-Za-z.-]{1,253})):(?P<port>[0-9]{1,5})", re.ASCII
)
# Documentation and private ranges: nothing is sent there, only the routing table is asked.
_PROBES_V4 = ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254")
_PROBES_V6 = ("2001:db8::1", "fd00::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One TCP address; an IPv6 host has no brackets here."""

    host: str
    port: int

    def __str__(self) -> str:
        """The text form, `tcp/host:port`."""
        return f"tcp/[{self.host}]:{self.port}" if ":" in self.host else f"tcp/{self.host}:{self.port}"


def parse_endpoint(text: str, *, may_choose_port: bool = False) -> Endpoint:
    """Read `tcp/host:port`.

    Args:
        text: the address; an IPv6 host stands in brackets.
        may_choose_port: whether port 0 is allowed, for listening on any free one.

    Raises:
        BadEndpointError: another form, or a port out of range.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadEndpointError("an address must have the form tcp/host:port")
    port = int(match["port"])
    if port > 65535 or (port == 0 and not may_choose_port):
        raise BadEndpointError("the port of an address must be a number from 1 to 65535")
    host = match["host"]
    if host is None:
        try:
            host = str(ipaddress.IPv6Address(match["six"]))
        except ValueError as error:
            raise BadEndpointError("the host of an address is no IPv6 address") from error
    return Endpoint(host=host, port=port)


def is_endpoint(text: str) -> bool:
    """Whether a text is an address that can be connected to."""
    try:
        parse_endpoint(text)
    except BadEndpointError:
        return False
    return True


def ready_to_listen(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Addresses that can be bound: ports chosen, what the other family covers or the machine lacks left out.

    Raises:
        CannotListenError: an address is in use or not of this machine.
    """
    wanted = list(dict.fromkeys(endpoints))
    ready: list[Endpoint] = []
    # `::` takes IPv4 as well, and then nothing else may bind the same port on `0.0.0.0`.
    for endpoint in sorted(wanted, key=lambda one: one.host != "::"):
        covered = endpoint.host == "0.0.0.0" and any(one == Endpoint(host="::", port=endpoint.port) for one in ready)  # noqa: S104 - compared, not bound
        if not covered and (bound := _bindable(endpoint)) is not None:
            ready.append(bound)
    if wanted and not ready:
        raise CannotListenError("this machine has none of the addresses to listen on")
    return ready


def advertised(listening: Sequence[Endpoint]) -> list[Endpoint]:
    """Addresses under which others reach these, wildcards made concrete, loopback only if nothing else; at most four."""
    concrete: list[Endpoint] = []
    for endpoint in listening:
        hosts = _own_hosts(endpoint.host) if endpoint.host in {"0.0.0.0", "::"} else [endpoint.host]  # noqa: S104 - compared, not bound
        concrete.extend(Endpoint(host=host, port=endpoint.port) for host in hosts)
    concrete = list(dict.fromkeys(concrete))
    outside = [endpoint for endpoint in concrete if not _is_loopback(endpoint.host)]
    return (outside or concrete)[: ADVERTISED_ENDPOINTS.value]


def _bindable(endpoint: Endpoint) -> Endpoint | None:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((endpoint.host, endpoint.port))
            return Endpoint(host=endpoint.host, port=probe.getsockname()[1])
    except OSError as error:
        if family == socket.AF_INET6 and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            _log.warning("no_ipv6_here", endpoint=str(endpoint))
            return None
        raise CannotListenError(f"cannot listen on {endpoint}: {error.strerror or 'unknown host'}") from error


def _own_hosts(wildcard: str) -> list[str]:
    four = [host for probe in _PROBES_V4 if (host := _source_address(socket.AF_INET, probe))]
    six = [host for probe in _PROBES_V6 if (host := _source_address(socket.AF_INET6, probe))]
    hosts = (six + four) if wildcard == "::" else four
    return [*dict.fromkeys(hosts)] or ["127.0.0.1"]


def _source_address(family: socket.AddressFamily, target: str) -> str | None:
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((target, 9))
        host = str(probe.getsockname()[0])
        return None if _is_loopback(host) or ipaddress.ip_address(host).is_link_local else host
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
