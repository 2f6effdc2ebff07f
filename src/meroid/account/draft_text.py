"""A drafted entry of a key log as a text file, which travels between those who sign it.

It holds the whole log, so that each of them sees on what the entry is built, the payload, and the signatures
so far. Files of the same draft are merged by taking all signatures.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from meroid import limits
from meroid.account.key_log import EntryDraft, verify_key_log
from meroid.account.key_log_entry import KeyLogEntry
from meroid.errors import ConflictError, IntegrityError
from meroid.ids import ID_BYTES
from meroid.keys.armour import armour, unarmour
from meroid.keys.canonical import Value, canonical_bytes, parse_canonical
from meroid.keys.public import SIGNATURE_BYTES, PublicKey
from meroid.keys.signer import Signer

_KIND: Final = "MEROID KEY LOG DRAFT"


class BadDraftError(IntegrityError):
    """The text isn't a drafted entry."""

    code = "bad_draft"
    next_step = "have the draft sent again, whole"


class OtherDraftError(ConflictError):
    """The files are of different drafts."""

    code = "other_draft"
    next_step = "give copies of one draft that were signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDraft:
    """A draft with the signatures so far: pairs of key and 64 bytes, in the order of the keys."""

    entries: tuple[bytes, ...]
    draft: EntryDraft
    signatures: tuple[tuple[PublicKey, bytes], ...] = ()

    @classmethod
    def of(cls, entries: Iterable[bytes], draft: EntryDraft) -> Self:
        """A draft on top of these entries that nobody has signed yet."""
        return cls(entries=tuple(entries), draft=draft)

    def signed_by(self, *signers: Signer) -> Self:
        """The same with further signatures."""
        made = {**dict(self.signatures), **dict(self.draft.sign(signer) for signer in signers)}
        return replace(self, signatures=tuple(sorted(made.items())))

    def merged(self, others: Iterable["SignedDraft"]) -> Self:
        """The same with the signatures of other copies.

        Raises:
            OtherDraftError: a copy is of another draft.
        """
        signatures = dict(self.signatures)
        for other in others:
            if other.draft.payload != self.draft.payload:
                raise OtherDraftError("the files are of different drafts")
            signatures |= dict(other.signatures)
        return replace(self, signatures=tuple(sorted(signatures.items())))

    def assemble(self) -> KeyLogEntry:
        """The entry, verified on top of the log.

        Raises:
            IntegrityError, ConflictError, NotFoundError: as `key_log.verify_key_log`.
        """
        return self.draft.assemble(self.signatures)

    @property
    def text(self) -> str:
        """The text file."""
        fields: Value = {
            1: list(self.entries),
            2: self.draft.payload,
            3: [[key, signature] for key, signature in self.signatures],
        }
        return armour(_KIND, canonical_bytes(fields))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a text file, and verify the log in it; the signatures are verified when it is assembled.

        Raises:
            BadArmourError, BadDraftError, NotCanonicalError: it isn't a draft.
            IntegrityError: the log in it doesn't hold, or the entry can't be read.
        """
        match parse_canonical(unarmour(_KIND, text, most=limits.BACKUP_BYTES.value)):
            case {1: list() as entries, 2: bytes() as payload, 3: list() as signatures, **rest} if not rest:
                log = tuple(each for each in entries if isinstance(each, bytes))
                if len(log) != len(entries):
                    raise BadDraftError("an entry of the log is a byte string")
            case _:
                raise BadDraftError("the text doesn't hold a draft")
        return cls(
            entries=log,
            draft=EntryDraft.parse(verify_key_log(log), payload),
            signatures=tuple(sorted(_pair(each) for each in signatures)),
        )


def _pair(value: Value) -> tuple[PublicKey, bytes]:
    match value:
        case [bytes() as key, bytes() as signature] if len(key) == ID_BYTES and len(signature) == SIGNATURE_BYTES:
            return PublicKey(key), signature
        case _:
            raise BadDraftError("a signature is a key of 32 bytes with 64 bytes")
