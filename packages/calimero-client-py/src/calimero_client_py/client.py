"""The client: every method of the API, one request each."""

from calimero_client_py.client_aliases import AliasMethods
from calimero_client_py.client_applications import ApplicationMethods
from calimero_client_py.client_contexts import ContextMethods
from calimero_client_py.connection import ConnectionInfo


class Client(ApplicationMethods, ContextMethods, AliasMethods):
    """Calls on one node. Results are plain values that may also be awaited; threads may share it."""

    def __init__(self, connection: ConnectionInfo) -> None:
        if not isinstance(connection, ConnectionInfo):
            raise TypeError(f"argument 'connection': '{type(connection).__name__}' object is not a ConnectionInfo")
        super().__init__(connection)

    def get_api_url(self) -> str:
        """The normalised address of the node."""
        return self._connection.api_url

    def __repr__(self) -> str:
        return f"Client({self._connection!r})"


def create_client(connection: ConnectionInfo) -> Client:
    """A client on this connection."""
    return Client(connection)
