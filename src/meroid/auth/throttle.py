"""How long a log-in must wait after failed ones.

The delay grows per login and address. Over all addresses a login is only slowed, and so is an address over all
logins, however many names it makes up; who succeeded from an address within 30 days isn't slowed by the others there or
elsewhere, so nobody can lock an owner out. An attempt that had to wait is not checked and not counted.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

from meroid.errors import ThrottledError
from meroid.keys.canonical import tagged_hash

FREE_FAILURES: Final = 5
FIRST_DELAY_MS: Final = 1_000
LONGEST_DELAY_MS: Final = 15 * 60_000
FREE_FAILURES_OF_LOGIN: Final = 50
LOGIN_DELAY_MS: Final = 5_000
LOGIN_WINDOW_MS: Final = 24 * 3_600_000
FREE_FAILURES_OF_ADDRESS: Final = 50
FORGIVEN_EVERY_MS: Final = 30_000
"""An address may fail so often at once; after that once in this time, and each such time without a failure forgives one."""
KEEP_ADDRESSES_MS: Final = FREE_FAILURES_OF_ADDRESS * FORGIVEN_EVERY_MS
TRUSTED_FOR_MS: Final = 30 * 24 * 3_600_000
KEEP_ATTEMPTS_MS: Final = TRUSTED_FOR_MS
_IPV6_NETWORK_BITS: Final = 64
_TAG: Final = "meroid/login-attempts/v1"


class LoginThrottledError(ThrottledError):
    """Too many failed log-ins; carries the seconds to wait."""

    code = "login_throttled"
    next_step = "wait as long as Retry-After says, then try again with the right password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failed log-ins so far: of one login from one address, of the login from anywhere, of the address. Times in ms."""

    here: int = 0
    last_here: int | None = None
    succeeded_here: int | None = None
    anywhere: int = 0
    last_anywhere: int | None = None
    address: int = 0
    last_address: int | None = None


def check_throttle(failures: Failures, at: int) -> None:
    """Refuse an attempt that comes too early.

    Raises:
        LoginThrottledError: with the whole seconds to wait.
    """
    wait = wait_ms(failures, at)
    if wait > 0:
        raise LoginThrottledError("too many failed log-ins", retry_after_s=-(-wait // 1000))


def wait_ms(failures: Failures, at: int) -> int:
    """Milliseconds until the next attempt is looked at; 0 for now."""
    here = _remaining(failures.last_here, _delay_here(failures.here), at)
    trusted = failures.succeeded_here is not None and at - failures.succeeded_here <= TRUSTED_FOR_MS
    if trusted:
        return here
    anywhere = LOGIN_DELAY_MS if failures.anywhere >= FREE_FAILURES_OF_LOGIN else 0
    address = FORGIVEN_EVERY_MS if failures.address >= FREE_FAILURES_OF_ADDRESS else 0
    return max(here, _remaining(failures.last_anywhere, anywhere, at), _remaining(failures.last_address, address, at))


def address_level(level: int, last: int, at: int) -> int:
    """How many failures of an address, `level` at the last one, aren't forgiven by now."""
    return max(0, level - max(0, at - last) // FORGIVEN_EVERY_MS)


def address_group(address: str) -> str:
    """The address that failures count for: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(parsed), _IPV6_NETWORK_BITS), strict=False).network_address)
        return str(parsed.ipv4_mapped)
    return str(parsed)


def login_digest(method: str, identifier: str) -> bytes:
    """What failures are counted under: 32 bytes that don't keep what was typed."""
    return tagged_hash(_TAG, method.encode("utf-8"), b"\x00", identifier.encode("utf-8"))


def _delay_here(failures: int) -> int:
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, 20)
    return min(FIRST_DELAY_MS << doublings, LONGEST_DELAY_MS)


def _remaining(last: int | None, delay: int, at: int) -> int:
    return max(0, last + delay - at) if last is not None else 0
