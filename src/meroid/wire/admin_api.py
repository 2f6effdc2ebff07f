"""Shapes of `/admin-api/*` (`wire/node.md` §1); camel case except where the wire has it otherwise."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec

from meroid.errors import InvalidInputError
from meroid.ids import Id32
from meroid.ledger.capability import Capability
from meroid.wire.json_body import Natural

IdText = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Bytes = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=255)]], msgspec.Meta(max_length=1024 * 1024)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

MEMBERSHIP: Final = "Member"
_CAPABILITIES: Final[Mapping[str, tuple[Capability, ...]]] = {
    "ManageMembers": (Capability.MANAGE_MEMBERS, Capability.INVITE),
    "ManageApplication": (Capability.MANAGE_APPLICATION,),
    "Proxy": (Capability.PROPOSE,),
    "Read": (Capability.READ,),
    "Write": (Capability.WRITE,),
    "Invite": (Capability.INVITE,),
    "Propose": (Capability.PROPOSE,),
}


class UnknownCapabilityError(InvalidInputError):
    """No capability has this name."""

    code = "unknown_capability"
    next_step = f"use one of {', '.join([*_CAPABILITIES, MEMBERSHIP])}"


class InstallFileBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /install-dev-application`; the node reads the path."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    metadata: Bytes
    package: str | None = None
    version: str | None = None


class CreateContextBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts`."""

    protocol: Name
    application_id: IdText
    initialization_params: Bytes
    context_seed: IdText | None = None


class InviteBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/invite`."""

    context_id: IdText
    inviter_id: IdText
    invitee_id: IdText


class InviteOpenlyBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/invite_by_open_invitation`."""

    context_id: IdText
    inviter_id: IdText
    valid_for_blocks: Natural


class JoinBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/join`."""

    invitation_payload: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]

    def __repr__(self) -> str:
        """Without the payload, which is a secret."""
        return "JoinBody()"


class CapabilitiesBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/:id/capabilities/…`: the form with a signer."""

    capabilities: Annotated[list[tuple[IdText, Name]], msgspec.Meta(min_length=1, max_length=64)]
    signer_id: IdText


BareCapabilities = Annotated[list[tuple[IdText, Name]], msgspec.Meta(min_length=1, max_length=64)]
"""The form without a signer, which the Rust and Python clients send."""


class AliasBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /alias/create/…`; which id is there depends on the scope."""

    alias: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    context_id: IdText | None = None
    application_id: IdText | None = None
    identity: IdText | None = None


class ContextData(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A context; `dagHeads` is left out when there are none."""

    id: str
    application_id: str
    root_hash: str
    dag_heads: list[list[int]] = []  # msgspec copies it


class ApplicationData(msgspec.Struct, frozen=True, kw_only=True):
    """An installed application."""

    id: str
    blob: dict[str, str]
    size: int
    source: str
    metadata: list[int]


class MemberData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A member with its capabilities; the most senior has the shortest and smallest rank."""

    public_key: str
    capabilities: list[str]
    rank: list[int]
    owned: bool


def capabilities_named(name: str) -> tuple[Capability, ...]:
    """The capabilities that an outside name stands for.

    Raises:
        UnknownCapabilityError: none has this name.
    """
    if name not in _CAPABILITIES:
        raise UnknownCapabilityError(f"no capability is called {name[:40]!r}")
    return _CAPABILITIES[name]


def names_of(capabilities: Iterable[Capability]) -> list[str]:
    """The outside names of capabilities: the wire's three where they apply, and our own."""
    held = frozenset(capabilities)
    own = {"Read", "Write", "Invite"}
    wire = {"ManageMembers", "ManageApplication", "Proxy"}
    return [name for name, needed in _CAPABILITIES.items() if name in own | wire and held.issuperset(needed)]


def int_list(data: bytes) -> list[int]:
    """Bytes as the wire has them."""
    return list(data)


def id_texts(ids: Iterable[Id32]) -> list[str]:
    """Ids as base58 texts."""
    return [str(each) for each in ids]
