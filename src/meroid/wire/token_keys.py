"""Shapes of `/admin/keys/clients` and `/admin/keys/{key_id}/permissions` (`wire/auth.md` §1.5); times in Unix seconds."""

from collections.abc import Sequence

import msgspec

from meroid.wire.json_body import Texts


class TokenKeyData(msgspec.Struct, frozen=True, kw_only=True):
    """One minted key; `current` marks the one that the caller's token belongs to."""

    client_id: str
    root_key_id: str
    name: str
    permissions: Sequence[str]
    created_at: int
    revoked_at: int | None
    expires_at: int | None
    is_valid: bool
    account_id: str
    context_id: str | None
    context_identity: str | None
    current: bool


class RemovedTokenKeyData(msgspec.Struct, frozen=True, kw_only=True):
    """`DELETE /admin/keys/{key_id}/clients/{client_id}`."""

    revoked_at: int
    message: str = "Client key revoked successfully"


class PermissionsBody(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT /admin/keys/{key_id}/permissions`; what is removed is removed first."""

    add: Texts | None = None
    remove: Texts | None = None


class PermissionsData(msgspec.Struct, frozen=True, kw_only=True):
    """What a key grants."""

    permissions: Sequence[str]
