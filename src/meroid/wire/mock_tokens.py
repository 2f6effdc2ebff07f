"""Shapes of `/auth/mock-token` (`wire/auth.md` §2.6); lifetimes in seconds."""

from typing import Final

import msgspec

from meroid.wire.json_body import Natural, OptionalText, Text, Texts

DEFAULT_PERMISSIONS: Final = ("admin",)
NOT_FOUND: Final = "Endpoint not found"
UNAUTHORISED: Final = "Invalid or missing authorization for mock endpoint"


class MockTokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/mock-token`; `node_url` is accepted and means nothing."""

    client_name: Text
    permissions: Texts | None = None
    node_url: OptionalText | None = None
    access_token_expiry: Natural | None = None
    refresh_token_expiry: Natural | None = None


def mock_headers(key_id: str) -> dict[str, str]:
    """What marks an answer with a mock token."""
    return {
        "X-Mock-Token": "true",
        "X-Key-Id": key_id,
        "X-Warning": "Mock token - for testing only",
    }
