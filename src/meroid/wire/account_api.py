"""Shapes of `/admin-api/account*`, beside the wire: camel case, ids and keys in base58, times in ms since the epoch."""

import base64
from collections.abc import Iterable
from typing import Annotated

import msgspec

from meroid.account.account_state import VerifiedKeyLog
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.wire.json_body import Natural

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Permission = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Address = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class ProveBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /account/prove`; the proof names the context only where the body does."""

    client_key: PublicKey
    audience: _Text
    expires_at: Natural
    context_id: ContextId | None = None
    serial: Natural | None = None


class DelegateBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`POST /account/delegations`."""

    client_key: PublicKey
    context_id: ContextId | None = None
    permissions: Annotated[list[_Permission], msgspec.Meta(max_length=64)] = []
    expires_at: Natural | None = None


class EndDelegationBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /account/delegations/end`."""

    serial: Natural


class ReturnBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /account/return`: addresses of members' nodes, `tcp/host:port`."""

    addresses: Annotated[list[_Address], msgspec.Meta(max_length=16)] = []


class ResumeBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /contexts/{id}/identities/resume`; `force` goes on though other members could be asked."""

    force: bool = False


class RecoveryData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A recovery set: its members' keys with their labels."""

    members: list[tuple[str, str]]
    threshold: int


class KeyLogData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a key log amounts to."""

    length: int
    head: str
    generation: int
    keys: list[str]
    threshold: int
    recovery: RecoveryData | None
    devices: list[int]
    revoked_devices: list[int]
    root_keys: int
    delegations: list[int]


class AccountData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account as it is on this node."""

    account_id: str
    owner: bool
    device: int
    created_at: int
    backed_up_at: int | None
    disabled_at: int | None
    log_unsettled_at: int | None
    root_keys: int
    key_log: KeyLogData
    label: str


class ClientKeyData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client key of one's own account."""

    public_key: str
    context_id: str | None
    path: str
    created_at: int
    current: bool
    member: bool
    restored: bool


class ReturnedData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A context that was found again."""

    context_id: str
    public_key: str | None
    code: str | None
    reason: str | None


def key_log_data(log: VerifiedKeyLog) -> KeyLogData:
    """A verified key log in the wire's spelling."""
    state = log.state
    recovery = state.recovery
    return KeyLogData(
        length=log.length,
        head=str(AccountId(log.head)),
        generation=state.generation,
        keys=[str(key) for key in state.keys.keys],
        threshold=state.keys.threshold,
        recovery=None
        if recovery is None
        else RecoveryData(
            members=[(str(each.key), each.label) for each in recovery.members], threshold=recovery.threshold
        ),
        devices=sorted(state.devices),
        revoked_devices=sorted(state.revoked_devices),
        root_keys=len(state.root_keys),
        delegations=sorted(state.delegations),
    )


def base64_texts(entries: Iterable[bytes]) -> list[str]:
    """Byte strings as base64url without padding."""
    return [base64.urlsafe_b64encode(each).decode("ascii").rstrip("=") for each in entries]
