"""The route of the feed of revocations."""

import hashlib
from typing import Final

from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SocketEndpoint
from meroid.service.revocations import RevocationFeed
from meroid.wire.envelope import Envelope
from meroid.wire.faults import BadPathError

_CACHE: Final = "public, max-age=5"
_TYPE: Final = "application/jwt"
_NOT_MODIFIED: Final = 304
_DIGITS: Final = 15


class RevocationsApi:
    """What has ended, for services that check tokens without asking."""

    def __init__(self, *, feed: RevocationFeed) -> None:
        self._feed = feed

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The route."""
        needs = Public("random ids of what ended, and no account")
        return [Endpoint("GET", "/auth/revocations", self.revocations, needs, envelope=Envelope.AUTH)]

    @speaks(
        media=_TYPE,
        unchanged=True,
        query={"since": {"type": "string", "pattern": "^[0-9]{1,15}$"}},
        refuses="no_signing_key",
    )
    def revocations(self, request: ApiRequest) -> ApiResponse:
        """The signed feed (a JWS), without an envelope; 304 for who has it."""
        text = self._feed.text(request.at, since=_since(request.query().get("since")))
        tag = f'"{hashlib.sha256(text.encode("ascii")).hexdigest()[:32]}"'
        headers = (("ETag", tag), ("Cache-Control", _CACHE))
        if tag in {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}:
            return ApiResponse(status=_NOT_MODIFIED, content_type=None, headers=headers)
        return ApiResponse(body=text.encode("ascii"), content_type=_TYPE, headers=headers)


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise BadPathError("since is a time in Unix seconds")
    return int(text)
