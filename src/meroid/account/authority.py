"""Who may change an account: its keys, the digests of the next ones, and its recovery set."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from meroid import limits
from meroid.account.key_log_errors import BadKeySetError
from meroid.ids import ID_BYTES
from meroid.keys.canonical import Encodable, Value, tagged_hash
from meroid.keys.public import PublicKey

_NEXT_KEY_TAG: Final = "meroid/next-account-key/v1"


def next_key_digest(key: PublicKey) -> bytes:
    """The digest by which a change of keys commits to an account key of the next one; 32 bytes."""
    return tagged_hash(_NEXT_KEY_TAG, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKeys:
    """The keys of one generation, in the order of their bytes; `threshold` of them sign together.

    Raises:
        BadKeySetError: empty, out of order, too many, or a threshold that isn't from 1 to their number.
    """

    keys: tuple[PublicKey, ...]
    threshold: int

    def __post_init__(self) -> None:
        _check("account keys", self.keys, self.threshold, limits.ACCOUNT_KEYS.value)

    @classmethod
    def of(cls, *keys: PublicKey, threshold: int = 1) -> Self:
        """The keys in whatever order they come."""
        return cls(keys=tuple(sorted(keys)), threshold=threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextKeys:
    """Digests of the keys that may come next, in order; `threshold` of them sign the rotation.

    Raises:
        BadKeySetError: as `AccountKeys`, or a digest that doesn't have 32 bytes.
    """

    digests: tuple[bytes, ...]
    threshold: int

    def __post_init__(self) -> None:
        _check("digests of next keys", self.digests, self.threshold, limits.ACCOUNT_KEYS.value)

    @classmethod
    def of(cls, *keys: PublicKey, threshold: int = 1) -> Self:
        """Commit to these keys without showing them."""
        return cls.of_digests(map(next_key_digest, keys), threshold=threshold)

    @classmethod
    def of_digests(cls, digests: Iterable[bytes], *, threshold: int = 1) -> Self:
        """Commit to keys that others hold, who gave their digests."""
        return cls(digests=tuple(sorted(digests)), threshold=threshold)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RecoveryMember:
    """A person or a thing that helps to recover an account.

    The label stands in the log for whoever may read it; it may be empty.
    """

    key: PublicKey
    label: str

    def __post_init__(self) -> None:
        if len(self.label.encode()) > limits.RECOVERY_LABEL.value or not (self.label.isprintable() or not self.label):
            raise BadKeySetError(f"a label is printable and has at most {limits.RECOVERY_LABEL.value} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySet:
    """The members in the order of their keys; `threshold` of them recover the account.

    Raises:
        BadKeySetError: as `AccountKeys`.
    """

    members: tuple[RecoveryMember, ...]
    threshold: int

    def __post_init__(self) -> None:
        _check("recovery members", self.keys, self.threshold, limits.RECOVERY_MEMBERS.value)

    @classmethod
    def of(cls, *members: RecoveryMember, threshold: int) -> Self:
        """The members in whatever order they come."""
        return cls(members=tuple(sorted(members)), threshold=threshold)

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The members' keys."""
        return tuple(member.key for member in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What a rotation or a recovery puts in force, whole: a set that isn't named is gone."""

    keys: AccountKeys
    next: NextKeys
    recovery: RecoverySet | None

    def fields(self) -> dict[str, Encodable]:
        """The fields as they stand in an entry."""
        recovery = self.recovery
        return {
            "keys": self.keys.keys,
            "threshold": self.keys.threshold,
            "next": self.next.digests,
            "next_threshold": self.next.threshold,
            "recovery": None
            if recovery is None
            else {"members": [[each.key, each.label] for each in recovery.members], "threshold": recovery.threshold},
        }

    @classmethod
    def parse(cls, fields: dict[int | str, Value]) -> Self:
        """Read what `fields` gave; other fields are for the caller to check.

        Raises:
            BadKeySetError: a field has another type, or the values don't hold.
        """
        return cls(
            keys=AccountKeys(keys=_keys(fields["keys"]), threshold=_number(fields["threshold"])),
            next=NextKeys(digests=_byte_strings(fields["next"]), threshold=_number(fields["next_threshold"])),
            recovery=_recovery(fields["recovery"]),
        )


def _check(what: str, values: Sequence[bytes], threshold: int, most: int) -> None:
    if any(value >= after for value, after in itertools.pairwise(values)):
        raise BadKeySetError(f"the {what} are out of order, or one stands twice")
    if any(len(value) != ID_BYTES for value in values):
        raise BadKeySetError(f"the {what} have {ID_BYTES} bytes each")
    if not 1 <= threshold <= len(values) <= most:
        raise BadKeySetError(f"a threshold is from 1 to the number of {what}, and there are at most {most}")


def _recovery(value: Value) -> RecoverySet | None:
    match value:
        case None:
            return None
        case {"members": [*members], "threshold": threshold, **rest} if not rest:
            return RecoverySet(members=tuple(map(_member, members)), threshold=_number(threshold))
        case _:
            raise BadKeySetError("a recovery set has members and a threshold")


def _member(value: Value) -> RecoveryMember:
    match value:
        case [bytes() as key, str() as label] if len(key) == ID_BYTES:
            return RecoveryMember(key=PublicKey(key), label=label)
        case _:
            raise BadKeySetError("a recovery member is a key of 32 bytes with a label")


def _keys(value: Value) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(each) for each in _byte_strings(value))


def _byte_strings(value: Value) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise BadKeySetError("keys and digests are lists")
    found = tuple(each for each in value if isinstance(each, bytes) and len(each) == ID_BYTES)
    if len(found) != len(value):
        raise BadKeySetError("keys and digests have 32 bytes each")
    return found


def _number(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadKeySetError("a threshold is a number")
    return value
