"""Shapes of `/auth/challenge` and `/admin/keys` (`wire/auth.md` §1.3 and §1.5); times in Unix seconds."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from meroid.wire.json_body import OptionalText, Text

Password = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class ChallengeData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /auth/challenge`; `options` holds what a browser's passkey calls take, for that method alone."""

    challenge: str
    nonce: str
    expires_at: int
    options: dict[str, Any] | None = None


class NewKeyBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/keys`; `target_node_url` is accepted and means nothing."""

    public_key: Text
    auth_method: Text
    provider_data: dict[str, Any]
    target_node_url: OptionalText | None = None

    def __repr__(self) -> str:
        """Without `provider_data`, which may hold a password."""
        return f"NewKeyBody(auth_method={self.auth_method!r})"


class PasswordBody(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT /admin/keys/{key_id}/password`."""

    password: Password
    old_password: Password | None = None
    end_sessions: bool = True

    def __repr__(self) -> str:
        """Without the passwords."""
        return "PasswordBody()"


class RootKeyData(msgspec.Struct, frozen=True, kw_only=True):
    """One root key; `current` marks the one that the caller logged in with.

    `label` is what a person knows it by, `changed_at` when its password or certification was replaced.
    """

    key_id: str
    public_key: str
    auth_method: str
    created_at: int
    revoked_at: int | None
    permissions: Sequence[str]
    last_used_at: int | None
    changed_at: int | None
    label: str
    account_id: str
    certified: bool
    current: bool


class NewKeyData(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/keys`."""

    message: str
    key_id: str
    status: bool = True


class RemovedKeyData(msgspec.Struct, frozen=True, kw_only=True):
    """`DELETE /admin/keys/{key_id}`; `lost` says what the last root key of an account takes along."""

    key_id: str
    revoked_at: int
    clients_revoked: int
    lost: str | None


class PasswordChangedData(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT /admin/keys/{key_id}/password`; `sessions_ended` counts the log-ins and mintings that it ended."""

    sessions_ended: int
    status: bool = True
    message: str = "Password was changed"


KEY_CREATED = "Key was created"
KEY_UPDATED = "Key was updated"
DEFAULT_METHOD = "near_wallet"
"""The method of a challenge that is asked for without naming one: on the wire only this one has challenges."""
