"""The small value classes of the API, and the places of token files."""

from calimero_client_py.arguments import text_argument
from meroid.client.token_cache import TokenCache, default_cache_folder
from meroid.clock import SystemClock


class AuthMode:
    """Whether a node wants tokens: `required` or `none`, in any letter case."""

    def __init__(self, mode: str) -> None:
        lower = text_argument("mode", mode).lower()
        if lower not in {"required", "none"}:
            raise ValueError("AuthMode must be 'required' or 'none'")
        self._value = lower

    @property
    def value(self) -> str:
        """The mode in lower case."""
        return self._value

    def __str__(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"AuthMode('{self._value}')"


class JwtToken:
    """A pair of tokens; shows no more than the first ten characters."""

    def __init__(self, access_token: str, refresh_token: str | None = None, expires_at: int | None = None) -> None:
        self._access_token = text_argument("access_token", access_token)
        self._refresh_token = None if refresh_token is None else text_argument("refresh_token", refresh_token)
        self._expires_at = expires_at

    @property
    def access_token(self) -> str:
        """The access token."""
        return self._access_token

    @property
    def refresh_token(self) -> str | None:
        """The refresh token, or None."""
        return self._refresh_token

    @property
    def expires_at(self) -> int | None:
        """Unix seconds, or None."""
        return self._expires_at

    def is_expired(self) -> bool:
        """Whether it has ended; false where the end isn't known."""
        return self._expires_at is not None and SystemClock().now_ms() >= self._expires_at * 1000

    def __str__(self) -> str:
        return f"JwtToken(access_token={self._access_token[:10]}...)"

    __repr__ = __str__


def get_token_cache_path(node_name: str) -> str:
    """The token file of a node name."""
    return str(TokenCache(text_argument("node_name", node_name)).path)


def get_token_cache_dir() -> str:
    """The folder of the token files, without a closing slash."""
    return str(default_cache_folder())
