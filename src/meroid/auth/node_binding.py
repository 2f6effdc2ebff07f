"""Tokens for one node: which host they are for, and whether a request came to that host.

Where one service makes the tokens of many nodes, each node sees those that are sent to it; a token that is bound to
the host of one is of no use at another (`wire/auth.md` §2.5). Hosts are compared, not schemes and ports.
"""

import ipaddress
import re
from typing import Final

from meroid.auth.first_owner import host_name, is_loopback_address
from meroid.errors import ForbiddenError

_ORIGIN: Final = re.compile(
    r"(https?://(?:[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?\.?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?)(?:[/?#].*)?",
    re.DOTALL,
)
_LONGEST_URL: Final = 2048
_THIS_MACHINE: Final = "localhost"


class WrongNodeError(ForbiddenError):
    """The token is for another node: it was made for the host under which that one is reached."""

    code = "invalid_node"
    next_step = "log in at the address that you want to use it at"


def origin_of(url: str | None) -> str | None:
    """An http or https address reduced to its origin, lower case; nothing if it is none."""
    match = _ORIGIN.fullmatch(url.lower()) if url and len(url) <= _LONGEST_URL else None
    return match[1] if match else None


def check_node(origin: str | None, host: str | None) -> None:
    """Refuse a token that is for another host; without an origin it is for every one.

    `host` is the name that the request was made to, as in a `Host` header. All names of loopback are one.

    Raises:
        WrongNodeError: it is for another one, or the request names none.
    """
    if origin is not None and (host is None or not is_same_host(origin, host)):
        raise WrongNodeError(f"this token is for {origin}, and not for the host that it was sent to")


def is_same_host(origin: str, host: str) -> bool:
    """True if a `Host` names the host of an origin."""
    return _comparable(origin.partition("://")[2]) == _comparable(host)


def _comparable(host: str) -> str:
    name = host_name(host).removesuffix(".")
    if name == _THIS_MACHINE or is_loopback_address(name):
        return _THIS_MACHINE
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
