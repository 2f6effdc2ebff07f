"""The routes of minted keys, and of what keys grant (`wire/auth.md` §1.5)."""

from collections.abc import Sequence

from meroid.access.principal import Principal
from meroid.http.auth_api import identified
from meroid.http.contract import FLAG, speaks
from meroid.http.exchange import ApiRequest, ApiResponse
from meroid.http.routes import Endpoint, SignedIn, SocketEndpoint
from meroid.service.key_permissions import KeyPermissionService, ListedTokenKey
from meroid.wire import token_keys as shapes
from meroid.wire.envelope import Envelope


class TokenKeysApi:
    """Minted keys, and the permissions of root keys and minted keys, over HTTP."""

    def __init__(self, *, keys: KeyPermissionService) -> None:
        self._keys = keys

    def endpoints(self) -> list[Endpoint | SocketEndpoint]:
        """The routes; where a key is named, `KeyPermissionService` decides."""
        auth = Envelope.AUTH
        one, clients = "/admin/keys/{key_id}/clients/{client_id}", "/admin/keys/clients"
        permissions = "/admin/keys/{key_id}/permissions"
        return [
            Endpoint("GET", clients, self.list, SignedIn(), envelope=auth),
            # A key may remove itself, whatever it holds.
            Endpoint("DELETE", one, self.remove, SignedIn(), envelope=auth),
            # `keys:permissions:…` may name the key that the path names.
            Endpoint("GET", permissions, self.permissions, SignedIn(), envelope=auth),
            Endpoint("PUT", permissions, self.change, SignedIn(), envelope=auth),
        ]

    @speaks(gives=Sequence[shapes.TokenKeyData], query={"all": FLAG}, asks="keys:clients:list")
    def list(self, request: ApiRequest) -> ApiResponse:
        """Minted keys of the caller's account; with `all=true`, for `admin`, of every account."""
        principal = request.principal
        known = self._keys.list(principal, everybody=request.flag("all"), at=request.at)
        return _data([_shown(each, principal) for each in known], principal)

    @speaks(
        gives=shapes.RemovedTokenKeyData,
        asks="keys:clients:delete",
        refuses="key_not_found wrong_root_key login_not_fresh",
    )
    def remove(self, request: ApiRequest) -> ApiResponse:
        """Revoke a minted key."""
        params = request.params
        revoked_at = self._keys.remove(request.principal, params["key_id"], params["client_id"], request.at)
        return _data(shapes.RemovedTokenKeyData(revoked_at=revoked_at // 1000), request.principal)

    @speaks(gives=shapes.PermissionsData, asks="keys:permissions:get", refuses="key_not_found")
    def permissions(self, request: ApiRequest) -> ApiResponse:
        """What a key grants."""
        held = self._keys.permissions(request.principal, request.params["key_id"])
        return _data(shapes.PermissionsData(permissions=held), request.principal)

    @speaks(
        takes=shapes.PermissionsBody,
        gives=shapes.PermissionsData,
        asks="keys:permissions:update",
        refuses="key_not_found login_not_fresh bad_permission permission_not_held last_permission binding_stays last_admin_key",
    )
    def change(self, request: ApiRequest) -> ApiResponse:
        """Change what a key grants."""
        body = request.json(shapes.PermissionsBody)
        held = self._keys.change(
            request.principal, request.params["key_id"], add=body.add or (), remove=body.remove or (), at=request.at
        )
        return _data(shapes.PermissionsData(permissions=held), request.principal)


def _shown(listed: ListedTokenKey, principal: Principal) -> shapes.TokenKeyData:
    key = listed.record
    return shapes.TokenKeyData(
        client_id=key.client_id,
        root_key_id=key.root_key_id,
        name=key.name,
        permissions=key.permissions,
        created_at=key.created_at // 1000,
        revoked_at=None if key.revoked_at is None else key.revoked_at // 1000,
        expires_at=None if key.expires_at is None else key.expires_at // 1000,
        is_valid=listed.is_valid,
        account_id=str(key.account_id),
        context_id=None if key.context_id is None else str(key.context_id),
        context_identity=None if key.executor is None else str(key.executor),
        current=key.client_id == principal.key_id,
    )


def _data(value: object, principal: Principal) -> ApiResponse:
    return ApiResponse.data(value, Envelope.AUTH, headers=identified(principal))
