"""The nodes that meroctl knows by name: `nodes.toml` (`wire/node.md` §3.2)."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meroid.client.failures import BadClientFileError
from meroid.client.private_file import only_writer, read_private, write_private
from meroid.client.tokens import TokenPair
from meroid.client.toml_text import toml_text
from meroid.errors import ConflictError, NotFoundError


class NodeNameTakenError(ConflictError):
    """There is a node of that name in the registry."""

    code = "node_name_taken"
    next_step = "choose another name, or remove that one: meroctl node remove NAME"


class UnknownNodeError(NotFoundError):
    """There is no node of that name."""

    code = "unknown_node"
    next_step = "register it: meroctl node add NAME URL; or make it: merod --node-name NAME init"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredNode:
    """One entry of the registry.

    Attributes:
        name: as registered.
        url: base address of a remote node, or None.
        home: home directory of a local node, or None.
        tokens: the tokens kept for it, or None.
    """

    name: str
    url: str | None
    home: Path | None
    tokens: TokenPair | None


def default_registry_path(environ: Mapping[str, str]) -> Path:
    """`calimero/meroctl/nodes.toml` below the user's configuration directory."""
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        stated = Path(environ.get("XDG_CONFIG_HOME", ""))
        folder = stated if stated.is_absolute() else Path("~/.config").expanduser()
    return folder / "calimero" / "meroctl" / "nodes.toml"


class NodeRegistry:
    """The registry file; keys that are unknown here are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def active(self) -> str | None:
        """The name of the node that is used when none is named."""
        name = self._read().get("active_node")
        return name if isinstance(name, str) and name else None

    def find(self, name: str) -> RegisteredNode | None:
        """The entry of that name.

        Raises:
            BadClientFileError: the file is corrupt.
        """
        entry = _nodes(self._read(), self.path).get(name)
        return None if entry is None else _entry(name, entry, self.path)

    def all(self) -> list[RegisteredNode]:
        """All entries, by name."""
        nodes = _nodes(self._read(), self.path)
        return [_entry(name, nodes[name], self.path) for name in sorted(nodes)]

    def add(self, node: RegisteredNode) -> bool:
        """Register a node; false if it is there already, at the same place.

        Raises:
            NodeNameTakenError: the name is there already with another place, or the tokens given are not its own.
        """
        added = True

        def change(document: dict[str, Any]) -> None:
            nonlocal added
            nodes = _nodes(document, self.path)
            if node.name in nodes:
                there = _entry(node.name, nodes[node.name], self.path)
                if _place(there) == _place(node) and node.tokens in {None, there.tokens}:
                    added = False
                    return
                raise NodeNameTakenError(f"there is a node {node.name!r} already")
            entry: dict[str, Any] = {"path": str(node.home)} if node.home is not None else {"url": node.url}
            if node.tokens is not None:
                entry["jwt_tokens"] = _token_table(node.tokens)
            nodes[node.name] = entry

        self._change(change)
        return added

    def remove(self, name: str) -> None:
        """Forget a node, and its tokens.

        Raises:
            UnknownNodeError: there is none of that name.
        """

        def change(document: dict[str, Any]) -> None:
            nodes = _nodes(document, self.path)
            if nodes.pop(name, None) is None:
                raise UnknownNodeError(f"there is no node {name!r} in the registry")
            if document.get("active_node") == name:
                del document["active_node"]

        self._change(change)

    def use(self, name: str) -> None:
        """Make a node the active one.

        Raises:
            UnknownNodeError: there is none of that name.
        """

        def change(document: dict[str, Any]) -> None:
            self._known(document, name)
            document["active_node"] = name

        self._change(change)

    def keep_tokens(self, name: str, tokens: TokenPair | None) -> None:
        """Keep these tokens for a node, or with None forget them.

        Raises:
            UnknownNodeError: there is none of that name.
        """

        def change(document: dict[str, Any]) -> None:
            entry = self._known(document, name)
            if tokens is None:
                entry.pop("jwt_tokens", None)
            else:
                entry["jwt_tokens"] = _token_table(tokens)

        self._change(change)

    def _known(self, document: dict[str, Any], name: str) -> dict[str, Any]:
        entry = _nodes(document, self.path).get(name)
        if not isinstance(entry, dict):
            raise UnknownNodeError(f"there is no node {name!r} in the registry")
        return entry

    def _change(self, change: Callable[[dict[str, Any]], None]) -> None:
        with self._lock():
            document = self._read()
            change(document)
            write_private(self.path, toml_text(document).encode())

    def _lock(self) -> AbstractContextManager[None]:
        return only_writer(self.path)

    def _read(self) -> dict[str, Any]:
        data = read_private(self.path)
        if data is None:
            return {}
        import tomllib  # noqa: PLC0415 - only where there is a registry; meroctl starts without one

        try:
            return tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise BadClientFileError(f"{self.path} is not TOML: {error}") from None


def _place(node: RegisteredNode) -> str | Path | None:
    """Where a node is; other programs write its address without the closing slash."""
    return node.url.rstrip("/") if node.home is None and node.url is not None else node.home


def _nodes(document: dict[str, Any], path: Path) -> dict[str, Any]:
    nodes: object = document.setdefault("nodes", {})
    if not isinstance(nodes, dict):
        raise BadClientFileError(f"'nodes' in {path} is not a table")
    return nodes


def _entry(name: str, entry: object, path: Path) -> RegisteredNode:
    if not isinstance(entry, dict):
        raise BadClientFileError(f"'nodes.{name}' in {path} is not a table")
    url, home, kept = entry.get("url"), entry.get("path"), entry.get("jwt_tokens")
    if not isinstance(url, str) and not isinstance(home, str):
        raise BadClientFileError(f"'nodes.{name}' in {path} has neither 'url' nor 'path'")
    tokens = TokenPair.checked(kept.get("access_token"), kept.get("refresh_token")) if isinstance(kept, dict) else None
    return RegisteredNode(
        name=name,
        url=url if isinstance(url, str) else None,
        home=Path(home) if isinstance(home, str) else None,
        tokens=tokens,
    )


def _token_table(tokens: TokenPair) -> dict[str, str]:
    table = {"access_token": tokens.access_token}
    if tokens.refresh_token is not None:
        table["refresh_token"] = tokens.refresh_token
    return table
