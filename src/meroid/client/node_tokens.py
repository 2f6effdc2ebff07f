"""The tokens that meroctl uses for a named node: the shared token file, and the copy in the registry.

The token file leads, because the Python client reads and renews it; a refresh token is spent once, so both
places are always written together, under the lock of the token file.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from meroid.client.address import NodeAddress
from meroid.client.failures import BadAddressError
from meroid.client.registry import NodeRegistry
from meroid.client.token_cache import TokenCache
from meroid.client.tokens import TokenPair


class NodeTokens:
    """Tokens of one node name, sent only to the place they were given for."""

    def __init__(
        self, cache: TokenCache, *, address: NodeAddress, registry: NodeRegistry | None = None, name: str | None = None
    ) -> None:
        self._cache = cache
        self._address = address
        self._registry = registry
        self._name = name

    @property
    def proof_key_path(self) -> Path:
        """The file of the key that tokens for this node may be bound to, beside the token file."""
        return self._cache.path.with_suffix(".key")

    def load(self) -> TokenPair | None:
        """The newer of both copies; a token file made for another address doesn't count."""
        shared = self._cache.load() if self._is_ours() else None
        entry = self._registry.find(self._name) if self._registry is not None and self._name is not None else None
        registered = entry.tokens if entry is not None else None
        if shared is None or registered is None:
            return shared or registered
        return registered if (registered.expires_at or 0) > (shared.expires_at or 0) else shared

    def save(self, tokens: TokenPair) -> None:
        """Keep these in both places."""
        self._keep(tokens, {})

    def save_login(self, tokens: TokenPair, *, username: str, method: str = "user_password") -> None:
        """Keep the tokens of a new log-in, with the facts that merobox looks for; `username` may name a key."""
        self._keep(tokens, {"auth_method": method, "username": username})

    def _keep(self, tokens: TokenPair, more: Mapping[str, object]) -> None:
        facts: dict[str, object] = {"node_url": str(self._address).rstrip("/"), **more}
        self._cache.save(tokens, facts=facts)
        if self._registry is not None and self._name is not None:
            self._registry.keep_tokens(self._name, tokens)

    def username(self) -> str | None:
        """The name, account or key of the last log-in, if it was here."""
        name = self._cache.read().get("username") if self._is_ours() else None
        return name if isinstance(name, str) else None

    def clear(self) -> bool:
        """Forget both copies; whether there were any."""
        had = self.load() is not None
        if self._is_ours():
            had = self._cache.clear() or had
        if self._registry is not None and self._name is not None:
            self._registry.keep_tokens(self._name, None)
        return had

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the lock of the token file."""
        return self._cache.exclusive()

    def _is_ours(self) -> bool:
        url = self._cache.read().get("node_url")
        if not isinstance(url, str):
            return True
        try:
            return NodeAddress.parse(url).is_same_place(self._address)
        except BadAddressError:
            return False
