"""What a node, or the auth service alone, runs with: frozen values, read from its files once."""

from meroid.config.auth import AuthSettings, NearSettings
from meroid.config.errors import BadConfigError, ConfigUnwritableError, NoSuchNodeError
from meroid.config.key_store import check_switchable, switch_key_store, with_key_store
from meroid.config.node import CONFIG_FILE, DEFAULT_NAMESPACE, Settings, load_settings, write_config
from meroid.config.service import ServiceSettings
from meroid.config.standalone import StandaloneSettings, load_standalone, write_standalone

__all__ = [
    "CONFIG_FILE",
    "DEFAULT_NAMESPACE",
    "AuthSettings",
    "BadConfigError",
    "ConfigUnwritableError",
    "NearSettings",
    "NoSuchNodeError",
    "ServiceSettings",
    "Settings",
    "StandaloneSettings",
    "check_switchable",
    "load_settings",
    "load_standalone",
    "switch_key_store",
    "with_key_store",
    "write_config",
    "write_standalone",
]
