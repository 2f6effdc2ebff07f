"""The log-in page: a plain form with a script of our own, under a policy that lets nothing else run."""

from functools import cache
from importlib.resources import files
from typing import Final

from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SocketEndpoint
from meroid.wire.envelope import Envelope
from meroid.wire.login_links import LOGIN_PATH

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Expires", "0"),
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


class LoginPageApi:
    """The page and its few files; it keeps no state, and the query is read by the script alone."""

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes."""
        auth, public = Envelope.AUTH, Public("whoever isn't logged in logs in here")
        return [
            Endpoint("GET", LOGIN_PATH, self.page, public, envelope=auth),
            Endpoint("GET", "/auth/favicon.ico", self.icon, public, envelope=auth),
            Endpoint("GET", "/auth/assets/login.css", self.style, public, envelope=auth),
            Endpoint("GET", "/auth/assets/login.js", self.script, public, envelope=auth),
            Endpoint("GET", "/auth/assets/flow.js", self.script, public, envelope=auth),
        ]

    @speaks(media="text/html")
    def page(self, _: ApiRequest) -> ApiResponse:
        """The page."""
        return _file("login.html", "text/html; charset=utf-8")

    @speaks(media="image/svg+xml")
    def icon(self, _: ApiRequest) -> ApiResponse:
        """Its icon."""
        return _file("icon.svg", "image/svg+xml")

    @speaks(media="text/css")
    def style(self, _: ApiRequest) -> ApiResponse:
        """Its style."""
        return _file("login.css", "text/css; charset=utf-8")

    @speaks(media="text/javascript")
    def script(self, request: ApiRequest) -> ApiResponse:
        """One of its scripts."""
        return _file(request.path.rpartition("/")[2], "text/javascript; charset=utf-8")


def _file(name: str, content_type: str) -> ApiResponse:
    return ApiResponse(body=_content(name), content_type=content_type, headers=_HEADERS)


@cache
def _content(name: str) -> bytes:
    return files("meroid.http").joinpath("page", name).read_bytes()
