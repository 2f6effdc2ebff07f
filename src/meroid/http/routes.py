"""Routes as data: what a path does, and what it needs."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

from starlette.websockets import WebSocket

from meroid import limits
from meroid.access.decide import Resource
from meroid.access.permissions import Permission
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.ids import ContextId
from meroid.wire.envelope import Envelope
from meroid.wire.faults import BadPathError, NoSuchPathError, WrongMethodError

Handler: TypeAlias = Callable[[ApiRequest], ApiResponse]
SocketHandler: TypeAlias = Callable[[WebSocket, ApiRequest], Awaitable[None]]

SOCKET: Final = "WEBSOCKET"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Public:
    """Open to everybody, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Any valid token; the handler narrows further by what it finds in the request."""


@dataclass(frozen=True, slots=True)
class Requires:
    """A permission, and the resource that `resource` makes from the path parameters."""

    permission: Permission
    resource: Callable[[Mapping[str, str]], Resource] = lambda _: Resource()


def in_context(name: str = "context_id") -> Callable[[Mapping[str, str]], Resource]:
    """For `Requires`: the resource is the context that a path parameter names."""
    return lambda params: Resource(context=ContextId.parse(params[name]))


Needs: TypeAlias = Public | SignedIn | Requires


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path with its methods.

    Attributes:
        methods: separated by spaces, such as `"GET POST"`; HEAD comes with GET.
        path: segments, `{name}` for a parameter; trailing slashes count.
        handler: runs in a worker thread and may block.
        needs: what the caller must have; there is no default.
        envelope: the family of its answers.
        body_limit: bytes of body that it takes.
        query_token: whether `?token=` is taken beside the header (`wire/auth.md` K10).
        inline: the handler runs on the event loop, so it must never wait: at most one indexed read
            of the store (some 20 µs, half of what a hop into a thread costs); public routes only.
    """

    methods: str
    path: str
    handler: Handler
    needs: Needs
    envelope: Envelope = field(default=Envelope.NODE, kw_only=True)
    body_limit: int = field(default=limits.JSON_BODY.value, kw_only=True)
    query_token: bool = field(default=False, kw_only=True)
    inline: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    """A WebSocket path; the handler runs on the event loop after the caller was admitted, before `accept`."""

    path: str
    handler: SocketHandler
    needs: Needs
    query_token: bool = field(default=True, kw_only=True)


@dataclass(frozen=True, slots=True)
class Match:
    """A route that was found, with the values of its path parameters."""

    endpoint: Endpoint | SocketEndpoint
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InlineMatch(Match):
    """A route that is answered on the event loop."""

    endpoint: Endpoint


class UndeclaredRouteError(TypeError):
    """A route says nothing (or nonsense) about what it needs, or clashes with another: a defect of this build."""


_Pattern: TypeAlias = tuple[str | None, ...]  # `None` stands for a parameter


class RouteTable:
    """Finds the route of a request; literal segments win over parameters, from left to right."""

    def __init__(self, endpoints: Iterable[Endpoint | SocketEndpoint]) -> None:
        self._literal: dict[str, dict[str, Match]] = {}
        self._inline: dict[tuple[str, bytes], InlineMatch] = {}
        self._by_length: dict[int, list[tuple[_Pattern, tuple[str, ...], dict[str, Endpoint | SocketEndpoint]]]] = {}
        self.endpoints = tuple(endpoints)
        for endpoint in self.endpoints:
            _check(endpoint)
            self._add(endpoint)
        for patterns in self._by_length.values():
            patterns.sort(key=lambda entry: [segment is None for segment in entry[0]])

    def find(self, method: str, raw_path: bytes) -> Match:
        """The route for an upper-case method (`SOCKET` for upgrades) and an undecoded path.

        Raises:
            NoSuchPathError: no route has this path.
            WrongMethodError: one has, but not with this method.
            BadPathError: the path isn't UTF-8.
        """
        wanted = "GET" if method == "HEAD" else method
        segments = _segments(raw_path)
        found: dict[str, Match] = {}
        literal = self._literal.get("/".join(segments)) if not any("/" in each for each in segments) else None
        if literal is not None:
            if wanted in literal:
                return literal[wanted]
            found |= literal
        for pattern, names, methods in self._by_length.get(len(segments), ()):
            if all(want is None or want == have for want, have in zip(pattern, segments, strict=True)):
                values = [have for want, have in zip(pattern, segments, strict=True) if want is None]
                if "" in values:
                    continue
                if wanted in methods:
                    return Match(methods[wanted], dict(zip(names, values, strict=True)))
                found |= {each: Match(endpoint, {}) for each, endpoint in methods.items()}
        raise _not_found({} if method == SOCKET else found)

    def inline(self, method: str, raw_path: bytes) -> InlineMatch | None:
        """The inline route of a method (without HEAD) and a path that is spelled as it was declared."""
        return self._inline.get((method, raw_path))

    def _add(self, endpoint: Endpoint | SocketEndpoint) -> None:
        segments = endpoint.path.split("/")
        names = tuple(each[1:-1] for each in segments if each.startswith("{"))
        methods = endpoint.methods.split() if isinstance(endpoint, Endpoint) else [SOCKET]
        if not names:
            known = self._literal.setdefault(endpoint.path, {})
            _refuse_clash(endpoint.path, known, methods)
            known |= {method: Match(endpoint, {}) for method in methods}
            if isinstance(endpoint, Endpoint) and endpoint.inline:
                found = InlineMatch(endpoint, {})
                self._inline |= {(method, endpoint.path.encode("ascii")): found for method in methods}
            return
        pattern = tuple(None if each.startswith("{") else each for each in segments)
        entries = self._by_length.setdefault(len(segments), [])
        for other, other_names, routes in entries:
            if other == pattern:
                if other_names != names:
                    raise UndeclaredRouteError(f"{endpoint.path}: the same path with other parameter names")
                _refuse_clash(endpoint.path, routes, methods)
                routes.update(dict.fromkeys(methods, endpoint))
                return
        entries.append((pattern, names, dict.fromkeys(methods, endpoint)))


def _check(endpoint: Endpoint | SocketEndpoint) -> None:
    needs: object = endpoint.needs
    if not isinstance(needs, Public | SignedIn | Requires):
        raise UndeclaredRouteError(f"{endpoint.path}: says nothing about what it needs")
    if isinstance(needs, Public) and not needs.reason.strip():
        raise UndeclaredRouteError(f"{endpoint.path}: is public without a reason")
    if not endpoint.path.startswith("/"):
        raise UndeclaredRouteError(f"{endpoint.path}: a path begins with a slash")
    if isinstance(endpoint, Endpoint):
        if not endpoint.methods or not _METHODS.issuperset(endpoint.methods.split()):
            raise UndeclaredRouteError(f"{endpoint.path}: unknown method in {endpoint.methods!r}")
        if endpoint.inline and not isinstance(needs, Public):
            raise UndeclaredRouteError(f"{endpoint.path}: admitting a caller blocks, so it can't run on the loop")


def _refuse_clash(path: str, known: Mapping[str, object], methods: Iterable[str]) -> None:
    for method in methods:
        if method in known:
            raise UndeclaredRouteError(f"{method} {path}: declared twice")


def _segments(raw_path: bytes) -> list[str]:
    try:
        if b"%" not in raw_path:
            return raw_path.decode("ascii").split("/")
        return [unquote_to_bytes(each).decode("utf-8") for each in raw_path.split(b"/")]
    except UnicodeDecodeError:
        raise BadPathError("the path is not UTF-8") from None


def _not_found(found: Mapping[str, Match]) -> NoSuchPathError | WrongMethodError:
    allowed = sorted(method for method in found if method != SOCKET)
    if "GET" in allowed:
        allowed.insert(allowed.index("GET") + 1, "HEAD")
    return WrongMethodError(", ".join(allowed)) if allowed else NoSuchPathError("no route has this path")
