"""Where a server's certificate and key lie: the same two keys for a node and for the auth service alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meroid.config.errors import BadConfigError
from meroid.config.toml_values import table_in


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the certificate with its chain, and its private key without a password."""

    cert: Path
    key: Path


def tls_files(table: Mapping[str, Any], home: Path, *, prefix: str = "") -> TlsFiles | None:
    """The files of the table `tls` inside a table; relative paths begin at `home`. Nothing where there is none.

    Raises:
        BadConfigError: only one of the two, or no text.
    """
    tls = table_in(table, "tls")
    found: dict[str, Path] = {}
    for name in ("cert", "key"):
        value = tls.get(name, "")
        if not isinstance(value, str):
            raise BadConfigError(f"{prefix}tls.{name} is not a path")
        if value:
            found[name] = home / value
    if not found:
        return None
    if len(found) < 2:
        raise BadConfigError(f"{prefix}tls needs both cert and key")
    return TlsFiles(cert=found["cert"], key=found["key"])
