"""A connection: the address of a node, and the name under which its tokens are kept."""

from typing import Any
from urllib.parse import quote

from calimero_client_py.arguments import text_argument
from calimero_client_py.errors import InvalidUrlError, raise_client_error
from calimero_client_py.results import DetectedMode, awaitable
from meroid.client.exchange import Request
from meroid.client.failures import BadAddressError, NodeTimeoutError, NodeUnreachableError, TlsFailedError
from meroid.client.node import NodeClient
from meroid.client.token_cache import TokenCache
from meroid.client.transport import DEFAULT_TIMEOUT_S
from meroid.errors import MeroidError

_HEALTH = "admin-api/health"
_PATH_CHARACTERS = "/:@!$&'()*+,;="  # RFC 3986 §3.3


class ConnectionInfo:
    """Where a node is, and under which name its tokens are kept. Threads may share it."""

    def __init__(self, api_url: str, node_name: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Take the address of a node.

        Args:
            api_url: http or https address; a path in it is kept.
            node_name: name of the token file; without one no token is sent.
            timeout: seconds that one request may take.

        Raises:
            InvalidUrlError: the address can't be read.
        """
        text_argument("api_url", api_url)
        tokens = None if node_name is None else TokenCache(text_argument("node_name", node_name))
        try:
            self._node = NodeClient(api_url, tokens=tokens, timeout_s=timeout)
        except BadAddressError as error:
            raise InvalidUrlError(f"Invalid URL: {error.reason}") from None
        self._node_name = node_name

    @property
    def api_url(self) -> str:
        """The normalised address; a bare origin ends with a slash."""
        return str(self._node.address)

    @property
    def node_name(self) -> str | None:
        """The name of the token file, or None."""
        return self._node_name

    @property
    def node(self) -> NodeClient:
        """The client beneath."""
        return self._node

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON of any shape
        """GET a path; whatever JSON comes back. Everything in it is taken as path, a question mark too."""
        plain = quote(text_argument("path", path).lstrip("/"), safe=_PATH_CHARACTERS)
        try:
            return awaitable(self._node.get(plain))
        except MeroidError as error:
            raise_client_error(error)

    def detect_auth_mode(self) -> DetectedMode:
        """Ask the node, without a token, whether it wants one: `required` or `none`; unreachable counts as `none`."""
        try:
            status = self._node.exchange(Request(method="GET", path=_HEALTH)).status
        except (NodeUnreachableError, NodeTimeoutError, TlsFailedError):
            return DetectedMode("none")
        except MeroidError as error:
            raise_client_error(error)
        return DetectedMode("none" if 200 <= status < 300 else "required")

    def __repr__(self) -> str:
        return f"ConnectionInfo(api_url={self.api_url!r}, node_name={self._node_name!r})"


def create_connection(api_url: str, node_name: str | None = None) -> ConnectionInfo:
    """A connection to the node at this address.

    Raises:
        InvalidUrlError: the address can't be read.
    """
    return ConnectionInfo(api_url, node_name)
