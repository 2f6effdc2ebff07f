"""The Python API of Calimero nodes (0.3.0): the same names and results, typed, with errors that can be caught."""

from calimero_client_py.client import Client, create_client
from calimero_client_py.connection import ConnectionInfo, create_connection
from calimero_client_py.errors import (
    AccessDeniedError,
    AnswerError,
    AuthenticationError,
    BadInputError,
    ClientError,
    InvalidIdError,
    InvalidUrlError,
    NetworkError,
    RequestFailedError,
    RequestTimeoutError,
    StorageError,
)
from calimero_client_py.values import AuthMode, JwtToken, get_token_cache_dir, get_token_cache_path

VERSION = "0.3.0"

__all__ = [
    "VERSION",
    "AccessDeniedError",
    "AnswerError",
    "AuthMode",
    "AuthenticationError",
    "BadInputError",
    "Client",
    "ClientError",
    "ConnectionInfo",
    "InvalidIdError",
    "InvalidUrlError",
    "JwtToken",
    "NetworkError",
    "RequestFailedError",
    "RequestTimeoutError",
    "StorageError",
    "create_client",
    "create_connection",
    "get_token_cache_dir",
    "get_token_cache_path",
]
