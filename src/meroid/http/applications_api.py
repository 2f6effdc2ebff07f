"""Routes of applications (`wire/node.md` §1.2) and of peers."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from meroid import limits
from meroid.access.decide import Allowed, Resource, decide
from meroid.access.permissions import ADMIN, parse_permission
from meroid.access.principal import Principal
from meroid.auth.first_owner import Peer, is_loopback_address
from meroid.errors import ForbiddenError, InvalidInputError
from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SocketEndpoint
from meroid.ids import ApplicationId
from meroid.service.applications import ApplicationService, ApplicationTooLargeError
from meroid.service.ports.content import ApplicationRecord
from meroid.wire import admin_api as shapes, node_answers as gives

_LIST: Final = parse_permission("application:list")
_INSTALL: Final = parse_permission("application:install")
_UNINSTALL: Final = parse_permission("application:uninstall")
_NO_FILE: Final = "the path names no file that the node can read"
_PIECE: Final = 1024 * 1024
_LOCAL_SOURCE: Final = "file:///"  # an address without a path: where it lay is nobody's business


class NotLocalError(ForbiddenError):
    """A file of this machine is only read for callers on this machine."""

    code = "local_only"
    next_step = "run the command on the node's own machine"


class FileUnreadableError(InvalidInputError):
    """The node can't read that file."""

    code = "file_unreadable"
    next_step = "give the absolute path of a file that the node's user can read"


class ApplicationsApi:
    """Handlers: decode, one service call, encode."""

    def __init__(self, *, applications: ApplicationService, peers: Callable[[], int]) -> None:
        self._applications = applications
        self._peers = peers

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes."""
        one = "/admin-api/applications/{application_id}"
        return [
            Endpoint("POST", "/admin-api/install-dev-application", self.install_file, Requires(_INSTALL)),
            Endpoint("GET", "/admin-api/applications", self.list, Requires(_LIST)),
            Endpoint("GET", one, self.get, Requires(_LIST, _named)),
            Endpoint("DELETE", one, self.uninstall, Requires(_UNINSTALL, _named)),
            Endpoint("GET", "/admin-api/peers", self.peers, Requires(ADMIN)),
        ]

    @speaks(
        takes=shapes.InstallFileBody,
        gives=gives.NamedApplication,
        refuses="local_only file_unreadable application_too_large bad_module not_compiled",
    )
    def install_file(self, request: ApiRequest) -> ApiResponse:
        """Install a module from a file on this machine, for callers on it."""
        body = request.json(shapes.InstallFileBody)
        if not _is_direct(request.peer):
            raise NotLocalError("a file of the node's machine is read for callers on that machine only")
        bytecode = _read(Path(body.path))
        record = self._applications.install(
            bytecode, source=_LOCAL_SOURCE, metadata=bytes(body.metadata), at=request.at
        )
        return ApiResponse.data({"applicationId": str(record.application_id)})

    @speaks(gives=gives.Applications)
    def list(self, request: ApiRequest) -> ApiResponse:
        """All applications, as far as the caller's token goes."""
        seen = [each for each in self._applications.list() if _sees(request.principal, each)]
        return ApiResponse.data({"apps": [_application(record) for record in seen]})

    @speaks(gives=gives.FoundApplication)
    def get(self, request: ApiRequest) -> ApiResponse:
        """One application, or null."""
        record = self._applications.get(request.id_param("application_id", ApplicationId))
        return ApiResponse.data({"application": None if record is None else _application(record)})

    @speaks(gives=gives.NamedApplication)
    def uninstall(self, request: ApiRequest) -> ApiResponse:
        """Forget an application; the wire gives its id even when it wasn't there."""
        application_id = request.id_param("application_id", ApplicationId)
        self._applications.uninstall(application_id)
        return ApiResponse.data({"applicationId": str(application_id)})

    @speaks(gives=gives.PeerCount, bare=True)
    def peers(self, _: ApiRequest) -> ApiResponse:
        """How many nodes are connected; without an envelope, as the wire has it."""
        return ApiResponse.bare({"count": self._peers()})


def _named(params: Mapping[str, str]) -> Resource:
    return Resource(application=ApplicationId.parse(params["application_id"]))


def _sees(principal: Principal, record: ApplicationRecord) -> bool:
    return isinstance(decide(principal, _LIST, Resource(application=record.application_id)), Allowed)


def _is_direct(peer: Peer) -> bool:
    return is_loopback_address(peer.address) and not peer.forwarded and not peer.via_proxy


def _read(path: Path) -> bytes:
    """The file, if it is a regular one and not larger than a module may be; never waits for whoever writes it."""
    try:
        if not path.is_absolute() or not path.is_file():
            raise FileUnreadableError(_NO_FILE)
        # it may have become a pipe or a device since then, and opening those would wait
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileUnreadableError(_NO_FILE)
            return b"".join(_pieces(file))
    except (OSError, ValueError):
        raise FileUnreadableError(_NO_FILE) from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is in a file, whatever size it says it has: those of the system say nothing, and some never end."""
    most, size = limits.APPLICATION_BYTES.value, 0
    while piece := file.read(_PIECE):
        size += len(piece)
        if size > most:
            raise ApplicationTooLargeError(f"an application has at most {most} bytes")
        yield piece


def _application(record: ApplicationRecord) -> shapes.ApplicationData:
    return shapes.ApplicationData(
        id=str(record.application_id),
        blob={"bytecode": str(record.blob_id), "compiled": str(record.blob_id)},
        size=record.size,
        source=record.source,
        metadata=[*record.metadata],
    )
