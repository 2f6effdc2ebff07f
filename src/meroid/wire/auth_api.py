"""Shapes of `/auth/*` and `/admin/*` (`wire/auth.md` §1.3 and §1.5); snake case throughout."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec

from meroid.wire.json_body import Natural, OptionalText, Text, Texts

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=64 * 1024)]


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/token`; `timestamp` is required by the wire and means nothing."""

    auth_method: Text
    public_key: Text
    client_name: Text
    timestamp: Natural
    provider_data: dict[str, Any]
    permissions: Texts | None = None

    def __repr__(self) -> str:
        """Without `provider_data`, which holds a password."""
        return f"TokenBody(auth_method={self.auth_method!r})"


class RefreshBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/refresh`."""

    access_token: Token
    refresh_token: Token

    def __repr__(self) -> str:
        """Without the tokens."""
        return "RefreshBody()"


class LogoutBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/logout`; the body may be missing."""

    refresh_token: Token | None = None

    def __repr__(self) -> str:
        """Without the token."""
        return "LogoutBody()"


class ClientKeyBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/client-key`; context and identity come together or not at all.

    With `expires_in` (seconds) it is a service token: one access token that lives as long. `proof` is a DPoP proof
    for this request of the key that the minted tokens are to be bound to.
    """

    context_id: OptionalText | None = None
    context_identity: OptionalText | None = None
    permissions: Texts | None = None
    target_node_url: OptionalText | None = None
    name: OptionalText | None = None
    expires_in: Natural | None = None
    proof: OptionalText | None = None


class RevokeBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/revoke`; `client_id` is a key id, of a root or a client key."""

    client_id: Text


class TokenPairData(msgspec.Struct, frozen=True, kw_only=True):
    """What log-in, refresh and minting give."""

    access_token: str
    refresh_token: str
    error: None = None


class ServiceTokenData(msgspec.Struct, frozen=True, kw_only=True):
    """What minting a service token gives; `client_id` revokes it, `expires_at` in Unix seconds."""

    access_token: str
    client_id: str
    expires_at: int
    refresh_token: None = None
    error: None = None


class ProviderData(msgspec.Struct, frozen=True, kw_only=True):
    """One way to log in; `type` is `credentials` or `wallet`."""

    name: str
    type: str
    description: str
    configured: bool
    config: dict[str, Any]


class ProvidersData(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /auth/providers`; `setup_required` says that a log-in makes the owner, `signup` who else may come."""

    providers: Sequence[ProviderData]
    count: int
    setup_required: bool
    signup: str


class HealthData(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /auth/health`."""

    status: str
    storage: bool
    uptime_seconds: int


class RevokedData(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/revoke`."""

    success: bool = True
    message: str = "Tokens revoked successfully"


class LoggedOutData(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/logout`."""

    success: bool = True
    message: str = "Logged out"


class IdentityData(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /admin/identity`."""

    version: str
    providers: Sequence[str]
    service: str = "calimero-auth"
    authentication_mode: str = "forward"


VALIDATED = ""
"""The data of `/auth/validate`: who it is stands in the headers."""


def permission_header(permissions: Iterable[str]) -> str:
    """`X-Auth-Permissions`; parameters hold commas too, so it splits at commas outside brackets only."""
    return ",".join(permissions)


def forwarded_field(forwarded_uri: str, name: str) -> str | None:
    """A field of the query in an `X-Forwarded-Uri`, as `wire/auth.md` §1.4 finds the token.

    Text between the first and the second `?`, split at `&`, the first part that begins with
    `token=`, taken as it stands.
    """
    parts = forwarded_uri.split("?")
    query = parts[1] if len(parts) > 1 else ""
    found = next((part for part in query.split("&") if part.startswith(f"{name}=")), "")
    return found.removeprefix(f"{name}=") or None


def validation_text(code: str, reason: str) -> str:
    """The `error` text of `/auth/validate` for a token that isn't accepted."""
    known = {
        "missing_token": "No token provided",
        "token_expired": "Invalid token: Invalid token: Token has expired",
        "token_revoked": "Key has been revoked",
    }
    return known.get(code) or f"Invalid token: {reason}"
