"""The routes of log-in links, beside the wire (docs/http-api.md)."""

from collections.abc import Sequence
from typing import Final

from meroid.access.principal import Principal
from meroid.auth.login_code import show_login_code
from meroid.auth.throttle import address_group
from meroid.http.auth_api import identified
from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SignedIn, SocketEndpoint
from meroid.ids import AccountId
from meroid.service.login_links import DEFAULT_MS, LoginLinkService, MadeLink
from meroid.wire import login_links as shapes
from meroid.wire.envelope import Envelope

_LONGEST_S: Final = 10**9


class LoginLinksApi:
    """More people on one node, and back into their accounts, over HTTP."""

    def __init__(self, *, links: LoginLinkService) -> None:
        self._links = links

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; who may make a link depends on the sign-up policy, so `LoginLinkService` decides."""
        auth = Envelope.AUTH
        return [
            Endpoint("POST", "/admin/accounts", self.invite, SignedIn(), envelope=auth),
            Endpoint("POST", "/admin/accounts/{account_id}/link", self.reset, SignedIn(), envelope=auth),
            Endpoint("GET", "/admin/links", self.list, SignedIn(), envelope=auth),
            Endpoint("DELETE", "/admin/links/{link_id}", self.withdraw, SignedIn(), envelope=auth),
            Endpoint("POST", "/auth/link", self.see, Public("the code is what shows the right"), envelope=auth),
        ]

    @speaks(
        takes=shapes.NewAccountBody,
        optional=True,
        gives=shapes.MadeLinkData,
        asks="context:invite",
        refuses="not_the_owner too_many_accounts too_many_login_links bad_label bad_link_lifetime login_not_fresh outside_binding",
    )
    def invite(self, request: ApiRequest) -> ApiResponse:
        """A link for a new account."""
        body = request.json(shapes.NewAccountBody) if request.body else shapes.NewAccountBody()
        made = self._links.invite(request.principal, body.label or "", _span_ms(body.valid_for), request.at)
        return _made(request, made)

    @speaks(
        takes=shapes.NewLinkBody,
        optional=True,
        gives=shapes.MadeLinkData,
        asks="admin",
        refuses="not_the_owner owner_link account_not_found too_many_login_links bad_link_lifetime login_not_fresh outside_binding",
    )
    def reset(self, request: ApiRequest) -> ApiResponse:
        """A link for an account that is there."""
        account_id = request.id_param("account_id", AccountId)
        body = request.json(shapes.NewLinkBody) if request.body else shapes.NewLinkBody()
        return _made(request, self._links.reset(request.principal, account_id, _span_ms(body.valid_for), request.at))

    @speaks(gives=Sequence[shapes.LinkData], asks="context:invite", refuses="outside_binding")
    def list(self, request: ApiRequest) -> ApiResponse:
        """The open links that the caller may withdraw."""
        listed = [
            shapes.LinkData(
                link_id=each.link_id,
                kind=each.kind.value,
                account_id=None if each.account_id is None else str(each.account_id),
                label=each.label,
                made_by=str(each.made_by),
                created_at=each.created_at // 1000,
                expires_at=each.expires_at // 1000,
            )
            for each in self._links.list(request.principal, request.at)
        ]
        return _data(listed, request.principal)

    @speaks(gives=shapes.WithdrawnLinkData, asks="context:invite", refuses="login_link_not_found outside_binding")
    def withdraw(self, request: ApiRequest) -> ApiResponse:
        """Let a link open nothing any more."""
        link_id = request.params["link_id"]
        at = self._links.withdraw(request.principal, link_id, request.at)
        return _data(shapes.WithdrawnLinkData(link_id=link_id, withdrawn_at=at // 1000), request.principal)

    @speaks(
        takes=shapes.CodeBody,
        gives=shapes.SeenLinkData,
        refuses="wrong_login_code login_code_used login_code_expired login_code_withdrawn login_throttled",
    )
    def see(self, request: ApiRequest) -> ApiResponse:
        """What a code is for; it stays good."""
        body = request.json(shapes.CodeBody)
        seen = self._links.see(body.code, address_group(request.peer.address), request.at)
        link = seen.record
        return _data(
            shapes.SeenLinkData(
                kind=link.kind.value,
                account_id=None if link.account_id is None else str(link.account_id),
                label=link.label,
                usernames=seen.usernames,
                expires_at=link.expires_at // 1000,
            )
        )


def _span_ms(seconds: int | None) -> int:
    return DEFAULT_MS if seconds is None else min(seconds, _LONGEST_S) * 1000


def _made(request: ApiRequest, made: MadeLink) -> ApiResponse:
    link, code = made.record, show_login_code(made.code)
    origin = request.origin
    return _data(
        shapes.MadeLinkData(
            link_id=link.link_id,
            kind=link.kind.value,
            account_id=None if link.account_id is None else str(link.account_id),
            label=link.label,
            code=code,
            link=None if origin is None else shapes.link_text(origin, code),
            expires_at=link.expires_at // 1000,
        ),
        request.principal,
    )


def _data(value: object, principal: Principal | None = None) -> ApiResponse:
    headers = None if principal is None else identified(principal)
    return ApiResponse.data(value, Envelope.AUTH, headers=headers)
