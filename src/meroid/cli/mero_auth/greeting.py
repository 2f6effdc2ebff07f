"""What `mero-auth` says when it starts."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meroid.app import Beginning


def greet(beginning: "Beginning") -> None:
    """Print addresses, configuration and the way to become the owner; the set-up code on a terminal only."""
    settings = beginning.settings
    scheme = "http" if settings.tls is None else "https"
    addresses = [_url(scheme, address) for address in beginning.addresses]
    many = "" if settings.workers == 1 else f" with {settings.workers} workers"
    say = [
        f"auth service answers on {' and '.join(addresses)}{many}",
        f"configuration: {settings.config_file or 'defaults and environment'}; home: {settings.home}",
        *_first_owner(beginning),
        f"behind a proxy ask {addresses[0]}/auth/validate for each request",
    ]
    print("\n".join(say), flush=True)


def _first_owner(beginning: "Beginning") -> Iterable[str]:
    code, where = beginning.setup_code, beginning.settings.setup_code_file
    if code is None:
        return []
    if sys.stdout.isatty():
        return [f"no owner yet; set-up code: {code.reveal().decode()} (also in {where})"]
    return [f"no owner yet; the set-up code lies in {where}"]


def _url(scheme: str, address: tuple[str, int]) -> str:
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
