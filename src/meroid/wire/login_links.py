"""Shapes of log-in links, beside the wire (docs/http-api.md); times and spans in seconds."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from meroid.wire.json_body import Natural, OptionalText

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
LOGIN_PATH = "/auth/login"


class NewAccountBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/accounts`."""

    label: OptionalText | None = None
    valid_for: Natural | None = None


class NewLinkBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /admin/accounts/{account_id}/link`; the body may be missing."""

    valid_for: Natural | None = None


class CodeBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /auth/link`; `code` may be the whole link."""

    code: Code

    def __repr__(self) -> str:
        """Without the code."""
        return "CodeBody()"


class MadeLinkData(msgspec.Struct, frozen=True, kw_only=True):
    """A new link, shown once; without `account_id` redeeming it makes the account, without `link` the host is unknown."""

    link_id: str
    kind: str
    account_id: str | None
    label: str
    code: str
    link: str | None
    expires_at: int

    def __repr__(self) -> str:
        """Without the code."""
        return f"MadeLinkData(link_id={self.link_id!r})"


class LinkData(msgspec.Struct, frozen=True, kw_only=True):
    """An open link as it is listed."""

    link_id: str
    kind: str
    account_id: str | None
    label: str
    made_by: str
    created_at: int
    expires_at: int


class SeenLinkData(msgspec.Struct, frozen=True, kw_only=True):
    """What a code is for; `usernames` are those of which it sets the password anew."""

    kind: str
    account_id: str | None
    label: str
    usernames: Sequence[str]
    expires_at: int


class WithdrawnLinkData(msgspec.Struct, frozen=True, kw_only=True):
    """`DELETE /admin/links/{link_id}`."""

    link_id: str
    withdrawn_at: int
    message: str = "Link was withdrawn"


def link_text(origin: str, code: str) -> str:
    """The link as it is sent to somebody: the code stands behind `#`, which no server gets to see."""
    return f"{origin}{LOGIN_PATH}#code={code}"
