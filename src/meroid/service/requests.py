"""What nodes ask each other inside a proven channel: canonical maps with the kind at 1.

| kind | asks | answer |
|---|---|---|
| 1 history | operations that aren't among the ancestors of these heads (2) | envelopes, ancestors first (1); whether there are more (2) |
| 2 keys | epoch keys by id (2) | pairs of id and key (1) |
| 3 blob | a chunk (3) of a blob (2) | the chunk (1), the number of chunks (2) |
| 4 door | what is needed to join | heads (1); whether the asker is a member already (2) |
| 5 offer | take these envelopes (2) | pairs of operation id and code of the verdict (1) |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from meroid import limits
from meroid.errors import IntegrityError
from meroid.ids import BlobId, EpochId, OperationId
from meroid.keys.canonical import Value
from meroid.ledger.operation import VerifiedOperation
from meroid.ledger.verify import read_operation

HISTORY: Final = 1
KEYS: Final = 2
BLOB: Final = 3
DOOR: Final = 4
OFFER: Final = 5
_IDS_MOST: Final = 4096


class BadReplyError(IntegrityError):
    """A peer's reply isn't of the form that the request has."""

    code = "bad_peer_reply"
    next_step = "ask another member"


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Operations in an order in which each can be judged, and whether there are more."""

    operations: tuple[VerifiedOperation, ...]
    more: bool


def ask_history(heads: Iterable[OperationId]) -> Value:
    """The request for what is above these heads."""
    return {1: HISTORY, 2: list(heads)}


def read_history(reply: Value) -> HistoryPage:
    """Read and verify a page.

    Raises:
        BadReplyError: not a page. Errors of `read_operation`: an operation in it isn't well-signed.
    """
    match reply:
        case {1: list() as envelopes, 2: bool() as more} if len(envelopes) <= limits.PAGE_OPERATIONS.value:
            return HistoryPage(tuple(read_operation(_bytes(each)) for each in envelopes), more)
        case _:
            raise BadReplyError("the reply is not a page of history")


def page(envelopes: Iterable[bytes]) -> Value:
    """A page of what is left to send, within the limits of a message."""
    chosen: list[Value] = []
    size = 0
    envelopes = iter(envelopes)
    for envelope in islice(envelopes, limits.PAGE_OPERATIONS.value):
        chosen.append(envelope)
        size += len(envelope)
        if size > limits.PAGE_BYTES.value // 2:
            break
    return {1: chosen, 2: next(envelopes, None) is not None}


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


def read_chunk(reply: Value) -> tuple[bytes, int]:
    """A chunk and the number of chunks.

    Raises:
        BadReplyError: not of this form; the peer doesn't have the blob.
    """
    match reply:
        case {1: bytes() as chunk, 2: int() as count}:
            return chunk, count
        case _:
            raise BadReplyError("the peer does not have the blob")


def ask_door() -> Value:
    """The request of who wants to join."""
    return {1: DOOR}


def read_door(reply: Value) -> tuple[tuple[OperationId, ...], bool]:
    """The heads to cite, and whether the asker is a member already.

    Raises:
        BadReplyError: not of this form.
    """
    match reply:
        case {1: list() as heads, 2: bool() as member} if 0 < len(heads) <= limits.OPERATION_PARENTS.value:
            return tuple(sorted(OperationId(_bytes(head)) for head in heads)), member
        case _:
            raise BadReplyError("the reply does not let anybody in")


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
    if not isinstance(value, list) or len(value) > _IDS_MOST:
        return []
    return [each for each in value if isinstance(each, bytes) and len(each) == 32]


def operation_ids(value: Value) -> list[OperationId]:
    """Operation ids from a request."""
    return [OperationId(each) for each in ids_of(value)]
