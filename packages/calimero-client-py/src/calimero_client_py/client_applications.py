"""Applications, blobs and the node itself."""

from calimero_client_py import shapes
from calimero_client_py.arguments import bytes_argument, hash_argument, id_argument, text_argument, url_argument
from calimero_client_py.errors import AnswerError, raise_client_error
from calimero_client_py.requests import RequestMethods
from calimero_client_py.results import BytesResult, DictResult
from meroid.errors import MeroidError

_NO_METADATA = b"{}"


class ApplicationMethods(RequestMethods):
    """Methods on applications, blobs and peers."""

    def get_application(self, app_id: str) -> DictResult:
        """One application, None inside when it isn't there."""
        application_id = id_argument("application ID", "app_id", app_id)
        return self._ask(shapes.ONE_APPLICATION, lambda: self._routes.application(application_id))

    def list_applications(self) -> DictResult:
        """All installed applications."""
        return self._ask(shapes.APPLICATIONS, self._routes.applications)

    def install_application(self, url: str, hash: str | None = None, metadata: bytes | None = None) -> DictResult:  # noqa: A002
        """Have the node fetch and install an application; `hash` is 64 hex digits."""
        body = {
            "url": url_argument(url),
            "hash": hash_argument(hash),
            "metadata": list(_NO_METADATA if metadata is None else bytes_argument("metadata", metadata)),
            "package": None,
            "version": None,
        }
        return self._ask(shapes.APPLICATION_ID, lambda: self._routes.install_application(body))

    def install_dev_application(self, path: str, metadata: bytes | None = None) -> DictResult:
        """Have the node install from a file on its own machine."""
        body = {
            "path": text_argument("path", path),
            "metadata": list(_NO_METADATA if metadata is None else bytes_argument("metadata", metadata)),
            "package": None,
            "version": None,
        }
        return self._ask(shapes.APPLICATION_ID, lambda: self._routes.install_dev_application(body))

    def uninstall_application(self, app_id: str) -> DictResult:
        """Remove an application."""
        application_id = id_argument("application ID", "app_id", app_id)
        return self._ask(shapes.APPLICATION_ID, lambda: self._routes.uninstall_application(application_id))

    def upload_blob(self, data: bytes, context_id: str | None = None) -> DictResult:
        """Store bytes; `{blob_id, size}` without a wrapper."""
        raw = bytes_argument("data", data)
        context = None if context_id is None else id_argument("context ID", "context_id", context_id)
        return DictResult(self._ask(shapes.UPLOADED, lambda: self._routes.upload_blob(raw, context))["data"])

    def download_blob(self, blob_id: str, context_id: str | None = None) -> BytesResult:
        """The bytes of a blob."""
        blob = id_argument("blob ID", "blob_id", blob_id)
        context = None if context_id is None else id_argument("context ID", "context_id", context_id)
        try:
            return BytesResult(self._routes.download_blob(blob, context))
        except MeroidError as error:
            raise_client_error(error)

    def list_blobs(self) -> DictResult:
        """All blobs of the node."""
        return self._ask(shapes.BLOBS, self._routes.blobs)

    def get_blob_info(self, blob_id: str) -> DictResult:
        """Size, type and hash of a blob, from its headers."""
        blob = id_argument("blob ID", "blob_id", blob_id)
        try:
            headers = self._routes.blob_headers(blob)
        except MeroidError as error:
            raise_client_error(error)
        try:
            digest = bytes.fromhex(headers.get("x-blob-hash", ""))
            size = int(headers.get("content-length", "0"))
        except ValueError:
            raise AnswerError("the headers of the blob can't be read") from None
        if len(digest) != 32:
            raise AnswerError("the header x-blob-hash is missing or has another length")
        mime_type = headers.get("content-type", "application/octet-stream")
        return DictResult(data={"blob_id": blob, "hash": list(digest), "mime_type": mime_type, "size": size})

    def delete_blob(self, blob_id: str) -> DictResult:
        """Remove a blob."""
        blob = id_argument("blob ID", "blob_id", blob_id)
        return self._ask(shapes.DELETED_BLOB, lambda: self._routes.delete_blob(blob))

    def get_peers_count(self) -> DictResult:
        """How many peers the node is connected to."""
        return self._ask(shapes.PEERS, self._routes.peers)
