"""The routes of challenges and root keys (`wire/auth.md` §1.3 and §1.5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from meroid.access.principal import Principal
from meroid.auth.tokens import TokenRevokedError
from meroid.errors import UnauthenticatedError
from meroid.http.auth_api import identified
from meroid.http.contract import FLAG, PROOFS, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, Public, SignedIn, SocketEndpoint
from meroid.service.login import LoginService
from meroid.service.root_keys import ListedRootKey, NewPassword, NewRootKey, RootKeyService
from meroid.wire import root_keys as shapes
from meroid.wire.envelope import Envelope

_FORBIDDEN: Final = 403


class KeysApi:
    """Challenges, and the root keys of the caller's account, over HTTP."""

    def __init__(self, *, login: LoginService, root_keys: RootKeyService) -> None:
        self._login = login
        self._root_keys = root_keys

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; `RootKeyService` decides who may, and asks for a fresh log-in wherever something changes."""
        auth = Envelope.AUTH
        return [
            Endpoint("GET", "/auth/challenge", self.challenge, Public("needed before log-in"), envelope=auth),
            Endpoint("GET", "/admin/keys", self.list, SignedIn(), envelope=auth),
            Endpoint("POST", "/admin/keys", self.bind, SignedIn(), envelope=auth),
            Endpoint("PUT", "/admin/keys/{key_id}/password", self.password, SignedIn(), envelope=auth),
            # A key may remove itself, whatever it holds.
            Endpoint("DELETE", "/admin/keys/{key_id}", self.remove, SignedIn(), envelope=auth),
        ]

    @speaks(
        gives=shapes.ChallengeData,
        query={"method": {"type": "string", "default": shapes.DEFAULT_METHOD}},
        refuses="unsupported_method host_unknown",
    )
    def challenge(self, request: ApiRequest) -> ApiResponse:
        """Something to sign; keeps nothing."""
        method = request.query().get("method", shapes.DEFAULT_METHOD)
        made = self._login.challenge(method, request.peer, request.at)
        return ApiResponse.data(
            shapes.ChallengeData(
                challenge=made.challenge.text,
                nonce=made.challenge.nonce_text,
                expires_at=made.challenge.expires_at // 1000,
                options=dict(made.options) if made.options is not None else None,
            ),
            Envelope.AUTH,
        )

    @speaks(gives=Sequence[shapes.RootKeyData], query={"all": FLAG}, asks="keys:list")
    def list(self, request: ApiRequest) -> ApiResponse:
        """Root keys of the caller's account; with `all=true`, for `admin`, of every account."""
        principal = request.principal
        known = self._root_keys.list(principal, everybody=request.flag("all"))
        return _data([_shown(each, principal) for each in known], principal)

    @speaks(
        takes=shapes.NewKeyBody,
        gives=shapes.NewKeyData,
        asks="keys:create",
        refuses="login_not_fresh root_key_exists weak_password not_this_account bad_provider_data bad_near_key near_key_unsupported near_rate_limited near_not_configured near_unreachable login_throttled login_busy needs_cosigners key_log_unsettled",
        refuses_as={403: PROOFS},
    )
    def bind(self, request: ApiRequest) -> ApiResponse:
        """Bind a root key to the caller's account."""
        body = request.json(shapes.NewKeyBody)
        new = NewRootKey(
            auth_method=body.auth_method,
            public_key=body.public_key,
            provider_data=body.provider_data,
            peer=request.peer,
        )
        return _proven(lambda: self._bind(request, new))

    def _bind(self, request: ApiRequest, new: NewRootKey) -> ApiResponse:
        bound = self._root_keys.bind(request.principal, new, request.at)
        message = shapes.KEY_CREATED if bound.created else shapes.KEY_UPDATED
        return _data(shapes.NewKeyData(message=message, key_id=bound.key_id), request.principal)

    @speaks(
        takes=shapes.PasswordBody,
        gives=shapes.PasswordChangedData,
        asks="keys:create",
        refuses="login_not_fresh key_not_found method_unsuited old_password_needed wrong_old_password root_key_changed weak_password login_throttled login_busy",
    )
    def password(self, request: ApiRequest) -> ApiResponse:
        """Change the password of a root key."""
        body = request.json(shapes.PasswordBody)
        new = NewPassword(
            password=body.password,
            old_password=body.old_password,
            end_sessions=body.end_sessions,
            peer=request.peer,
        )
        ended = self._root_keys.change_password(request.principal, request.params["key_id"], new, request.at)
        return _data(shapes.PasswordChangedData(sessions_ended=ended), request.principal)

    @speaks(
        gives=shapes.RemovedKeyData,
        query={"force": FLAG},
        asks="keys:delete",
        refuses="key_not_found last_root_key last_admin_key login_not_fresh",
    )
    def remove(self, request: ApiRequest) -> ApiResponse:
        """Revoke a root key, with all that hangs on it."""
        force = request.flag("force")
        revoked = self._root_keys.remove(request.principal, request.params["key_id"], request.at, force=force)
        removed = shapes.RemovedKeyData(
            key_id=revoked.key_id,
            revoked_at=revoked.revoked_at // 1000,
            clients_revoked=revoked.minted,
            lost=revoked.lost,
        )
        return _data(removed, request.principal)


def _proven(work: Callable[[], ApiResponse]) -> ApiResponse:
    """A new key's proof that doesn't hold is 403 and says nothing about the caller's token, which is good.

    401 would make existing clients refresh, or forget their tokens.
    """
    try:
        return work()
    except TokenRevokedError:
        raise
    except UnauthenticatedError as error:
        return replace(ApiResponse.refusal(error, Envelope.AUTH), status=_FORBIDDEN)


def _shown(listed: ListedRootKey, principal: Principal) -> shapes.RootKeyData:
    root = listed.record
    return shapes.RootKeyData(
        key_id=root.key_id,
        public_key=root.identifier,
        auth_method=root.method,
        created_at=root.created_at // 1000,
        revoked_at=_seconds(root.revoked_at),
        permissions=root.permissions,
        last_used_at=_seconds(root.last_used_at),
        changed_at=_seconds(root.changed_at),
        label=listed.label,
        account_id=str(root.account_id),
        certified=root.method == shapes.DEFAULT_METHOD and root.verifier is not None,
        current=root.key_id == principal.key_id,
    )


def _seconds(ms: int | None) -> int | None:
    return None if ms is None else ms // 1000


def _data(value: object, principal: Principal) -> ApiResponse:
    return ApiResponse.data(value, Envelope.AUTH, headers=identified(principal))
