"""The TLS of a listener, from what is configured."""

from meroid.clock import SystemClock
from meroid.config import TlsFiles
from meroid.http.tls import TlsListener


def tls_listener(files: TlsFiles | None) -> TlsListener | None:
    """What a server listens with; nothing where it speaks plain HTTP. Raises as `TlsListener`."""
    return None if files is None else TlsListener(files.cert, files.key, SystemClock())
