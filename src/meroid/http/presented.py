"""What a request shows to prove the key of its token, and the address under which its client sees it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from starlette.types import Scope

from meroid.auth.dpop import NOTHING_SHOWN, Shown, Target
from meroid.auth.first_owner import Peer
from meroid.http.peers import host_name, is_loopback_name

HTTP_SCHEMES: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
"""The scheme of the address that a client sees, by the one that the server knows."""
_METHODS: Final = ("x-forwarded-method", "x-original-method")
_URIS: Final = ("x-forwarded-uri", "x-original-uri")
_SAYS_ANOTHER: Final = (*_METHODS, *_URIS)


class Addresses:
    """Tells under which address a client sees what it asks for."""

    def __init__(self, own_hosts: Collection[str] = ()) -> None:
        """`own_hosts` are the names of this service beside the loopback ones.

        What a client was told to call by another name may have been meant for another service, so it isn't judged.
        """
        self._own_hosts = frozenset(each.lower() for each in own_hosts)

    def shown(
        self, scope: Scope, headers: Mapping[str, str], find_peer: Callable[[], Peer], query_proof: str | None
    ) -> Shown:
        """The proof of a request, from its header or else its query, and what that has to name."""
        if query_proof is None and "dpop" not in headers:
            return NOTHING_SHOWN
        proofs: Sequence[bytes] = [value for name, value in scope["headers"] if name == b"dpop"]
        proof = b",".join(proofs).decode("latin-1") or query_proof  # two of them are no proof
        return Shown(proof=proof, target=self._target(scope, headers, find_peer())) if proof else NOTHING_SHOWN

    def _target(self, scope: Scope, headers: Mapping[str, str], peer: Peer) -> Target | None:
        path: str = scope["raw_path"].decode("latin-1")
        if peer.via_proxy:
            scheme = _one(headers, "x-forwarded-proto") or scope.get("scheme", "http")
            host = _one(headers, "x-forwarded-host") or peer.host
            path = (_one(headers, "x-forwarded-prefix") or "").rstrip("/") + path
        else:
            scheme, host = scope.get("scheme", "http"), peer.host
            if host is None or not self._is_own(host):
                return None
        shown_scheme = HTTP_SCHEMES.get(scheme.lower())
        if shown_scheme is None or not host:
            return None
        return Target(method=scope.get("method", "GET"), url=f"{shown_scheme}://{host}{path}")

    def _is_own(self, host: str) -> bool:
        name = host_name(host)
        return name is not None and (is_loopback_name(name) or name in self._own_hosts)


def forwarded_target(headers: Mapping[str, str], peer: Peer, own: Target | None) -> Target | None:
    """What a proxy holds while it asks about it: Traefik's or nginx' names, from a trusted proxy only.

    A caller that names nothing asks about its own request.
    """
    if not any(name in headers for name in _SAYS_ANOTHER):
        return None if peer.via_proxy else own
    if not peer.via_proxy:
        return None
    method = _agreed(_one(headers, name) for name in _METHODS)
    uri = _agreed(headers.get(name) for name in _URIS) or ""  # a comma is no separator here
    scheme, host = _one(headers, "x-forwarded-proto"), _one(headers, "x-forwarded-host")
    shown_scheme = HTTP_SCHEMES.get(scheme.lower()) if scheme else None
    if method is None or not uri.startswith("/") or shown_scheme is None or host is None:
        return None
    return Target(method=method.upper(), url=f"{shown_scheme}://{host}{uri}")


def _agreed(said: Iterable[str | None]) -> str | None:
    """What is said, if nothing else is: a proxy that sets one of two names passes on what its client put in the other."""
    given = set(filter(None, said))
    return given.pop() if len(given) == 1 else None


def may_write(headers: Mapping[str, str]) -> bool:
    """Whether judging this request may use up a proof, which waits for the disk."""
    return "dpop" in headers or "dpop=" in headers.get("x-forwarded-uri", "")


def _one(headers: Mapping[str, str], name: str) -> str | None:
    """A header with one value; a list says what several proxies saw, and the first may be the client's own."""
    value = headers.get(name, "").strip()
    return value if value and "," not in value else None
