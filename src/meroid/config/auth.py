"""The settings of the auth service, in a node and alone (`wire/auth.md` §7).

A node has them in `[server.embedded_auth]`, where the wire puts them, and in `[auth]`, which goes first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from meroid.config.errors import BadConfigError
from meroid.config.toml_values import table_in

DEFAULT_ACCESS_S: Final = 3_600
DEFAULT_REFRESH_S: Final = 30 * 24 * 3_600
_ISSUER: Final = re.compile(r"[ -=@-}]{1,256}")
_SHORTEST_S: Final = 60
_LONGEST_S: Final = 365 * 24 * 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class NearSettings:
    """What the node knows about NEAR: the table `near`.

    Attributes:
        network: name of the network, as wallets call it.
        rpc: JSON-RPC endpoint (http or https) that is asked about named accounts; without it they can't log in.
        wallet_url: address of a wallet, for login pages.
        recipient: what wallets sign for.
    """

    network: str = "testnet"
    rpc: str | None = None
    wallet_url: str = ""
    recipient: str = "calimero"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """What the auth service runs with.

    Attributes:
        issuer: claim `iss` (and `aud`) of its tokens: `jwt.issuer`.
        access_s: lifetime of access tokens, seconds: `jwt.access_token_expiry`.
        refresh_s: lifetime of refresh tokens, seconds: `jwt.refresh_token_expiry`.
        near: what it knows about NEAR.
        methods_off: names of the ways to log in that are switched off: `providers.NAME = false`.
    """

    issuer: str = "meroid"
    access_s: int = DEFAULT_ACCESS_S
    refresh_s: int = DEFAULT_REFRESH_S
    near: NearSettings = NearSettings()
    methods_off: frozenset[str] = frozenset()


DEFAULT_AUTH: Final = AuthSettings()


def auth_settings(*tables: Mapping[str, Any]) -> AuthSettings:
    """Read the settings; what stands in a later table goes before what stands in an earlier one.

    Raises:
        BadConfigError: a known key with an impossible value; unknown keys are accepted.
    """
    merged = _merged(tables)
    jwt = table_in(merged, "jwt")
    issuer = jwt.get("issuer", "meroid")
    if not isinstance(issuer, str) or not _ISSUER.fullmatch(issuer):
        raise BadConfigError("jwt.issuer is 1 to 256 printable ASCII characters without > ? ~")
    return AuthSettings(
        issuer=issuer,
        access_s=_lifetime(jwt, "access_token_expiry", DEFAULT_ACCESS_S),
        refresh_s=_lifetime(jwt, "refresh_token_expiry", DEFAULT_REFRESH_S),
        near=_near(table_in(merged, "near")),
        methods_off=_switched_off(table_in(merged, "providers")),
    )


def _merged(tables: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            known = merged.get(key)
            if isinstance(known, Mapping) and isinstance(value, Mapping):
                merged[key] = _merged((known, value))
            else:
                merged[key] = value
    return merged


def _lifetime(table: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = table.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not _SHORTEST_S <= value <= _LONGEST_S:
        raise BadConfigError(f"jwt.{key} is a number of seconds from {_SHORTEST_S} to {_LONGEST_S}")
    return value


def _switched_off(table: Mapping[str, Any]) -> frozenset[str]:
    for name, value in table.items():
        if not isinstance(value, bool):
            raise BadConfigError(f"providers.{name} is true or false")
    return frozenset(name for name, value in table.items() if not value)


def _near(table: Mapping[str, Any]) -> NearSettings:
    for key in ("network", "rpc", "rpc_url", "wallet_url", "recipient"):
        if not isinstance(table.get(key, ""), str):
            raise BadConfigError(f"near.{key} is not a text")
    rpc = table.get("rpc") or table.get("rpc_url") or None  # the wire's name is the second
    if rpc is not None and not rpc.startswith(("http://", "https://")):
        raise BadConfigError("near.rpc is no http or https address")
    return NearSettings(
        network=table.get("network") or "testnet",
        rpc=rpc,
        wallet_url=table.get("wallet_url", ""),
        recipient=table.get("recipient") or "calimero",
    )
