"""The settings of the auth service, in a node and alone (`wire/auth.md` §7).

A node has them in `[server.embedded_auth]`, where the wire puts them, and in `[auth]`, which goes first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meroid import limits
from meroid.auth.first_owner import is_loopback_address
from meroid.auth.password import DEFAULT_LENGTH, MOST_BYTES, PasswordLength
from meroid.auth.sign_up import DEFAULT_RULES, SignUp, SignUpRules
from meroid.config.errors import BadConfigError
from meroid.config.toml_values import table_in
from meroid.keys.signer import Secret

DEFAULT_ACCESS_S: Final = 3_600
DEFAULT_REFRESH_S: Final = 30 * 24 * 3_600
DEFAULT_BODY: Final = 1024 * 1024
_BODY_BYTES: Final = (1024, limits.JSON_BODY.value)
_LIFETIME_S: Final = (60, 365 * 24 * 3_600)
_ISSUER: Final = re.compile(r"[ -=@-}]{1,256}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
SHORTEST_MOCK_SECRET: Final = 16
_PUBLISHED_SECRET: Final = "Bearer test-auth-token"  # noqa: S105 - the original ships with it (`wire/auth.md` W1)


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
        node_host: the host that tokens for one node are compared with, whatever requests name: `jwt.node_host`.
        max_body: most bytes of a body that its routes take: `security.max_body_size`.
        bind_logins: whether a log-in is good at the host of its client's address only: `jwt.bind_logins`.
        metrics_open: whether everybody may read `/metrics`: `metrics.open`.
        sign_up: who may make accounts beside the owner, and how many: `signup`, `max_accounts`, `signups_per_hour`.
        password: how long passwords are: `user_password.min_password_length` and `.max_password_length`.
        mock: the secret with which mock tokens are made, if the table `development` turns them on.
        methods_off: names of the ways to log in that are switched off: `providers.NAME = false`.
    """

    issuer: str = "meroid"
    access_s: int = DEFAULT_ACCESS_S
    refresh_s: int = DEFAULT_REFRESH_S
    near: NearSettings = NearSettings()
    node_host: str | None = None
    bind_logins: bool = False
    max_body: int = DEFAULT_BODY
    metrics_open: bool = False
    sign_up: SignUpRules = DEFAULT_RULES
    password: PasswordLength = DEFAULT_LENGTH
    mock: Secret | None = None
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
        access_s=_number(jwt, "jwt", "access_token_expiry", DEFAULT_ACCESS_S, _LIFETIME_S),
        refresh_s=_number(jwt, "jwt", "refresh_token_expiry", DEFAULT_REFRESH_S, _LIFETIME_S),
        near=_near(table_in(merged, "near")),
        node_host=_node_host(jwt),
        bind_logins=_switch(jwt, "jwt", "bind_logins"),
        max_body=_number(table_in(merged, "security"), "security", "max_body_size", DEFAULT_BODY, _BODY_BYTES),
        metrics_open=_switch(table_in(merged, "metrics"), "metrics", "open"),
        sign_up=_sign_up(merged),
        password=_password(table_in(merged, "user_password")),
        mock=_mock(table_in(merged, "development")),
        methods_off=_switched_off(table_in(merged, "providers")),
    )


def check_mock_listeners(auth: AuthSettings, listen: Sequence[tuple[str, int]]) -> None:
    """Refuse mock tokens where others than this machine reach the service.

    Raises:
        BadConfigError: they are on, and an address isn't loopback.
    """
    if auth.mock is not None and not all(is_loopback_address(host) for host, _ in listen):
        raise BadConfigError("development.enable_mock_auth works only where every listening address is loopback")


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


def _node_host(jwt: Mapping[str, Any]) -> str | None:
    value = jwt.get("node_host", "")
    if not isinstance(value, str) or (value and not _HOST.fullmatch(value)):
        raise BadConfigError("jwt.node_host is a host name or an IP address, without a port")
    return value.lower() or None


def _sign_up(table: Mapping[str, Any]) -> SignUpRules:
    policy = table.get("signup", SignUp.CLOSED.value)
    if policy not in list(SignUp):
        raise BadConfigError(f"signup is one of {', '.join(SignUp)}")
    default = DEFAULT_RULES
    return SignUpRules(
        policy=SignUp(policy),
        max_accounts=_number(table, "", "max_accounts", default.max_accounts, (1, 10_000_000)),
        per_hour=_number(table, "", "signups_per_hour", default.per_hour, (1, 10_000)),
    )


def _password(table: Mapping[str, Any]) -> PasswordLength:
    default = DEFAULT_LENGTH
    least = _number(table, "user_password", "min_password_length", default.least, (1, MOST_BYTES))
    most = _number(table, "user_password", "max_password_length", default.most, (1, MOST_BYTES))
    if least > most:
        raise BadConfigError("user_password.min_password_length is more than max_password_length")
    return PasswordLength(least=least, most=most)


def _mock(table: Mapping[str, Any]) -> Secret | None:
    """The secret of mock tokens; nothing while they are off.

    `mock_auth_require_header` means nothing here: the header is always required.
    """
    if not _switch(table, "development", "enable_mock_auth"):
        return None
    value = table.get("mock_auth_header_value", "")
    if (
        not isinstance(value, str)
        or not value.isascii()
        or not value.isprintable()
        or len(value) < SHORTEST_MOCK_SECRET
    ):
        raise BadConfigError(
            "development.enable_mock_auth needs development.mock_auth_header_value, "
            f"a secret of at least {SHORTEST_MOCK_SECRET} printable ASCII characters"
        )
    if value == _PUBLISHED_SECRET:
        raise BadConfigError("development.mock_auth_header_value is the one that everybody knows: choose another")
    return Secret(value.encode("ascii"))


def _number(table: Mapping[str, Any], of: str, key: str, otherwise: int, bounds: tuple[int, int]) -> int:
    """A whole number within its bounds, in the table that is called `of`."""
    value = table.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        raise BadConfigError(f"{_named(of, key)} is a number from {bounds[0]} to {bounds[1]}")
    return value


def _switch(table: Mapping[str, Any], of: str, key: str) -> bool:
    """True or false, false where it isn't said, in the table that is called `of`."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise BadConfigError(f"{_named(of, key)} is true or false")
    return value


def _named(of: str, key: str) -> str:
    return f"{of}.{key}" if of else key


def _switched_off(table: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in table if not _switch(table, "providers", name))


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
