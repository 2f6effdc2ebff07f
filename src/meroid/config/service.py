"""What every service of ours runs with, node or auth service alone."""

from dataclasses import dataclass
from pathlib import Path

from meroid.config.auth import DEFAULT_AUTH, AuthSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a node and an auth service alone have in common; addresses are IP literal and port.

    Attributes:
        home: the directory of all that it keeps.
        listen: HTTP addresses.
        key_store: URI of the store key.
        allowed_origins: origins of web pages that may call.
        allowed_hosts: its host names beside the loopback ones.
        trusted_proxies: addresses and networks whose `X-Forwarded-For` is believed.
        ignored: keys that are kept and mean nothing here.
        auth: those of the auth service.
    """

    home: Path
    listen: tuple[tuple[str, int], ...]
    key_store: str = "file:"
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    auth: AuthSettings = DEFAULT_AUTH

    @property
    def database(self) -> Path:
        """The encrypted database."""
        return self.home / "data" / "node.db"

    @property
    def setup_code_file(self) -> Path:
        """Where the set-up code lies while there is no owner."""
        return self.home / "setup-code"
