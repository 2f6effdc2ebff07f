"""The signed bytes of an operation: canonical CBOR maps with small numbers for keys.

An operation is `{1: kind, 2: context, 3: author, 4: seq, 5: prev, 6: parents, 7: auth, 8: epoch,
9: body}`; absent fields are left out. What travels is the array `[those bytes, signature]`.
Numbers are never reused; new fields are appended, optional, and left out when unset. A kind may
set its own fields only.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from meroid import limits
from meroid.errors import InvalidInputError
from meroid.ids import ApplicationId, BlobId, ContextId, EpochId, Id32, OperationId
from meroid.keys.canonical import Encodable, NotCanonicalError, Value, canonical_bytes, parse_canonical, tagged_hash
from meroid.keys.public import SIGNATURE_BYTES, PublicKey
from meroid.keys.sealing import check_sealing_key
from meroid.ledger.capability import Capability
from meroid.ledger.operation import (
    Admit,
    Binding,
    Body,
    Delta,
    Genesis,
    Grant,
    Invite,
    Join,
    Kind,
    Leave,
    Link,
    MemberKeys,
    Operation,
    Policy,
    Rekey,
    Remove,
    Revoke,
    Rotate,
    Unlink,
    UnverifiedOperation,
)

OPERATION_TAG: Final = "meroid/operation/v1"
_NUMBER: Final = {
    Capability.READ: 1,
    Capability.WRITE: 2,
    Capability.INVITE: 3,
    Capability.MANAGE_MEMBERS: 4,
    Capability.MANAGE_APPLICATION: 5,
    Capability.PROPOSE: 6,
}
_KINDS: Final = frozenset(int(kind) for kind in Kind)
_CAPABILITY: Final = {number: capability for capability, number in _NUMBER.items()}
Fields = dict[int | str, Value]
I = TypeVar("I", bound=Id32)  # noqa: E741  # the letter of the bound


class MalformedOperationError(InvalidInputError):
    """The bytes aren't a well-formed operation."""

    code = "malformed_operation"
    next_step = "get the operation again from its author"


class UnknownKindError(MalformedOperationError):
    """An operation of a kind that this version doesn't know."""

    code = "unknown_operation_kind"
    next_step = "update this node: the author's version knows a kind that this one doesn't"


class OperationTooLargeError(InvalidInputError):
    """The operation has more bytes than others read."""

    code = "operation_too_large"
    next_step = "say less in one call: split the data over several"


def encode_operation(operation: Operation) -> bytes:
    """The bytes that are hashed and signed."""
    fields: dict[int, Encodable] = {
        1: int(operation.kind),
        3: operation.author,
        4: operation.seq,
        6: operation.parents,
        9: _encode_body(operation.body),
    }
    for number, value in ((2, operation.context), (5, operation.prev), (7, operation.auth), (8, operation.epoch)):
        if value is not None:
            fields[number] = value
    return canonical_bytes(fields)


def operation_id(payload: bytes) -> OperationId:
    """SHA-256 of the domain tag and the signed bytes."""
    return OperationId(tagged_hash(OPERATION_TAG, payload))


def encode_envelope(payload: bytes, signature: bytes) -> bytes:
    """What travels and is stored.

    Raises:
        OperationTooLargeError: nobody would read it.
    """
    envelope = canonical_bytes([payload, signature])
    if len(envelope) > limits.OPERATION_BYTES.value:
        raise OperationTooLargeError(f"an operation has at most {limits.OPERATION_BYTES.value} bytes")
    return envelope


def decode_operation(envelope: bytes) -> UnverifiedOperation:
    """Read an envelope.

    Raises:
        MalformedOperationError: too large, not canonical, a field missing, of the wrong shape or
            not belonging to the kind.
        UnknownKindError: the kind isn't known here.
    """
    if len(envelope) > limits.OPERATION_BYTES.value:
        raise MalformedOperationError(f"an operation has at most {limits.OPERATION_BYTES.value} bytes")
    try:
        payload, signature = _decode_envelope(parse_canonical(envelope))
        fields = _map(parse_canonical(payload), "operation", required={1, 3, 4, 6, 9}, optional={2, 5, 7, 8})
        operation = _decode_fields(fields)
    except (_Shape, NotCanonicalError, InvalidInputError) as error:
        if isinstance(error, MalformedOperationError):
            raise
        raise MalformedOperationError(f"not a well-formed operation: {error}") from None
    return UnverifiedOperation(
        operation_id=operation_id(payload), operation=operation, payload=payload, signature=signature
    )


class _Shape(Exception):  # noqa: N818  # never leaves this module
    """A field has the wrong shape; the text names it."""


def _decode_envelope(value: Value) -> tuple[bytes, bytes]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Shape("envelope")
    return _bytes(value[0], "payload"), _bytes(value[1], "signature", SIGNATURE_BYTES)


def _decode_fields(fields: Fields) -> Operation:
    number = _int(fields[1], "kind", least=1)
    if number not in _KINDS:
        raise UnknownKindError(f"operation kind {number} is not known here")
    kind = Kind(number)
    seq = _int(fields[4], "seq", least=1)
    parents = _ids(fields[6], "parents", OperationId, limits.OPERATION_PARENTS.value)
    if list(parents) != sorted(set(parents)):
        raise _Shape("parents are not ascending")
    operation = Operation(
        context=_optional(fields, 2, ContextId),
        author=_id(fields[3], "author", PublicKey),
        seq=seq,
        prev=_optional(fields, 5, OperationId),
        parents=parents,
        auth=_optional(fields, 7, OperationId),
        epoch=_optional(fields, 8, EpochId),
        body=_DECODE[kind](fields[9]),
    )
    _check_place(operation)
    return operation


def _check_place(operation: Operation) -> None:
    """The genesis stands alone; everything else has a context, a past and an admission."""
    if operation.kind is Kind.GENESIS:
        rest = (operation.context, operation.prev, operation.auth, operation.epoch)
        if operation.seq != 1 or operation.parents or any(value is not None for value in rest):
            raise _Shape("a genesis has no past")
        return
    if operation.context is None or operation.auth is None or not operation.parents:
        raise _Shape("context, auth and parents")
    if (operation.prev is None) != (operation.seq == 1):
        raise _Shape("prev belongs to every operation but the first")


def _encode_body(body: Body) -> dict[int, Encodable]:
    match body:
        case Genesis() | Invite() | Join():
            return _encode_entrance(body)
        case Admit():
            return {1: body.join}
        case Grant():
            return {1: body.member, 2: _NUMBER[body.capability]}
        case Revoke():
            return {1: body.member, 2: _NUMBER[body.capability], 3: body.frontier}
        case Remove():
            return {1: body.member, 2: body.frontier, 3: body.cascade}
        case Leave():
            return {}
        case Rotate() | Link() | Unlink():
            return _encode_own_keys(body)
        case Rekey():
            return _present({1: body.epoch, 2: body.wraps, 3: body.previous})
        case Delta():
            return {1: body.nonce, 2: body.ciphertext}


def _encode_entrance(body: Genesis | Invite | Join) -> dict[int, Encodable]:
    match body:
        case Genesis():
            policy: dict[int, Encodable] = {1: body.policy.voices}
            return {1: _encode_keys(body.keys), 2: body.nonce, 3: policy, 4: _encode_binding(body.application)}
        case Invite():
            capabilities = _encode_capabilities(body.capabilities)
            return _present({1: body.invitee, 2: body.secret_key, 3: capabilities, 4: body.uses})
        case Join():
            return _present({1: body.invitation, 2: _encode_keys(body.keys), 3: body.proof})


def _encode_own_keys(body: Rotate | Link | Unlink) -> dict[int, Encodable]:
    match body:
        case Rotate():
            return {1: body.previous, 2: _encode_keys(body.keys), 3: body.frontier}
        case Link():
            return {1: body.key, 2: _encode_keys(body.keys), 3: _encode_capabilities(body.capabilities), 4: body.proof}
        case Unlink():
            return {1: body.key, 2: body.frontier}


def _present(fields: dict[int, Encodable]) -> dict[int, Encodable]:
    return {number: value for number, value in fields.items() if value is not None}


def _encode_keys(keys: MemberKeys) -> dict[int, Encodable]:
    return {1: keys.sealing, 2: keys.next_keys}


def _encode_capabilities(capabilities: frozenset[Capability]) -> list[int]:
    return sorted(_NUMBER[capability] for capability in capabilities)


def _encode_binding(binding: Binding) -> dict[int, Encodable]:
    return {1: binding.application_id, 2: binding.blob_id, 3: binding.size, 4: binding.source, 5: binding.metadata}


def _decode_genesis(value: Value) -> Genesis:
    fields = _map(value, "genesis", required={1, 2, 3, 4})
    policy = _map(fields[3], "policy", required={1})
    binding = _map(fields[4], "application", required={1, 2, 3, 4, 5})
    return Genesis(
        keys=_decode_keys(fields[1]),
        nonce=_bytes(fields[2], "nonce", 32),
        policy=Policy(voices=_int(policy[1], "voices", least=1)),
        application=Binding(
            application_id=_id(binding[1], "application", ApplicationId),
            blob_id=_id(binding[2], "blob", BlobId),
            size=_int(binding[3], "size", least=0),
            source=_text(binding[4], "source"),
            metadata=_bytes(binding[5], "metadata"),
        ),
    )


def _decode_invite(value: Value) -> Invite:
    fields = _map(value, "invite", required={3}, optional={1, 2, 4})
    invitee, secret_key = _optional(fields, 1, PublicKey), _optional(fields, 2, PublicKey)
    if (invitee is None) == (secret_key is None):
        raise _Shape("an invitation names a key or has a secret")
    uses = None if 4 not in fields else _int(fields[4], "uses", least=1)
    if invitee is not None and uses != 1:
        raise _Shape("an invitation for a named key has one use")
    return Invite(invitee=invitee, secret_key=secret_key, capabilities=_capabilities(fields[3]), uses=uses)


def _decode_join(value: Value) -> Join:
    fields = _map(value, "join", required={1, 2}, optional={3})
    proof = None if 3 not in fields else _bytes(fields[3], "proof", SIGNATURE_BYTES)
    return Join(invitation=_id(fields[1], "invitation", OperationId), keys=_decode_keys(fields[2]), proof=proof)


def _decode_admit(value: Value) -> Admit:
    return Admit(join=_id(_map(value, "admit", required={1})[1], "join", OperationId))


def _decode_grant(value: Value) -> Grant:
    fields = _map(value, "grant", required={1, 2})
    return Grant(member=_id(fields[1], "member", PublicKey), capability=_capability(fields[2]))


def _decode_revoke(value: Value) -> Revoke:
    fields = _map(value, "revoke", required={1, 2, 3})
    return Revoke(
        member=_id(fields[1], "member", PublicKey),
        capability=_capability(fields[2]),
        frontier=_ids(fields[3], "frontier", OperationId, limits.OPERATION_PARENTS.value),
    )


def _decode_remove(value: Value) -> Remove:
    fields = _map(value, "remove", required={1, 2, 3})
    return Remove(
        member=_id(fields[1], "member", PublicKey),
        frontier=_ids(fields[2], "frontier", OperationId, limits.OPERATION_PARENTS.value),
        cascade=_ids(fields[3], "cascade", PublicKey, limits.OPERATION_PARENTS.value),
    )


def _decode_leave(value: Value) -> Leave:
    _map(value, "leave", required=set())
    return Leave()


def _decode_rotate(value: Value) -> Rotate:
    fields = _map(value, "rotate", required={1, 2, 3})
    return Rotate(
        previous=_id(fields[1], "previous", PublicKey),
        keys=_decode_keys(fields[2]),
        frontier=_ids(fields[3], "frontier", OperationId, limits.OPERATION_PARENTS.value),
    )


def _decode_link(value: Value) -> Link:
    fields = _map(value, "link", required={1, 2, 3, 4})
    return Link(
        key=_id(fields[1], "key", PublicKey),
        keys=_decode_keys(fields[2]),
        capabilities=_capabilities(fields[3]),
        proof=_bytes(fields[4], "proof", SIGNATURE_BYTES),
    )


def _decode_unlink(value: Value) -> Unlink:
    fields = _map(value, "unlink", required={1, 2})
    return Unlink(
        key=_id(fields[1], "key", PublicKey),
        frontier=_ids(fields[2], "frontier", OperationId, limits.OPERATION_PARENTS.value),
    )


def _decode_rekey(value: Value) -> Rekey:
    fields = _map(value, "rekey", required={1, 2}, optional={3})
    wraps = fields[2]
    if not isinstance(wraps, list) or not wraps:
        raise _Shape("wraps")
    pairs = tuple(_pair(item, "wrap", PublicKey) for item in wraps)
    if [key for key, _ in pairs] != sorted({key for key, _ in pairs}):
        raise _Shape("wraps are not ascending")
    return Rekey(
        epoch=_id(fields[1], "epoch", EpochId),
        wraps=pairs,
        previous=None if 3 not in fields else _pair(fields[3], "previous", EpochId),
    )


def _decode_delta(value: Value) -> Delta:
    fields = _map(value, "delta", required={1, 2})
    return Delta(nonce=_bytes(fields[1], "nonce", 12), ciphertext=_bytes(fields[2], "ciphertext"))


_DECODE: Final[dict[Kind, Callable[[Value], Body]]] = {
    Kind.GENESIS: _decode_genesis,
    Kind.INVITE: _decode_invite,
    Kind.JOIN: _decode_join,
    Kind.ADMIT: _decode_admit,
    Kind.GRANT: _decode_grant,
    Kind.REVOKE: _decode_revoke,
    Kind.REMOVE: _decode_remove,
    Kind.LEAVE: _decode_leave,
    Kind.ROTATE: _decode_rotate,
    Kind.LINK: _decode_link,
    Kind.UNLINK: _decode_unlink,
    Kind.REKEY: _decode_rekey,
    Kind.DELTA: _decode_delta,
}


def _decode_keys(value: Value) -> MemberKeys:
    fields = _map(value, "keys", required={1, 2})
    sealing = _bytes(fields[1], "sealing key", 32)
    check_sealing_key(sealing)  # for such a key no epoch key could be sealed, by anybody
    return MemberKeys(sealing=sealing, next_keys=_bytes(fields[2], "next keys", 32))


def _map(value: Value, name: str, *, required: set[int], optional: set[int] = frozenset()) -> Fields:  # type: ignore[assignment]  # an empty frozenset is only read
    if not isinstance(value, dict) or not required <= value.keys() <= required | optional:
        raise _Shape(name)
    return value


def _bytes(value: Value, name: str, length: int | None = None) -> bytes:
    if not isinstance(value, bytes) or (length is not None and len(value) != length):
        raise _Shape(name)
    return value


def _text(value: Value, name: str) -> str:
    if not isinstance(value, str):
        raise _Shape(name)
    return value


def _int(value: Value, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _Shape(name)
    return value


def _number(value: Value) -> int:
    return _int(value, "capability", least=1)


def _capabilities(value: Value) -> frozenset[Capability]:
    if not isinstance(value, list) or not value or value != sorted(set(map(_number, value))):
        raise _Shape("capabilities")
    return frozenset(_capability(number) for number in value)


def _capability(value: Value) -> Capability:
    number = _number(value)
    if number not in _CAPABILITY:
        raise _Shape("capability")
    return _CAPABILITY[number]


def _id(value: Value, name: str, kind: type[I]) -> I:
    return kind(_bytes(value, name, 32))


def _optional(fields: Fields, number: int, kind: type[I]) -> I | None:
    return None if number not in fields else _id(fields[number], kind.kind, kind)


def _ids(value: Value, name: str, kind: type[I], most: int) -> tuple[I, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise _Shape(name)
    return tuple(_id(item, name, kind) for item in value)


def _pair(value: Value, name: str, kind: type[I]) -> tuple[I, bytes]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Shape(name)
    return _id(value[0], name, kind), _bytes(value[1], name)
