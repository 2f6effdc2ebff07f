"""The route of mock tokens (`wire/auth.md` §2.6)."""

from meroid.http.contract import speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SocketEndpoint
from meroid.service.mock_tokens import MockSecretNeededError, MockTokenService, NoMockTokensError, WantedMock
from meroid.wire import mock_tokens as shapes
from meroid.wire.auth_api import TokenPairData
from meroid.wire.envelope import Envelope


class MockApi:
    """Mock tokens over HTTP: where they are off, the route isn't there."""

    def __init__(self, *, mock: MockTokenService) -> None:
        self._mock = mock

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The route."""
        public = Public("off, unless a switch for development is on and the caller on this machine knows its secret")
        return [Endpoint("POST", "/auth/mock-token", self.mint, public, envelope=Envelope.AUTH)]

    @speaks(
        takes=shapes.MockTokenBody,
        gives=TokenPairData,
        refuses="mock_tokens_off mock_secret_needed bad_permission",
    )
    def mint(self, request: ApiRequest) -> ApiResponse:
        """Mint a pair; who may not have one learns nothing about the body."""
        try:
            self._mock.check(request.headers.get("authorization", ""), request.peer)
        except NoMockTokensError as error:
            return ApiResponse.refusal(error, Envelope.AUTH, text=shapes.NOT_FOUND)
        except MockSecretNeededError as error:
            return ApiResponse.refusal(error, Envelope.AUTH, text=shapes.UNAUTHORISED)
        body = request.json(shapes.MockTokenBody)
        wanted = WantedMock(
            client_name=body.client_name,
            permissions=shapes.DEFAULT_PERMISSIONS if body.permissions is None else body.permissions,
            access_s=body.access_token_expiry,
            refresh_s=body.refresh_token_expiry,
        )
        made = self._mock.mint(wanted, request.at)
        pair = TokenPairData(access_token=made.pair.access, refresh_token=made.pair.refresh)
        return ApiResponse.data(pair, Envelope.AUTH, headers=shapes.mock_headers(made.key_id))
