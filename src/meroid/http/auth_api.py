"""The routes of `/auth/*` and `/admin/*` (`wire/auth.md` §1.3 to §1.5)."""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from meroid import __version__
from meroid.access.permissions import Permission
from meroid.access.principal import Principal
from meroid.auth.dpop import NOTHING_SHOWN, Proof, Shown, verify_proof
from meroid.auth.node_binding import WrongNodeError, check_node
from meroid.errors import UnauthenticatedError
from meroid.http.contract import COMING, POSSESSION, PROOFS, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.guard import Watch, bearer_of
from meroid.http.health_api import Health
from meroid.http.presented import forwarded_target
from meroid.http.routes import Endpoint, Public, SignedIn, SocketEndpoint
from meroid.ids import ContextId
from meroid.keys.public import PublicKey
from meroid.service.gate import Gate
from meroid.service.login import LoginRequest, LoginService
from meroid.service.minting import WantedKey
from meroid.service.tokens import TokenPair, TokenService
from meroid.wire import auth_api as shapes, node_answers as gives
from meroid.wire.envelope import Envelope

_SCHEMES: Final = ("Bearer ", "DPoP ")
_VALIDATE: Final = "/auth/validate"
_JWKS_CACHE: Final = "public, max-age=300"


class AuthApi:
    """Log-in, refresh, validation and token keys over HTTP."""

    def __init__(
        self, *, login: LoginService, tokens: TokenService, gate: Gate, health: Health, watch: Watch | None = None
    ) -> None:
        """`watch` is told what `/auth/validate` refuses."""
        self._watch = watch
        self._login = login
        self._tokens = tokens
        self._gate = gate
        self._health = health

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; the log-in routes are public because a token is what one gets there."""
        auth = Envelope.AUTH
        log_in = Public("a token is what one gets here")
        judge = Public("it judges the token itself")
        return [
            Endpoint("POST", "/auth/token", self.token, log_in, envelope=auth),
            Endpoint("POST", "/auth/refresh", self.refresh, log_in, envelope=auth),
            Endpoint("POST", "/auth/logout", self.logout, judge, envelope=auth),
            Endpoint("GET POST", _VALIDATE, self.validate, judge, envelope=auth, inline=True),
            Endpoint("GET", "/auth/providers", self.providers, Public("needed before log-in"), envelope=auth),
            Endpoint("GET", "/auth/health", self.health, Public("says alive or not, no more"), envelope=auth),
            Endpoint("GET", "/auth/jwks.json", self.jwks, Public("public keys"), envelope=auth),
            # `TokenService` decides on these: a key may mint less than it has, and may revoke itself.
            Endpoint("POST", "/admin/client-key", self.client_key, SignedIn(), envelope=auth),
            Endpoint("POST", "/admin/revoke", self.revoke, SignedIn(), envelope=auth),
            Endpoint("GET", "/admin/identity", self.identity, SignedIn(), envelope=auth),
        ]

    @speaks(
        takes=shapes.TokenBody,
        gives=shapes.TokenPairData,
        refuses=f"bad_permission account_disabled setup_required wrong_setup_code not_initialised {COMING} {POSSESSION} {PROOFS}",
    )
    def token(self, request: ApiRequest) -> ApiResponse:
        """Log in."""
        body = request.json(shapes.TokenBody)
        try:
            return _pair(self._login.log_in(self._wanted(request, body), request.at))
        except UnauthenticatedError as error:
            return ApiResponse.refusal(error, Envelope.AUTH, text=f"Authentication failed: {error.reason}")

    def _wanted(self, request: ApiRequest, body: shapes.TokenBody) -> LoginRequest:
        return LoginRequest(
            auth_method=body.auth_method,
            public_key=body.public_key,
            client_name=body.client_name,
            permissions=body.permissions or (),
            provider_data=body.provider_data,
            peer=request.peer,
            proof=_proof(request.shown, request.at),
        )

    @speaks(
        takes=shapes.RefreshBody,
        gives=shapes.TokenPairData,
        refuses=f"invalid_token token_expired token_revoked token_reuse invalid_node {POSSESSION}",
    )
    def refresh(self, request: ApiRequest) -> ApiResponse:
        """Exchange a refresh token; early is fine."""
        body = request.json(shapes.RefreshBody)
        address, host = request.peer.address or None, request.peer.node
        old = (body.access_token, body.refresh_token)
        return _pair(self._tokens.refresh(*old, request.at, request.shown, address=address, host=host))

    @speaks(
        takes=shapes.LogoutBody,
        optional=True,
        gives=shapes.LoggedOutData,
        refuses=f"missing_token invalid_token {POSSESSION}",
    )
    def logout(self, request: ApiRequest) -> ApiResponse:
        """End the log-ins behind the bearer and the refresh token; also when they have expired or ended."""
        body = request.json(shapes.LogoutBody) if request.body else shapes.LogoutBody()
        bearer = bearer_of(request.headers.get("authorization"))
        address = request.peer.address or None
        self._tokens.log_out(bearer, body.refresh_token, request.at, request.shown, address=address)
        return _data(shapes.LoggedOutData())

    @speaks(gives=str, refuses=f"missing_token invalid_token token_expired token_revoked invalid_node {POSSESSION}")
    def validate(self, request: ApiRequest) -> ApiResponse:
        """Judge the token of a request that a proxy holds; never 400, which nginx takes for a failure."""
        authorization = request.headers.get("authorization", "")
        scheme = next((each for each in _SCHEMES if authorization.startswith(each)), None)
        asked, proof = request.headers.get("x-forwarded-uri", ""), request.shown.proof
        if scheme is not None:
            bearer = authorization.removeprefix(scheme).strip()
        else:
            bearer = shapes.forwarded_field(asked, "token") or ""
            proof = proof or shapes.forwarded_field(asked, "dpop")
        shown = NOTHING_SHOWN
        if proof is not None:
            shown = Shown(proof=proof, target=forwarded_target(request.headers, request.peer, request.shown.target))
        try:
            admitted = self._gate.look_up(bearer or None, request.at, shown)
            if admitted.principal.node_url is not None:
                check_node(admitted.principal.node_url, request.peer.node)
        except (UnauthenticatedError, WrongNodeError) as error:
            if self._watch is not None:
                self._watch.refused(error, None, request.peer, _VALIDATE, request.at)
            text = shapes.validation_text(error.code, error.reason)
            return ApiResponse.refusal(error, Envelope.AUTH, guarded=True, text=text)
        answer = admitted.shown
        if not isinstance(answer, ApiResponse):
            answer = ApiResponse.data(shapes.VALIDATED, Envelope.AUTH, headers=identified(admitted.principal))
            admitted.shown = answer
        return answer

    @speaks(gives=shapes.ProvidersData)
    def providers(self, _: ApiRequest) -> ApiResponse:
        """The ways to log in."""
        known = self._login.providers()
        listed = [
            shapes.ProviderData(
                name=each.name,
                type=each.kind,
                description=each.description,
                configured=each.configured,
                config=dict(each.shown),
            )
            for each in known.providers
        ]
        return _data(
            shapes.ProvidersData(
                providers=listed, count=len(listed), setup_required=known.setup_required, signup=known.signup
            )
        )

    @speaks(gives=shapes.HealthData)
    def health(self, request: ApiRequest) -> ApiResponse:
        """Whether the store answers; always 200."""
        storage = self._health.store_answers()
        status = "healthy" if storage else "unhealthy"
        uptime = self._health.uptime_s(request.at)
        return _data(shapes.HealthData(status=status, storage=storage, uptime_seconds=uptime))

    @speaks(gives=gives.Jwks, bare=True)
    def jwks(self, request: ApiRequest) -> ApiResponse:
        """The keys that verify tokens (RFC 7517), without an envelope."""
        answer = ApiResponse.bare(self._tokens.jwks(request.at))
        return ApiResponse(body=answer.body, headers=(("Cache-Control", _JWKS_CACHE),))

    @speaks(
        takes=shapes.ClientKeyBody,
        gives=(shapes.TokenPairData, shapes.ServiceTokenData),
        refuses="bad_permission bad_binding permission_not_held bad_token_name bad_lifetime service_token_mints not_your_identity login_not_fresh unsafe_claim proof_key_shared binding_uncheckable",
    )
    def client_key(self, request: ApiRequest) -> ApiResponse:
        """Mint a token pair or a service token under the caller's key, bound to a context and identity or to nothing."""
        body = request.json(shapes.ClientKeyBody)
        wanted = WantedKey(
            context_id=ContextId.parse(body.context_id) if body.context_id else None,
            identity=PublicKey.parse(body.context_identity) if body.context_identity else None,
            permissions=body.permissions or (),
            node_url=body.target_node_url,
            name=body.name or "",
            expires_in_s=body.expires_in,
        )
        proof = _minting_proof(request, body)
        if wanted.expires_in_s is None:
            return _pair(self._tokens.mint_client(request.principal, wanted, request.at, proof), request.principal)
        token = self._tokens.mint_service_token(request.principal, wanted, request.at, proof)
        data = shapes.ServiceTokenData(
            access_token=token.access, client_id=token.client_id, expires_at=token.expires_at
        )
        return _data(data, request.principal)

    @speaks(
        takes=shapes.RevokeBody,
        gives=shapes.RevokedData,
        asks="keys:delete",
        refuses="key_not_found last_root_key last_admin_key login_not_fresh",
    )
    def revoke(self, request: ApiRequest) -> ApiResponse:
        """Revoke a root or client key by its id."""
        body = request.json(shapes.RevokeBody)
        self._tokens.revoke(request.principal, body.client_id, request.at)
        return _data(shapes.RevokedData(), request.principal)

    @speaks(gives=shapes.IdentityData)
    def identity(self, request: ApiRequest) -> ApiResponse:
        """What this service is."""
        names = [each.name for each in self._login.providers().providers]
        return _data(shapes.IdentityData(version=__version__, providers=names), request.principal)


def _proof(shown: Shown, at: int) -> Proof | None:
    return verify_proof(shown, at) if shown.proof else None


def _minting_proof(request: ApiRequest, body: shapes.ClientKeyBody) -> Proof | None:
    """The proof of the key that minted tokens get.

    It stands in the body. The header's is of the caller's own key, if the caller's token is bound to one; if it
    isn't, the header's may do.
    """
    if body.proof:
        return _proof(replace(request.shown, proof=body.proof), request.at)
    return None if request.principal.proof_key is not None else _proof(request.shown, request.at)


def _data(value: object, principal: Principal | None = None) -> ApiResponse:
    headers = identified(principal) if principal is not None else None
    return ApiResponse.data(value, Envelope.AUTH, headers=headers)


def _pair(pair: TokenPair, principal: Principal | None = None) -> ApiResponse:
    return _data(shapes.TokenPairData(access_token=pair.access, refresh_token=pair.refresh), principal)


def identified(principal: Principal) -> dict[str, str]:
    """Who it is, for the proxy that asks; the second header is absent when nothing is held."""
    headers = {"X-Auth-User": principal.subject}
    if principal.held:
        headers["X-Auth-Permissions"] = _listed(principal.held)
    return headers


@lru_cache(maxsize=1024)  # few lists are held by many
def _listed(held: tuple[Permission, ...]) -> str:
    return shapes.permission_header(str(each) for each in held)
