"""The settings of the auth service alone: a file with the keys of `wire/auth.md` §7, and the environment over it."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meroid.config.auth import DEFAULT_AUTH, auth_settings
from meroid.config.errors import BadConfigError, ConfigUnwritableError
from meroid.config.layers import Key, Kind, Layers, Value, read_layers
from meroid.config.service import ServiceSettings
from meroid.config.tls import tls_files
from meroid.config.toml_values import quoted

MOST_WORKERS: Final = 64
STORAGE_TYPES: Final = ("sqlite", "rocksdb", "memory")
_MOCK_SECRET: Final = "development.mock_auth_header_value"  # noqa: S105 - the name of a key
KEYS: Final = (
    Key("listen_addr", Kind.TEXTS, ("127.0.0.1:3001",)),
    Key("workers", Kind.NUMBER, 1),
    Key("key_store", Kind.TEXT, "file:"),
    Key("storage.type", Kind.TEXT, "sqlite"),
    Key("storage.path", Kind.TEXT, "auth"),
    Key("allowed_hosts", Kind.TEXTS, ()),
    Key("trusted_proxies", Kind.TEXTS, ()),
    Key("cors.allow_all_origins", Kind.SWITCH, None),
    Key("cors.allowed_origins", Kind.TEXTS, ()),
    Key("security.max_body_size", Kind.NUMBER, DEFAULT_AUTH.max_body),
    Key("jwt.issuer", Kind.TEXT, DEFAULT_AUTH.issuer),
    Key("jwt.access_token_expiry", Kind.NUMBER, DEFAULT_AUTH.access_s),
    Key("jwt.refresh_token_expiry", Kind.NUMBER, DEFAULT_AUTH.refresh_s),
    Key("metrics.open", Kind.SWITCH, DEFAULT_AUTH.metrics_open),
    Key("jwt.node_host", Kind.TEXT, None),
    Key("jwt.bind_logins", Kind.SWITCH, DEFAULT_AUTH.bind_logins),
    Key("tls.cert", Kind.TEXT, None),
    Key("tls.key", Kind.TEXT, None),
    Key("near.network", Kind.TEXT, DEFAULT_AUTH.near.network),
    Key("near.rpc", Kind.TEXT, None),
    Key("near.rpc_url", Kind.TEXT, None),
    Key("near.wallet_url", Kind.TEXT, ""),
    Key("near.recipient", Kind.TEXT, DEFAULT_AUTH.near.recipient),
    Key("signup", Kind.TEXT, DEFAULT_AUTH.sign_up.policy.value),
    Key("max_accounts", Kind.NUMBER, DEFAULT_AUTH.sign_up.max_accounts),
    Key("signups_per_hour", Kind.NUMBER, DEFAULT_AUTH.sign_up.per_hour),
    Key("user_password.min_password_length", Kind.NUMBER, DEFAULT_AUTH.password.least),
    Key("user_password.max_password_length", Kind.NUMBER, DEFAULT_AUTH.password.most),
    Key("development.enable_mock_auth", Kind.SWITCH, False),  # a value
    Key(_MOCK_SECRET, Kind.TEXT, None),
    Key("providers.user_password", Kind.SWITCH, True),  # a value
    Key("providers.near_wallet", Kind.SWITCH, True),
    Key("providers.recovery_phrase", Kind.SWITCH, True),
    Key("providers.hardware_key", Kind.SWITCH, True),
    Key("providers.passkey", Kind.SWITCH, True),
)
_ADDRESS_FORM: Final = "listen_addr is an IP address with a port, like 127.0.0.1:3001 or [::1]:3001"


@dataclass(frozen=True, slots=True)
class Said:
    """A setting in force: `value` as a person may read it, `source` says where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneSettings(ServiceSettings):
    """What the auth service runs with where no node is around it.

    Attributes:
        config_file: the file that was read, if one was.
        any_origin: whether pages of every origin may call, where `allowed_origins` names none.
        workers: processes that answer.
        temporary: everything is forgotten at the end; `home` is made for the time between.
        wants_rocksdb: the file asks for a database that isn't ours, and gets ours.
        said: every setting, for `mero-auth check`.
    """

    config_file: Path | None = None
    any_origin: bool = True
    workers: int = 1
    temporary: bool = False
    wants_rocksdb: bool = False
    said: tuple[Said, ...] = ()

    @property
    def database(self) -> Path:
        """The encrypted database."""
        return self.home / "auth.db"


def load_standalone(
    file: Path | None, environ: Mapping[str, str], *, bind: str | None = None, workers: int | None = None
) -> StandaloneSettings:
    """Read the settings; `bind` and `workers` of the command line go before everything.

    A relative `storage.path` is below the working directory, as in the original.

    Raises:
        BadConfigError: the file can't be read, or something known is impossible.
    """
    layers = read_layers(file, environ, KEYS)
    given = {"listen_addr": (bind, "--bind"), "workers": (workers, "--workers")}
    layers = _with_flags(layers, {name: each for name, each in given.items() if each[0] is not None})
    try:
        return _settings(file, layers)
    except BadConfigError as error:
        source = layers.sources.get(error.reason.split(" ", 1)[0])
        if source is None:
            raise
        raise BadConfigError(f"{error.reason} ({source})", next_step="correct it where it was said") from None


def _with_flags(layers: Layers, given: Mapping[str, tuple[str | int | None, str]]) -> Layers:
    values, sources = dict(layers.values), dict(layers.sources)
    for name, (value, flag) in given.items():
        if value is not None:
            values[name] = tuple(value.split(",")) if isinstance(value, str) else value
            sources[name] = f"flag {flag}"
    return Layers(values, sources, layers.ignored)


def _settings(file: Path | None, layers: Layers) -> StandaloneSettings:
    get = _Values(layers)
    storage = get.text("storage.type")
    if storage not in STORAGE_TYPES:
        raise BadConfigError(f"storage.type is {', '.join(STORAGE_TYPES[:-1])} or {STORAGE_TYPES[-1]}")
    origins = get.texts("cors.allowed_origins")
    return StandaloneSettings(
        home=_path(get.text("storage.path")),
        listen=_addresses(get.texts("listen_addr")),
        key_store=get.text("key_store"),
        allowed_origins=_origins(origins),
        allowed_hosts=get.texts("allowed_hosts"),
        trusted_proxies=_networks(get.texts("trusted_proxies")),
        ignored=layers.ignored,
        auth=auth_settings(layers.table),
        tls=tls_files(layers.table, Path.cwd()),
        config_file=file,
        any_origin=get.switch("cors.allow_all_origins", otherwise=not origins) or "*" in origins,
        workers=_within("workers", get.number("workers"), 1, MOST_WORKERS),
        temporary=storage == "memory",
        wants_rocksdb=storage == "rocksdb",
        said=tuple(Said(key.name, _shown(key, layers), layers.source(key.name)) for key in KEYS),
    )


class _Values:
    """What was said, or else what holds without it; of the right kind, because `read_layers` saw to that."""

    def __init__(self, layers: Layers) -> None:
        defaults = {key.name: key.default for key in KEYS}
        self._values: dict[str, Value | None] = {**defaults, **layers.values}

    def text(self, name: str) -> str:
        value = self._values[name]
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        return value if isinstance(value, tuple) else ()

    def number(self, name: str) -> int:
        value = self._values[name]
        return value if isinstance(value, int) else 0

    def switch(self, name: str, *, otherwise: bool) -> bool:
        value = self._values[name]
        return value if isinstance(value, bool) else otherwise


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise BadConfigError("storage.path is the path of a directory")
    return Path(text).expanduser().absolute()


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise BadConfigError(f"{name} is a number from {least} to {most}")
    return value


def _addresses(texts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    if not texts:
        raise BadConfigError(_ADDRESS_FORM)
    return tuple(dict.fromkeys(_address(text.strip()) for text in texts))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise BadConfigError(_ADDRESS_FORM) from None
    bracketed = host == f"[{bare}]"
    if not colon or bracketed != (address.version == 6) or not port.isascii() or not port.isdecimal():
        raise BadConfigError(_ADDRESS_FORM)
    if int(port) > 65_535:
        raise BadConfigError(_ADDRESS_FORM)
    return str(address), int(port)


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise BadConfigError("trusted_proxies holds addresses and networks, like 10.0.0.0/8") from None
    return texts


def _origins(texts: tuple[str, ...]) -> tuple[str, ...]:
    if any(text != "*" and not text.startswith(("http://", "https://")) for text in texts):
        raise BadConfigError("cors.allowed_origins holds origins, like https://app.example")
    return () if "*" in texts else texts


def _shown(key: Key, layers: Layers) -> str:
    """A value for people; of addresses that may hold a key only the host, of key stores only the kind, of secrets nothing."""
    value = layers.values.get(key.name, key.default)
    match value:
        case None if key.name == "cors.allow_all_origins":
            return "false" if layers.values.get("cors.allowed_origins") else "true"
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case tuple():
            return ", ".join(value) or "none"
        case _ if key.name == _MOCK_SECRET:
            return "…"
        case _ if key.name == "key_store":
            return value.partition(":")[0] + ":" + ("…" if value.partition(":")[2] else "")
        case _ if "://" in value:
            scheme, _, rest = value.partition("://")
            host, slash, path = rest.partition("/")
            return f"{scheme}://{host.rpartition('@')[2].partition('?')[0]}{slash}{'…' if path or '?' in host else ''}"
        case _:
            return value or "none"


def write_standalone(settings: StandaloneSettings, file: Path) -> None:
    """Write a configuration for a new service, with a word on the keys that matter most (0600).

    Raises:
        ConfigUnwritableError: there is one, or it can't be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(_file_text(settings))
    except OSError as error:
        raise ConfigUnwritableError(
            f"{file} can't be written: {error.strerror}", next_step="name a file that can be written: -c FILE"
        ) from None


def _file_text(settings: StandaloneSettings) -> str:
    listen = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in settings.listen)
    return f"""# mero-auth; every key: docs/settings.md. What the service runs with, and why: mero-auth -c THIS check

listen_addr = {quoted(listen)}
workers = {settings.workers}

# Where the store key lies that opens the database: file:, keyring:, pkcs11:…, env:NAME
key_store = {quoted(settings.key_store)}

# Proxies whose X-Forwarded-For is believed, such as "172.16.0.0/12"
trusted_proxies = []

# Names under which passkeys, hardware keys and recovery words log in, beside the loopback ones
allowed_hosts = []

[storage]
type = "sqlite"
path = {quoted(str(settings.home))}

[jwt]
issuer = {quoted(settings.auth.issuer)}
access_token_expiry = {settings.auth.access_s}
refresh_token_expiry = {settings.auth.refresh_s}

[cors]
allow_all_origins = true
allowed_origins = []

[providers]
user_password = true
near_wallet = true
"""
