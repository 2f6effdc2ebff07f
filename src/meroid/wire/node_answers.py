"""What the node's routes answer with, for their contracts (`wire/node.md` §1); the data inside the envelope."""

from typing import Annotated, Any, Literal, TypedDict

import msgspec

from meroid.ids import ApplicationId, ContextId, Id32
from meroid.keys.public import PublicKey
from meroid.wire.account_api import AccountData, ClientKeyData, ReturnedData
from meroid.wire.admin_api import ApplicationData, ContextData, MemberData
from meroid.wire.jsonrpc import Id


class Alive(TypedDict):
    """`/admin-api/health`, `/admin-api/is-authed`, `/health/live`."""

    status: Literal["alive"]


class Ready(TypedDict):
    """`/health/ready`."""

    status: Literal["ready"]


class PeerCount(TypedDict):
    """`/admin-api/peers`."""

    count: Annotated[int, msgspec.Meta(ge=0)]


class Contexts(TypedDict):
    """A list of contexts."""

    contexts: list[ContextData]


class Membership(TypedDict):
    """A context, and the caller's key in it."""

    contextId: ContextId
    memberPublicKey: PublicKey


class Identities(TypedDict):
    """Client keys."""

    identities: list[PublicKey]


class Members(TypedDict):
    """Members with their capabilities."""

    members: list[MemberData]


class NewKey(TypedDict):
    """One client key."""

    publicKey: PublicKey


class Linked(TypedDict):
    """A context, a linked key, and the main key that it is linked to."""

    contextId: ContextId
    publicKey: PublicKey
    linkedTo: PublicKey


class Unlinked(TypedDict):
    """A key that was taken away, and how many changes of it stay."""

    publicKey: PublicKey
    changes: int


class NamedApplication(TypedDict):
    """The id of an application."""

    applicationId: ApplicationId


class Applications(TypedDict):
    """Installed applications."""

    apps: list[ApplicationData]


class FoundApplication(TypedDict):
    """One application, or none."""

    application: ApplicationData | None


class ClientKeys(TypedDict):
    """Client keys of an account; after so many days one is called old, 0 for never."""

    clientKeys: list[ClientKeyData]
    rotateAfterDays: int


class KeyLogEntries(TypedDict):
    """Entries in base64url, the inception first."""

    entries: list[str]


class Proof(TypedDict):
    """A proof as text."""

    proof: str


class Delegated(TypedDict):
    """A certificate as text."""

    serial: int
    certificate: str


class ReturnedContexts(TypedDict):
    """What was found again."""

    contexts: list[ReturnedData]


class Accounts(TypedDict):
    """Accounts of a node."""

    accounts: list[AccountData]


class FoundAlias(TypedDict):
    """What a name stands for, if anything."""

    value: Id32 | None


class CallOutput(TypedDict):
    """What a method returned."""

    output: Any


class RefusalDetails(TypedDict):
    """Code, reason and next step beside the wire's own fields."""

    code: str
    reason: str
    next: str


class CallFailure(TypedDict, total=False):
    """What failed; `data` by type."""

    type: str
    data: Any
    meroid: RefusalDetails


class CallSucceeded(msgspec.Struct, kw_only=True):
    """The answer of a call that ended well."""

    jsonrpc: Literal["2.0"]
    id: Id
    result: CallOutput


class CallFailed(msgspec.Struct, kw_only=True):
    """The answer of a call that failed; status 200 too."""

    jsonrpc: Literal["2.0"]
    id: Id
    error: CallFailure


class Jwks(TypedDict):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


AliasTargets = dict[str, str]
