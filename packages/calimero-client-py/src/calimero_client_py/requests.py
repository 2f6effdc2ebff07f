"""What all groups of methods stand on: one request, its answer read into a shape."""

from collections.abc import Callable

from calimero_client_py.connection import ConnectionInfo
from calimero_client_py.errors import raise_client_error
from calimero_client_py.results import DictResult
from calimero_client_py.shapes import Shape
from meroid.client.routes import NodeRoutes
from meroid.errors import MeroidError


class RequestMethods:
    """Base of the groups."""

    def __init__(self, connection: ConnectionInfo) -> None:
        self._connection = connection
        self._routes = NodeRoutes(connection.node)

    def _ask(self, shape: Shape, request: Callable[[], object]) -> DictResult:
        """Send a request and read its answer.

        Raises:
            ClientError: whatever went wrong.
        """
        try:
            answer = request()
        except MeroidError as error:
            raise_client_error(error)
        return DictResult(shape(answer, "answer"))
