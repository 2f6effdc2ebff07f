"""Which node a command talks to, and with which tokens (`wire/node.md` §3.2, §3.3)."""

import os
from dataclasses import dataclass
from pathlib import Path

from meroid.client.failures import BadClientFileError
from meroid.client.private_file import read_private
from meroid.client.registry import NodeRegistry, RegisteredNode, UnknownNodeError, default_registry_path

DEFAULT_URL = "http://127.0.0.1:2528"
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read from a configuration, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node to talk to.

    Attributes:
        url: its base address.
        name: its name here, or None when it was given by address.
        registered: whether the name stands in the registry.
    """

    url: str
    name: str | None
    registered: bool


def open_registry() -> NodeRegistry:
    """The registry of this user."""
    return NodeRegistry(default_registry_path(os.environ))


def choose_target(node: str | None, api: str | None, home: Path, registry: NodeRegistry) -> Target:
    """`--node` (registry, else a local home), else `--api`, else the active node, else the default address.

    Raises:
        UnknownNodeError: there is no such node.
        BadClientFileError: the registry or a node's configuration can't be used.
    """
    if node is not None:
        entry = registry.find(node)
        if entry is not None:
            return _registered(entry)
        return Target(url=_local_url(home, node), name=node, registered=False)
    if api is not None:
        return Target(url=api, name=None, registered=False)
    active = registry.active()
    if active is None:
        return Target(url=DEFAULT_URL, name=None, registered=False)
    entry = registry.find(active)
    if entry is None:
        raise UnknownNodeError(
            f"the active node {active!r} is not in the registry", next_step="choose one: meroctl node use NAME"
        )
    return _registered(entry)


def _registered(entry: RegisteredNode) -> Target:
    url = entry.url if entry.home is None else _local_url(entry.home, entry.name)
    return Target(url=url or DEFAULT_URL, name=entry.name, registered=True)


def _local_url(home: Path, name: str) -> str:
    if not name or Path(name).name != name:
        raise UnknownNodeError(f"{name!r} can't be the name of a node")
    path = home / name / "config.toml"
    data = read_private(path)
    if data is None:
        raise UnknownNodeError(f"there is no node {name!r}: neither registered, nor at {path}")
    import tomllib  # noqa: PLC0415 - only for local nodes

    try:
        server = tomllib.loads(data.decode()).get("server", {})
    except (ValueError, RecursionError) as error:
        raise BadClientFileError(f"{path} is not TOML: {error}") from None
    listen = server.get("listen") if isinstance(server, dict) else None
    places = [place for text in listen if (place := _place(text))] if isinstance(listen, list) else []
    if not places:
        raise BadClientFileError(f"{path} names no address to listen at", next_step="set server.listen there")
    host, port = next((place for place in places if ":" not in place[0]), places[0])
    host = _ANY_HOST.get(host, host)
    scheme = "https" if server.get("tls") else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _place(text: object) -> tuple[str, int] | None:
    """Host and port of `127.0.0.1:2528`, `[::1]:2528`, `/ip4/127.0.0.1/tcp/2528` or `/ip6/::1/tcp/2528`."""
    if not isinstance(text, str):
        return None
    if text.startswith("/"):
        parts = text.split("/")
        known = len(parts) >= 5 and parts[1] in {"ip4", "ip6", "dns", "dns4", "dns6"} and parts[3] == "tcp"
        host, port = (parts[2], parts[4]) if known else ("", "")
    else:
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
    return (host, int(port)) if host and port.isascii() and port.isdigit() and int(port) < 65536 else None
