"""TLS for the listener: the certificate is read anew when its files change, and connections that are open stay.

A new connection gets what was good last, so a renewal that is half written or doesn't fit changes nothing but the log.
"""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

from meroid.clock import Clock
from meroid.errors import InvalidInputError

LOOK_AGAIN_MS: Final = 10_000
_WARN_BEFORE: Final = timedelta(days=14)
_log: Final = structlog.get_logger("meroid.http")

_Stamp = tuple[tuple[int, int, int], ...]


class BadTlsFilesError(InvalidInputError):
    """The certificate or its key can't be read, or the two don't belong together."""

    code = "bad_tls_files"
    next_step = "give PEM files: the certificate with its chain, and its own private key without a password"


class TlsListener:
    """The context that a server listens with; each handshake takes the certificate that is in force then."""

    def __init__(self, cert: Path, key: Path, clock: Clock) -> None:
        """Read the files.

        Raises:
            BadTlsFilesError: they can't serve.
        """
        self._cert, self._key, self._clock = cert, key, clock
        self._stamp = self._look()
        self._looked_at = clock.now_ms()
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose
        self._warn_of_end()

    def reload(self) -> bool:
        """Read the files anew; false if they can't serve, and then the old certificate stays."""
        self._stamp = self._look()
        try:
            self._current = self._load()
        except BadTlsFilesError as error:
            _log.error("the new certificate isn't taken, the old one stays", reason=error.reason, next=error.next_step)
            return False
        _log.info("the certificate was read anew", cert=str(self._cert))
        self._warn_of_end()
        return True

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        now = self._clock.now_ms()
        if not 0 <= now - self._looked_at < LOOK_AGAIN_MS:
            self._looked_at = now
            if self._look() != self._stamp:
                self.reload()
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except ssl.SSLError as problem:
            raise BadTlsFilesError(f"{self._cert} and {self._key}: {_told(problem)}") from None
        except OSError as problem:
            raise BadTlsFilesError(f"{self._unreadable()} can't be read: {problem.strerror}") from None
        return context

    def _unreadable(self) -> Path:
        """The file at fault, which OpenSSL doesn't name."""
        return self._key if os.access(self._cert, os.R_OK) else self._cert

    def _look(self) -> _Stamp:
        """Something that changes with the files; empty parts for what isn't there."""
        found = []
        for path in (self._cert, self._key):
            try:
                known = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((known.st_mtime_ns, known.st_size, known.st_ino))
        return tuple(found)

    def _warn_of_end(self) -> None:
        try:
            end = x509.load_pem_x509_certificate(self._cert.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return  # OpenSSL has just read it; this one only looks at its end
        left = end - datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        if left <= timedelta(0):
            _log.warning("the certificate has expired", ended=end.isoformat(), next="renew it; clients refuse it")
        elif left <= _WARN_BEFORE:
            _log.warning("the certificate ends soon", ends=end.isoformat(), next="renew it")


def _no_password() -> str:
    """A key with a password would have OpenSSL ask on the terminal."""
    return ""


def _told(problem: ssl.SSLError) -> str:
    known = {
        "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
        "NO_START_LINE": "no certificate or key in PEM is in there",
        "BAD_DECRYPT": "the key has a password",
        "BAD_PASSWORD_READ": "the key has a password",
    }
    return known.get(problem.reason or "", problem.reason or "they can't be used")
