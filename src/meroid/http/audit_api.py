"""The routes of the audit trail and of the numbers made from it (`wire/auth.md` §1.5, and beside the wire)."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from meroid.access.permissions import ADMIN
from meroid.access.principal import Principal
from meroid.errors import InvalidInputError
from meroid.http.auth_api import identified
from meroid.http.contract import FLAG, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Requires, SignedIn, SocketEndpoint
from meroid.ids import AccountId
from meroid.service.audit_reading import AuditService
from meroid.service.ports.audit import AuditFilter
from meroid.wire import audit as shapes
from meroid.wire.envelope import Envelope

_GREATEST: Final = 2**63 - 1
_TEXT: Final = 64
_NUMBER: Final[Mapping[str, Any]] = {"type": "string", "pattern": "^[0-9]{1,19}$"}
_WORD: Final[Mapping[str, Any]] = {"type": "string", "maxLength": _TEXT}
_QUERY: Final[Mapping[str, Mapping[str, Any]]] = {
    "after": _NUMBER,
    "limit": _NUMBER,
    "since": _NUMBER,
    "until": _NUMBER,
    "account": _WORD,
    "action": _WORD,
    "outcome": _WORD,
    "latest": FLAG,
}
DefaultT = TypeVar("DefaultT", int, None)


class BadFilterError(InvalidInputError):
    """A field of the query can't be what it should be."""

    code = "bad_filter"
    next_step = "after, limit, since and until are whole numbers (times in ms), account an id; limit is at most 1000"


class AuditApi:
    """The audit trail over HTTP."""

    def __init__(self, *, audit: AuditService) -> None:
        self._audit = audit

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; `AuditService` narrows what is listed to what the caller may see."""
        auth = Envelope.AUTH
        return [
            Endpoint("GET", "/admin/audit", self.list, SignedIn(), envelope=auth),
            Endpoint("GET", "/admin/audit/head", self.head, Requires(ADMIN), envelope=auth),
        ]

    @speaks(gives=shapes.AuditPageData, query=_QUERY, refuses="bad_filter bad_id permission_denied")
    def list(self, request: ApiRequest) -> ApiResponse:
        """Events behind `after`, or with `latest=true` the last ones; a page of them."""
        query = request.query()
        limit = _number(query, "limit", shapes.PAGE)
        if not 1 <= limit <= shapes.PAGE_MOST:
            raise BadFilterError(f"limit is 1 to {shapes.PAGE_MOST}")
        after, wanted = _number(query, "after", 0), _filter(query)
        if request.flag("latest"):
            found = self._audit.latest(request.principal, wanted, limit=limit)
            more = False
        else:
            found = self._audit.page(request.principal, wanted, after=after, limit=limit)
            more = len(found) == limit
        data = shapes.AuditPageData(
            events=[shapes.event_data(each) for each in found], next=found[-1].sequence if more else None
        )
        return _data(data, request.principal)

    @speaks(gives=shapes.AuditHeadData, refuses="no_signing_key")
    def head(self, request: ApiRequest) -> ApiResponse:
        """Where the trail ends, signed."""
        head, statement = self._audit.head(request.at)
        return _data(shapes.head_data(head, statement), request.principal)


def _filter(query: dict[str, str]) -> AuditFilter:
    account = query.get("account")
    return AuditFilter(
        account_id=AccountId.parse(account) if account else None,
        action=_text(query, "action"),
        outcome=_text(query, "outcome"),
        since=_number(query, "since", None),
        until=_number(query, "until", None),
    )


def _text(query: dict[str, str], name: str) -> str | None:
    value = query.get(name) or None
    if value is not None and (len(value) > _TEXT or not value.isprintable()):
        raise BadFilterError(f"{name} has at most {_TEXT} printable characters")
    return value


def _number(query: dict[str, str], name: str, default: DefaultT) -> int | DefaultT:
    value = query.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdecimal() or len(value) > 19 or int(value) > _GREATEST:
        raise BadFilterError(f"{name} is a whole number")
    return int(value)


def _data(value: object, principal: Principal) -> ApiResponse:
    return ApiResponse.data(value, Envelope.AUTH, headers=identified(principal))
