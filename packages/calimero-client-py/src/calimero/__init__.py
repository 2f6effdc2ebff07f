"""The names of `calimero_client_py` under the package's older name."""

from calimero_client_py import (
    AuthMode,
    Client,
    ClientError,
    ConnectionInfo,
    JwtToken,
    create_client,
    create_connection,
    get_token_cache_dir,
    get_token_cache_path,
)

__version__ = "0.3.0"
__author__ = "meroid contributors"
__email__ = ""

__all__ = [
    "AuthMode",
    "Client",
    "ClientError",
    "ConnectionInfo",
    "JwtToken",
    "create_client",
    "create_connection",
    "get_token_cache_dir",
    "get_token_cache_path",
]
