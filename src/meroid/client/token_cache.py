"""The token file that meroctl, the Python client and merobox share, one per node name (`wire/clients.md` §1.8)."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from meroid.client.failures import BadClientFileError
from meroid.client.private_file import only_writer, read_private, write_private
from meroid.client.tokens import TokenPair

_LONGEST_SLUG = 64
_HASH_DIGITS = 12
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9._-]")


def default_cache_folder() -> Path:
    """`.merobox/auth_cache` below the home directory, or below the current one where there is no home."""
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    return home / ".merobox" / "auth_cache"


def cache_file_name(node_name: str) -> str:
    """Slug, hyphen, 12 hex digits of SHA-256 of the unmodified name, `.json`."""
    slug = _NOT_IN_SLUG.sub("_", node_name)[:_LONGEST_SLUG]
    digest = hashlib.sha256(node_name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{slug}-{digest}.json"


class TokenCache:
    """The tokens for one node name; keys of other writers in the file are kept."""

    def __init__(self, node_name: str, *, folder: Path | None = None) -> None:
        self.path = (folder or default_cache_folder()) / cache_file_name(node_name)
        self._seen: tuple[int, int, int] | None = None
        self._kept: TokenPair | None = None

    def load(self) -> TokenPair | None:
        """The tokens; the file is read again only when it has changed.

        Raises:
            BadClientFileError: it is no token file.
        """
        stamp = self._stamp()
        if stamp is None:
            return None
        if stamp != self._seen:
            content = self.read()
            self._kept = _tokens(content, self.path) if content else None
            self._seen = stamp
        return self._kept

    def save(self, tokens: TokenPair, *, facts: Mapping[str, object] | None = None) -> None:
        """Write the tokens, and these further facts, over what the file holds.

        Raises:
            BadClientFileError: it can't be written.
        """
        try:
            content = self.read()
        except BadClientFileError:
            content = {}  # a corrupt file is worth no more than a missing one to somebody who has new tokens
        content |= dict(facts or {})
        content |= {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "token_type": "Bearer",
            "expires_at": tokens.expires_at,
        }
        content.setdefault("metadata", {})
        write_private(self.path, json.dumps(content, indent=2).encode())
        self._seen = None

    def clear(self) -> bool:
        """Remove the file; whether there was one.

        Raises:
            BadClientFileError: it can't be removed.
        """
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise BadClientFileError(f"{self.path} can't be removed: {error.strerror}") from error
        return True

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the lock of this file."""
        return only_writer(self.path)

    def read(self) -> dict[str, object]:
        """Everything in the file; empty where there is none.

        Raises:
            BadClientFileError: it isn't a JSON object.
        """
        data = read_private(self.path)
        if data is None:
            return {}
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise BadClientFileError(f"{self.path} is no token file", next_step="remove it and log in again") from None
        if not isinstance(content, dict):
            raise BadClientFileError(f"{self.path} is no token file", next_step="remove it and log in again")
        return content

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _tokens(content: Mapping[str, object], path: Path) -> TokenPair:
    try:
        return TokenPair.checked(content.get("access_token"), content.get("refresh_token"), content.get("expires_at"))
    except BadClientFileError as error:
        raise BadClientFileError(f"{path}: {error.reason}", next_step="remove it and log in again") from None
