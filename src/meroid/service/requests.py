"""What nodes ask each other inside a proven channel: canonical maps with the kind at 1.

| kind | asks | answer |
|---|---|---|
| 1 history | operations from a position on (3) that aren't among the ancestors of these heads (2) | envelopes, ancestors first (1); whether there are more (2); the position to go on from (3) |
| 2 keys | epoch keys by id (2) | pairs of id and key (1) |
| 3 blob | a chunk (3) of a blob (2) | the chunk (1) |
| 4 door | what is needed to join; the secret's signature (2) where the invitation has one | heads (1); whether the asker is a member already (2) |
| 5 offer | take these envelopes (2) | pairs of operation id and code of the verdict (1) |
| 7 addresses | where others can connect to this node | at most four addresses (1) |
| 6 link | be linked by an open offer: sealing key (2), commitment to the next keys (3), consent (4); the code's secret's signature (5) where it has one | code of the verdict (1) |

Whoever was removed, and proves its key, gets `{9: envelope of the removal}` to any of them.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from meroid import limits
from meroid.errors import IntegrityError
from meroid.ids import BlobId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.keys.public import SIGNATURE_BYTES
from meroid.ledger.codec import decode_operation
from meroid.ledger.operation import MemberKeys, VerifiedOperation
from meroid.ledger.verify import verify_operation

HISTORY: Final = 1
KEYS: Final = 2
BLOB: Final = 3
DOOR: Final = 4
OFFER: Final = 5
LINK: Final = 6
ADDRESSES: Final = 7
_ADDRESSES_MOST: Final = 4
IDS_MOST: Final = 4096


class BadReplyError(IntegrityError):
    """A peer's reply isn't of the form that the request has."""

    code = "bad_peer_reply"
    next_step = "ask another member"


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Operations in an order in which each can be judged, and from where to go on, if there are more."""

    operations: tuple[VerifiedOperation, ...]
    after: int | None


def ask_history(heads: Iterable[OperationId], position: int = 0) -> Value:
    """The request for what is above these heads, from a position on that the responder gave."""
    return {1: HISTORY, 2: list(islice(heads, IDS_MOST)), 3: position}


def read_history(reply: Value, known: Container[OperationId] = ()) -> HistoryPage:
    """Read a page and verify what isn't known already.

    Raises:
        BadReplyError: not a page. Errors of `read_operation`: an operation in it isn't well-signed.
    """
    match reply:
        case {1: list() as envelopes, 2: bool() as more, 3: int() as position} if (
            len(envelopes) <= limits.PAGE_OPERATIONS.value
        ):
            decoded = (decode_operation(_bytes(each)) for each in envelopes)
            new = tuple(verify_operation(each) for each in decoded if each.operation_id not in known)
            return HistoryPage(new, position if more else None)
        case _:
            raise BadReplyError("the reply is not a page of history")


def page(envelopes: Iterable[tuple[int, bytes]]) -> Value:
    """A page of what is left to send, each with its position, within the limits of a message."""
    chosen: list[Value] = []
    size = position = 0
    for position, envelope in envelopes:  # the position of what finds no room goes into the page
        full = len(chosen) == limits.PAGE_OPERATIONS.value or size + len(envelope) > limits.PAGE_BYTES.value
        if full:
            return {1: chosen, 2: True, 3: position}
        chosen.append(envelope)
        size += len(envelope)
    return {1: chosen, 2: False, 3: position}


def ask_keys(epochs: Iterable[EpochId]) -> Value:
    """The request for epoch keys."""
    return {1: KEYS, 2: list(epochs)}


def read_keys(reply: Value) -> Mapping[EpochId, bytes]:
    """Read epoch keys; whether they are the right ones is for the taker to check.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: list() as pairs}:
            return dict(_key_pair(pair) for pair in pairs)
        case _:
            raise BadReplyError("the reply holds no epoch keys")


def _key_pair(pair: Value) -> tuple[EpochId, bytes]:
    match pair:
        case [bytes() as epoch, bytes() as key]:
            return EpochId(epoch), key
        case _:
            raise BadReplyError("the reply holds no epoch keys")


def ask_blob(blob_id: BlobId, index: int) -> Value:
    """The request for one chunk of a blob."""
    return {1: BLOB, 2: blob_id, 3: index}


def read_chunk(reply: Value) -> bytes:
    """A chunk.

    Raises:
        BadReplyError: not of this form; the peer doesn't have the blob.
    """
    match reply:
        case {1: bytes() as chunk}:
            return chunk
        case _:
            raise BadReplyError("the peer does not have the blob")


def ask_door(proof: bytes | None = None) -> Value:
    """The request of who wants to join; `proof` is what the secret of an open invitation signs."""
    return {1: DOOR} if proof is None else {1: DOOR, 2: proof}


def read_door(reply: Value) -> tuple[tuple[OperationId, ...], bool]:
    """The heads to cite, and whether the asker is a member already.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: list() as heads, 2: bool() as member} if 0 < len(heads) <= limits.OPERATION_PARENTS.value:
            return tuple(sorted({OperationId(_bytes(head)) for head in heads})), member
        case _:
            raise BadReplyError("the reply does not let anybody in")


def ask_addresses() -> Value:
    """The request for the addresses of a member's node."""
    return {1: ADDRESSES}


def read_addresses(reply: Value) -> tuple[str, ...]:
    """The addresses; whether they are any is for the transport to say.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: list() as addresses} if len(addresses) <= _ADDRESSES_MOST:
            return tuple(each for each in addresses if isinstance(each, str))
        case _:
            raise BadReplyError("the reply holds no addresses")


def ask_offer(operations: Iterable[VerifiedOperation]) -> Value:
    """The request to take operations."""
    return {1: OFFER, 2: [operation.envelope for operation in operations]}


def read_offer(reply: Value) -> Mapping[OperationId, str]:
    """The code of the verdict of each operation.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: list() as pairs}:
            return dict(_verdict_pair(pair) for pair in pairs)
        case _:
            raise BadReplyError("the reply holds no verdicts")


def ask_link(keys: MemberKeys, consent: bytes, holder: bytes | None) -> Value:
    """The request of a device to be linked; `holder` is what the secret of an open code signs."""
    request: dict[int | str, Value] = {1: LINK, 2: keys.sealing, 3: keys.next_keys, 4: consent}
    return request if holder is None else {**request, 5: holder}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWish:
    """What a device sends to be linked; the sealing key isn't checked yet."""

    keys: MemberKeys
    consent: bytes
    holder: bytes | None


def link_wish(request: Value) -> LinkWish | None:
    """Read such a request; nothing where it is none, or a field has another length than operations have."""
    if not isinstance(request, dict) or request.get(1) != LINK:
        return None
    match [request.get(number) for number in range(2, 6)]:
        case [bytes() as sealing, bytes() as next_keys, bytes() as consent, (bytes() | None) as holder]:
            if (len(sealing), len(next_keys), len(consent)) != (32, 32, SIGNATURE_BYTES):
                return None
            return LinkWish(keys=MemberKeys(sealing=sealing, next_keys=next_keys), consent=consent, holder=holder)
        case _:
            return None


def read_link(reply: Value) -> str:
    """The code of the verdict; `valid` where the key is linked, now or by an earlier request.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: str() as code}:
            return code
        case _:
            raise BadReplyError("the reply does not say whether the key is linked")


def _verdict_pair(pair: Value) -> tuple[OperationId, str]:
    match pair:
        case [bytes() as operation_id, str() as code]:
            return OperationId(operation_id), code
        case _:
            raise BadReplyError("the reply holds no verdicts")


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise BadReplyError("the reply is not of a known form")
    return value


def ids_of(value: Value) -> list[bytes]:
    """A bounded list of 32-byte ids from a request; anything else is nothing."""
    if not isinstance(value, list) or len(value) > IDS_MOST:
        return []
    return [each for each in value if isinstance(each, bytes) and len(each) == 32]


def operation_ids(value: Value) -> list[OperationId]:
    """Operation ids from a request."""
    return [OperationId(each) for each in ids_of(value)]
