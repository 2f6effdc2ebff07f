"""Headers that keep answers out of caches, frames and guesses; what a handler sets itself wins.

Everything is made once: an answer costs one look at the handler's own headers.
"""

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


def protective(path: str, scheme: str, response: ApiResponse) -> list[tuple[bytes, bytes]]:
    """What an answer gets beside its own headers; `scheme` is `https` over TLS, ours or a trusted proxy's."""
    wanted = _WANTED[path.startswith(SIGN_IN_PATHS), scheme == "https"]
    own = {name.lower().encode("ascii") for name, _ in response.headers}
    return [each for each in wanted if each[0] not in own]
