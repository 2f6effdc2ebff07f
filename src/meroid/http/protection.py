"""Headers that keep answers out of caches, frames and guesses; what a handler sets itself wins.

Everything is made once: an answer costs one look at the handler's own headers.
"""

from functools import lru_cache
from typing import Final

from meroid.http.exchange import ApiResponse

RawHeaders = tuple[tuple[bytes, bytes], ...]

SIGN_IN_PATHS: Final = ("/auth/", "/admin/")
_ALL: Final[RawHeaders] = (
    (b"cache-control", b"no-store"),  # most answers are somebody's, and some are tokens (RFC 6749 §5.1)
    (b"x-content-type-options", b"nosniff"),
)
_SIGN_IN: Final[RawHeaders] = (
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
# Without includeSubDomains: what else lives under this name is not ours to decide.
_OVER_TLS: Final[RawHeaders] = ((b"strict-transport-security", b"max-age=31536000"),)
_WANTED: Final = {
    (sign_in, secure): _ALL + (_SIGN_IN if sign_in else ()) + (_OVER_TLS if secure else ())
    for sign_in in (False, True)
    for secure in (False, True)
}


def protective(path: str, scheme: str, response: ApiResponse) -> RawHeaders:
    """What an answer gets beside its own headers; `scheme` is `https` over TLS, ours or a trusted proxy's."""
    return _beside(tuple(name for name, _ in response.headers), path.startswith(SIGN_IN_PATHS), scheme == "https")


@lru_cache(maxsize=256)
def _beside(names: tuple[str, ...], sign_in: bool, secure: bool) -> RawHeaders:  # noqa: FBT001
    own = {name.lower().encode("ascii") for name in names}
    return tuple(each for each in _WANTED[sign_in, secure] if each[0] not in own)
