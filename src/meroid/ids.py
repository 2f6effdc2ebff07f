"""Typed identifiers: 32 bytes inside, base58 (Bitcoin alphabet) outside."""

from functools import lru_cache
from typing import ClassVar, Self

import base58

from meroid.errors import InvalidInputError

ID_BYTES = 32
_LONGEST_TEXT = 44  # base58 of 32 bytes has at most 44 digits


class BadIdError(InvalidInputError):
    """A text or byte string isn't an id of this kind."""

    code = "bad_id"
    next_step = "give the id as base58 of 32 bytes"


@lru_cache(maxsize=4096)  # base58 costs as much as a read of the store, and the same ids come again and again
def _read(text: str) -> bytes:
    return base58.b58decode(text)


@lru_cache(maxsize=4096)  # as above
def _written(raw: bytes) -> str:
    return base58.b58encode(raw).decode("ascii")


class Id32(bytes):
    """32 bytes with a kind; compares and hashes as bytes, prints as base58."""

    kind: ClassVar[str] = "id"

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != ID_BYTES:
            raise BadIdError(f"every {cls.kind} has 32 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base58 text.

        Raises:
            BadIdError: not base58, or not 32 bytes.
        """
        # the library would cut off white space at the end, and one id would have many texts
        if len(text) > _LONGEST_TEXT or not (text.isascii() and text.isalnum()):
            raise BadIdError(f"every {cls.kind} is base58 of 32 bytes")
        try:
            raw = _read(text)
        except ValueError:
            raise BadIdError(f"every {cls.kind} is base58 of 32 bytes") from None
        return cls(raw)

    def __str__(self) -> str:
        return _written(bytes(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class ContextId(Id32):
    """Id of a context: the id of its genesis operation."""

    kind = "context id"


class OperationId(Id32):
    """SHA-256 of an operation's signed bytes, with its domain tag."""

    kind = "operation id"


class EpochId(Id32):
    """Id of an encryption epoch; commits to its key."""

    kind = "epoch id"


class AccountId(Id32):
    """Hash of an account's inception event."""

    kind = "account id"


class ApplicationId(Id32):
    """Id of an application (`wire/node.md` §1.2)."""

    kind = "application id"


class BlobId(Id32):
    """Id of a blob: SHA-256 of its concatenated chunk ids (`wire/node.md` §1.7)."""

    kind = "blob id"
