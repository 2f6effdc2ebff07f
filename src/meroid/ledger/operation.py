"""Operations: the closed union of what can be said in a context (`semantics.md` §1).

Three stages have three names. What is *well-formed* was decoded (`codec.decode_operation`) and is
an `UnverifiedOperation`; what is *well-signed* passed `verify.verify_operation` and is a
`VerifiedOperation`; what is *allowed* has the verdict `valid` in a `Ledger`.

Kinds are numbered; a number is never reused and never changes its meaning. Numbers 12 to 16, 18
and 19 belong to set_policy, set_application, propose, approve, reject, adopt and seal, which this
version doesn't know and refuses as unknown.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from meroid.ids import ApplicationId, BlobId, ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.ledger.capability import Capability


class Kind(IntEnum):
    """What an operation does; the number stands in the signed bytes."""

    GENESIS = 1
    INVITE = 2
    JOIN = 3
    ADMIT = 4
    GRANT = 5
    REVOKE = 6
    REMOVE = 7
    LEAVE = 8
    ROTATE = 9
    LINK = 10
    UNLINK = 11
    REKEY = 17
    DELTA = 20

    @property
    def is_delta(self) -> bool:
        """Whether it carries application data; everything else is a membership operation."""
        return self is Kind.DELTA


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The application of a context."""

    application_id: ApplicationId
    blob_id: BlobId
    size: int
    source: str
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKeys:
    """What a member publishes beside its client key.

    `sealing` is its X25519 key (32 bytes), `next_keys` the commitment to its next keys
    (32 bytes; rule 11).
    """

    sealing: bytes
    next_keys: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`voices` is the number of votes that a threshold needs (rule 7)."""

    voices: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """Creates the context; `nonce` is 32 bytes, from the wire's `contextSeed` or random."""

    keys: MemberKeys
    nonce: bytes
    policy: Policy
    application: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Offers membership to a named key, or to whoever holds the secret behind `secret_key`.

    Exactly one of `invitee` and `secret_key` is there. `uses` is the greatest number of
    admissions, `None` for any number; with a named key it is one.
    """

    invitee: PublicKey | None
    secret_key: PublicKey | None
    capabilities: frozenset[Capability]
    uses: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Accepts an invitation; `proof` is the secret's signature where the invitation has a secret."""

    invitation: OperationId
    keys: MemberKeys
    proof: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Lets in one `join` that used a secret."""

    join: OperationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Gives one capability to a member."""

    member: PublicKey
    capability: Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Takes one capability; `frontier` names further last operations that stay (rule 3)."""

    member: PublicKey
    capability: Capability
    frontier: tuple[OperationId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Ends a membership, and those of `cascade`, whom the member admitted."""

    member: PublicKey
    frontier: tuple[OperationId, ...]
    cascade: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The author ends its own membership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    """Replaces `previous`, a member's client key, by the author: the next key that it was committed to.

    `frontier` names further last operations of earlier generations that stay, beside `prev`.
    """

    previous: PublicKey
    keys: MemberKeys
    frontier: tuple[OperationId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Adds `key`, of another device, to the author's membership, with some of its capabilities.

    `proof` is the signature of `key` over `verify.link_proof_message`: nobody is linked unasked.
    """

    key: PublicKey
    keys: MemberKeys
    capabilities: frozenset[Capability]
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink:
    """Takes a linked key away; `frontier` names further last operations of it that stay."""

    key: PublicKey
    frontier: tuple[OperationId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekey:
    """A new epoch key, sealed for members; `previous` carries the key before it, sealed under the new one."""

    epoch: EpochId
    wraps: tuple[tuple[PublicKey, bytes], ...]
    previous: tuple[EpochId, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Application data, encrypted: 12 bytes of nonce, then the ciphertext."""

    nonce: bytes
    ciphertext: bytes


Body: TypeAlias = (
    Genesis | Invite | Join | Admit | Grant | Revoke | Remove | Leave | Rotate | Link | Unlink | Rekey | Delta
)

KIND_OF: dict[type[Body], Kind] = {
    Genesis: Kind.GENESIS,
    Invite: Kind.INVITE,
    Join: Kind.JOIN,
    Admit: Kind.ADMIT,
    Grant: Kind.GRANT,
    Revoke: Kind.REVOKE,
    Remove: Kind.REMOVE,
    Leave: Kind.LEAVE,
    Rotate: Kind.ROTATE,
    Link: Kind.LINK,
    Unlink: Kind.UNLINK,
    Rekey: Kind.REKEY,
    Delta: Kind.DELTA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One message of a context; the fields of `semantics.md` §1 in their order.

    `parents` are all heads of the operation graph that the author had seen, ascending.
    `context` is `None` in the genesis only, `prev` in an author's first operation only, `auth`
    in the genesis only.
    """

    context: ContextId | None
    author: PublicKey
    seq: int
    prev: OperationId | None
    parents: tuple[OperationId, ...]
    auth: OperationId | None
    epoch: EpochId | None
    body: Body

    @property
    def kind(self) -> Kind:
        """The kind that the body belongs to."""
        return KIND_OF[type(self.body)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedOperation:
    """Well-formed: decoded from canonical bytes; nothing is known about its signature."""

    operation_id: OperationId
    operation: Operation
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOperation:
    """Well-signed; only `verify` makes it. `envelope` holds the bytes that travel and are stored."""

    operation_id: OperationId
    operation: Operation
    envelope: bytes

    @property
    def context_id(self) -> ContextId:
        """The context; the genesis' own id is the context's."""
        return self.operation.context or ContextId(self.operation_id)
