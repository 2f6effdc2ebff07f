"""Shapes of `/admin-api/*` (`wire/node.md` §1); camel case except where the wire has it otherwise."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.ids import ApplicationId, ContextId, Id32
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability
from meroid.wire.json_body import Natural

Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Bytes = Annotated[list[Byte], msgspec.Meta(max_length=limits.OPERATION_BYTES.value)]
Metadata = Annotated[list[Byte], msgspec.Meta(max_length=limits.APPLICATION_METADATA.value)]
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
_SHOWN: Final[Mapping[str, Capability]] = {
    "ManageMembers": Capability.MANAGE_MEMBERS,  # also without `Invite`, which may be taken alone
    "ManageApplication": Capability.MANAGE_APPLICATION,
    "Proxy": Capability.PROPOSE,
    "Read": Capability.READ,
    "Write": Capability.WRITE,
    "Invite": Capability.INVITE,
}


class UnknownCapabilityError(InvalidInputError):
    """No capability has this name."""

    code = "unknown_capability"
    next_step = f"use one of {', '.join([*_CAPABILITIES, MEMBERSHIP])}"


class InstallFileBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /install-dev-application`; the node reads the path."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    metadata: Metadata
    package: str | None = None
    version: str | None = None


class CreateContextBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts`."""

    protocol: Name
    application_id: ApplicationId
    initialization_params: Bytes
    context_seed: Id32 | None = None


class InviteBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/invite`."""

    context_id: ContextId
    inviter_id: PublicKey
    invitee_id: PublicKey


class InviteOpenlyBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/invite_by_open_invitation`."""

    context_id: ContextId
    inviter_id: PublicKey
    valid_for_blocks: Natural


class JoinBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /contexts/join`."""

    invitation_payload: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]

    def __repr__(self) -> str:
        """Without the payload, which is a secret."""
        return "JoinBody()"


CapabilityPairs = Annotated[list[tuple[PublicKey, Name]], msgspec.Meta(min_length=1, max_length=64)]
"""Pairs of member and capability; alone they are the form without a signer, which the Rust and Python clients send."""


class RotateBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/:id/identities/rotate`; beside the wire."""

    identity: PublicKey


class LinkBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/:id/identities/link`; beside the wire.

    `key` is the named key of the other device; without it the code is for whoever holds it. Without
    `capabilities` the device may read and write; `all` gives what the member has.
    """

    identity: PublicKey
    key: PublicKey | None = None
    capabilities: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=16)] | None = None
    all: bool = False


class TakeLinkBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/link`; beside the wire."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    identity: PublicKey | None = None

    def __repr__(self) -> str:
        """Without the code, which is a secret."""
        return "TakeLinkBody()"


class UnlinkBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/:id/identities/unlink`; beside the wire."""

    identity: PublicKey
    key: PublicKey


class LinkCodeData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A link code, shown once; `secret` says whether whoever holds it can use it. `expiresAt` in ms since the epoch."""

    code: str
    secret: bool
    expires_at: int
    capabilities: list[str]

    def __repr__(self) -> str:
        """Without the code, which may be a secret."""
        return "LinkCodeData()"


class IdentityData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One key of a member; `linkedTo` is there for a linked key only."""

    public_key: str
    capabilities: list[str]
    rank: list[int | list[int]]
    owned: bool
    linked_keys: list[str]
    changes: int
    linked_to: str | msgspec.UnsetType = msgspec.UNSET


class CapabilitiesBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/:id/capabilities/…`: the form with a signer."""

    capabilities: CapabilityPairs
    signer_id: PublicKey


class ContextAliasBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /alias/create/context`."""

    alias: str
    target: ContextId = msgspec.field(name="contextId")


class ApplicationAliasBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /alias/create/application`."""

    alias: str
    target: ApplicationId = msgspec.field(name="applicationId")


class IdentityAliasBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /alias/create/identity/:context`."""

    alias: str
    target: PublicKey = msgspec.field(name="identity")


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
    """A member with its capabilities; the most senior has the shortest and smallest rank.

    A step of a rank is a number, or two where it goes through a linked key. `linkedTo` is the main key
    of the membership to which a linked key belongs; a main key has none.
    """

    public_key: str
    capabilities: list[str]
    rank: list[int | list[int]]
    owned: bool
    linked_to: str | msgspec.UnsetType = msgspec.UNSET


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
    return [name for name, shows in _SHOWN.items() if shows in held]


def rank_numbers(rank: Iterable[tuple[int, ...]]) -> list[int | list[int]]:
    """A rank as JSON shows it: a number for each step, and a pair for one that goes through a linked key."""
    return [step[0] if len(step) == 1 else [*step] for step in rank]


def id_texts(ids: Iterable[Id32]) -> list[str]:
    """Ids as base58 texts."""
    return [str(each) for each in ids]
