"""What a handler gets and what it gives back."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl

from meroid.access.principal import Principal
from meroid.auth.dpop import NOTHING_SHOWN, Shown
from meroid.auth.first_owner import Peer
from meroid.errors import MeroidError
from meroid.http.peers import host_name
from meroid.ids import BadIdError, Id32
from meroid.wire.envelope import JSON, TEXT, Answer, Envelope, encode_data, encode_fault, encode_json
from meroid.wire.faults import BadPathError
from meroid.wire.json_body import decode_body

T = TypeVar("T")
IdT = TypeVar("IdT", bound=Id32)

_QUERY_FIELDS = 100
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})


@dataclass(slots=True, kw_only=True, repr=False, eq=False)  # not frozen: that would cost twice as much to make
class ApiRequest:
    """One request, read completely and admitted.

    Attributes:
        method: upper case; HEAD arrives as GET.
        path: as routed, decoded.
        params: path parameters by name, decoded.
        query_string: raw, without `token`.
        headers: lower-case names; of a repeated header the first, of what a proxy says (`X-Forwarded-…`) the last.
        body: all of it, within the endpoint's limit.
        caller: who asks; nobody on a public route.
        find_peer: gives `peer`, where it comes from; most requests never ask.
        at: ms since the epoch, UTC.
        shown: the proof of the key of its token, and what that has to name.
        scheme: `http` or `https`, as the caller reached the node; a trusted proxy says which.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    find_peer: Callable[[], Peer]
    at: int
    caller: Principal | None = None
    scheme: str = "http"
    shown: Shown = NOTHING_SHOWN

    @property
    def origin(self) -> str | None:
        """The origin under which the caller reached the node; nothing without a proper `Host`."""
        host = self.peer.host
        return f"{self.scheme}://{host.lower()}" if host is not None and host_name(host) is not None else None

    def __repr__(self) -> str:
        """Without headers, query and body: they hold tokens and passwords."""
        return f"ApiRequest({self.method} {self.path})"

    @property
    def peer(self) -> Peer:
        """Where it comes from."""
        return self.find_peer()

    @property
    def principal(self) -> Principal:
        """Who asks, on a route that isn't public."""
        if self.caller is None:
            raise RuntimeError(f"{self.path} is public, so it has no principal")
        return self.caller

    def json(self, shape: type[T]) -> T:
        """The body as a typed struct; raises as `wire.json_body.decode_body`."""
        return decode_body(self.body, self.headers.get("content-type"), shape)

    def id_param(self, name: str, kind: type[IdT]) -> IdT:
        """A path parameter as an id.

        Raises:
            BadPathError: it isn't base58 of 32 bytes; the wire has plain text for it.
        """
        try:
            return kind.parse(self.params[name])
        except BadIdError as problem:
            raise BadPathError(f"{name}: {problem.reason}") from None

    def query(self) -> dict[str, str]:
        """The query's fields, decoded; of a repeated one the first.

        Raises:
            BadPathError: more than a hundred fields.
        """
        try:
            pairs = parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=_QUERY_FIELDS)
        except ValueError:
            raise BadPathError(f"the query has more than {_QUERY_FIELDS} fields") from None
        return dict(reversed(pairs))

    def flag(self, name: str) -> bool:
        """A field of the query that is true or false; false where it is missing.

        Raises:
            BadPathError: it is neither.
        """
        value = self.query().get(name, "false").lower()
        if value not in _TRUE | _FALSE:
            raise BadPathError(f"{name} is true or false")
        return value in _TRUE


@dataclass(frozen=True, slots=True)
class Written:
    """A whole answer but for the server's own headers: its status, and all the bytes after those."""

    status: int
    rest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """One answer; a stream in `body` is sent as it comes and closed when the client goes.

    `written` keeps what a handler's answer looks like in bytes, by scheme, for one that is given again and again.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str | None = JSON
    headers: tuple[tuple[str, str], ...] = field(default=())
    written: dict[str, Written] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def data(
        cls, value: object, envelope: Envelope = Envelope.NODE, *, headers: Mapping[str, str] | None = None
    ) -> Self:
        """A success in the envelope of its family; `None` gives `{"data":null}` on node routes."""
        return cls(body=encode_data(value, envelope), headers=tuple((headers or {}).items()))

    @classmethod
    def bare(cls, value: object) -> Self:
        """JSON without an envelope, where the wire has none."""
        return cls(body=encode_json(value))

    @classmethod
    def text(cls, value: str, *, status: int = 200) -> Self:
        """Plain text."""
        return cls(status=status, body=value.encode(), content_type=TEXT)

    @classmethod
    def refusal(cls, error: MeroidError, envelope: Envelope, *, guarded: bool = False, text: str | None = None) -> Self:
        """A refusal that a handler words itself; others are just raised. See `wire.envelope.encode_fault`."""
        return cls.answer(encode_fault(error, envelope, guarded=guarded, text=text))

    @classmethod
    def answer(cls, answer: Answer) -> Self:
        """An answer that `wire` composed whole."""
        return cls(status=answer.status, body=answer.body, content_type=None, headers=answer.headers)

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers for ASGI, without `Content-Length`."""
        named: list[tuple[str, Any]] = list(self.headers)
        if self.content_type is not None:
            named.append(("content-type", self.content_type))
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named]
