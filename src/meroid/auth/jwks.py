"""The published set of verification keys (RFC 7517)."""

from collections.abc import Iterable

from meroid.auth.jws import VerifyingKey


def key_set(keys: Iterable[VerifyingKey]) -> dict[str, list[dict[str, str]]]:
    """A JWK set: keys in use and retired ones whose tokens may still live."""
    return {"keys": [key.public_jwk() for key in keys]}
