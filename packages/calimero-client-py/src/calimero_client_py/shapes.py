"""The fixed shapes into which answers are read (`wire/clients.md` §1.6).

Unknown keys disappear, a missing required key is an error, keys come in alphabetical order, optional values are
there as None.
"""

from collections.abc import Callable
from typing import Any

from calimero_client_py.errors import AnswerError, BadInputError

Shape = Callable[[object, str], Any]


def text(value: object, at: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise AnswerError(f"invalid type at {at}: expected a string")
    return value


def number(value: object, at: str) -> int:
    """A whole number."""
    if type(value) is not int:
        raise AnswerError(f"invalid type at {at}: expected an integer")
    return value


def boolean(value: object, at: str) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise AnswerError(f"invalid type at {at}: expected a boolean")
    return value


def anything(value: object, at: str) -> Any:  # noqa: ANN401 - JSON of any shape, not looked into
    """Any JSON value."""
    return value


def nothing(value: object, at: str) -> None:
    """Null."""
    if value is not None:
        raise AnswerError(f"invalid type at {at}: expected null")


def octets(value: object, at: str) -> list[int]:
    """A list of whole numbers from 0 to 255."""
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= 255 for item in value):
        raise AnswerError(f"invalid type at {at}: expected a list of bytes")
    return value


def listed(shape: Shape) -> Shape:
    """A list of one shape."""

    def read(value: object, at: str) -> list[Any]:
        if not isinstance(value, list):
            raise AnswerError(f"invalid type at {at}: expected a list")
        return [shape(item, f"{at}[{index}]") for index, item in enumerate(value)]

    return read


def mapped(shape: Shape) -> Shape:
    """An object from any key to one shape."""

    def read(value: object, at: str) -> dict[str, Any]:
        return {key: shape(item, f"{at}.{key}") for key, item in sorted(_object(value, at).items())}

    return read


class MayBeMissing:
    """A key that may be missing or null."""

    def __init__(self, shape: Shape, *, left_out: bool = False) -> None:
        self.shape = shape
        self.left_out = left_out

    def __call__(self, value: object, at: str) -> Any:  # noqa: ANN401 - JSON of any shape
        return None if value is None else self.shape(value, at)


def optional(shape: Shape) -> MayBeMissing:
    """Missing or null is None."""
    return MayBeMissing(shape)


def left_out_when_empty(shape: Shape) -> MayBeMissing:
    """Missing, null or empty: the key is left out."""
    return MayBeMissing(shape, left_out=True)


def record(**fields: Shape) -> Shape:
    """An object with these keys."""
    ordered = sorted(fields.items())

    def read(value: object, at: str) -> dict[str, Any]:
        found = _object(value, at)
        result: dict[str, Any] = {}
        for key, shape in ordered:
            if key not in found and not isinstance(shape, MayBeMissing):
                raise AnswerError(f"missing field `{key}` at {at}")
            item = shape(found.get(key), f"{at}.{key}")
            if item or not (isinstance(shape, MayBeMissing) and shape.left_out):
                result[key] = item
        return result

    return read


def _object(value: object, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnswerError(f"invalid type at {at}: expected an object")
    return value


def _rpc(value: object, at: str) -> dict[str, Any]:
    found = _object(value, at)
    result = {"id": found.get("id"), "jsonrpc": text(found.get("jsonrpc"), f"{at}.jsonrpc")}
    if found.get("error") is not None:
        error = _object(found["error"], f"{at}.error")
        # `meroid` holds code, reason and next step; nodes of the original don't send it
        kept = {key: error[key] for key in ("data", "meroid", "type") if key in error}
        return {"error": kept} | result
    return result | {"result": record(output=optional(anything))(found.get("result"), f"{at}.result")}


APPLICATION = record(id=text, blob=record(bytecode=text, compiled=text), size=number, source=text, metadata=octets)
ONE_APPLICATION = record(data=record(application=optional(APPLICATION)))
APPLICATIONS = record(data=record(apps=listed(APPLICATION)))
APPLICATION_ID = record(data=record(applicationId=text))

BLOB = record(blob_id=text, size=number)
UPLOADED = record(data=BLOB)
BLOBS = record(data=record(blobs=listed(BLOB)))
DELETED_BLOB = record(blob_id=text, deleted=boolean)

PEERS = record(count=number)
PUBLIC_KEY = record(data=record(publicKey=text))
_JOINED = record(contextId=text, memberPublicKey=text)
CREATED = record(data=_JOINED)
JOINED = record(data=optional(_JOINED))
CONTEXT = record(id=text, applicationId=text, rootHash=text)
CONTEXTS = record(data=record(contexts=listed(CONTEXT)))
ONE_CONTEXT = record(
    data=record(id=text, applicationId=text, rootHash=text, dagHeads=left_out_when_empty(listed(octets)))
)
IS_DELETED = record(data=record(isDeleted=boolean))
STORAGE = record(data=record(sizeInBytes=number))
IDENTITIES = record(data=record(identities=listed(text)))
CLIENT_KEYS = record(
    data=record(clientKeys=listed(record(wallet=anything, signingKey=text, createdAt=number, contextId=optional(text))))
)
EMPTY = record(data=nothing)

INVITATION = record(data=optional(text))
OPEN_INVITATION = record(
    data=optional(
        record(
            invitation=record(
                inviter_identity=octets,
                context_id=octets,
                expiration_height=number,
                secret_salt=octets,
                protocol=text,
                network=text,
                contract_id=text,
            ),
            inviter_signature=text,
        )
    )
)

_PROPOSAL = record(id=text, author_id=text, actions=listed(anything))
PROPOSALS = record(data=listed(_PROPOSAL))
PROPOSAL = record(data=_PROPOSAL)
APPROVERS = record(data=listed(text))
APPROVALS = record(data=optional(record(proposal_id=text, num_approvals=number)))

ALIASES = record(data=mapped(text))
LOOKUP = record(data=record(value=optional(text)))
RPC: Shape = _rpc


def check_open_invitation(value: object) -> None:
    """Refuse what is no open invitation before it is sent.

    Raises:
        BadInputError: a part is missing or of another kind.
    """
    try:
        OPEN_INVITATION({"data": value}, "invitation")
    except AnswerError as error:
        raise BadInputError(f"Failed to parse SignedOpenInvitation: {error.message}") from None
    if value is None:
        raise BadInputError("Failed to parse SignedOpenInvitation: it is null")
