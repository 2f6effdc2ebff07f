"""What a node runs with: frozen values, read from its files once."""

from meroid.config.auth import AuthSettings, NearSettings
from meroid.config.errors import BadConfigError, ConfigUnwritableError, NoSuchNodeError
from meroid.config.key_store import check_switchable, switch_key_store, with_key_store
from meroid.config.node import CONFIG_FILE, DEFAULT_NAMESPACE, Settings, load_settings, write_config
from meroid.config.tls import TlsFiles, tls_files

__all__ = [
    "CONFIG_FILE",
    "DEFAULT_NAMESPACE",
    "AuthSettings",
    "BadConfigError",
    "ConfigUnwritableError",
    "NearSettings",
    "NoSuchNodeError",
    "Settings",
    "TlsFiles",
    "check_switchable",
    "load_settings",
    "switch_key_store",
    "tls_files",
    "with_key_store",
    "write_config",
]
