"""The key stores that tests of the custody use."""

from tests.key_stores import bus, keychain, token

__all__ = ["bus", "keychain", "token"]
