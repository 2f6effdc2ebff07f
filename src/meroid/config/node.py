"""The settings of a node: one frozen value, read from `<home>/<name>/config.toml` (`wire/node.md` §4)."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from meroid.config.auth import auth_settings
from meroid.config.errors import BadConfigError, NoSuchNodeError
from meroid.config.service import ServiceSettings
from meroid.config.toml_values import quoted, quoted_list, table_in, texts_in

CONFIG_FILE: Final = "config.toml"
DEFAULT_NAMESPACE: Final = "/calimero/devnet/global"  # the wire's default; nodes of one namespace find each other
AUTH_MODES: Final = ("proxy", "embedded")
_MEANINGLESS: Final = ("specialized_node", "tee", "context", "blobstore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ServiceSettings):
    """What a node runs with; addresses are IP literal and port.

    Attributes:
        name: its name; its home is `<home>/<name>`.
        auth_mode: `proxy` or `embedded` (`design.md` §6).
        swarm: addresses of the transport.
        bootstrap: endpoints to keep a connection to.
        namespace: nodes of this machine's network with the same one are found; `None` turns it off.
        rotate_after_days: the age past which listings call a client key old; 0 for never.
    """

    name: str
    auth_mode: str
    swarm: tuple[tuple[str, int], ...]
    bootstrap: tuple[str, ...] = ()
    namespace: str | None = DEFAULT_NAMESPACE
    rotate_after_days: int = 90


def load_settings(home: Path, name: str) -> Settings:
    """Read a node's configuration; unknown keys are accepted.

    Raises:
        NoSuchNodeError: there is no such node.
        BadConfigError: not TOML, or a known key with an impossible value.
    """
    path = home / name / CONFIG_FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NoSuchNodeError(f"there is no node {name!r} in this home") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadConfigError(f"config.toml is not TOML: {problem}") from None
    except OSError as problem:
        raise BadConfigError(f"config.toml can't be read: {problem.strerror}") from None
    server, swarm = table_in(table, "server"), table_in(table, "swarm")
    mode = server.get("auth_mode", "proxy")
    if mode not in AUTH_MODES:
        raise BadConfigError(f"server.auth_mode is {' or '.join(AUTH_MODES)}")
    return Settings(
        home=home / name,
        name=name,
        auth_mode=mode,
        listen=_addresses(server, "server.listen"),
        swarm=_addresses(swarm, "swarm.listen"),
        bootstrap=_endpoints(texts_in(table_in(table, "bootstrap"), "nodes")),
        namespace=_namespace(table_in(table, "discovery")),
        key_store=str(table_in(table, "node").get("key_store", "file:")),
        allowed_origins=texts_in(server, "allowed_origins"),
        allowed_hosts=texts_in(server, "allowed_hosts"),
        trusted_proxies=texts_in(server, "trusted_proxies"),
        rotate_after_days=_days(table_in(table, "identity"), "rotate_after_days", 90),
        ignored=tuple(key for key in _MEANINGLESS if key in table),
        auth=auth_settings(table_in(server, "embedded_auth"), table_in(table, "auth")),
    )


def _days(table: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = table.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 36_500:
        raise BadConfigError(f"identity.{key} is a number of days")
    return value


def _namespace(discovery: Mapping[str, Any]) -> str | None:
    if not discovery.get("mdns", True):
        return None
    return str(table_in(discovery, "rendezvous").get("namespace", DEFAULT_NAMESPACE))


def _addresses(table: Mapping[str, Any], key: str) -> tuple[tuple[str, int], ...]:
    found = [_multiaddress(text, key) for text in texts_in(table, "listen")]
    chosen = tuple(dict.fromkeys(each for each in found if each is not None))
    if not chosen:
        raise BadConfigError(f"{key} names no address that this node can listen on")
    return chosen


def _multiaddress(text: str, key: str) -> tuple[str, int] | None:
    """`/ip4/127.0.0.1/tcp/2528`; addresses of other protocols mean nothing here and are left out."""
    match text.strip("/").split("/"):
        case ["ip4" | "ip6", host, "tcp", port] if port.isdigit() and int(port) < 65536:
            return host, int(port)
        case ["ip4" | "ip6", _, "udp", *_]:
            return None
        case _:
            raise BadConfigError(f"{key} has an address that is not like /ip4/127.0.0.1/tcp/2528")


def _endpoints(texts: Sequence[str]) -> tuple[str, ...]:
    """Endpoints of the transport; multiaddresses of the original's network mean nothing here."""
    return tuple(text for text in texts if not text.startswith("/"))


def write_config(settings: Settings) -> None:
    """Write a fresh `config.toml` in the node's directory, 0600."""
    listen = [_as_multiaddress(address) for address in settings.listen]
    swarm = [_as_multiaddress(address) for address in settings.swarm]
    lines = [
        'mode = "standard"',
        "",
        "[node]",
        f"key_store = {quoted(settings.key_store)}",
        "",
        "[swarm]",
        f"listen = {quoted_list(swarm)}",
        "",
        "[server]",
        f"listen = {quoted_list(listen)}",
        f"auth_mode = {quoted(settings.auth_mode)}",
        "",
        "[bootstrap]",
        f"nodes = {quoted_list(settings.bootstrap)}",
        "",
        "[discovery]",
        f"mdns = {'false' if settings.namespace is None else 'true'}",
        "",
        "[discovery.rendezvous]",
        f"namespace = {quoted(settings.namespace or DEFAULT_NAMESPACE)}",
        "",
    ]
    path = settings.home / CONFIG_FILE
    path.touch(mode=0o600)
    path.write_text("\n".join(lines), "utf-8")


def _as_multiaddress(address: tuple[str, int]) -> str:
    host, port = address
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"
