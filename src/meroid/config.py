"""The settings of a node: one frozen value, read from `<home>/<name>/config.toml` (`wire/node.md` §4)."""

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from meroid.errors import InvalidInputError, NotFoundError, UnavailableError

CONFIG_FILE: Final = "config.toml"
DEFAULT_NAMESPACE: Final = "/calimero/devnet/global"  # the wire's default; nodes of one namespace find each other
AUTH_MODES: Final = ("proxy", "embedded")
_KEY_STORE: Final = re.compile(r"""key_store["']?\s*=\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*')""")
_NODE_TABLE: Final = re.compile(r"""^[ \t]*\[[ \t]*["']?node["']?[ \t]*\][^\n]*$""", re.MULTILINE)
_MEANINGLESS: Final = ("specialized_node", "tee", "context", "blobstore")


class NoSuchNodeError(NotFoundError):
    """There is no node in that home."""

    code = "no_such_node"
    next_step = "make it first: `merod --node-name NAME init`"


class ConfigUnwritableError(UnavailableError):
    """The configuration can't be changed from here; it is as it was."""

    code = "config_unwritable"
    next_step = "check that config.toml may be written and the disk isn't full, or write node.key_store by hand"


class BadConfigError(InvalidInputError):
    """The configuration can't be read or says something impossible."""

    code = "bad_config"
    next_step = "correct the named key in config.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearSettings:
    """What the node knows about NEAR: the table `auth.near`.

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
class Settings:
    """What a node runs with; addresses are IP literal and port.

    Attributes:
        home: the node's own directory, `<home>/<name>`.
        auth_mode: `proxy` or `embedded` (`design.md` §6).
        listen: HTTP addresses.
        swarm: addresses of the transport.
        bootstrap: endpoints to keep a connection to.
        namespace: nodes of this machine's network with the same one are found; `None` turns it off.
        key_store: URI of the store key.
        rotate_after_days: the age past which listings call a client key old; 0 for never.
        ignored: keys that are kept and mean nothing here.
    """

    home: Path
    name: str
    auth_mode: str
    listen: tuple[tuple[str, int], ...]
    swarm: tuple[tuple[str, int], ...]
    bootstrap: tuple[str, ...] = ()
    namespace: str | None = DEFAULT_NAMESPACE
    key_store: str = "file:"
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    rotate_after_days: int = 90
    ignored: tuple[str, ...] = ()
    near: NearSettings = NearSettings()

    @property
    def database(self) -> Path:
        """The encrypted database."""
        return self.home / "data" / "node.db"

    @property
    def setup_code_file(self) -> Path:
        """Where the set-up code lies while there is no owner."""
        return self.home / "setup-code"


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
    server, swarm = _table(table, "server"), _table(table, "swarm")
    mode = server.get("auth_mode", "proxy")
    if mode not in AUTH_MODES:
        raise BadConfigError(f"server.auth_mode is {' or '.join(AUTH_MODES)}")
    return Settings(
        home=home / name,
        name=name,
        auth_mode=mode,
        listen=_addresses(server, "server.listen"),
        swarm=_addresses(swarm, "swarm.listen"),
        bootstrap=_endpoints(_texts(_table(table, "bootstrap"), "nodes")),
        namespace=_namespace(_table(table, "discovery")),
        key_store=str(_table(table, "node").get("key_store", "file:")),
        allowed_origins=_texts(server, "allowed_origins"),
        allowed_hosts=_texts(server, "allowed_hosts"),
        trusted_proxies=_texts(server, "trusted_proxies"),
        rotate_after_days=_days(_table(table, "identity"), "rotate_after_days", 90),
        ignored=tuple(key for key in _MEANINGLESS if key in table),
        near=_near(_table(_table(table, "auth"), "near")),
    )


def _near(table: Mapping[str, Any]) -> NearSettings:
    for key in ("network", "rpc", "wallet_url", "recipient"):
        if not isinstance(table.get(key, ""), str):
            raise BadConfigError(f"auth.near.{key} is not a text")
    rpc = table.get("rpc") or None
    if rpc is not None and not rpc.startswith(("http://", "https://")):
        raise BadConfigError("auth.near.rpc is no http or https address")
    return NearSettings(
        network=table.get("network") or "testnet",
        rpc=rpc,
        wallet_url=table.get("wallet_url", ""),
        recipient=table.get("recipient") or "calimero",
    )


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, Mapping):
        raise BadConfigError(f"{key} is not a table")
    return value


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadConfigError(f"{key} is not a list of texts")
    return tuple(value)


def _days(table: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = table.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 36_500:
        raise BadConfigError(f"identity.{key} is a number of days")
    return value


def _namespace(discovery: Mapping[str, Any]) -> str | None:
    if not discovery.get("mdns", True):
        return None
    return str(_table(discovery, "rendezvous").get("namespace", DEFAULT_NAMESPACE))


def _addresses(table: Mapping[str, Any], key: str) -> tuple[tuple[str, int], ...]:
    found = [_multiaddress(text, key) for text in _texts(table, "listen")]
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
        f"key_store = {_quoted(settings.key_store)}",
        "",
        "[swarm]",
        f"listen = {_list(swarm)}",
        "",
        "[server]",
        f"listen = {_list(listen)}",
        f"auth_mode = {_quoted(settings.auth_mode)}",
        "",
        "[bootstrap]",
        f"nodes = {_list(settings.bootstrap)}",
        "",
        "[discovery]",
        f"mdns = {'false' if settings.namespace is None else 'true'}",
        "",
        "[discovery.rendezvous]",
        f"namespace = {_quoted(settings.namespace or DEFAULT_NAMESPACE)}",
        "",
    ]
    path = settings.home / CONFIG_FILE
    path.touch(mode=0o600)
    path.write_text("\n".join(lines), "utf-8")


def with_key_store(text: str, uri: str) -> str:
    """A configuration in which only `node.key_store` is another one; what else stands there stays, comments included.

    Raises:
        ConfigUnwritableError: it is written in a way that can't be changed without a loss.
        BadConfigError: not TOML.
    """
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadConfigError(f"config.toml is not TOML: {problem}") from None
    node = _table(wanted, "node")
    if node.get("key_store") == uri:
        return text
    wanted["node"] = {**node, "key_store": uri}
    for candidate in _with_key_store(text, _quoted(uri)):
        try:
            if tomllib.loads(candidate) == wanted:
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigUnwritableError("node.key_store can't be changed without touching more of config.toml")


def _with_key_store(text: str, value: str) -> Iterator[str]:
    """Ways to write it, some of them wrong: the caller reads them again."""
    for found in _KEY_STORE.finditer(text):
        yield text[: found.start(1)] + value + text[found.end(1) :]
    for found in _NODE_TABLE.finditer(text):
        yield f"{text[: found.end()]}\nkey_store = {value}{text[found.end() :]}"

    yield f"{text.rstrip()}\n\n[node]\nkey_store = {value}\n"


def check_switchable(home: Path, uri: str) -> str:
    """What `switch_key_store` would write.

    Raises:
        ConfigUnwritableError, BadConfigError: as `with_key_store` says, or the file can't be read.
    """
    try:
        return with_key_store((home / CONFIG_FILE).read_bytes().decode(), uri)
    except (OSError, UnicodeDecodeError):
        raise ConfigUnwritableError("config.toml can't be read") from None


def switch_key_store(home: Path, uri: str) -> None:
    """Make the configuration of the node in `home` name another key store: in one step, on disk when this returns.

    Raises:
        ConfigUnwritableError, BadConfigError: as `with_key_store` says, or the file can't be replaced.
    """
    path = Path(os.path.realpath(home / CONFIG_FILE))  # a link stays one
    part = path.with_name(f".{path.name}.part")
    changed = check_switchable(home, uri).encode()
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(changed)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigUnwritableError(f"config.toml can't be replaced: {error.strerror}") from None


def _as_multiaddress(address: tuple[str, int]) -> str:
    host, port = address
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}"


def _quoted(text: str) -> str:
    # JSON's escapes are all TOML's too, which wants one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(text) for text in texts) + "]"
